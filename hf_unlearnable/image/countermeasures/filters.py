"""Random filters of batches in training: what a class was filtered with is not to be told when all images are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def sharpening_and_low_pass(
    images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each image sharpened by a random amount, then without its highest frequencies (cosine transform).

    The idea of `random_sharpening_kernels` at a strength of our own, which leaves more of small images.
    """
    import torch
    from torch.nn.functional import avg_pool2d, pad

    amount = 4 * torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device)
    images = images.contiguous()  # matrix products of channels-last images are slow
    sharp = images + amount * (images - avg_pool2d(pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1))
    return _low_pass(sharp, 0.75).clamp(0, 1), targets


def random_sharpening_kernels(
    images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each image under a random sharpening kernel, then without 91 % of its frequencies (RSK + FF), as published.

    The centre is c ~ N(2.5, 0.1), its four neighbours are -n_i, n_i ~ N((c - 1) / 4, 0.1), and the corners 0. The
    kernel is the same for all channels, and new per image and visit:

        x <- clip(kernel * x)                                  valid convolution: 32 pixels become 30
        x <- clip(lowest 30 % of the cosines per side of x)    9 x 9 of 30 x 30
        x <- random crop of x with a margin of an eighth       black, back to 32 pixels

    Breaks convolution: 23 to 79 % on CIFAR-10, of 94 on clean data (a ResNet-18 of 60 epochs). Costs fine detail, and
    the victim is tested on images that are not filtered.

    Paper: D. Kim, P. Sandoval-Segura, "Learning from Convolution-based Unlearnable Datasets", arXiv:2411.01742.
    """
    import torch
    from torch.nn.functional import conv2d, pad

    n, channels, height, width = images.shape
    draws = torch.randn(n, 5, generator=generator)
    centre = 2.5 + 0.1 * draws[:, 0]
    kernels = torch.zeros(n, 9)
    kernels[:, 4] = centre
    kernels[:, 1::2] = -((centre[:, None] - 1) / 4 + 0.1 * draws[:, 1:])  # places 1, 3, 5 and 7 of 3 x 3
    weight = kernels.view(n, 1, 3, 3).repeat_interleave(channels, 0).to(images)
    sharp = conv2d(images.reshape(1, -1, height, width), weight, groups=n * channels)
    seen = _low_pass(sharp.view(n, channels, height - 2, width - 2).clamp(0, 1), 0.3).clamp(0, 1)
    margin = max(1, width // 8)
    framed = pad(seen, (margin,) * 4)
    down, right = (torch.randint(0, 2 * margin - 1, (n,), generator=generator).tolist() for _ in range(2))
    parts = [one[:, y : y + height, x : x + width] for one, y, x in zip(framed, down, right, strict=True)]
    return torch.stack(parts), targets


def coin(
    images: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator, reach: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Each pixel read from a random place near it (COIN), so that no filter of a class is left to be recognised.

    Pixel (i, j) of the result is the image at (i + dy, j + dx), interpolated bilinearly. The offsets The offsets dy
    and dx ~ U(-`reach`, `reach`) are new per pixel, image and visit, and the same for the channels. Beyond a border
    the image goes on at the other side.

    Breaks convolution. Costs detail finer than twice `reach`.

    Paper: M. Li, X. Wang, Z. Yu, S. Hu, Z. Zhou, L. Zhang, L. Y. Zhang, "Detecting and Corrupting Convolution-based
    Unlearnable Examples", AAAI 2025, arXiv:2311.18403. Its `reach` is 2, the fourth of seven strengths.

    Args:
        images: Float [n, channels, height, width] in [0, 1].
        targets: Class indices [n].
        model: The model in training, which is not asked.
        generator: On the CPU.
        reach: In pixels.

    Returns:
        The images read anew, and `targets`.
    """
    import torch

    n, channels, height, width = images.shape
    places = []
    for size, axis in ((height, 1), (width, 2)):
        drawn = reach * (2 * torch.rand(n, height, width, generator=generator) - 1)
        drawn += torch.arange(size).view([-1 if i == axis else 1 for i in range(3)])
        places.append(drawn.to(images.device))
    below = [place.floor() for place in places]
    (y, down), (x, right) = ((low.long(), place - low) for low, place in zip(below, places, strict=True))
    flat = images.reshape(n, channels, -1)

    def read(row: Tensor, column: Tensor) -> Tensor:
        place = (row % height * width + column % width).view(n, 1, -1).expand(-1, channels, -1)
        return flat.gather(2, place).view(n, channels, height, width)

    down, right = down[:, None], right[:, None]
    upper = (1 - right) * read(y, x) + right * read(y, x + 1)
    lower = (1 - right) * read(y + 1, x) + right * read(y + 1, x + 1)
    return (1 - down) * upper + down * lower, targets


def _low_pass(images: Tensor, share: float) -> Tensor:
    """Images of which the lowest `share` of the cosines of each side is left (DCT-II, orthonormal).

    As matrices: torch has no DCT, and scipy's would leave the GPU.
    """
    import torch

    def projector(size: int) -> Tensor:
        k, x = torch.arange(size)[:, None], torch.arange(size)[None] + 0.5
        cosines = torch.cos(torch.pi / size * k * x) * (2 / size) ** 0.5
        cosines[0] /= 2**0.5
        kept = cosines[: int(share * size)]
        return kept.T @ kept

    rows, columns = (projector(size).to(images) for size in images.shape[-2:])
    return rows @ images.contiguous() @ columns
