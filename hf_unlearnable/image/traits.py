"""What tells protected images from clean ones whatever they show: how their pixels differ from their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_SIDE = 256  # pixels per side of the middle that is looked at
_RIDGE = 1e-2


def told_apart(clean: Sequence[Any], protected: Sequence[Any], asked: Sequence[Any]) -> np.ndarray:
    """Which images look more like protected than like clean ones, by a linear discriminant of `traits`.

    Args:
        clean, protected: Images to learn from, PIL images or uint8 arrays [height, width, channels], at least two of
            each.
        asked: m images.

    Returns:
        Boolean [m].
    """
    zero, one, there = (np.stack(list(map(traits, part))) for part in (clean, protected, asked))
    both = np.concatenate([zero, one])
    mean, scale = both.mean(axis=0), both.std(axis=0) + 1e-9
    zero, one, there = ((part - mean) / scale for part in (zero, one, there))
    within = (np.cov(zero.T) + np.cov(one.T)) / 2 + _RIDGE * np.eye(len(mean))
    direction = np.linalg.solve(within, one.mean(axis=0) - zero.mean(axis=0))
    return (there - (zero.mean(axis=0) + one.mean(axis=0)) / 2) @ direction > 0


def traits(image: Any) -> np.ndarray:
    """How rough an image is across, down and diagonally, mean, largest and median; how flat, how clipped.

    Args:
        image: PIL image or uint8 array [height, width, channels].

    Returns:
        float [12].
    """
    levels = np.asarray(image.convert("RGB") if hasattr(image, "convert") else image).astype(np.float32)
    top, left = (max(0, (side - _SIDE) // 2) for side in levels.shape[:2])
    levels = levels.reshape(*levels.shape[:2], -1)[top : top + _SIDE, left : left + _SIDE]
    across, down = np.diff(levels, axis=1), np.diff(levels, axis=0)
    diagonal = np.diff(across, axis=0)
    parts = [np.abs(part).ravel() if part.size else np.zeros(1, np.float32) for part in (across, down, diagonal)]
    rough = [np.log1p(part.mean()) for part in parts]
    most = [np.log1p(part.max()) for part in parts]
    median = [np.log1p(np.median(part)) for part in parts]
    flat = [np.mean(part == 0) for part in parts[:2]]
    return np.array([*rough, *most, *median, *flat, np.mean((levels == 0) | (levels == 255))])
