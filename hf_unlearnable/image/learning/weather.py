"""What images meet before anyone learns from them, with a gradient: noise that is computed under it outlives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.image.learning.views import crop_and_flip

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# How often an image meets each: as it is, JPEG, half its size and back, a blur, no colour.
SHARES = (2, 4, 1, 1, 1)
_LOWEST, _HIGHEST = 10, 90  # quality of JPEG
_SHIFTS = 28  # an image is shifted by up to its width over this


def weathered(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image after one thing that the world or an attacker does to it, then shifted and mirrored. Differentiable.

    JPEG is kornia's, with chroma at half the resolution (4:2:0), of a quality from 10 to 90, drawn evenly by its
    logarithm: what low qualities take is hardest to keep. Its rounding has the gradient of a smooth step, so noise
    moves to where it is not rounded away.

    Args:
        images: Float [n, 3, height, width] in [0, 1], at least 8 pixels a side.
        generator: On the CPU, so that every device meets the same draws.
    """
    import torch

    kinds = torch.multinomial(torch.tensor(SHARES, dtype=torch.float), len(images), True, generator=generator)
    qualities = _LOWEST * (_HIGHEST / _LOWEST) ** torch.rand(len(images), generator=generator)
    rows, parts = [], []
    for kind, change in enumerate((None, _compressed, _halved, _blurred, _gray)):
        mine = (kinds == kind).nonzero()[:, 0]
        if len(mine):
            part = images[mine.to(images.device)]
            parts.append(part if change is None else change(part, qualities[mine].to(images.device)))
            rows.append(mine)
    changed = torch.cat(parts)[torch.cat(rows).argsort().to(images.device)]
    return crop_and_flip(changed, generator, images.shape[-1] // _SHIFTS)


def through_wear(names: Sequence[str]) -> Callable[[Tensor, torch.Generator], Tensor]:
    """A view in which each image goes through one of these kinds of wear, drawn evenly, or through none.

    The real libraries do it, on whole levels. The gradient goes straight through, as if they had halved the image and
    enlarged it again: fine noise would not outlive them.

    Args:
        names: Of `hf_unlearnable.image.wear`, such as "jpeg-75-420".

    Returns:
        From float [n, 3, height, width] in [0, 1] and a generator on the CPU to the same shape.

    Raises:
        ImportError: A codec is not installed; the message says what to install.
        ValueError: There is no such wear, or it changes the size of an image.
    """
    import torch

    from hf_unlearnable.image.wear import IMAGE_WEAR

    unknown = [name for name in names if name not in IMAGE_WEAR or name.startswith("resize-")]
    if unknown:
        kinds = ", ".join(name for name in IMAGE_WEAR if not name.startswith("resize-"))
        raise ValueError(f"There is no wear {unknown[0]!r} that keeps the size of an image. There is: {kinds}.")
    for name in names:
        IMAGE_WEAR[name].change([np.zeros((8, 8, 3), np.uint8)])  # says now, not after an hour, what is not installed

    def view(images: Tensor, generator: torch.Generator) -> Tensor:
        kinds = torch.randint(len(names) + 1, (len(images),), generator=generator).numpy()
        levels = (images.detach() * 255).round().to("cpu", torch.uint8).movedim(1, 3).numpy()
        for kind, name in enumerate(names):
            mine = (kinds == kind).nonzero()[0]
            if len(mine):
                levels[mine] = IMAGE_WEAR[name].change([np.ascontiguousarray(levels[i]) for i in mine])
        seen = torch.from_numpy(levels).movedim(3, 1).to(images) / 255
        smooth = _halved(images)
        return smooth + (seen - smooth).detach()

    return view


def _compressed(images: Tensor, qualities: Tensor) -> Tensor:
    require("attack", "kornia")
    from kornia.enhance import jpeg_codec_differentiable

    return jpeg_codec_differentiable(images.contiguous(), qualities)


def _halved(images: Tensor, _: Tensor | None = None) -> Tensor:
    from torch.nn.functional import interpolate

    size = images.shape[-2:]
    small = interpolate(images, [max(1, side // 2) for side in size], mode="bilinear", antialias=True)
    return interpolate(small, size, mode="bilinear")


def _blurred(images: Tensor, _: Tensor) -> Tensor:
    require("attack", "kornia")
    from kornia.filters import gaussian_blur2d

    return gaussian_blur2d(images, (7, 7), (1.0, 1.0))


def _gray(images: Tensor, _: Tensor) -> Tensor:
    weights = images.new_tensor([0.299, 0.587, 0.114])  # those of Pillow's L
    return (images * weights[:, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)
