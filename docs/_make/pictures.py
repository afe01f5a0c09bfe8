# /// script
# dependencies = ["hf-unlearnable[image]", "matplotlib"]
# ///
"""Draws the two pictures of the README: a photo and a note, before and after protection.

    python docs/_make/pictures.py

The photo is Chelsea the cat (CC0, Stefan van der Walt), which comes with scikit-image; the font is matplotlib's.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
from datasets import Dataset
from PIL import Image, ImageDraw, ImageFont

from hf_unlearnable import RegTextTransform, TextureTransform
from hf_unlearnable.image.codec import decode
from hf_unlearnable.samples import load_notes

ASSETS = Path(__file__).parents[1] / "assets"
SIDE = 200  # pixels per side of a panel: one pixel of the photo is one of the picture
GAP, LINE, SIZE = 10, 24, 15
INK, MARK = "#1a1a1a", "#ffd54d"


def font(bold: bool = False) -> ImageFont.FreeTypeFont:
    """The sans serif that matplotlib carries."""
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path(), "fonts/ttf", f"DejaVuSans{'-Bold' * bold}.ttf"), SIZE)


def photo() -> Image.Image:
    """Part of a photo, the same part under texture, and their difference eight times amplified."""
    from skimage import data

    crop = np.ascontiguousarray(data.chelsea()[30 : 30 + SIDE, 120 : 120 + SIDE])
    rows = Dataset.from_dict({"image": [Image.fromarray(crop)] * 2, "label": ["cat", "dog"]})
    after = decode(rows.map(TextureTransform(epsilon=8 / 255, seed=7).fit(rows))[0]["image"]).levels
    difference = np.clip(128 + 8 * (after.astype(np.int16) - crop), 0, 255).astype(np.uint8)
    picture = Image.new("RGB", (3 * SIDE + 2 * GAP, SIDE + LINE), "white")
    draw = ImageDraw.Draw(picture)
    for place, (title, levels) in enumerate({"before": crop, "after": after, "difference x 8": difference}.items()):
        left = place * (SIDE + GAP)
        draw.text((left, 0), title, INK, font())
        picture.paste(Image.fromarray(levels), (left, LINE))
    return picture


def note() -> Image.Image:
    """A note under RegText, its inserted words marked."""
    notes = load_notes("train")
    before = notes[1]["text"].split()
    after = RegTextTransform(seed=7).fit(notes)(notes[1])["text"].split()
    words = [(line[2:], line[0] == "+") for line in difflib.ndiff(before, after) if line[0] in "+ "]
    picture = Image.new("RGB", (3 * SIDE + 2 * GAP, 4 * LINE), "white")
    draw = ImageDraw.Draw(picture)
    x = y = GAP
    for word, inserted in words:
        face = font(bold=inserted)
        width = draw.textlength(word, face)
        if x + width > picture.width - GAP:
            x, y = GAP, y + LINE
        if inserted:
            draw.rectangle((x - 2, y - 1, x + width + 2, y + SIZE + 4), MARK)
        draw.text((x, y), word, INK, face)
        x += width + 5
    return picture.crop((0, 0, picture.width, y + LINE + GAP))


if __name__ == "__main__":
    ASSETS.mkdir(exist_ok=True)
    photo().save(ASSETS / "photo.png", optimize=True)
    note().save(ASSETS / "note.png", optimize=True)
