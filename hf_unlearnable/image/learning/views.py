"""Views of images: their size, random crops, and what contrastive learners draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from hf_unlearnable.image.learning.rounds import NoiseLearner


def crop_and_flip(images: Tensor, generator: torch.Generator, padding: int | None = None) -> Tensor:
    """Each image shifted by up to `padding` pixels (an eighth of its width unless told) and half of them mirrored.

    Differentiable. The draws come from a generator on the CPU, so that every device meets the same ones.
    """
    import torch
    from torch.nn.functional import pad

    n, _, height, width = images.shape
    padding = width // 8 if padding is None else padding
    down, right = (torch.randint(0, 2 * padding + 1, (n, 1), generator=generator) for _ in range(2))
    mirrored = torch.rand(n, 1, generator=generator) < 0.5
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    columns = torch.where(mirrored, columns.flip(1), columns)
    each = torch.arange(n)[:, None, None].to(images.device)
    rows, columns = rows[:, :, None].to(images.device), columns[:, None, :].to(images.device)
    return pad(images, (padding,) * 4)[each, :, rows, columns].movedim(3, 1)


def resize(images: Tensor, size: int) -> Tensor:
    """Images as a surrogate of `size` by `size` pixels in three channels sees them. Differentiable."""
    from torch.nn.functional import interpolate

    if images.shape[-2:] != (size, size):
        images = interpolate(images, (size, size), mode="bilinear", antialias=True)
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


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
