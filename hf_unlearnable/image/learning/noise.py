"""Computed noise as it is kept: signed whole levels, found by the row's identity or by its class.

Kept by position, noise meets the wrong image as soon as a dataset is shuffled, filtered or joined; kept by what
identifies a row, it cannot. One flat int8 array holds it all, so that it can stay on disk and be mapped into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.validation import check_labels


@dataclass(frozen=True)
class SampleNoise:
    """Noise of each row.

    Args:
        ids: Random streams of the rows (see `key.row_stream`), uint64 [n], ascending.
        starts: Where the noise of each row starts in `levels`, int64 [n].
        shapes: Height, width and channels of each row, int32 [n, 3].
        levels: Signed levels of all rows, int8, flat.
    """

    ids: np.ndarray
    starts: np.ndarray
    shapes: np.ndarray
    levels: np.ndarray

    def of(self, stream: int, shape: Sequence[int]) -> np.ndarray:
        """The noise of one row, int8 [height, width, channels].

        Raises:
            ImageError: The row was not there at `fit`, or its image had another size.
        """
        i = int(np.searchsorted(self.ids, np.uint64(stream)))
        if i == len(self.ids) or self.ids[i] != stream:
            raise ImageError(
                "this image was not there at fit, and sample-wise noise exists for the fitted ones only: fit on it "
                "too. A key of class-wise noise (noise='class', where a method has it) protects new rows too"
            )
        if tuple(self.shapes[i]) != tuple(shape):
            raise ImageError(
                f"the image has {_size(shape)}, but its noise was computed for {_size(self.shapes[i])}: protect "
                "the images before they are resized"
            )
        start = int(self.starts[i])
        return self.levels[start : start + int(np.prod(self.shapes[i]))].reshape(shape)

    @classmethod
    def empty(cls) -> SampleNoise:
        """Of no row: what a strength of 0 takes."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, 3), np.int32), np.empty(0, np.int8))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a key holds of it: JSON values and arrays."""
        return {}, {"ids": self.ids, "starts": self.starts, "shapes": self.shapes, "levels": self.levels}

    @classmethod
    def from_state(cls, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> SampleNoise:
        return cls(**tensors)

    def check(self, bound: int) -> None:
        """Raises a ValueError for what is no noise of at most `bound` levels."""
        count = len(self.ids)
        check_array(self.ids, "ids", np.uint64, (None,))
        check_array(self.starts, "starts", np.int64, (count,))
        check_array(self.shapes, "shapes", np.int32, (count, 3))
        check_levels(self.levels, (None,), bound)
        if not (self.ids[1:] > self.ids[:-1]).all():
            raise ValueError("the ids of its rows do not ascend")
        sizes = self.shapes.prod(axis=1, dtype=np.int64)
        within = (self.starts >= 0) & (self.starts <= len(self.levels) - sizes)
        if not (within & (self.shapes > 0).all(axis=1) & np.isin(self.shapes[:, 2], (1, 3))).all():
            raise ValueError("the noise of a row does not lie within the levels")
        order = np.argsort(self.starts)
        if ((self.starts + sizes)[order][:-1] > self.starts[order][1:]).any():
            raise ValueError("two of its rows share their noise")


@dataclass(frozen=True)
class ClassNoise:
    """Noise of each class, resized without smoothing to the images that it meets.

    Args:
        labels: The classes, as the dataset names them.
        levels: Signed levels, int8 [classes, height, width, channels].
    """

    labels: list[Any]
    levels: np.ndarray

    def of(self, label: Any, shape: Sequence[int]) -> np.ndarray:
        """The noise for one image, int8 [height, width, channels].

        Raises:
            ImageError: A label that `fit` did not see.
        """
        if label not in self.labels:
            raise ImageError(unknown_label(label, self.labels))
        return fitted_to(self.levels[self.labels.index(label)], shape)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a key holds of it: JSON values and arrays."""
        return {"labels": self.labels}, {"levels": self.levels}

    @classmethod
    def from_state(cls, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> ClassNoise:
        return cls(state["labels"], tensors["levels"])

    def check(self, bound: int) -> None:
        """Raises a ValueError for what is no noise of at most `bound` levels."""
        check_labels(self.labels, least=2)
        check_levels(self.levels, (len(self.labels), None, None, None), bound)
        if self.levels.shape[3] not in (1, 3):
            raise ValueError("levels has neither one channel nor three")


def check_array(array: Any, name: str, dtype: Any, shape: Sequence[int | None]) -> None:
    """Raises a ValueError for an array of another type or shape, of a damaged key; None is any size but 0."""
    sizes = list(zip(np.shape(array), shape, strict=False))
    fits = len(np.shape(array)) == len(shape) and all(has == wants if wants else has > 0 for has, wants in sizes)
    if getattr(array, "dtype", None) != dtype or not fits:
        raise ValueError(f"{name} is not of the type {np.dtype(dtype)} or the shape that it should have")


def check_levels(levels: Any, shape: Sequence[int | None], bound: int) -> None:
    """Raises a ValueError for what is no noise of this shape, or more than `bound` levels."""
    check_array(levels, "levels", np.int8, shape)
    most = max(int(levels.max()), -int(levels.min()))
    if most > bound:
        raise ValueError(f"its noise changes levels by up to {most}, and epsilon is {bound} levels")


def fitted_to(pattern: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A pattern of levels [height, width, channels], resized to `shape` by nearest entries; gray takes the mean."""
    height, width, channels = shape
    if pattern.shape[:2] != (height, width):
        rows = np.arange(height) * pattern.shape[0] // height
        columns = np.arange(width) * pattern.shape[1] // width
        pattern = pattern[rows[:, None], columns]
    if pattern.shape[2] > channels:
        pattern = np.rint(pattern.mean(axis=2, keepdims=True)).astype(pattern.dtype)
    return np.broadcast_to(pattern, shape)


def unknown_label(label: Any, known: Sequence[Any]) -> str:
    """What to say of a label that `fit` did not see."""
    names = ", ".join(map(repr, list(known)[:20]))
    return (
        f"the label {label!r} was not seen by fit ({names}): fit on data that holds it, or leave such rows out with "
        "mask_column or classes"
    )


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]} pixels in {shape[2]} channels"
