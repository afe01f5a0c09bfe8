"""Pictures of images before and after protection, for a person to look at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.image.codec import decode
from hf_unlearnable.image.fidelity import middle, pairs_of

if TYPE_CHECKING:
    from PIL.Image import Image

AMPLIFIED = 8  # times that the difference is shown as large as it is
LINE = 18  # pixels of a line of text
_MARGIN = 4


def contact_sheet(original: Any, protected: Any, image_column: str = "image", rows: int = 8, side: int = 160) -> Image:
    """Whole images before and after and their difference, eight times amplified, each named by its file and row.

    Args:
        original: The `Dataset` before.
        protected: The `Dataset` after, rows in the same order.
        image_column: Column of images.
        rows: How many images, spread over the data; a row without an image is left out.
        side: Pixels per side of each; smaller images are enlarged.

    Returns:
        A PIL image of three columns, below a line that names them.
    """
    return _sheet(original, protected, image_column, rows, side, whole=True)


def full_size_crops(
    original: Any, protected: Any, image_column: str = "image", rows: int = 4, side: int = 320
) -> Image:
    """The same as `contact_sheet` of the middle of some images: one pixel of an image is one of the picture.

    Args:
        original: The `Dataset` before.
        protected: The `Dataset` after, rows in the same order.
        image_column: Column of images.
        rows: How many images, spread over the data; a row without an image is left out.
        side: Pixels per side at most of each crop.

    Returns:
        A PIL image of three columns, below a line that names them.
    """
    return _sheet(original, protected, image_column, rows, side, whole=False)


def strip(before: Any, after: Any, side: int, whole: bool = True) -> Image:
    """An image before and after and their difference, eight times amplified around gray.

    Args:
        before, after: As `decode` takes them, of the same size.
        side: Pixels per side of each.
        whole: Whether the image is scaled to this size; else its middle is shown as it is.

    Returns:
        A PIL image of three squares in a row.
    """
    from PIL import Image

    one, two = (decode(value).levels for value in (before, after))
    if not whole:
        one, two = middle(one, side), middle(two, side)
    difference = np.clip(128 + AMPLIFIED * (two.astype(np.int16) - one), 0, 255).astype(np.uint8)
    picture = Image.new("RGB", (3 * side, side), "white")
    for column, levels in enumerate((one, two, difference)):
        part = Image.fromarray(np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3))))
        scale = side / max(part.size) if whole else 1
        method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        width, height = (max(1, round(scale * length)) for length in part.size)
        picture.paste(part.resize((width, height), method), (column * side, 0))
    return picture


def _sheet(original: Any, protected: Any, image_column: str, rows: int, side: int, whole: bool) -> Image:
    require("image", "PIL")
    from PIL import Image, ImageDraw

    chosen = np.unique(np.linspace(0, len(original) - 1, min(rows, len(original))).astype(int)).tolist()
    pairs = zip(chosen, pairs_of(original.select(chosen), protected.select(chosen), image_column), strict=True)
    shown = [(row, before, after) for row, (before, after) in pairs if before is not None and after is not None]
    sheet = Image.new("RGB", (3 * side, LINE + len(shown) * (LINE + side)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(("before", "after", f"difference x {AMPLIFIED}")):
        draw.text((column * side + _MARGIN, 3), title, fill="black")
    for place, (row, before, after) in enumerate(shown):
        top = LINE + place * (LINE + side)
        said = f", row {row}" if whole else f", row {row}, at full size"
        path = before.get("path") if isinstance(before, dict) else None
        name = _shortened(os.path.basename(path), 3 * side - 2 * _MARGIN - draw.textlength(said), draw) if path else ""
        draw.text((_MARGIN, top + 3), f"{name}{said}".removeprefix(", "), fill="black")
        sheet.paste(strip(before, after, side, whole), (0, top + LINE))
    return sheet


def _shortened(name: str, width: float, draw: Any) -> str:
    """A name that is at most so wide, its middle left out where it must be: beginning and ending tell files apart."""
    kept = len(name)
    short = name
    while kept > 2 and draw.textlength(short) > width:
        kept -= 1
        short = f"{name[: (kept + 1) // 2]}...{name[len(name) - kept // 2 :]}"
    return short
