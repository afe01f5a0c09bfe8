"""What a protection of images costs a viewer, and the check that it keeps its bound.

Both read the stored bytes and open them again: what counts is what will be published.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable._words import counted
from hf_unlearnable.data import stored_bytes
from hf_unlearnable.image.codec import ImageError, Picture, decode
from hf_unlearnable.rows import file_of

_NO_ROW = object()
_MEASURED = 100  # images that PSNR and SSIM are taken of; the bound is checked on all
_MIDDLE = 640  # pixels a side of the middle part of a photo that they are taken of
_STRIP = 512  # rows of pixels that are compared at a time


@dataclass(frozen=True)
class ImageFidelity:
    """How far protected images are from the originals.

    Args:
        images: How many there are.
        changed: How many of them are not stored byte for byte as they were.
        max_change: Largest change of any level, of 255.
        mean_change: Mean absolute change of the changed images' levels, of 255.
        psnr: Mean peak signal-to-noise ratio of changed images, in decibels; over 100 of them spread
            over the data, and of large ones the middle 640 x 640 pixels.
        ssim: Their mean structural similarity, at most 1. Both are None where there is none to measure.
        metadata: What was left out of how many files: {"GPS": 3}.
        reserved: How many of the changed files forbid data mining in their XMP.
    """

    images: int
    changed: int
    max_change: int
    mean_change: float | None
    psnr: float | None
    ssim: float | None
    metadata: dict[str, int] = field(default_factory=dict)
    reserved: int = 0

    def __str__(self) -> str:
        if not self.changed:
            return f"{counted(self.images, 'image')}, none changed"
        left_out = ", ".join(f"{name} ({count})" for name, count in self.metadata.items())
        parts = [f"{self.changed} of {self.images} images changed: at most {self.max_change} of 255 levels"]
        parts += [f"{self.mean_change:.1f} on average"] if self.mean_change is not None else []
        parts += [f"PSNR {self.psnr:.1f} dB"] if self.psnr is not None else []
        parts += [f"SSIM {self.ssim:.3f}"] if self.ssim is not None else []
        told = ", ".join(parts)
        if self.reserved:
            forbid = counted(self.reserved, "file forbids", "files forbid")
            told += f"; {forbid} data mining in the XMP (plus:DataMining)"
        return told + (f"; left out: {left_out}" if left_out else "")


def image_fidelity(
    original: Any, protected: Any, image_column: str = "image", max_levels: int | None = None
) -> ImageFidelity:
    """Opens every stored image of both datasets, checks them against each other and measures the difference.

    Args:
        original: The `Dataset` before.
        protected: The `Dataset` or `IterableDataset` after, rows in the same order.
        image_column: Column of images.
        max_levels: The bound: no level may change by more, of 255; None for no bound.

    Raises:
        ValueError: An image does not open, has another size, lost its transparency or its colour profile, or broke
            the bound. The message names the row.
    """
    require("image", "PIL", "skimage")
    from datasets.utils import tqdm

    if hasattr(protected, "num_rows") and len(original) != len(protected):
        raise ValueError(
            f"{counted(len(original), 'image')} before and {len(protected)} after: the rows do not correspond."
        )
    every = max(1, len(original) // _MEASURED)
    changed = largest = reserved = 0
    means: list[float] = []
    ratios: list[float] = []
    similarities: list[float] = []
    metadata: Counter[str] = Counter()

    def tasks() -> Iterator[tuple]:
        pairs = tqdm(pairs_of(original, protected, image_column), total=len(original), desc="Checking images")
        number = 0
        for row, (before, after) in enumerate(pairs):
            if stored_bytes(before) != stored_bytes(after):
                number += 1
                yield before, after, row, image_column, max_levels, number % every == 0 or number == 1

    for largest_one, mean, left_out, similarity, forbids in _in_threads(_compared, tasks()):
        changed += 1
        largest = max(largest, largest_one)
        means.append(mean)
        metadata.update(left_out)
        reserved += forbids
        if similarity is not None:
            ratios.append(similarity[0])
            similarities.append(similarity[1])

    return ImageFidelity(
        len(original), changed, largest, _mean(means), _mean(ratios), _mean(similarities), dict(metadata), reserved
    )


def _compared(
    before: Any, after: Any, row: int, image_column: str, max_levels: int | None, measured: bool
) -> tuple[int, float, list[str], tuple[float, float] | None, bool]:
    """Largest and mean change of an image, what was left out of its file, PSNR and SSIM if they are measured, and
    whether the changed file forbids data mining.
    """
    named = f"Row {row}{file_of(before)}"
    try:
        one, two = decode(before), decode(after)
    except ImageError as error:
        raise ValueError(f"{named}, column {image_column!r}: the image {error}.") from None
    lossy = lossy_format(stored_bytes(after))
    if lossy:
        raise ValueError(
            f"{named}, column {image_column!r}: the changed image is stored as {lossy}, which loses the protection. "
            "Store it as PNG or lossless WebP, as the transform returns it."
        )
    largest, mean = _difference(one, two, named, max_levels)
    left_out = [name for name in one.metadata if name not in two.metadata]
    left_out += [f"colour chunk {name.decode()}" for name, _ in set(one.colour_chunks) - set(two.colour_chunks)]
    similarity = _similarity(middle(one.levels), middle(two.levels)) if measured else None
    return largest, mean, left_out, similarity, two.reservation is not None


def middle(levels: np.ndarray, side: int = _MIDDLE) -> np.ndarray:
    """The middle of an image's pixel values [height, width, channels], at most `side` pixels high and wide."""
    top, left = (max(0, (length - side) // 2) for length in levels.shape[:2])
    return levels[top : top + side, left : left + side]


def _in_threads(function: Callable, tasks: Iterator[tuple]) -> Iterator[Any]:
    """Results in the order of the tasks, of which a few are under way at a time: Pillow and zlib run side by side."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future] = deque()
        try:
            for future in _submitted(pool, function, tasks):
                running.append(future)
                if len(running) > 2 * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:  # after an error the rest need not be done
            for future in running:
                future.cancel()


def _submitted(pool: ThreadPoolExecutor, function: Callable, tasks: Iterator[tuple]) -> Iterator[Future]:
    try:
        for task in tasks:
            yield pool.submit(function, *task)
    except Exception as error:  # it has its turn behind those of earlier rows
        failed: Future = Future()
        failed.set_exception(error)
        yield failed


def require_lossless(dataset: Any, image_column: str = "image") -> None:
    """Checks that every image is stored without loss, by its first bytes: a lossy file holds little of the noise.

    Args:
        dataset: A `Dataset` or `IterableDataset`.
        image_column: Column of images.

    Raises:
        ValueError: An image is neither PNG nor lossless WebP. The message names the row.
    """
    row = 0
    for table in dataset.select_columns([image_column]).with_format("arrow").iter(batch_size=8):
        for value in table[image_column].to_pylist():
            lossy = None if value is None else lossy_format(stored_bytes(value) or b"")
            if lossy is not None:
                raise ValueError(
                    f"Row {row}{file_of(value)}, column {image_column!r} is stored as {lossy}, which loses the "
                    "noise or is not known to keep it. Store protected images as PNG or lossless WebP, as the "
                    "transform returns them."
                )
            row += 1


def lossy_format(data: bytes) -> str | None:
    """The name of the format of a file that is not known to hold exact levels; None for PNG and lossless WebP."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        at = 12
        while at + 8 <= len(data):  # chunks: a name, a length, as many bytes and one more if that is odd
            name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            if name in (b"VP8 ", b"VP8L", b"ANMF"):
                return {b"VP8 ": "lossy WebP", b"VP8L": None, b"ANMF": "animated WebP"}[name]
            at += 8 + size + size % 2
        return "broken WebP"
    formats = {b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    return next((name for start, name in formats.items() if data.startswith(start)), "an unknown format")


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def pairs_of(original: Any, protected: Any, image_column: str) -> Iterator[tuple[Any, Any]]:
    """The stored images of two datasets row by row; a ValueError where one has more rows."""
    streams = (
        data.select_columns([image_column]).with_format("arrow").iter(batch_size=8) for data in (original, protected)
    )
    rows = [(value for table in stream for value in table[image_column].to_pylist()) for stream in streams]
    for before, after in zip_longest(*rows, fillvalue=_NO_ROW):
        if before is _NO_ROW or after is _NO_ROW:
            raise ValueError("There are not as many images after as before: the rows do not correspond.")
        yield before, after


def _difference(one: Picture, two: Picture, named: str, max_levels: int | None) -> tuple[int, float]:
    """Largest and mean change of a pixel value; raises a ValueError for what must not change."""
    if one.levels.shape != two.levels.shape:
        (a, b, _), (c, d, _) = one.levels.shape, two.levels.shape
        raise ValueError(
            f"{named} had {b} x {a} pixels in {one.levels.shape[2]} channels and has {d} x {c} in "
            f"{two.levels.shape[2]}: the rows do not correspond, or the image was scaled since."
        )
    if (one.alpha is None) != (two.alpha is None) or (one.alpha is not None and (one.alpha != two.alpha).any()):
        raise ValueError(f"{named} lost its transparency. Give the file as the transform returned it.")
    if one.icc_profile != two.icc_profile:
        raise ValueError(f"{named} lost its colour profile. Give the file as the transform returned it.")
    largest, total = 0, 0
    for top in range(0, len(one.levels), _STRIP):  # the whole of a photo in 16 bits is a lot
        strips = (levels[top : top + _STRIP].astype(np.int16) for levels in (one.levels, two.levels))
        difference = np.abs(np.subtract(*strips))
        largest, total = max(largest, int(difference.max(initial=0))), total + int(difference.sum())
    if max_levels is not None and largest > max_levels:
        raise ValueError(f"{named} changed by {largest} levels, and the bound is {max_levels}.")
    return largest, total / max(1, one.levels.size)


def _similarity(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    if np.array_equal(one, two):
        return float("inf"), 1.0
    shorter = min(one.shape[:2])
    window = min(7, shorter - 1 + shorter % 2)
    whole = (one.astype(np.float32), two.astype(np.float32))  # of integers it is computed in 64 bits, half as fast
    ssim = structural_similarity(*whole, channel_axis=2, win_size=window, data_range=255) if window >= 3 else np.nan
    return float(peak_signal_noise_ratio(one, two, data_range=255)), float(ssim)
