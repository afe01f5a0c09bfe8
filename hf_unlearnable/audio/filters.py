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


def frequencies(rate: int, half: int) -> np.ndarray:
    """Where `symmetric_filter` takes a response for filters of this length, in Hz."""
    bins = min(_GRID, 1 << (8 * half).bit_length())
    return np.arange(bins + 1) * (rate / 2 / bins)


def mel(hertz: Any) -> Any:
    """Frequencies in Hz on the mel scale, as ears and the spectrograms of models divide them (O'Shaughnessy)."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


class Filter:
    """A symmetric filter, or several side by side, laid on a recording block by block.

    The spectra of the filter are kept, one for each length of a block. What comes out of a block depends on the
    filter, the block and its neighbours alone, so that all ways of reading a recording in the same blocks agree to the
    last bit.

    Args:
        taps: float64 [2 * half + 1], symmetric; [n, 2 * half + 1] of n filters.
    """

    def __init__(self, taps: np.ndarray):
        self.taps = taps
        self.half = taps.shape[-1] // 2
        self._spectra: dict[int, np.ndarray] = {}

    def __call__(self, blocks: Iterable[np.ndarray], within: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
        """The filtered blocks, float64, of the same shapes; silence lies before the first and behind the last.

        Of n filters a block is [n, frames, channels].

        Args:
            blocks: [frames, channels], all but the last one longer than half of the filter.
            within: First frame of the part that matters, and the one behind it; a block that holds none of it comes
                as it is. None for all.
        """
        before = block = None
        done = 0
        for after in chain(blocks, [None]):
            if block is not None:
                if within is None or (done < within[1] and done + len(block) > within[0]):
                    yield self._filtered(before, block, after)
                else:
                    yield block
                done += len(block)
            before, block = block, after

    def _filtered(self, before: np.ndarray | None, block: np.ndarray, after: np.ndarray | None) -> np.ndarray:
        frames, half = len(block), self.half
        length = _quick_length(frames + 2 * half)
        window = np.zeros((block.shape[1], length))  # in this order the transform runs along memory
        if before is not None and half:
            window[:, :half] = before[-half:].T
        window[:, half : half + frames] = block.T
        if after is not None and half:
            part = after[:half]
            window[:, half + frames : half + frames + len(part)] = part.T
        if length not in self._spectra:
            around = np.zeros((*self.taps.shape[:-1], length))
            around[..., : 2 * half + 1] = self.taps
            self._spectra[length] = np.fft.rfft(np.roll(around, -half, axis=-1)).real[..., None, :]
        changed = np.fft.irfft(np.fft.rfft(window) * self._spectra[length], length)
        return changed[..., half : half + frames].swapaxes(-1, -2)


def _quick_length(least: int) -> int:
    """The shortest length that a fast Fourier transform is quick at: 4, 5, 6 or 8 times a power of two."""
    power = 1 << max(3, (least - 1).bit_length())
    return next(length for length in (power * 5 // 8, power * 3 // 4, power) if length >= least)
