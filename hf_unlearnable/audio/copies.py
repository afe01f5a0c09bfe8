"""Whether a recording is a copy of another, and what its file tells beside it."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import ClassVar

import numpy as np

from hf_unlearnable.audio.codec import BLOCK, RecordingError, opened
from hf_unlearnable.audio.filters import mel
from hf_unlearnable.audio.metadata import notes, told
from hf_unlearnable.copies import Copies, standing_out

_ALIKE = 0.95  # correlation of two fingerprints of one recording; of two takes of a word by one speaker 0.89
_EDGES = np.linspace(150, 2000, 17)  # of a fingerprint's bands on the mel scale, 100 to 3,430 Hz
_STEP = 0.01  # seconds per column of a fingerprint
_SECONDS = 60  # of a recording that are looked at
_FLOOR = 1e-4  # of the loudest moment: what is 40 decibels below it is silence
_SHARED = 0.8  # share of the shorter recording that has to lie within the longer one
_MUTED = 0.1  # share of a protected recording's bands and moments that a protection may turn down at will


class AudioCopies(Copies):
    """Compares recordings by how loud each band of frequencies is in each moment, wherever one begins in the other."""

    # Tags of each kind stand behind one of these.
    marks: ClassVar[str] = r"ID3|TAG(?s:.{125})$|APETAGEX|^RIFF|^RF64|^FORM|^fLaC|\x03vorbis|OpusTags"

    def knows(self, data: bytes) -> bool:
        head = data[:12]
        if head[:4] in (b"fLaC", b"OggS", b"caff", b".snd", b"NIST", b"riff") or head[:3] == b"ID3":
            return True
        if head[:4] in (b"RIFF", b"RF64", b"RIFX", b"FORM"):
            return head[8:12] in (b"WAVE", b"AIFF", b"AIFC")
        # The first frame of an MP3: eleven bits of ones, a version and a layer that there are. UTF-16 begins with two
        # bytes that would be such.
        return (
            head[:1] == b"\xff"
            and head[:2] != b"\xff\xfe"
            and len(head) > 2
            and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6)
            and head[2] >> 4 < 15
        )

    def lossy(self, data: bytes) -> bool:
        try:
            with opened(data) as recording:
                return bool(recording.lossy)
        except RecordingError:
            return False

    def told(self, data: bytes) -> list[tuple[str, str]]:
        return told(data)

    def notes(self, data: bytes) -> list[str]:
        return notes(data)

    def smaller(self, data: bytes) -> bytes | None:
        """A recording's file holds no smaller one."""
        return None

    def likeness(self, one: bytes, two: bytes) -> float:
        """The correlation of their fingerprints where one fits best in the other.

        What is turned down most in the first, protected one, such as an equalizer's slots, is left aside.
        """
        first, second = _fingerprint(one), _fingerprint(two)
        if first is None or second is None or first[0] == second[0]:
            return 0.0
        bands = min(first[1].shape[1], second[1].shape[1])
        return _best_correlation(first[1][:, :bands], second[1][:, :bands])

    def stand_out(self, likeness: np.ndarray) -> np.ndarray:
        return standing_out(likeness, _ALIKE)


@lru_cache(maxsize=8)
def _fingerprint(data: bytes) -> tuple[bytes, np.ndarray] | None:
    """What identifies a recording, and the loudness of its bands in decibels [moments, bands]; None if none opens.

    Bands above half of its rate are left out.
    """
    try:
        with opened(data) as recording:
            rate = recording.format.rate
            blocks = islice(recording.blocks(), -(-_SECONDS * rate // BLOCK))
            samples = np.concatenate([block.mean(axis=1) for block in blocks])[: _SECONDS * rate]
            content = recording.content()
    except RecordingError:
        return None
    size, hop = max(16, round(4 * _STEP * rate)), max(1, round(_STEP * rate))
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    places = range(0, len(padded) - size + 1, hop)
    window = np.hanning(size)
    power = np.stack([np.abs(np.fft.rfft(padded[place : place + size] * window)) ** 2 for place in places])
    band = np.searchsorted(_EDGES, mel(np.arange(power.shape[1]) * rate / size), side="right") - 1
    count = int(np.sum(_EDGES[1:] < mel(rate / 2)))
    loud = np.stack([power[:, band == i].sum(axis=1) for i in range(count)], axis=1) if count else np.zeros((0, 0))
    return content, 10 * np.log10(loud + _FLOOR * loud.max(initial=1e-12))


def _best_correlation(protected: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two fingerprints at the lag where it is largest, without what the first has turned down."""
    lag = _best_lag(protected, other)
    if lag is None:
        return 0.0
    one, two = (x[max(start, 0) :] for x, start in ((protected, lag), (other, -lag)))
    shared = min(len(one), len(two))
    one, two = one[:shared], two[:shared]
    kept = np.ones(one.shape, bool)
    for _ in range(2):  # what is left aside moves the means, so look twice
        one, two = _centred(one, kept), _centred(two, kept)
        loss = two * _norm(one[kept]) / _norm(two[kept]) - one
        kept = loss <= np.quantile(loss, 1 - _MUTED)
    one, two = _centred(one, kept)[kept], _centred(two, kept)[kept]
    return float(one @ two / (_norm(one) * _norm(two)))


def _centred(x: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Bands whose means over the moments that are kept are 0."""
    return x - (x * kept).sum(axis=0) / np.maximum(kept.sum(axis=0), 1)


def _norm(x: np.ndarray) -> float:
    return max(float(np.linalg.norm(x)), 1e-9)


def _best_lag(one: np.ndarray, two: np.ndarray) -> int | None:
    """At which moment of the first fingerprint the second begins, if their bands correlate most; None if too short."""
    m, n = len(one), len(two)
    least = max(8, round(_SHARED * min(m, n)))
    if min(m, n) < 8 or not one.shape[1]:
        return None
    length = 1 << (m + n - 1).bit_length()
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    spectra = np.fft.rfft(one, length, axis=0) * np.fft.rfft(two, length, axis=0).conj()
    products = np.fft.irfft(spectra, length, axis=0)
    lags = np.arange(least - n, m - least + 1)  # all at which they overlap enough
    a, b = np.maximum(lags, 0), np.minimum(lags + n, m)  # what of the first one is shared
    count = (b - a)[:, None]
    sums = [np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)]) for x in (one, one**2, two, two**2)]
    s1, q1 = (s[b] - s[a] for s in sums[:2])
    s2, q2 = (s[b - lags] - s[a - lags] for s in sums[2:])
    shared = (products[lags % length] - s1 * s2 / count).sum(axis=1)
    spread = (q1 - s1**2 / count).sum(axis=1) * (q2 - s2**2 / count).sum(axis=1)
    return int(lags[(shared / np.sqrt(np.maximum(spread, 1e-9))).argmax()])
