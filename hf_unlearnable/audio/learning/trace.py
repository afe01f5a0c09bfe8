"""What computed noise leaves in recordings, and how to see it without the originals.

Noise of each recording. The key holds the noise and a hash of the original, under the key's seed. Take the noise off,
and what is left has that hash, or it has not: by chance once in 2^64. Its size follows the loudness of the original,
which is found in turns: noise for the loudness that is there is taken off, and what is left tells the loudness better.

Noise of each class. Of a recording and of the noise the second difference is taken, since sound is smooth and noise is
not. What stands out of the recording is cut off, and such places count little. The product tells which share of the
noise is there. Decoys are the same noises later in time and negated. Clean recordings may hold a little of what was
learned from them, so that of the noise half is asked for, and of decoys a quarter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hf_unlearnable.audio.codec import Recording
from hf_unlearnable.audio.learning.noise import WHOLE, ClipNoise, loudness
from hf_unlearnable.key import row_stream

_CANDIDATES = 8  # noises that are taken off a recording, those most like it
_TURNS = 12  # in which a loudness is found
_CUT = 4.0  # second differences, in bounds of the noise, at which a recording's are cut off
_LEAST = 0.1  # what a place counts that is cut off, so that a recording of few others does not say much
HASH_CHANCE = _CANDIDATES * 2.0**-64  # that a recording of other origin passes for recovered


class Lifted(Recording):
    """A recording that noise is taken off.

    Args:
        recording: As it was published.
        shares: The noise at its rate, in shares of the bound, float [frames]; it is repeated.
        bound: In the scale of the file.
    """

    def __init__(self, recording: Recording, shares: np.ndarray, bound: float):
        self.format, self.frames, self._under = recording.format, recording.frames, recording
        self._noise = np.trunc(shares * bound)

    def blocks(self) -> Iterator[np.ndarray]:
        """The samples from the first on, as `Recording.blocks`, float64."""
        done = 0
        for block in self._under.blocks():
            yield block - self._noise[(done + np.arange(len(block))) % len(self._noise)][:, None]
            done += len(block)


def is_original(
    recording: Recording, shares: np.ndarray, epsilon: float, follows: bool, seed: int, wanted: int
) -> bool:
    """Whether an original comes out when a noise is taken off.

    Args:
        recording: As it was published.
        shares: The noise at its rate, in shares of the bound.
        epsilon: The bound, as a share of the original's loudness or of full scale.
        follows: Whether it is one of loudness.
        seed: The key's.
        wanted: The stream of the original.
    """
    whole = loudness(recording) if follows else recording.format.full_scale
    lifted = Lifted(recording, shares, epsilon * whole)
    for _ in range(_TURNS if follows else 0):
        known, whole = whole, loudness(lifted)
        if whole == known:
            break
        lifted = Lifted(recording, shares, epsilon * whole)
    return row_stream(lifted.content(), seed) == wanted


def likeliest(noise: ClipNoise, wave: np.ndarray) -> list[int]:
    """The noises of the length of a recording that are most like what is in it, the best one first.

    Args:
        noise: Of all rows.
        wave: What a surrogate hears of the recording, float [frames].
    """
    held = np.flatnonzero(noise.shapes[:, 0] == len(wave))
    if not len(held):
        return []
    heard = rough(wave)
    heard = heard.clip(*np.quantile(heard, (0.1, 0.9)))
    likeness = []
    for j in held:
        own = rough(noise.levels[noise.starts[j] : noise.starts[j] + len(wave)])
        likeness.append(float(heard @ own) / (np.linalg.norm(own) + 1e-9))
    return held[np.argsort(-np.array(likeness), kind="stable")[:_CANDIDATES]].tolist()


def class_scores(levels: np.ndarray, waves: Sequence[np.ndarray], bounds: Sequence[float], decoys: int) -> np.ndarray:
    """How much of the noise of each class each recording holds; moved and negated noises are the decoys.

    Args:
        levels: Of each class, int8 [classes, frames].
        waves: What a surrogate hears of each recording, float [frames or fewer].
        bounds: Of each, with full scale 1.
        decoys: How many.

    Returns:
        float32 [recordings, classes, 1 + decoys], 1 where all of the noise is there.
    """
    frames = levels.shape[1]
    shifts = np.unique(np.linspace(1, max(1, frames - 1), -(-decoys // 2)).astype(int))
    own = np.roll(rough(np.concatenate([levels, levels[:, :2]], axis=1) / WHOLE), 1, axis=1)  # they are repeated
    spectra, powers = (np.conj(np.fft.rfft(one)) for one in (own, own**2))
    scores = np.zeros((len(waves), len(levels), 1 + 2 * len(shifts)), np.float32)
    for i, (wave, bound) in enumerate(zip(waves, bounds, strict=True)):
        heard, there = np.zeros(frames), np.zeros(frames)
        middle = slice(1, max(1, len(wave) - 1))
        heard[middle] = rough(wave) / max(bound, 1e-9)
        there[middle] = np.maximum(np.abs(heard[middle]) < _CUT, _LEAST)
        heard = heard.clip(-_CUT, _CUT)
        # Products with the noise from every place on, all at once.
        alike = np.fft.irfft(np.fft.rfft(heard) * spectra, frames)
        alike /= np.maximum(np.fft.irfft(np.fft.rfft(there) * powers, frames), 1e-6)
        scores[i] = np.concatenate([alike[:, :1], alike[:, shifts], -alike[:, shifts]], axis=1)
    return scores


def rough(wave: np.ndarray) -> np.ndarray:
    """What changes from sample to sample: second differences along the last axis, float32."""
    return np.diff(wave.astype(np.float32), 2, axis=-1)
