"""What screens and colour management do to pixel values."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

_GAMMA = 2.2 / 1.8  # a picture for a gamma of 2.2 on a screen of 1.8
_BITS = 6  # per channel, of many laptop panels


def screenshot(levels: np.ndarray) -> np.ndarray:
    """An image as a screen of gamma 1.8 and 6 bits per channel shows it, captured.

    Args:
        levels: uint8 [height, width, 3].
    """
    steps = 2**_BITS - 1
    shown = np.rint((np.arange(256) / 255) ** (1 / _GAMMA) * steps) / steps
    return np.rint(255 * shown).astype(np.uint8)[levels]


def lab_and_back(levels: np.ndarray) -> np.ndarray:
    """An image converted from sRGB to 8-bit CIE Lab and back with its colour profiles (LittleCMS, perceptual).

    Args:
        levels: uint8 [height, width, 3].
    """
    from PIL import Image, ImageCms

    image: Any = Image.fromarray(levels)
    for transform in _through_lab():
        image = ImageCms.applyTransform(image, transform)
    return np.asarray(image)


@cache
def _through_lab() -> tuple[Any, Any]:
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return (
        ImageCms.buildTransform(srgb, lab, "RGB", "LAB"),
        ImageCms.buildTransform(lab, srgb, "LAB", "RGB"),
    )
