"""What the image protections share that bound the change of every pixel value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hf_unlearnable.image.base import ImageTransform

_STRIP = 512  # rows of pixels that noise is added to at a time


@dataclass(kw_only=True, repr=False, eq=False)
class BoundedImageTransform(ImageTransform):
    """Base class of protections that change no level by more than `epsilon`.

    Args:
        epsilon: Largest change of a pixel value, as a share of 255: 8/255 changes it by at most 8. It is rounded down
            to a whole pixel value. 0 changes nothing.
    """

    epsilon: float = 8 / 255

    strength_parameter: ClassVar[str] = "epsilon"

    @property
    def max_levels(self) -> int:
        """`epsilon` in whole levels of 255."""
        return int(self.epsilon * 255 + 1e-6)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.epsilon <= 1:
            raise ValueError(
                f"epsilon is {self.epsilon}, but it is a share of the range of a level, from 0 to 1, such as 8/255"
                + (f": did you mean {self.epsilon:g}/255?" if 1 < self.epsilon <= 255 else ".")
            )
        if self.max_levels > 127:
            raise ValueError("epsilon is more than 127/255: nothing of the image would be left.")
        if self.epsilon > 0 and self.max_levels == 0:
            raise ValueError(
                f"epsilon is {self.epsilon:g}, less than one level: the least is 1/255, and 0 changes nothing."
            )
        for name in ("step_size", "radius"):
            if not 0 <= (getattr(self, name, None) or 0) <= 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but it is a share of the range of a level, from 0 to 1."
                )


def add_levels(levels: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Image plus noise, exactly, in uint8; what would leave [0, 255] stays at its edge.

    Args:
        levels: uint8, any shape.
        noise: Signed whole levels, the same shape.
    """
    changed = np.empty_like(levels)
    for top in range(0, len(levels), _STRIP):  # the whole of a photo in 16 bits is a lot
        strip = slice(top, top + _STRIP)
        changed[strip] = np.clip(levels[strip].astype(np.int16) + noise[strip], 0, 255)
    return changed


def add_repeated(levels: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """As `add_levels`, with noise that repeats: five times as fast on a photo, for it stays in 8 bits.

    Args:
        levels: uint8 [height, width, channels].
        strip: Signed whole levels of its first rows and, again and again, of those that follow, int8 [rows, width,
            channels].
    """
    above, below = (np.maximum(part, 0).astype(np.uint8) for part in (strip, -strip))
    room, changed = 255 - above, np.empty_like(levels)
    for top in range(0, len(levels), len(strip)):
        part = changed[top : top + len(strip)]
        rows = slice(len(part))
        np.minimum(levels[top : top + len(strip)], room[rows], out=part)
        part += above[rows]
        np.maximum(part, below[rows], out=part)
        part -= below[rows]
    return changed
