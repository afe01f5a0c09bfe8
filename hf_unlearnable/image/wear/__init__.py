"""What images go through before anyone trains on them: codecs, resizers, screens and colour management.

Every change is one of a single image, from uint8 [height, width, 3] to the same. Transparency is dropped first, as
victims drop it. All but `resize-...`, which makes an image 7/8 as large as 256 pixels become 224, keep its size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from hf_unlearnable.adversary import Wear
from hf_unlearnable.image.codec import rgb_levels
from hf_unlearnable.image.wear.codecs import CODECS, Codec, opened
from hf_unlearnable.image.wear.colours import lab_and_back, screenshot
from hf_unlearnable.image.wear.resizing import RESIZERS, thumbnails

__all__ = ["CODECS", "IMAGE_WEAR", "RESIZERS", "Codec", "on_every", "opened"]


def on_every(change: Callable[[np.ndarray], np.ndarray], inputs: Sequence[Any]) -> list[np.ndarray]:
    """A change of one image, on each of them.

    Args:
        change: From uint8 [height, width, 3] to the same.
        inputs: PIL images, or arrays, as victims take them.

    Raises:
        ValueError: An image cannot be changed; the message names its row.
    """
    changed = []
    for row, image in enumerate(inputs):
        try:
            changed.append(change(rgb_levels(image)))
        except ValueError as error:
            raise ValueError(f"Row {row}: {error}") from None
    return changed


def _wear(change: Callable[[np.ndarray], np.ndarray], *packages: str) -> Wear:
    return Wear(partial(on_every, change), packages or ("pillow",))


IMAGE_WEAR: dict[str, Wear] = {
    **{name: _wear(codec.through, *codec.packages) for name, codec in CODECS.items()},
    "thumbnails": _wear(thumbnails),
    "screenshot": _wear(screenshot),
    "lab-and-back": _wear(lab_and_back),
    **{f"resize-{name}": _wear(resize, package) for name, (resize, package) in RESIZERS.items()},
}
