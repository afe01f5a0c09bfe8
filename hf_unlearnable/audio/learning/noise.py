"""Computed noise of recordings: in shares of the bound, at the rate and for the time that a surrogate hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.audio.codec import Recording, RecordingError
from hf_unlearnable.audio.features import fitted, resampled
from hf_unlearnable.learning.noise import RowNoise, check_levels, unknown_label
from hf_unlearnable.validation import check_labels

WHOLE = 127  # the level of a noise that reaches the bound


class ClipNoise(RowNoise):
    """Noise of each recording; its shape is how many frames are heard of it."""

    dimensions: ClassVar[int] = 1
    error: ClassVar[type[ValueError]] = RecordingError
    unknown: ClassVar[str] = (
        "was not there at fit, and sample-wise noise exists for the fitted ones only: fit on it too, or use a key of "
        "class-wise noise (noise='class')"
    )

    def _resized(self, shape: Sequence[int], known: Sequence[int]) -> str:
        return (
            f"has another length than at fit (its noise is of {known[0]:,} frames, {shape[0]:,} are wanted): protect "
            "recordings before they are cut"
        )


@dataclass(frozen=True)
class ClassClipNoise:
    """Noise of each class.

    Args:
        labels: The classes, as the dataset names them.
        levels: int8 [classes, frames].
    """

    labels: list[Any]
    levels: np.ndarray

    def of(self, label: Any) -> np.ndarray:
        """The noise of a class, int8 [frames].

        Raises:
            RecordingError: A label that `fit` did not see.
        """
        if label not in self.labels:
            raise RecordingError(f"has a label without noise: {unknown_label(label, self.labels)}")
        return self.levels[self.labels.index(label)]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a key holds of it: JSON values and arrays."""
        return {"labels": self.labels}, {"levels": self.levels}

    def check(self, bound: int) -> None:
        """Raises a ValueError for what is no noise of at most `bound` levels."""
        check_labels(self.labels, least=2)
        check_levels(self.levels, (len(self.labels), None), bound)


@dataclass(frozen=True)
class Hearing:
    """How a surrogate hears recordings.

    Args:
        rate: Frames per second.
        frames: How many at most, from the beginning on.
    """

    rate: int
    frames: int

    def of(self, recording: Recording) -> int:
        """How many frames are heard of a recording, at least 1."""
        return max(1, min(self.frames, round(frames_of(recording) * self.rate / recording.format.rate)))

    def wave(self, recording: Recording) -> np.ndarray:
        """What is heard of a recording: the mean of its channels, float32 [frames] in [-1, 1]."""
        form = recording.format
        needed, parts = -(-self.frames * form.rate // self.rate) + form.rate // 10, []  # a little more than is heard
        for block in recording.blocks():  # to the end, where a file that is cut off is told
            if needed > 0:
                parts.append(block[:needed].mean(axis=1))
                needed -= len(block)
        mono = (np.concatenate(parts) / form.full_scale).astype(np.float32)
        return fitted(resampled(mono, form.rate, self.rate), self.of(recording)).clip(-1, 1)

    def tile(self, levels: np.ndarray, rate: int) -> np.ndarray:
        """Noise at the rate of a recording, float64 [frames] in [-1, 1], to be laid on it again and again.

        It is taken as periodic, so that its end passes into its beginning.

        Args:
            levels: int8 [frames], at the rate that is heard.
            rate: Of the recording.
        """
        shares = levels / WHOLE
        if rate == self.rate:
            return shares
        wanted = max(1, round(len(levels) * rate / self.rate))
        spectrum = np.fft.rfft(shares)[: wanted // 2 + 1]
        return np.clip(np.fft.irfft(spectrum, wanted) * (wanted / len(levels)), -1, 1)


def frames_of(recording: Recording) -> int:
    """How many frames there are; a recording whose header says nothing of it is read."""
    return recording.frames if recording.frames >= 0 else sum(len(block) for block in recording.blocks())


def loudness(recording: Recording) -> float:
    """Root mean square of all samples, in the scale of the file."""
    squares = values = 0.0
    for block in recording.blocks():
        squares += float(np.square(block, dtype=np.float64).sum())
        values += block.size
    return float(np.sqrt(squares / values))
