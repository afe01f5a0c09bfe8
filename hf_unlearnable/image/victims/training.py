"""What image victims share: how they train, and how they see images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Training, class_indices
from hf_unlearnable.adversary.loop import device, trained
from hf_unlearnable.image.codec import rgb_levels
from hf_unlearnable.learning.precision import mixed_precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LARGEST = 64  # pixels per side at most that a model trained from nothing sees when nothing else is said
HOOKS = ("on_epoch", "in_training")


@dataclass(frozen=True, kw_only=True)
class ImageTraining(Training):
    """How an image victim trains: the fields of `Training`, and three more.

    The schedule is a cosine, where nothing else is said of SGD with momentum 0.9 and weight decay 5e-4. The accuracy
    that `on_epoch` is told is that on the images as they were met: augmented, by a model that still learned.

    Args:
        augment: Whether training images are mirrored, and shifted by up to an eighth of the width, at random.
        image_size: Pixels a side that the model sees; None for the first image's larger side, from 8 to 64.
        cache: Folder where features are kept for later trainings, in up to 256 MB; None keeps none. It changes
            nothing of the outcome.
        bf16: Whether networks answer in bf16 in training, where the device has instructions for it: 1.8 times as fast
            on such a CPU, and as accurate within what keys differ by (docs/results/cost.md).
    """

    augment: bool = True
    image_size: int | None = None
    bf16: bool = False
    cache: str | os.PathLike | None = None


def train_and_predict(
    build: Callable[[int], nn.Module], train_images: Sequence[Any], train_labels: Sequence[int],
    test_images: Sequence[Any], size: int, training: ImageTraining, *, adaptive: bool = False,
) -> np.ndarray:  # fmt: skip
    """Build a classifier of so many classes, train it as `fitted` does, label the test images."""
    require("image", "torch", "PIL")
    import torch

    classes, targets = class_indices(train_images, train_labels, test_images)
    tests = rgb(test_images, size).to(device())

    def predicted(model: nn.Module) -> np.ndarray:
        model.eval()
        with torch.inference_mode():
            answers = torch.cat([model(seen(part)).argmax(1).cpu() for part in tests.split(at_once(model, size))])
        return classes[answers.numpy()]

    images = rgb(train_images, size)
    return fitted(lambda: build(len(classes)), images, targets, training, predicted, adaptive=adaptive)


def fitted(
    build: Callable[[], nn.Module], images: Tensor, targets: np.ndarray, training: ImageTraining,
    predicted: Callable[[nn.Module], Any], *, adaptive: bool = False,
) -> Any:  # fmt: skip
    """What `predicted` gives of a classifier that is trained by SGD on a cosine schedule.

    Args:
        build: Makes the model.
        images: uint8 [n, size, size, 3].
        targets: Class indices [n].
        training: How to train.
        predicted: From the model, after the last epoch.
        adaptive: Whether AdamW takes the place of SGD, as transformers need it.
    """
    import torch

    from hf_unlearnable.image.learning.views import crop_and_flip

    images, labels = images.to(device()), torch.as_tensor(targets, device=device())
    precision = mixed_precision(torch.device(device())) if training.bf16 else nullcontext

    def scored(model: nn.Module, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        batch, wanted = seen(images[rows.to(labels.device)]), labels[rows.to(labels.device)]
        batch = crop_and_flip(batch, generator) if training.augment else batch
        with precision():
            if training.in_training is not None:
                batch, wanted = training.in_training(batch, wanted, model, generator)
            scores = model(batch.contiguous(memory_format=torch.channels_last))
        return scores.float(), wanted

    rate = training.learning_rate
    descent: Callable[..., torch.optim.Optimizer] = partial(torch.optim.SGD, lr=rate, momentum=0.9, weight_decay=5e-4)
    return trained(
        build, training, len(images), batches=shuffled(len(images), training.batch_size), scored=scored,
        optimizer=partial(torch.optim.AdamW, lr=rate, weight_decay=0.05) if adaptive else descent,
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR, predicted=predicted, largest_norm=5.0,
    )  # fmt: skip


def shuffled(rows: int, batch_size: int) -> Callable[[torch.Generator], Iterable[Tensor]]:
    """The row numbers of one epoch's batches, in an order that the generator draws."""
    import torch

    return lambda generator: torch.randperm(rows, generator=generator).split(batch_size)


def side(images: Sequence[Any]) -> int:
    """The first image's larger side in pixels, at least 8."""
    return max(8, *np.asarray(images[0]).shape[:2]) if len(images) else 8


def at_once(model: nn.Module, size: int) -> int:
    """How many images a model is asked for at a time; on a CPU no more than its caches bear: 10 of 224 pixels a side.

    Args:
        model: Its attribute `size`, if there is one, is the number of pixels a side that it enlarges images to.
        size: Pixels a side of the images.
    """
    pixels = 2**24 if device() == "cuda" else 2**19
    return min(256, max(1, pixels // max(size, getattr(model, "size", 0)) ** 2))


def seen(levels: Tensor) -> Tensor:
    """uint8 [n, height, width, 3] as a model sees it: in [0, 1], channels last in memory, as convolutions like it."""
    return levels.permute(0, 3, 1, 2).float() / 255


def rgb(images: Sequence[Any], size: int) -> Tensor:
    """Images as uint8 [n, size, size, 3]."""
    import torch
    from PIL import Image

    def one(image: Any) -> np.ndarray:
        opened = Image.fromarray(rgb_levels(image))
        if opened.size != (size, size):
            opened = opened.resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(opened)

    return torch.from_numpy(np.stack([one(image) for image in images]))
