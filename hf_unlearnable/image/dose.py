"""An image's change made anew at random: as much of it, but no more telling of the label."""

from __future__ import annotations

import numpy as np

from hf_unlearnable.image.base import add_levels
from hf_unlearnable.key import draws

_ORDER = 1 << 32  # where in a row's stream the draws for the order start


def random_pixels(levels: np.ndarray, change: np.ndarray, stream: int) -> np.ndarray:
    """An image with the change of another one, the pixels of that in a random order.

    Args:
        levels: The image, uint8 [height, width, channels].
        change: Signed levels of any height and width, and as many channels. A pixel's channels stay together. Of a
            larger one some pixels are left out, of a smaller one some come again.
        stream: The row's random stream.

    Returns:
        The changed image. A level that would leave [0, 255] stays at the edge; what is cut off is not made up for
        elsewhere.
    """
    pixels = change.reshape(-1, change.shape[2])
    index = np.arange(_ORDER, _ORDER + len(pixels), dtype=np.uint64)
    order = np.argsort(draws(np.full(len(pixels), stream, np.uint64), index), kind="stable")
    return add_levels(levels, np.resize(pixels[order], levels.shape))
