"""SimCLR: features from the images alone, without their labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.adversary.loop import device, trained
from hf_unlearnable.image.victims.pretrained import probed
from hf_unlearnable.image.victims.training import LARGEST, ImageTraining, rgb, seen, shuffled, side

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@victim("image", ImageTraining, epochs=10, batch_size=256, learning_rate=1e-3, image_size=None)
def simclr_probe(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    temperature: float = 0.5,
    C: float = 0.1,  # noqa: N803, scikit-learn's name
) -> np.ndarray:
    """`small_cnn` trained by SimCLR on the images without their labels, then a linear probe with them.

    Two random views of an image (crop that scales, mirror, colours, gray) shall be nearer to each other than to those
    of other images: T. Chen et al., ICML 2020, arXiv:2002.05709. With z the unit vectors of all 2b views

        loss(i, j) = -log  exp(z_i z_j / temperature)  /  sum over k != i of exp(z_i z_k / temperature)

    There are no hooks, as in `linear_probe`.

    Args:
        train_images: n training images.
        train_labels: their n integer labels.
        test_images: m images to label.
        training: how to train, with Adam. Each image is told from the others of its batch.
        temperature: as above.
        C: inverse strength of the L2 penalty on the weights of the standardised features, above 0.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, pillow or scikit-learn is not installed.
        ValueError: as `small_cnn`.
    """
    require("attack", "sklearn")
    require("image", "torch", "PIL")
    import torch

    from hf_unlearnable.image.learning.surrogate import image_classifier

    classes, targets = class_indices(train_images, train_labels, test_images)
    size = training.image_size or min(side(train_images), LARGEST)
    images, tests = rgb(train_images, size).to(device()), rgb(test_images, size)

    def scored(model: nn.Module, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        twice = seen(images[rows.to(images.device)]).repeat(2, 1, 1, 1)
        return _likeness(model(_view(twice, generator)), temperature)

    return trained(
        lambda: image_classifier("small_cnn", 64),  # its last layer projects: 64 dimensions
        training, len(images), batches=shuffled(len(images), training.batch_size),
        scored=scored, optimizer=partial(torch.optim.Adam, lr=training.learning_rate),
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR,
        predicted=lambda model: classes[probed(model, images, targets, tests, C)],
    )  # fmt: skip


def _view(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random view of each image for SimCLR: cropped, half of them mirrored, other colours, one in five gray."""
    import torch

    from hf_unlearnable.image.countermeasures import random_resized_crop
    from hf_unlearnable.image.learning.pgd import crop_and_flip

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(images), *shape, 1, 1, generator=generator).to(images.device)

    images = crop_and_flip(random_resized_crop(images, generator), generator, padding=0)
    images = (images * draw(0.6, 1.4, 3) * draw(0.6, 1.4, 1)).clamp(0, 1)  # of each channel, and brightness
    middle = images.mean((1, 2, 3), keepdim=True)
    images = ((images - middle) * draw(0.6, 1.4, 1) + middle).clamp(0, 1)  # contrast
    return torch.where(draw(0, 1, 1) < 0.2, images.mean(1, keepdim=True), images)


def _likeness(vectors: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """How alike vectors [2b, d] are, as logits [2b, 2b], and which belongs to each [2b]: i and i + b do."""
    import torch
    from torch.nn.functional import normalize

    z = normalize(vectors, dim=1)
    likeness = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    return likeness, torch.arange(len(z), device=z.device).roll(len(z) // 2)
