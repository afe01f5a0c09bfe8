"""What a key leaves in images, and how to see it without the originals.

Noise of each image (`SampleNoise`). The key holds the noise and a hash of the original, under the key's seed. Take the
noise off, and what is left has that hash, or it has not: by chance once in 2^64. Which noise it is, a correlation
tells. No correlation alone would do: computed noise is like its own image, so the clean original resembles it too
(on CIFAR-10 by up to half of the noise's amplitude, by more for error-max).

Noise of each class. An image is high-passed, L x = every pixel minus the mean of its four neighbours, and cut off, so
that a hard edge counts no more than noise does. That is compared with the class's pattern v, one number for each
pattern:

    s(x, v) = <clip(L x), L v>

For patterns that are drawn from the seed, decoys are those of other seeds. Learned patterns have none. Their decoys
are the same patterns shifted and negated, and since the clean images may hold a little of the real one, of that half
the amplitude is asked for, and of decoys a quarter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.learning.noise import SampleNoise
from hf_unlearnable.key import row_stream

_CANDIDATES = 64  # noises that are taken off an image, those most like it
_CROP = 96  # pixels a side, from the middle, that are enough to find them
_WINDOW = 32  # pixels a side of which spectra are taken
HASH_CHANCE = _CANDIDATES * 2.0**-64  # that an image of other origin passes for recovered


def recovered(noise: SampleNoise, pictures: Sequence[Picture], seed: int, cut: float) -> np.ndarray:
    """Which images turn into an original when noise that the key holds is taken off. Boolean [images].

    Args:
        noise: The key's.
        pictures: Whose origin is asked for.
        seed: The key's.
        cut: Levels at which edges are cut off.
    """
    found = np.zeros(len(pictures), bool)
    shapes = [picture.levels.shape for picture in pictures]
    for shape in sorted(set(shapes)):
        held = np.flatnonzero((noise.shapes == shape).all(axis=1))
        mine = [i for i, other in enumerate(shapes) if other == shape]
        if not len(held):
            continue
        window = tuple(slice((n - min(n, _CROP)) // 2, (n + min(n, _CROP)) // 2) for n in shape[:2])
        images = np.stack([high_pass(pictures[i].levels[window]).clip(-cut, cut).reshape(-1) for i in mine])
        likeness = np.empty((len(mine), len(held)), np.float32)
        block = max(1, 2**24 // images.shape[1])
        for start in range(0, len(held), block):
            part = np.stack([_noise(noise, j, shape)[window] for j in held[start : start + block]])
            flat = high_pass(part).reshape(len(part), -1)
            likeness[:, start : start + block] = images @ flat.T - (flat**2).sum(axis=1) / 2
        for i, row in zip(mine, likeness, strict=True):
            found[i] = any(_is_original(pictures[i], noise, j, seed) for j in held[np.argsort(-row)[:_CANDIDATES]])
    return found


def _noise(noise: SampleNoise, j: int, shape: tuple[int, ...]) -> np.ndarray:
    start = int(noise.starts[j])
    return noise.levels[start : start + int(np.prod(shape))].reshape(shape)


def _is_original(picture: Picture, noise: SampleNoise, j: int, seed: int) -> bool:
    # Learned noise never leaves [0, 255], so that nothing was cut off when it was laid on.
    levels = picture.levels.astype(np.int16) - _noise(noise, j, picture.levels.shape)
    if not 0 <= levels.min() <= levels.max() <= 255:
        return False
    original = Picture(levels.astype(np.uint8), picture.alpha)
    return row_stream(original.content, seed) == int(noise.ids[j])


def presence(levels: np.ndarray, noise: np.ndarray, cut: float) -> float:
    """How much of a noise an image holds: 1 for all of it, about 0 for none.

    Args:
        levels: The image.
        noise: Signed levels of the same shape.
        cut: Levels at which edges are cut off.
    """
    wanted = high_pass(noise)
    return float((high_pass(levels).clip(-cut, cut) * wanted).sum() / max((wanted**2).sum(), 1e-6))


# ------------------------------------------------------------------ patterns of classes
@dataclass(frozen=True)
class Bank:
    """The patterns of all classes that one seed draws, and how an image is looked at to compare it with them.

    Args:
        patterns: float [classes, places, features]: each in all places that it may have.
        look: Images' levels, of one kind, to float [images, features].
    """

    patterns: np.ndarray
    look: Callable[[Sequence[np.ndarray]], np.ndarray]


def stretched(patterns: Sequence[np.ndarray], channels: int, max_levels: float) -> Bank:
    """Patterns that are stretched over the whole of an image and added to it, as `fitted_to` lays them.

    Args:
        patterns: Of each class, at any scale, float [height, width, channels].
        channels: Of the images, 1 or 3; a gray image meets the mean over a pattern's, a gray pattern lies on all.
        max_levels: By how many levels they change a pixel at most: edges that are twice as hard are cut off.
    """
    bank = np.stack(patterns)
    bank = bank if bank.shape[3] <= channels else bank.mean(axis=3, keepdims=True)
    bank = np.broadcast_to(bank, (*bank.shape[:3], channels))
    size = bank.shape[1:3]

    def look(images: Sequence[np.ndarray]) -> np.ndarray:
        seen = []
        for one in images:
            down, right = (np.arange(n) * m // n for n, m in zip(one.shape[:2], size, strict=True))
            # Not each at length 1: a smooth image holds little of any pattern, and says so.
            seen.append(_seen(one, 2.0 * max_levels, down, right, size) / one.size)
        return np.stack(seen)

    return Bank(bank[:, None], look)


def repeated(tiles: np.ndarray, side: Callable[[tuple[int, ...]], int], max_levels: float) -> Bank:
    """Square tiles that are repeated over an image, from any of their entries on, and added to it.

    Args:
        tiles: Of each class, at any scale, [classes, period, period, channels].
        side: How many pixels a side an entry covers in an image of a shape.
        max_levels: By how many levels they change a pixel at most.
    """
    period = tiles.shape[1]
    shifts = [(i, j) for i in range(period) for j in range(period)]
    ringed = _ring_high_pass(tiles.astype(np.float32))

    def look(images: Sequence[np.ndarray]) -> np.ndarray:
        seen = []
        for one in images:
            step = side(one.shape)
            down, right = (np.arange(n) // step % period for n in one.shape[:2])
            seen.append(_seen(one, 2.0 * max_levels, down, right, (period, period), step) / one.size)
        return np.stack(seen)

    return Bank(np.stack([np.roll(ringed, shift, (1, 2)) for shift in shifts], axis=1), look)


def filtered(kernels: Sequence[np.ndarray], dilation: int) -> Bank:
    """Kernels that an image is convolved with.

    Args:
        kernels: Of each class, float [k, k].
        dilation: Pixels between two entries.
    """
    spectra = np.stack([_kernel_spectrum(kernel, dilation) for kernel in kernels])

    def look(images: Sequence[np.ndarray]) -> np.ndarray:
        seen = np.stack([_spectrum(one) for one in images])
        return seen - seen.mean(axis=0)  # what all images have in common tells nothing of their filters

    return Bank((spectra - spectra.mean(axis=0))[:, None], look)


def drawn_scores(cloaks: Sequence[Any], levels: Sequence[np.ndarray], labels: Sequence[Any]) -> np.ndarray:
    """How much each image is like each class's pattern, for the key and for decoys. Float [images, classes, cloaks].

    Args:
        cloaks: The key's transform and those of other seeds, from which all patterns follow.
        levels: The images.
        labels: The classes.
    """
    scores = np.zeros((len(levels), len(labels), len(cloaks)), np.float32)
    for rows in _grouped([cloaks[0]._pattern_kind(one.shape) for one in levels]):
        shape = levels[rows[0]].shape
        images = cloaks[0]._pattern_bank(labels, shape).look([levels[i] for i in rows])
        for b, cloak in enumerate(cloaks):
            bank = cloak._pattern_bank(labels, shape).patterns
            alike = images @ _unit(bank.reshape(-1, images.shape[1])).T
            scores[rows, :, b] = alike.reshape(len(rows), *bank.shape[:2]).max(axis=2)
    return scores


def learned_scores(patterns: np.ndarray, levels: Sequence[np.ndarray], cut: float, decoys: int) -> np.ndarray:
    """How much of each class's learned pattern each image holds; shifted and negated patterns are the decoys.

    Args:
        patterns: Levels [classes, height, width, channels].
        levels: The images.
        cut: Levels at which edges are cut off.
        decoys: How many.

    Returns:
        Float [images, classes, 1 + decoys], 1 where all of the pattern is there.
    """
    moves = [(i, j, sign) for i in range(patterns.shape[1]) for j in range(patterns.shape[2]) for sign in (1, -1)]
    moves = [moves[i] for i in np.unique(np.linspace(1, len(moves) - 1, decoys).astype(int))]
    scores = np.zeros((len(levels), len(patterns), 1 + len(moves)), np.float32)
    for rows in _grouped([one.shape[2] for one in levels]):
        bank = patterns.astype(np.float32)
        bank = bank if levels[rows[0]].shape[2] == bank.shape[3] else bank.mean(axis=3, keepdims=True)
        images: list[np.ndarray] = []
        whole: dict[tuple[int, ...], np.ndarray] = {}
        for i in rows:
            shape = levels[i].shape
            down, right = (np.arange(n) * m // n for n, m in zip(shape[:2], bank.shape[1:3], strict=True))
            if shape not in whole:
                whole[shape] = (high_pass(bank[:, down][:, :, right]) ** 2).sum(axis=(1, 2, 3)) + 1e-6
            images.append(_seen(levels[i], cut, down, right, bank.shape[1:3]))
        flat = np.stack(images)
        energy = np.stack([whole[levels[i].shape] for i in rows])
        for b, (down, right, sign) in enumerate([(0, 0, 1), *moves]):
            scores[rows, :, b] = sign * flat @ np.roll(bank, (down, right), (1, 2)).reshape(len(bank), -1).T / energy
    return scores


def _grouped(kinds: Sequence[Any]) -> list[list[int]]:
    """The positions of each kind."""
    groups: dict[Any, list[int]] = {}
    for i, kind in enumerate(kinds):
        groups.setdefault(kind, []).append(i)
    return list(groups.values())


def _unit(rows: np.ndarray) -> np.ndarray:
    """Each row at length 1, float32."""
    return (rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)).astype(np.float32)


def _seen(
    levels: np.ndarray, cut: float, rows: np.ndarray, columns: np.ndarray, size: Sequence[int], step: int = 1
) -> np.ndarray:
    """An image as patterns meet it: high-passed, cut off, high-passed, summed over what shows the same entry."""
    image = high_pass(high_pass(levels, step).clip(-cut, cut), step)
    down, right = (np.eye(n, dtype=np.float32)[place] for n, place in zip(size, (rows, columns), strict=True))
    return np.einsum("hwc,hp,wq->pqc", image, down, right, optimize=True).reshape(-1)


def high_pass(levels: np.ndarray, distance: int = 1) -> np.ndarray:
    """Every pixel minus the mean of its four neighbours; beyond the border stands what stands within.

    Args:
        levels: Any numbers [..., height, width, channels].
        distance: Of the neighbours, in pixels.
    """
    x = levels.astype(np.float32)
    mean = np.zeros_like(x)
    for axis in (-3, -2):
        places = np.arange(x.shape[axis])
        for step in (-distance, distance):
            moved = places + step
            inside = (moved >= 0) & (moved < len(places))
            mean += np.take(x, np.where(inside, moved, places), axis) / 4
    return x - mean


def _ring_high_pass(tiles: np.ndarray) -> np.ndarray:
    """As `high_pass`, of tiles [..., height, width, channels] that repeat."""
    return tiles - sum(np.roll(tiles, step, axis) for axis in (-3, -2) for step in (-1, 1)) / 4


def _spectrum(levels: np.ndarray) -> np.ndarray:
    """The logarithm of an image's power, averaged over windows and channels, flat."""
    height, width = (min(_WINDOW, n) for n in levels.shape[:2])
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])[:, :, None]
    power = np.zeros((_WINDOW, _WINDOW // 2 + 1))
    for top in range(0, levels.shape[0] - height + 1, height):
        for left in range(0, levels.shape[1] - width + 1, width):
            part = levels[top : top + height, left : left + width].astype(np.float64)
            part = (part - part.mean(axis=(0, 1))) * window
            power += (np.abs(np.fft.rfft2(part, (_WINDOW, _WINDOW), axes=(0, 1))) ** 2).sum(axis=2)
    return np.log(power + 1).reshape(-1)


def _kernel_spectrum(kernel: np.ndarray, dilation: int) -> np.ndarray:
    """The logarithm of what a kernel does to an image's power, on the frequencies of `_spectrum`."""
    places = np.arange(len(kernel)) * dilation
    frequencies = np.arange(_WINDOW) / _WINDOW
    down = np.exp(-2j * np.pi * np.outer(frequencies, places))
    right = np.exp(-2j * np.pi * np.outer(places, frequencies[: _WINDOW // 2 + 1]))
    return np.log(np.abs(down @ kernel @ right) ** 2 + 1e-3).reshape(-1)
