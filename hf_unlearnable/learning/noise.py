"""Computed noise of rows as it is kept: signed whole levels, found by what identifies the row.

Kept by position, noise meets the wrong row as soon as a dataset is shuffled, filtered or joined; kept by what
identifies a row, it cannot. One flat int8 array holds it all, so that it can stay on disk and be mapped into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

Noise = TypeVar("Noise", bound="RowNoise")


@dataclass(frozen=True)
class RowNoise:
    """Noise of each row.

    Args:
        ids: Random streams of the rows (see `key.row_stream`), uint64 [n], ascending.
        starts: Where the noise of each row starts in `levels`, int64 [n].
        shapes: Shape of each row's noise, int32 [n, dimensions].
        levels: Signed levels of all rows, int8, flat.
    """

    ids: np.ndarray
    starts: np.ndarray
    shapes: np.ndarray
    levels: np.ndarray

    dimensions: ClassVar[int]  # of a row's noise
    error: ClassVar[type[ValueError]]  # that is raised where there is no noise for a row
    unknown: ClassVar[str]  # what it says of a row that was not there

    def of(self, stream: int, shape: Sequence[int]) -> np.ndarray:
        """The noise of one row, int8 of its shape.

        Raises:
            ValueError: The row was not there at `fit`, or had another size; of the type `error`.
        """
        if not self.holds(stream):
            raise self.error(self.unknown)
        i = int(np.searchsorted(self.ids, np.uint64(stream)))
        if tuple(self.shapes[i]) != tuple(shape):
            raise self.error(self._resized(shape, tuple(self.shapes[i].tolist())))
        start = int(self.starts[i])
        return self.levels[start : start + int(np.prod(self.shapes[i]))].reshape(shape)

    def holds(self, stream: int) -> bool:
        """Whether there is noise for a row."""
        i = int(np.searchsorted(self.ids, np.uint64(stream)))
        return i < len(self.ids) and bool(self.ids[i] == stream)

    def _resized(self, shape: Sequence[int], known: Sequence[int]) -> str:
        """What to say of a row that has another shape than at `fit`."""
        raise NotImplementedError

    @classmethod
    def empty(cls: type[Noise]) -> Noise:
        """Of no row: what a strength of 0 takes."""
        shapes = np.empty((0, cls.dimensions), np.int32)
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64), shapes, np.empty(0, np.int8))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a key holds of it: JSON values and arrays."""
        return {}, {"ids": self.ids, "starts": self.starts, "shapes": self.shapes, "levels": self.levels}

    @classmethod
    def from_state(cls: type[Noise], state: dict[str, Any], tensors: dict[str, np.ndarray]) -> Noise:
        return cls(**tensors)

    def check(self, bound: int) -> None:
        """Raises a ValueError for what is no noise of at most `bound` levels."""
        count = len(self.ids)
        check_array(self.ids, "ids", np.uint64, (None,))
        check_array(self.starts, "starts", np.int64, (count,))
        check_array(self.shapes, "shapes", np.int32, (count, self.dimensions))
        check_levels(self.levels, (None,), bound)
        if not (self.ids[1:] > self.ids[:-1]).all():
            raise ValueError("the ids of its rows do not ascend")
        sizes = self.shapes.prod(axis=1, dtype=np.int64)
        within = (self.starts >= 0) & (self.starts <= len(self.levels) - sizes)
        if not (within & (self.shapes > 0).all(axis=1) & self._sound_shapes()).all():
            raise ValueError("the noise of a row does not lie within the levels")
        order = np.argsort(self.starts)
        if ((self.starts + sizes)[order][:-1] > self.starts[order][1:]).any():
            raise ValueError("two of its rows share their noise")

    def _sound_shapes(self) -> np.ndarray:
        """Which rows have a shape that a row of this kind may have, boolean [n]."""
        return np.ones(len(self.shapes), bool)


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
        raise ValueError(f"its noise changes levels by up to {most}, and the bound is {bound} levels")


def unknown_label(label: Any, known: Sequence[Any]) -> str:
    """What to say of a label that `fit` did not see."""
    names = ", ".join(map(repr, list(known)[:20]))
    return (
        f"the label {label!r} was not seen by fit ({names}): fit on data that holds it, or leave such rows out with "
        "mask_column or classes"
    )
