"""Computed noise of images as it is kept: of each image, or of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.learning.noise import RowNoise, check_levels, unknown_label
from hf_unlearnable.validation import check_labels


class SampleNoise(RowNoise):
    """Noise of each image; its shape is height, width and channels."""

    dimensions: ClassVar[int] = 3
    error: ClassVar[type[ValueError]] = ImageError
    unknown: ClassVar[str] = (
        "this image was not there at fit, and sample-wise noise exists for the fitted ones only: fit on it too. A key "
        "of class-wise noise (noise='class', where a method has it) protects new rows too"
    )

    def _resized(self, shape: Sequence[int], known: Sequence[int]) -> str:
        return (
            f"the image has {_size(shape)}, but its noise was computed for {_size(known)}: protect the images before "
            "they are resized"
        )

    def _sound_shapes(self) -> np.ndarray:
        return np.isin(self.shapes[:, 2], (1, 3))


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


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]} pixels in {shape[2]} channels"
