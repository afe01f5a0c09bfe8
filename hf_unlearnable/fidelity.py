"""What a protection costs who looks at the images, and the check that it did what it promised.

Both look at the stored bytes, opened again: what counts is what will be published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.image.codec import ImageError, Picture, decode

if TYPE_CHECKING:
    from PIL.Image import Image

_MEASURED = 200  # images that PSNR and SSIM are taken of; the bound is checked on all


@dataclass(frozen=True)
class ImageFidelity:
    """How far protected images are from the originals.

    Args:
        images: How many there are.
        changed: How many of them are not stored byte for byte as they were.
        max_change: Largest change of any level, of 255.
        mean_change: Mean absolute change of the changed images' levels, of 255.
        psnr: Mean peak signal-to-noise ratio of changed images, in decibels; over 200 of them spread over the data.
        ssim: Their mean structural similarity, at most 1. Both are None where there is none to measure.
        metadata: What was left out of how many files: {"GPS": 3}.
    """

    images: int
    changed: int
    max_change: int
    mean_change: float | None
    psnr: float | None
    ssim: float | None
    metadata: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.changed:
            return f"{self.images} images, none changed"
        left_out = ", ".join(f"{name} ({count})" for name, count in self.metadata.items())
        parts = [f"{self.changed} of {self.images} images changed: at most {self.max_change} of 255 levels"]
        parts += [f"{self.mean_change:.1f} on average"] if self.mean_change is not None else []
        parts += [f"PSNR {self.psnr:.1f} dB"] if self.psnr is not None else []
        parts += [f"SSIM {self.ssim:.3f}"] if self.ssim is not None else []
        return ", ".join(parts) + (f"; left out: {left_out}" if left_out else "")


def image_fidelity(
    original: Any, protected: Any, image_column: str = "image", max_levels: int | None = None
) -> ImageFidelity:
    """Opens every stored image of both datasets, checks them against each other and measures the difference.

    Args:
        original: The `Dataset` before.
        protected: The `Dataset` after, rows in the same order.
        image_column: Column of images.
        max_levels: The bound: no level may change by more, of 255; None for no bound.

    Raises:
        ValueError: An image does not open, has another size, lost its transparency or its colour profile, or broke
            the bound. The message names the row.
    """
    require("image", "PIL", "skimage")
    if len(original) != len(protected):
        raise ValueError(f"{len(original)} images before and {len(protected)} after: the rows do not correspond.")
    every = max(1, len(original) // _MEASURED)
    changed = largest = 0
    means: list[float] = []
    ratios: list[float] = []
    similarities: list[float] = []
    metadata: Counter[str] = Counter()
    for row, (before, after) in enumerate(_pairs(original, protected, image_column)):
        if _bytes(before) == _bytes(after):
            continue
        changed += 1
        try:
            one, two = decode(before), decode(after)
        except ImageError as error:
            raise ValueError(f"Row {row}, column {image_column!r}: the image {error}.") from None
        difference = _difference(one, two, row, max_levels)
        largest = max(largest, int(difference.max(initial=0)))
        means.append(float(difference.mean()))
        metadata.update(name for name in one.metadata if name not in two.metadata)
        if changed % every == 0 or not ratios:
            psnr, ssim = _similarity(one.levels, two.levels)
            ratios.append(psnr)
            similarities.append(ssim)

    return ImageFidelity(
        len(original), changed, largest, _mean(means), _mean(ratios), _mean(similarities), dict(metadata)
    )


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _bytes(value: Any) -> Any:
    """The file behind a stored image, wherever it is."""
    if isinstance(value, dict) and value.get("bytes") is None and value.get("path"):
        import fsspec

        with fsspec.open(value["path"], "rb") as file:
            return file.read()
    return value["bytes"] if isinstance(value, dict) else value


def _pairs(original: Any, protected: Any, image_column: str) -> Iterator[tuple[Any, Any]]:
    tables = (
        data.select_columns([image_column]).with_format("arrow").iter(batch_size=8) for data in (original, protected)
    )
    for before, after in zip(*tables, strict=True):
        yield from zip(before[image_column].to_pylist(), after[image_column].to_pylist(), strict=True)


def _difference(one: Picture, two: Picture, row: int, max_levels: int | None) -> np.ndarray:
    if one.levels.shape != two.levels.shape:
        raise ValueError(f"Row {row} had {one.levels.shape} levels and has {two.levels.shape}.")
    if (one.alpha is None) != (two.alpha is None) or (one.alpha is not None and (one.alpha != two.alpha).any()):
        raise ValueError(f"Row {row} lost its transparency.")
    if one.icc_profile != two.icc_profile:
        raise ValueError(f"Row {row} lost its colour profile.")
    difference = np.abs(one.levels.astype(np.int16) - two.levels)
    if max_levels is not None and difference.max(initial=0) > max_levels:
        raise ValueError(f"Row {row} changed by {difference.max()} levels, and the bound is {max_levels}.")
    return difference


def _similarity(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    if np.array_equal(one, two):
        return float("inf"), 1.0
    shorter = min(one.shape[:2])
    window = min(7, shorter - 1 + shorter % 2)
    ssim = structural_similarity(one, two, channel_axis=2, win_size=window, data_range=255) if window >= 3 else np.nan
    return float(peak_signal_noise_ratio(one, two, data_range=255)), float(ssim)


def contact_sheet(original: Any, protected: Any, image_column: str = "image", rows: int = 8, side: int = 160) -> Image:
    """Images before and after, and their difference eight times amplified, side by side.

    Args:
        original: The `Dataset` before.
        protected: The `Dataset` after, rows in the same order.
        image_column: Column of images.
        rows: How many images, spread over the data.
        side: Pixels a side of each.

    Returns:
        A PIL image of three columns.
    """
    require("image", "PIL")
    from PIL import Image

    chosen = np.unique(np.linspace(0, len(original) - 1, min(rows, len(original))).astype(int)).tolist()
    sheet = Image.new("RGB", (3 * side, len(chosen) * side), "white")
    for place, (before, after) in enumerate(_pairs(original.select(chosen), protected.select(chosen), image_column)):
        one, two = decode(before).levels, decode(after).levels
        difference = np.clip(128 + 8 * (two.astype(np.int16) - one), 0, 255).astype(np.uint8)
        for column, levels in enumerate((one, two, difference)):
            picture = Image.fromarray(np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3))))
            scale = side / max(picture.size)
            size = [max(1, round(scale * length)) for length in picture.size]
            method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
            sheet.paste(picture.resize((size[0], size[1]), method), (column * side, place * side))
    return sheet
