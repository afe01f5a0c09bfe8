"""What a filter leaves in recordings, and how to see it without the originals.

A filter multiplies the spectrum, so that it adds to its logarithm. One that moves adds its mean to the mean of that
over a recording. That mean is taken at equal steps of frequency, in decibels. Its smooth course is the speaker's, the
instrument's or the room's and is taken off, and so is what all recordings have in common. What is left is compared
with the response of each class's filter, of which the same was taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

STEP = 25.0  # Hz
TOP = 4000  # Hz
_WINDOW = 0.032  # seconds of the spectra
_HEARD = 1e-4  # of the power of the loudest spectrum: quieter ones are pauses
_SMOOTH = 31  # steps over which a course is smooth
_CUT = 25.0  # decibels at which what is left is cut off


def grid() -> np.ndarray:
    """The frequencies at which spectra are compared, in Hz."""
    return np.arange(STEP, TOP, STEP)


def seen(samples: np.ndarray, rate: int) -> np.ndarray:
    """A recording's mean level at the frequencies of `grid`, without its smooth course, in decibels.

    Args:
        samples: The mean of its channels, float [frames].
        rate: Frames per second. Above half of it nothing is seen: 0.
    """
    size = max(16, round(_WINDOW * rate))
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    parts = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 4]
    window, most = np.hanning(size), 1 + size * TOP // rate
    power = np.stack([np.abs(np.fft.rfft(part * window)[: most + 1]) ** 2 for part in parts])
    total = power.sum(axis=1)
    power = power[total >= _HEARD * total.max()]
    level = 10 * np.log10(power + 1e-9 * power.max() + 1e-12).mean(axis=0)
    at = np.interp(grid(), np.arange(len(level)) * rate / size, level)
    return np.where(grid() < rate / 2, rough(at).clip(-_CUT, _CUT), 0.0)


def rough(levels: np.ndarray) -> np.ndarray:
    """Levels without their smooth course: minus the mean of their neighbours, of fewer at the ends."""
    ones = np.ones(_SMOOTH)
    known = np.convolve(np.ones(len(levels)), ones, "same")
    return levels - np.convolve(levels, ones, "same") / known


def filter_scores(
    spectra: Sequence[np.ndarray], cloaks: Sequence[Any], labels: Sequence[Any], response: Callable[[Any, Any], Any]
) -> np.ndarray:
    """How much each recording is like each class's filter, for the key and for decoys.

    Args:
        spectra: What `seen` gives of each recording.
        cloaks: The key's transform and those of other seeds.
        labels: The classes.
        response: `(cloak, label) -> decibels` at the frequencies of `grid`.

    Returns:
        Float [recordings, classes, cloaks].
    """
    looked = np.stack(spectra)
    looked = looked - looked.mean(axis=0)
    looked = looked / (np.linalg.norm(looked, axis=1, keepdims=True) + 1e-9)
    scores = np.zeros((len(looked), len(labels), len(cloaks)), np.float32)
    for i, cloak in enumerate(cloaks):
        bank = np.stack([rough(response(cloak, label)) for label in labels])
        bank = bank - bank.mean(axis=0)
        scores[:, :, i] = looked @ (bank / (np.linalg.norm(bank, axis=1, keepdims=True) + 1e-9)).T
    return scores
