"""Symmetric filters: how one is made of a frequency response, and how it is laid on a recording of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

_GRID = 2**14  # frequencies at which a response is sampled, at most


def symmetric_filter(gains: np.ndarray, half: int) -> np.ndarray:
    """The filter without delay whose frequency response is nearest to the one that is asked for.

    Args:
        gains: The response at equally spaced frequencies from 0 to half of the rate, float [2**k + 1].
        half: Frames on each side of the middle; a Hann window ends them softly.

    Returns:
        float64 [2 * half + 1].
    """
    impulse = np.fft.irfft(gains)
    side = impulse[: half + 1] * (0.5 + 0.5 * np.cos(np.pi * np.arange(half + 1) / (half + 1)))
    return np.concatenate([side[:0:-1], side])


def frequencies(rate: float, half: int) -> np.ndarray:
    """Where `symmetric_filter` takes a response for filters of this length, in Hz."""
    bins = min(_GRID, 1 << (8 * half).bit_length())
    return np.arange(bins + 1) * (rate / 2 / bins)


def mel(hertz: Any) -> Any:
    """Frequencies in Hz on the mel scale, as ears and the spectrograms of models divide them (O'Shaughnessy)."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def padded(blocks: Iterable[np.ndarray], reach: int, unit: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks with what lies around them; silence lies before the first and behind the last.

    What comes of a block depends on the block and its neighbours alone, so that all ways of reading a recording in the
    same blocks agree to the last bit.

    Args:
        blocks: [frames, channels], all but the last one at least as long as `reach`.
        reach: Frames that are wanted on both sides.
        unit: The frames of a block are made a multiple of this one, with silence.

    Yields:
        The frames of a block, and float64 [channels, reach + frames + reach].
    """
    before = block = None
    for after in chain(blocks, [None]):
        if block is not None:
            frames = len(block)
            window = np.empty(
                (block.shape[1], -(-frames // unit) * unit + 2 * reach)
            )  # as zeros it would be new memory
            for channel, row in enumerate(window):  # a transposed copy takes longer
                row[:reach] = 0 if before is None else before[len(before) - reach :, channel]
                row[reach : reach + frames] = block[:, channel]
                row[reach + frames :] = 0
                if after is not None:
                    part = after[:reach, channel]
                    row[reach + frames : reach + frames + len(part)] = part
            yield frames, window
        before, block = block, after


class Filter:
    """A symmetric filter, or several side by side.

    It is laid on short windows that overlap (overlap-save), whose Fourier transforms stay in a processor's cache.

    Args:
        taps: float64 [2 * half + 1], symmetric; [n, 2 * half + 1] of n filters.

    Attributes:
        half: Frames on each side of the middle.
        step: Frames that a window gives.
    """

    def __init__(self, taps: np.ndarray):
        self.half = taps.shape[-1] // 2
        self._size = 1280  # five times a power of two: transforms of this length are the quickest per frame
        while self._size < 5 * self.half:
            self._size *= 2
        self.step = self._size - 2 * self.half
        around = np.zeros((*taps.shape[:-1], self._size))
        around[..., : 2 * self.half + 1] = taps
        response = np.fft.rfft(np.roll(around, -self.half, axis=-1)).real
        self._response = response.repeat(2, axis=-1)[..., None, None, :]  # once for each part of a complex number

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Filtered frames, all but the outer `half` on both sides.

        Args:
            signal: float64 [channels, windows * step + 2 * half], of any whole number of windows.

        Returns:
            float64 [channels, windows, step]; [n, channels, windows, step] of n filters.
        """
        windows = (signal.shape[1] - 2 * self.half) // self.step
        spectra = np.fft.rfft(_shifted(signal, windows, self._size, self.step)).view(np.float64) * self._response
        filtered = np.fft.irfft(spectra.view(np.complex128), self._size)
        return filtered[..., self.half : self.half + self.step]


class LowBand:
    """The lower frequencies of a recording, at a rate of their own, and back: what is done to them alone costs less.

    Two symmetric low-passes of `2 * EDGE * step + 1` frames (Kaiser windows, 70 dB), each a product with a matrix. Up
    to 0.365 of the low rate nothing is lost, and nothing folds into it.

    Args:
        step: The low rate is the rate divided by this: a power of two up to 16.
    """

    EDGE = 8  # low frames that each low-pass takes from both sides

    def __init__(self, step: int):
        self.step = step
        self.unit = 2 * self.EDGE * step  # frames that one row of a matrix makes of one row
        places = np.arange(-self.EDGE * step, self.EDGE * step + 1)
        taps = np.sinc(places / step) * np.kaiser(len(places), 6.7)
        taps /= taps.sum()
        low = np.arange(2 * self.EDGE)
        after = np.arange(2 * self.unit)[:, None] - (low + self.EDGE) * step  # from the middle of each low-pass
        inside = abs(after) <= self.EDGE * step
        self._down = np.where(inside, taps[np.where(inside, after, 0) + self.EDGE * step], 0.0)
        after = (np.arange(4 * self.EDGE)[:, None] - self.EDGE) * step - np.arange(self.unit)
        inside = abs(after) <= self.EDGE * step
        self._up = np.where(inside, step * taps[np.where(inside, after, 0) + self.EDGE * step], 0.0)

    def down(self, window: np.ndarray, multiple: int, beside: int) -> np.ndarray:
        """The band at the low rate.

        Args:
            window: float64 [channels, n * unit].
            multiple, beside: Zeros follow until there are a multiple of these frames, and twice `beside`.

        Returns:
            float64 [channels, (n - 1) * 2 * EDGE or more]. The first low frame stands at frame `EDGE * step`.
        """
        rows = window.reshape(len(window), -1, self.unit)
        there = (rows.shape[1] - 1) * 2 * self.EDGE
        low = np.empty((len(window), there + (2 * beside - there) % multiple))
        made = rows[:, :-1] @ self._down[: self.unit]
        made += rows[:, 1:] @ self._down[self.unit :]
        low[:, :there], low[:, there:] = made.reshape(len(window), -1), 0
        return low

    def up(self, low: np.ndarray, frames: int) -> np.ndarray:
        """So many frames of the band at the full rate.

        Args:
            low: float64 [channels, low frames]. The first frame stands at low frame `EDGE`.
            frames: How many.

        Returns:
            float64 [channels, frames].
        """
        width = 2 * self.EDGE
        rows = _shifted(low, -(-frames // self.unit), 2 * width, width)
        return (np.ascontiguousarray(rows) @ self._up).reshape(len(low), -1)[:, :frames]


def _shifted(signal: np.ndarray, count: int, size: int, step: int) -> np.ndarray:
    """Views of `size` frames, each `step` later than the one before: [channels, count, size]."""
    signal = np.ascontiguousarray(signal)
    row, frame = signal.strides
    return np.ndarray((len(signal), count, size), signal.dtype, signal, 0, (row, step * frame, frame))
