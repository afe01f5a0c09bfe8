"""Random views of images as contrastive learners draw them, and the learning rate that goes with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from hf_unlearnable.image.learning.rounds import NoiseLearner


def contrastive_view(images: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """A random view of each image: a part of it, half of them mirrored, other colours, some gray. Differentiable.

    Args:
        images: Float [n, 3, height, width] in [0, 1].
        generator: On the CPU, so that every device meets the same draws.
        strength: 1 for what SimCLR sees: at least a fifth of the image, channels, brightness and contrast times 0.6
            to 1.4 each, one in five gray. At 0 an image is mirrored or not, and stretched by up to 4:3.
    """
    import torch

    from hf_unlearnable.image.countermeasures import random_resized_crop
    from hf_unlearnable.image.learning.pgd import crop_and_flip

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(images), *shape, 1, 1, generator=generator).to(images.device)

    few, many = 1 - 0.4 * strength, 1 + 0.4 * strength
    images = random_resized_crop(images, generator, 1 - 0.8 * strength)
    images = crop_and_flip(images, generator, padding=0)
    images = (images * draw(few, many, 3) * draw(few, many, 1)).clamp(0, 1)  # of each channel, and brightness
    middle = images.mean((1, 2, 3), keepdim=True)
    images = ((images - middle) * draw(few, many, 1) + middle).clamp(0, 1)  # contrast
    return torch.where(draw(0, 1, 1) < 0.2 * strength, images.mean(1, keepdim=True), images)


def cosine(learner: NoiseLearner, learning_rate: float, done: float) -> None:
    """Sets the surrogate's learning rate to that of a cosine which falls from `learning_rate` to 0.

    Args:
        learner: Whose surrogate.
        learning_rate: Of the start.
        done: Share of the training that is done, from 0 to 1.
    """
    for group in learner.optimizer.param_groups:
        group["lr"] = learning_rate * (1 + math.cos(math.pi * done)) / 2


def check_strength(strength: float) -> None:
    """Raises a ValueError for what is no strength of a view."""
    if not 0 <= strength <= 1:
        raise ValueError(f"view_strength is {strength}, but it lies between 0 (mirrored) and 1 (as in SimCLR).")
