"""Filters that know no labels and drop whole images: near copies by their perceptual hash, and odd spectra."""

from __future__ import annotations

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.countermeasures.pixels import levels_of

_NEAR = 6  # of the 64 bits of a hash may differ between copies
_RINGS, _SECTORS = 8, 4  # of frequencies whose power is averaged
_FAR = 6.0  # robust standard deviations of the scores, beyond which an image is odd


def perceptual_hash_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Drops images whose perceptual hash (pHash, 64 bits) is within 6 bits of that of an earlier image.

    Idea: cleaning tools drop near copies, whatever their labels. A pattern that is laid over many images could make
    them copies of each other. Library: `imagehash`, C. Zauner, "Implementation and Benchmarking of Perceptual Image
    Hash Functions", 2010.
    Costs little on clean photos. Breaks nothing here: a bounded change hardly moves a hash.
    """
    require("attack", "imagehash", "PIL")
    import imagehash
    from PIL import Image

    images = levels_of(rows)
    hashes = [imagehash.phash(Image.fromarray(one)).hash.ravel() for one in images]
    kept, taken = [], np.zeros((0, 64), bool)
    for row, bits in enumerate(hashes):
        if not (taken ^ bits).sum(axis=1).min(initial=64) <= _NEAR:
            kept.append(row)
            taken = np.concatenate([taken, bits[None]])
    return Rows([images[row] for row in kept], [rows.labels[row] for row in kept])


def spectrum_outlier_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Drops images whose spectrum is unlike that of the others: what is protected, as long as it is the lesser part.

    Idea: the power of photos falls with the frequency in much the same way. The logarithm of its mean is taken in 8
    rings of 4 directions, of brightness and of two colour differences. The score of an image is the root mean square
    of its distances from the medians, each in robust standard deviations. Images are dropped whose score is more
    than 6 of these above the median score.
    Costs 3 to 4 % of clean photos. Breaks texture and random noise on a fifth of the rows, of which it drops most.
    Finds nothing where most rows are protected, for then a grain is usual.
    """
    images = levels_of(rows)
    if not images:
        return rows
    profiles = np.array([_profile(one) for one in images])
    scores = np.sqrt((_deviations(profiles) ** 2).mean(axis=1))
    kept = np.flatnonzero(_deviations(scores) <= _FAR).tolist()
    return Rows([images[row] for row in kept], [rows.labels[row] for row in kept])


def _deviations(values: np.ndarray) -> np.ndarray:
    """How many robust standard deviations values [n, ...] lie above the median of the first axis."""
    away = values - np.median(values, axis=0)
    return away / (1.4826 * np.median(np.abs(away), axis=0) + 1e-6)


def _profile(levels: np.ndarray) -> np.ndarray:
    """The logarithm of an image's mean power in rings and directions of frequencies, float [3 x 8 x 4]."""
    height, width, _ = levels.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    red, green, blue = np.moveaxis(levels.astype(np.float64), 2, 0)
    planes = np.stack([(red + 2 * green + blue) / 4, (red - green) / 2, (blue - green) / 2])
    planes -= planes.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(planes * window)) ** 2 / (window**2).sum()
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    ring = np.minimum(np.hypot(down, right) * 2 * _RINGS, _RINGS - 1).astype(int)
    sector = ((np.arctan2(down, right) / np.pi + 0.5) * _SECTORS).astype(int) % _SECTORS
    place = (ring * _SECTORS + sector).ravel()
    counts = np.bincount(place, minlength=_RINGS * _SECTORS)
    sums = np.stack([np.bincount(place, one.ravel(), _RINGS * _SECTORS) for one in power])
    return np.log(sums / np.maximum(counts, 1) + 1).ravel()
