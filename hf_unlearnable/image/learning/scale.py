"""The scale at which noise is computed: how many pixels a surrogate sees, and how far noise is enlarged from it."""

from __future__ import annotations

from typing import Any

SMALLEST, LARGEST = 8, 64  # pixels a side that a surrogate sees when nothing else is said
ENLARGED = 5  # times a side at most that noise is enlarged from what a surrogate sees when nothing else is said


def seen_size(model: Any, image_size: int | None, largest: int) -> int:
    """Pixels a side of what a surrogate sees.

    Args:
        model: The surrogate; one of the Hub names its own size.
        image_size: What was asked for; None for the model's own size, or that of the images, from 8 to 64.
        largest: Pixels of the longest side of any image.

    Raises:
        ValueError: An image is too large for the noise that is computed at this size, and nothing was asked for.
    """
    own_size: Any = getattr(model, "image_size", None)  # a number, or one for height and one for width
    own_size = max(own_size) if isinstance(own_size, (list, tuple)) else own_size
    seen = image_size or own_size or min(max(SMALLEST, largest), LARGEST)
    if image_size is None and largest > ENLARGED * seen:
        raise ValueError(f"An image has {largest} pixels a side, but {blotches(largest, seen)}.")
    return seen


def blotches(side: int, seen: int) -> str:
    """Why an image of `side` pixels gets no noise that was computed at `seen` pixels, and what to do."""
    return (
        f"noise is computed at {seen} and would be enlarged to coarse blotches of {round(side / seen)} pixels. Resize "
        f"the images to at most {ENLARGED * seen} pixels, use texture (TextureTransform), whose grain is fine at any "
        "size, or set image_size, the pixels a side at which noise is computed, to the value that you accept"
    )
