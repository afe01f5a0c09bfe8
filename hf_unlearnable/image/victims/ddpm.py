"""Diffusion models as victims: they make images of a class, and a classifier says what these show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.image.victims.training import LARGEST, ImageTraining, rgb, side

if TYPE_CHECKING:
    from torch import nn

    from hf_unlearnable.image.ddpm import Diffusion

_GRAY = 127


@victim("image", ImageTraining, generates=True, epochs=40, batch_size=64, learning_rate=3e-3, augment=False,
        image_size=None)  # fmt: skip
def ddpm(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    labels: Sequence[int],
    training: ImageTraining,
    *,
    steps: int = 50,
    conditional: bool = True,
) -> list[np.ndarray]:
    """A small class-conditional diffusion model (DDPM), trained from nothing: a UNet of 160,000 weights.

    It answers labels with images. What it learned is the share of them that a classifier recognises, so it takes no
    hooks of a classifier's training. `hf_unlearnable.image.ddpm` says what is computed.

    Args:
        train_images: n training images.
        train_labels: their n integer labels.
        labels: m labels to make images of.
        training: how to train, with Adam. `image_size` is a multiple of 4; None for the first image's larger side,
            from 8 to 64 and rounded up.
        steps: of DDIM, in which an image is made.
        conditional: whether it is told the class. Without, the share that is recognised is a guess, whatever it
            learned: KID, FID, precision and recall tell.

    Returns:
        m images, uint8 [size, size, 3]. A class that it was not trained on gives a gray one.

    Raises:
        ImportError: torch, pillow or diffusers is not installed.
        ValueError: as `small_cnn`, or images of this size cannot be halved often enough.
        FloatingPointError: the training diverged.
    """
    from hf_unlearnable.image.ddpm import small

    size = training.image_size or unet_side(train_images)
    return _made(train_images, train_labels, labels, training, size, steps, conditional, small)


@victim("image", ImageTraining, generates=True, epochs=20, batch_size=32, learning_rate=3e-4, augment=False,
        image_size=None)  # fmt: skip
def finetuned_ddpm(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    labels: Sequence[int],
    training: ImageTraining,
    *,
    model: str,
    lora_rank: int | None = None,
    steps: int = 50,
    conditional: bool = True,
) -> list[np.ndarray]:
    """A pretrained diffusion model, fine-tuned, that is told the class from now on.

    Data, result and errors are those of `ddpm`, with these differences.

    Args:
        train_images, train_labels, labels, training, steps, conditional: as in `ddpm`; None for the `image_size` that
            the UNet names.
        model: id on the Hub or folder of a pipeline of a `UNet2DModel` for RGB images, such as a `DDPMPipeline`.
        lora_rank: rank of LoRA in every convolution and linear layer; None to fine-tune all weights. LoRA takes a
            learning rate about ten times as high.

    Raises:
        ImportError: as `ddpm`, or `lora_rank` is set and peft is not installed.
        OSError: it holds no such UNet, or no scheduler.
    """
    from hf_unlearnable.image.ddpm import adapted, own_size, pretrained

    def start(size: int, num_classes: int | None) -> tuple[Diffusion, Callable[[], nn.Module]]:
        diffusion, build = pretrained(model, size, num_classes)
        return diffusion, build if lora_rank is None else adapted(build, lora_rank)

    size = training.image_size or own_size(model)
    return _made(train_images, train_labels, labels, training, size, steps, conditional, start)


def unet_side(images: Sequence[Any]) -> int:
    """Pixels per side that the small UNet sees of images: the first one's larger side, from 8 to 64 and rounded up."""
    return -(-min(side(images), LARGEST) // 4) * 4


def _made(
    train_images: Sequence[Any], train_labels: Sequence[int], labels: Sequence[int], training: ImageTraining,
    size: int, steps: int, conditional: bool,
    start: Callable[[int, int | None], tuple[Diffusion, Callable[[], nn.Module]]],
) -> list[np.ndarray]:  # fmt: skip
    """Trains and makes an image of each label."""
    require("image", "torch", "PIL")
    from hf_unlearnable.image.ddpm import trained_ddpm

    if steps < 1:
        raise ValueError(f"steps is {steps}, but an image takes 1 or more.")
    classes, targets = class_indices(train_images, train_labels, labels)
    wanted = np.asarray(labels)
    known = np.isin(wanted, classes)
    known |= not conditional
    diffusion, build = start(size, len(classes) if conditional else None)

    def then(unet: nn.Module) -> np.ndarray:
        asked = np.searchsorted(classes, wanted[known]) if conditional else None
        return diffusion.drawn(unet, asked, (int(known.sum()), 3, size, size), steps, training.seed)

    made = np.full((len(wanted), size, size, 3), _GRAY, np.uint8)
    if known.any():
        told = targets if conditional else None
        made[known] = trained_ddpm((diffusion, build), rgb(train_images, size), told, training, then)
    return list(made)
