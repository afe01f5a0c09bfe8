"""Draws the pictures of docs/guides/visibility.md and writes its table of what the changes measure.

    python -m docs._make.visibility

The photos come with scikit-image: a launch pad at dusk (SpaceX, public domain), for its sky, and Chelsea the cat (CC0,
Stefan van der Walt), for her fur. Each is protected whole, and a part of it shown pixel for pixel.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
from datasets import Dataset, disable_progress_bars
from PIL import Image, ImageDraw

from docs._make.pictures import font
from hf_unlearnable import TextureTransform
from hf_unlearnable.image.codec import decode
from hf_unlearnable.image.fidelity import ImageFidelity, image_fidelity
from hf_unlearnable.markdown import table

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "guides/visibility.md"
STRENGTHS = (2, 4, 8, 16)  # pixel values
SHOWN = (4, 8, 16)
SIDE, GAP, LINE = 160, 8, 24  # pixels of the picture, which are pixels of the photo
PARTS = {"sky": ("rocket", 60, 340), "fur": ("chelsea", 40, 130)}  # photo, and where its part begins


def photo(name: str) -> np.ndarray:
    """A photo of scikit-image, uint8 [height, width, 3]."""
    from skimage import data

    return np.ascontiguousarray(getattr(data, name)())


@cache
def protected(name: str, strength: int) -> tuple[np.ndarray, ImageFidelity]:
    """A photo under texture, and how far it is from the photo."""
    rows = Dataset.from_dict({"image": [Image.fromarray(photo(name))] * 2, "label": ["mine", "other"]})
    cloak = TextureTransform(epsilon=strength / 255, seed=7).fit(rows)
    after = rows.map(cloak).select([0])
    levels = decode(after[0]["image"]).levels
    return levels, image_fidelity(rows.select([0]), after, max_levels=cloak.max_levels)


def picture(part: str) -> Image.Image:
    """Part of a photo before and at each strength, side by side."""
    name, top, left = PARTS[part]
    panels = {"before": photo(name)} | {f"{strength} of 255": protected(name, strength)[0] for strength in SHOWN}
    drawn = Image.new("RGB", (len(panels) * (SIDE + GAP) - GAP, SIDE + LINE), "white")
    for place, (title, levels) in enumerate(panels.items()):
        ImageDraw.Draw(drawn).text((place * (SIDE + GAP), 0), title, "#1a1a1a", font())
        crop = levels[top : top + SIDE, left : left + SIDE]
        drawn.paste(Image.fromarray(np.ascontiguousarray(crop)), (place * (SIDE + GAP), LINE))
    return drawn


def fidelity_table() -> str:
    """Strengths down; the largest change, PSNR and SSIM of each whole photo."""
    rows = [["strength", "largest change", "PSNR, sky / fur", "SSIM, sky / fur"]]
    for strength in STRENGTHS:
        found = [protected(name, strength)[1] for name, *_ in PARTS.values()]
        psnr = " / ".join(f"{one.psnr:.1f} dB" for one in found)
        ssim = " / ".join(f"{one.ssim:.3f}" for one in found)
        rows.append([f"{strength}/255", f"{max(one.max_change for one in found)} of 255", psnr, ssim])
    return table(rows)


def filled(page: str) -> str:
    """The page with its table written anew."""
    marked = re.compile(r"(<!-- fidelity -->\n).*?(<!-- end -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{fidelity_table()}\n{found[2]}", page)


if __name__ == "__main__":
    disable_progress_bars()
    for part in PARTS:
        picture(part).save(DOCS / f"assets/visibility-{part}.png", optimize=True)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
