"""Texture: a fine, regular grain per class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.bounded import BoundedImageTransform, add_repeated
from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.image.trace import Bank, repeated
from hf_unlearnable.key import Key, draw, draws
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.learning.noise import check_array, unknown_label
from hf_unlearnable.validation import check_labels

_CANDIDATES = 64
_STRIP = 256  # rows of pixels that the grain is computed for at once, about: it repeats
_SEEN = 224  # the shorter side at which victims train on photos


@dataclass(kw_only=True, repr=False, eq=False)
class TextureTransform(BoundedImageTransform):
    """Texture: lays a fine periodic grain over every image, another per class; no surrogate, no training.

    Idea:
        A convolutional network sees texture first (Geirhos et al., ICLR 2019, arXiv:1811.12231). A single filter of
        its first layer finds a grain that repeats every few pixels, wherever the image is cropped. Photos hold next to
        nothing at so fine a scale. Blocks and gradients as large as the image (`LinearSeparableTransform`,
        `LinearizationTransform`) take such a network far longer to learn.

    Ours:
        There is no paper: this method is ours. Its nearest relatives are autoregressive noise (Sandoval-Segura et al.,
        NeurIPS 2022, arXiv:2206.03693) and class-wise error-minimising noise.

        For class c, a tile of `period` x `period` pixels in three channels. Half of a channel's entries are +epsilon
        and half -epsilon; one is 0 if their number is odd. So no colour gets brighter or darker. It covers the image
        from a place that is drawn for each row. Every channel has at least the high frequencies of stripes of one
        pixel. Each tile is the one of 64 draws that is least like those of other classes, under any shift and
        mirroring. Only whole tiles are laid where a tile cut at an edge would move a channel's mean by more than half
        a pixel value. These are images below some 32 pixels. Pixels within epsilon of black or white are still
        clipped.

        Victims train on large photos at a fraction of their size, so the grain gets coarser with the image. One entry
        covers about one pixel once the shorter side is scaled to 224. What is left of its contrast then depends on
        the resizer. Of ten classes, from 256 to 1,024 pixels, bilinear with antialias (Pillow, torchvision) leaves
        0.15 to 0.5. Bilinear without (OpenCV, torch's `interpolate`) leaves 0.47 to 1, INTER_AREA of OpenCV 0.3 to 1.

    Args:
        period: Pixels after which the grain repeats. None for the fewest that give every class a grain of its own, to
            which too few are raised. For colour images that is 2 up to 13 classes, and 3 for more. For gray images it
            is 3 up to 8 classes, and 4 up to 100. Finer grain protects better.

    Secret:
        The seed and the tiles. An attacker who averages the spectra of a class's images finds its tile.

    Cost:
        `fit` reads the labels only; some 14 milliseconds per megapixel to apply.

    Breaks:
        All that removes fine grain: a blur, a median filter, training at a much smaller size. Above all JPEG of low
        quality, with which a victim that trains for long gets most of the accuracy back. An attacker who knows the
        method subtracts what repeats (`grain-removal`) and has all of it back. An attacker who knows neither method
        nor labels finds the grain as peaks in the mean spectrum of all images (`spectrum-peak-removal`). That leaves 2
        in 100 of it, on photos of any period up to 7, and costs clean images nothing. Protected rows that are the
        lesser part are told from the others by their spectra and dropped (`spectrum-outlier-filter`). A chain of
        thumbnails takes all of the grain. A person sees it in smooth areas. A model with ImageNet weights sees
        through it: a linear probe on 720 photos gets 92 % of 96, and 96 after JPEG. Crops that scale, as for
        ImageNet, were not measured.

    Prefer:
        First of the image methods. It takes seconds, protects new images of known classes with the same key, and
        leaves the least to a small CNN from scratch (see docs/results).

    Example:
        cloak = TextureTransform(image_column="img", label_column="label", epsilon=8 / 255).fit(ds)
    """

    period: int | None = None

    method: ClassVar[str] = "texture"
    method_version: ClassVar[int] = 2  # 2: every channel of a tile is balanced and fine; cut tiles move no mean
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("box-blur", "grain-removal", "spectrum-peak-removal")

    def fit(self, dataset: Any) -> TextureTransform:
        """Draws the tiles of the classes that the labels name.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._check_parameters()
        self._seed = None
        self._classes = self._labels(dataset)
        self._tiles = [self._drawn_tiles(channels) for channels in (1, 3)]
        return self

    def _drawn_tiles(self, channels: int) -> np.ndarray:
        """Tiles of all classes for images of 1 or 3 channels, as the seed draws them."""
        streams = [class_stream(label, self._resolved_seed()) for label in self._classes]
        return distinct_tiles(streams, max(self.period or 0, finest_period(len(streams), channels)), channels)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.period is not None and not 2 <= self.period <= 16:
            raise ValueError(f"period is {self.period}. Give 2 to 16 pixels.")

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        gray, colour = self._fitted(self._tiles)
        if label not in self._classes:
            raise ImageError(unknown_label(label, self._classes))
        tile = (colour if levels.shape[2] == 3 else gray)[self._classes.index(label)]
        cell = grain_cell(levels.shape)
        height, width, _ = levels.shape
        repeat = len(tile) * cell
        rows = min(height, repeat * max(1, _STRIP // repeat))
        strip = tiled(np.int8(self.max_levels) * tile, (rows, *levels.shape[1:]), cell, start=draw(stream, 0))
        times, rest = divmod(height, rows)
        moved = times * strip.sum(axis=(0, 1), dtype=np.int64) + strip[:rest].sum(axis=(0, 1), dtype=np.int64)
        whole = [side - side % repeat for side in (height, width)]  # of all whole tiles
        if not all(whole) or np.abs(moved / (height * width)).max() <= 0.5:
            return add_repeated(levels, strip)
        changed = levels.copy()
        changed[: whole[0], : whole[1]] = add_repeated(levels[: whole[0], : whole[1]], strip[:, : whole[1]])
        return changed

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        gray, colour = self._fitted(self._tiles)
        return {"labels": self._classes}, {"gray": gray, "colour": colour}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._classes, self._tiles = state["labels"], [tensors["gray"], tensors["colour"]]

    def _check_state(self, key: Key) -> None:
        check_labels(self._classes, least=2)
        for channels, tiles in zip((1, 3), self._tiles, strict=True):
            period = max(self.period or 0, finest_period(len(self._classes), channels))
            check_array(tiles, "tiles", np.int8, (len(self._classes), period, period, channels))
            planes = np.moveaxis(np.asarray(tiles), 3, 1).astype(np.float32)
            balanced = (planes.sum(axis=(2, 3)) == 0).all() and (np.abs(planes) <= 1).all()
            if not balanced or (grain_energy(planes) < 1).any():
                raise ValueError("its tiles are not balanced grain of -1 and 1")

    def _pattern_bank(self, labels: Sequence[Any], shape: tuple[int, ...]) -> Bank:
        return repeated(self._drawn_tiles(shape[2]), grain_cell, self.max_levels)

    _classes: Any = field(default=None, init=False)
    _tiles: Any = field(default=None, init=False)


def grain_cell(shape: tuple[int, ...]) -> int:
    """Pixels a side that an entry of a tile covers in an image of this shape."""
    return max(1, round(min(shape[:2]) / _SEEN))


def finest_period(classes: int, channels: int) -> int:
    """The smallest period that has four times as many balanced tiles, up to shifts and mirroring, as classes."""

    def tiles(period: int) -> float:
        entries = period**2
        balanced = math.factorial(entries) // math.factorial(entries // 2) ** 2
        return balanced**channels / (entries if period == 2 else 2 * entries)  # two pixels mirrored are shifted

    return next(period for period in range(2, 17) if tiles(period) >= 4 * classes)


def distinct_tiles(streams: list[int], period: int, channels: int) -> np.ndarray:
    """A tile for each stream, each unlike the earlier ones however it is shifted or mirrored.

    Args:
        streams: One random stream per class.
        period: Pixels a side.
        channels: 1 or 3.

    Returns:
        int8 [streams, period, period, channels] of -1 and 1, and a 0 per channel if its entries are odd in number;
        every channel has the mean 0 and a `grain_energy` of at least 1.
    """
    others = np.zeros((0, period * period * channels), np.float32)
    chosen = []
    for stream in streams:
        planes = balanced_planes(stream, period, 4 * _CANDIDATES * channels)
        planes = planes[grain_energy(planes) >= 1][: _CANDIDATES * channels]
        candidates = np.moveaxis(planes.reshape(-1, channels, period, period), 1, 3)
        likeness = candidates.reshape(len(candidates), -1).astype(np.float32) @ others.T
        best = candidates[likeness.max(axis=1, initial=-np.inf).argmin()]
        chosen.append(best)
        shifts = [(i, j) for i in range(period) for j in range(period)]
        views = [np.roll(view, shift, (0, 1)) for view in (best, best[:, ::-1]) for shift in shifts]
        others = np.concatenate([others, np.stack(views).reshape(len(views), -1)])
    return np.stack(chosen)


def balanced_planes(stream: int, period: int, count: int) -> np.ndarray:
    """Planes with as many entries 1 as -1, and one 0 if their number is odd, as a stream draws them.

    Returns:
        int8 [count, period, period].
    """
    size = count * period**2
    drawn = draws(np.full(size, stream, np.uint64), np.arange(size, dtype=np.uint64)).reshape(count, -1)
    rank = drawn.argsort(axis=1, kind="stable").argsort(axis=1)
    return np.sign(2 * rank - (period**2 - 1)).astype(np.int8).reshape(count, period, period)


def grain_energy(planes: np.ndarray) -> np.ndarray:
    """Mean square of an entry minus the mean of its four neighbours, in planes [..., height, width] that repeat.

    A flat plane has 0, stripes of one pixel have 1, a checkerboard has 4.
    """
    around = sum(np.roll(planes, step, axis).astype(np.float32) for axis in (-2, -1) for step in (-1, 1))
    return ((planes - around / 4) ** 2).mean(axis=(-2, -1))


def tiled(tile: np.ndarray, shape: tuple[int, ...], cell: int, start: int) -> np.ndarray:
    """A tile repeated over an image.

    Args:
        tile: int8 [period, period, channels].
        shape: Height, width and channels of the image.
        cell: Pixels a side that an entry of the tile covers.
        start: Any whole number; decides where in the tile the image begins.

    Returns:
        Of `shape` and the tile's type.
    """
    period = len(tile)
    down, right = divmod(start % period**2, period)
    rows = (np.arange(shape[0]) // cell + down) % period
    columns = (np.arange(shape[1]) // cell + right) % period
    return tile[rows[:, None], columns]
