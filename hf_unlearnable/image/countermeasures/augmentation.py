"""Augmentation of batches in training: crops, mixtures, strong changes.

kornia draws the strong changes. Its crop, mixup and cutmix took 1.7, 3.4 and 5.5 times as long as those here (128
images of 32 x 32 pixels, one core), and the squares of its cutout never reach over the border, as the paper's do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def random_resized_crop(images: Tensor, generator: torch.Generator, smallest: float = 0.2) -> Tensor:
    """A random part of each image, from 3:4 to 4:3, enlarged to its size. Differentiable.

    Args:
        images: Float [n, channels, height, width].
        generator: On the CPU.
        smallest: Share of the image that is shown at least.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n = len(images)
    area, shape, across, down = torch.rand(4, n, generator=generator)
    area, shape = smallest + (1 - smallest) * area, (4 / 3) ** (2 * shape - 1)
    width, height = (area * shape).sqrt().clamp(max=1), (area / shape).sqrt().clamp(max=1)
    box = torch.zeros(n, 2, 3)
    box[:, 0, 0], box[:, 1, 1] = width, height
    box[:, 0, 2], box[:, 1, 2] = (2 * across - 1) * (1 - width), (2 * down - 1) * (1 - height)
    grid = affine_grid(box.to(images.device), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def cutout(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A black square of half the width somewhere in each image: it hides one pixel from many images.

    Clean data loses nothing; one-pixel comes back to 62 %. Paper: T. DeVries, G. W. Taylor, arXiv:1708.04552.
    """
    hidden = _squares(images, 0.5, generator)
    return images * ~hidden, targets


def mixup(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Averages of two images under the averages of their labels, with a weight drawn for the batch.

    Clean data gains. Liu et al. 2023 mix half of the images, each with a weight of its own. Paper: H. Zhang, M. Cisse,
    Y. N. Dauphin, D. Lopez-Paz, ICLR 2018, arXiv:1710.09412.
    """
    import torch

    weight = torch.rand(1, generator=generator).item()
    other = torch.randperm(len(images), generator=generator).to(images.device)
    return weight * images + (1 - weight) * images[other], _mixed(targets, other, weight, images, model)


def cutmix(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A square of another image in each image, under the labels of both by their share, drawn for the batch.

    Clean data gains. Paper: S. Yun et al., ICCV 2019, arXiv:1905.04899.
    """
    import torch

    share = torch.rand(1, generator=generator).item()
    other = torch.randperm(len(images), generator=generator).to(images.device)
    pasted = _squares(images, share**0.5, generator)
    kept = 1 - pasted.float().mean((1, 2, 3))
    return torch.where(pasted, images[other], images), _mixed(targets, other, kept[:, None], images, model)


def rand_augment(
    images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Two of fifteen strong changes to each image, of colour, contrast, sharpness or place.

    Clean data gains with long training. One-pixel comes back to 71 %, error-min to 52. Paper: E. D. Cubuk, B. Zoph, J.
    Shlens, Q. V. Le, NeurIPS 2020, arXiv:1909.13719. Kornia draws the kind of change for all images that it is given,
    so it is given sixteen at a time.
    """
    import torch

    change = _rand_augment()
    with _seeded_by(generator):
        return torch.cat([change(part) for part in images.split(16)]).clamp(0, 1), targets


def ueraser(images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clouds of brightness and contrast, shuffled channels and one more change: beyond what noise of few levels bears.

    Paper: T. Qin, X. Gao, J. Zhao, K. Ye, C.-Z. Xu, "Learning the Unlearnable", arXiv:2303.15127, in its cheap form:
    one draw per image, not the worst of five. Costs on clean data in short trainings. Against error-max the benchmark
    APBench compresses the images first: "jpeg-10+ueraser".
    """
    import torch

    change = _ueraser()
    with _seeded_by(generator):
        return torch.cat([change(part) for part in images.split(16)]).clamp(0, 1), targets


def _squares(images: Tensor, side: float, generator: torch.Generator) -> Tensor:
    """Where a square of `side` widths lies in each image, cut off at the border: booleans [n, 1, height, width]."""
    import torch

    n, _, height, width = images.shape
    middle = torch.rand(2, n, 1, generator=generator)
    down = (torch.arange(height) + 0.5 - middle[0] * height).abs() < side * height / 2
    across = (torch.arange(width) + 0.5 - middle[1] * width).abs() < side * width / 2
    return (down[:, None, :, None] & across[:, None, None, :]).to(images.device)


def _mixed(targets: Tensor, other: Tensor, weight: Any, images: Tensor, model: nn.Module) -> Tensor:
    """Probabilities [n, classes] of which `weight` lies on an image's own class and the rest on the other's."""
    import torch

    own = targets
    if targets.ndim == 1:
        training = model.training
        with torch.no_grad():
            classes = model.eval()(images[:1]).shape[1]  # in training a batch norm would count this image twice
        model.train(training)
        own = torch.nn.functional.one_hot(targets, classes).to(images.dtype)
    return weight * own + (1 - weight) * own[other]


@contextmanager
def _seeded_by(generator: torch.Generator) -> Iterator[None]:
    """Seeds kornia, which draws from torch's global generator, by ours, and gives that back as it was."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        yield


@lru_cache(maxsize=1)
def _rand_augment() -> Callable[[Tensor], Tensor]:
    require("attack", "kornia")
    from kornia.augmentation.auto import RandAugment

    return RandAugment(n=2, m=10, transformation_matrix_mode="skip")


@lru_cache(maxsize=1)
def _ueraser() -> Callable[[Tensor], Tensor]:
    require("attack", "kornia")
    from kornia.augmentation import RandomChannelShuffle, RandomPlasmaBrightness, RandomPlasmaContrast
    from kornia.augmentation.auto import TrivialAugment
    from torch import nn

    return nn.Sequential(
        RandomPlasmaBrightness(roughness=(0.3, 0.7), intensity=(0.5, 1.0), p=0.5),
        RandomPlasmaContrast(roughness=(0.3, 0.7), p=0.5),
        RandomChannelShuffle(p=0.5),
        TrivialAugment(transformation_matrix_mode="skip"),
    )
