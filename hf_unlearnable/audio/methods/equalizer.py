"""An equaliser for each class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.audio.base import FilterTransform
from hf_unlearnable.audio.codec import Recording
from hf_unlearnable.audio.filters import LowBand, frequencies, mel, padded, symmetric_filter
from hf_unlearnable.key import Key, draw, draws
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.validation import check_labels

LOWEST, HIGHEST = 100.0, 3950.0  # Hz: where speech is, and what a telephone still carries
_SLOTS = 10  # that the band is divided into; more if there are more classes than combinations of these
_HALF = 0.032  # seconds on each side of the filter's middle: steeper edges would ring longer
_RIPPLE = 32  # bands up to 4 kHz that are raised or lowered at random, so that no two keys sound alike
_FADE = 0.01  # seconds in which one state passes into the next
_ORDER_DRAW, _PHASE_DRAW = 1 << 32, 1 << 33


@dataclass(kw_only=True, repr=False, eq=False)
class EqualizerTransform(FilterTransform):
    """An equaliser for each class, which moves: bands of frequencies are turned down in turn in its recordings.

    Idea:
        A model that trains on spectrograms finds first what is sharp and the same in all recordings of a class. Here
        that is a slot in the spectrum, about 180 mel wide, which hops between places that are drawn for the class. It
        is somewhere in every frame, so neither shifts nor crops take it away. A slot that stayed where it is would be
        a constant of each recording, which cepstral mean normalisation takes out. A moving one is a rhythm in time,
        which it leaves. It stays at a place for longer than the windows of tools that change sounds, which would fill
        a shorter gap from both sides. Where in the rhythm a recording begins is drawn for it. The slots lie in the
        band that a telephone carries, which low-passes leave. They are equally wide on the mel scale, as in the
        spectrograms that models see. A ripple over the rest is hardly heard, and tells one key from another.

    Paper:
        None: it is ours. A filter for each class is the idea of CUDA (arXiv:2303.04278).

        For class c with the responses H_1 ... H_hops, and a phase that is drawn for each recording:

            x' = sum_k w_k(t + phase) (h_k * x),   sum_k w_k = 1,   w_k = 1 while it is k's turn

    Args:
        depth: Decibels by which a class's slots are turned down, at least 0; 0 changes nothing.
        width: Share of a slot that is turned down, at most 1. Narrower ones are heard less, and hold models back less.
        ripple: Decibels by which the rest is raised or lowered.
        hops: Places that a slot goes through in turn; 1 for one that stays: it is heard less and easier to undo.
        dwell: Seconds that it stays at each. Shorter ones are heard less; tools such as `pitch-shift` fill them.

    Secret:
        The seed, and with it which slots are whose. Mean spectra of the classes give much of that away.

    Cost:
        Nothing to fit but the labels; `hops` + 1 Fourier transforms per window to apply. From 22 kHz on they are taken
        of the lower frequencies alone.

    Breaks:
        A network on the wave, most of all. What fills gaps: noise in training, codecs of low bit rates, a closing of
        the spectrogram along time (`gap-repair-200`). Where turns are shorter than 60 ms, random pitch does too
        (`pitch-shift`). Statistics of MFCC are held back in part only. A model that hears what lies above 4 kHz has
        that to learn from. Class means of spectra show the slots. With `hops=1` cepstral mean normalisation takes all
        of it away. Figures: docs/results/recordings.md.

    Prefer:
        As the first protection of recordings.

    Example:
        cloak = EqualizerTransform(audio_column="audio", label_column="label").fit(ds)
    """

    depth: float = 40.0
    width: float = 0.9
    ripple: float = 0.5
    hops: int = 2
    dwell: float = 0.1

    method: ClassVar[str] = "equalizer"
    method_version: ClassVar[int] = 4  # 2: slots move; 3: at a rate of their own; 4: they stay three times as long
    reads_versions: ClassVar[tuple[int, ...]] = (3,)
    differs_by_row: ClassVar[bool] = True
    strength_parameter: ClassVar[str] = "depth"
    adaptive_attacks: ClassVar[tuple[str, ...]] = (
        "pitch-shift", "gap-repair", "gap-repair-200", "random-hops", "notch-repair", "spectral-whitening",
        "class-spectrum-inversion", "random-equaliser", "random-notches",
    )  # fmt: skip
    _known = None  # the classes, once fitted

    # ------------------------------------------------------------------ what fit learns
    def fit(self, dataset: Any) -> EqualizerTransform:
        """Learns which classes there are, and draws the key.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._check_parameters()
        self._known = self._labels(dataset)
        self.__dict__.pop("_filters", None)
        self._seed = None
        self._resolved_seed()
        return self

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        known = self._fitted(self._known)
        return {"labels": known, "slots": self._slots(len(known))}, {}

    def _slots(self, classes: int) -> list[list[list[int]]]:
        """Of each class, state by state."""
        return [[list(state) for state in states] for states in slots_of(classes, self.hops, self._resolved_seed())[1]]

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._known = state["labels"]

    def _check_state(self, key: Key) -> None:
        check_labels(key.state["labels"], least=2)
        if key.state["slots"] != self._slots(len(key.state["labels"])):
            raise ValueError("its slots are not those that its seed draws for its classes")

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.depth <= 80:
            raise ValueError(f"depth is {self.depth}. Give decibels, from 0 to 80, such as 24.")
        if not 0.1 <= self.width <= 1:
            raise ValueError(f"width is {self.width}, but it is a share of a slot: give 0.1 to 1, such as 0.9.")
        if not 0 <= self.ripple <= 20:
            raise ValueError(f"ripple is {self.ripple}. Give decibels, from 0 to 20, such as 0.5.")
        if not 1 <= self.hops <= 5:
            raise ValueError(f"hops is {self.hops}. Give a number of places, from 1 to 5, such as 2.")
        if not 2 * _FADE <= self.dwell <= 10:
            raise ValueError(f"dwell is {self.dwell}. Give seconds, from {2 * _FADE:g} to 10, such as 0.1.")

    # ------------------------------------------------------------------ the filters
    def _taps(self, label: Any, rate: int) -> np.ndarray:
        """What the states of a class do beside `_top`, at the rate of the band that holds the slots."""
        low = rate / slowed(rate)
        half = 8 * round(_HALF * low / 8)
        levels = self._states(label, frequencies(low, half), rate)
        return np.stack([symmetric_filter(10 ** (state / 20) - self._top(label, rate), half) for state in levels])

    def _top(self, label: Any, rate: int) -> float:
        """The factor of all that lies above the slots, where these are changed at a rate of their own, else 0."""
        return float(10 ** (self._states(label, np.array([rate / 2]), rate)[0, 0] / 20)) if slowed(rate) > 1 else 0.0

    def _decibels(self, label: Any, hertz: np.ndarray, rate: int) -> np.ndarray:
        return self._states(label, hertz, rate).mean(axis=0)

    def _states(self, label: Any, hertz: np.ndarray, rate: int) -> np.ndarray:
        """What is done to frequencies in each state of a class, in decibels [hops, frequencies]."""
        known = self._fitted(self._known)
        if label not in known:
            raise ValueError(
                f"The class {label!r} was not there when the key was made: it has no slot. Make a key of all classes."
            )
        highest = min(HIGHEST, 0.495 * rate)  # a recording of a lower rate has the same slots, closer together
        scale = (mel(hertz) - mel(LOWEST)) / (mel(highest) - mel(LOWEST))
        slots, own = slots_of(len(known), self.hops, self._resolved_seed())
        place = scale * slots
        inside = abs(place % 1 - 0.5) < self.width / 2
        taken = [np.isin(np.floor(place), state) & inside for state in own[known.index(label)]]
        stream = class_stream(label, self._resolved_seed())
        signs = draws(np.full(_RIPPLE, stream, np.uint64), np.arange(_RIPPLE, dtype=np.uint64))
        band = np.clip((mel(hertz) / mel(4000) * _RIPPLE).astype(int), 0, _RIPPLE - 1)
        return np.where(taken, -self.depth, np.where(signs >> np.uint64(63), self.ripple, -self.ripple)[band])

    def _cloak(self, recording: Recording, label: Any, stream: int) -> Iterator[np.ndarray]:
        rate = recording.format.rate
        step = slowed(rate)
        change, moves = self._filter(label, rate), rhythm(self.hops, self.dwell, rate / step)
        first = int(draw(stream, _PHASE_DRAW) * 2.0**-64 * moves.round)
        if step == 1:
            for frames, window in padded(recording.blocks(), change.half, change.step):
                yield moves.mixed(change(window), first)[:, :frames].T
                first += frames
            return
        band, top = low_band(step), self._top(label, rate)
        reach = (2 * band.EDGE + change.half) * step
        for frames, window in padded(recording.blocks(), reach, band.unit):
            low = band.down(window, change.step, change.half)
            made = band.up(moves.mixed(change(low), first - band.EDGE), frames)
            middle = window[:, reach : reach + frames]
            middle *= top
            middle += made
            yield middle.T
            first += frames // step


def slowed(rate: int) -> int:
    """By what the rate is divided for the band that holds the slots: a power of two, 11 kHz or more are left."""
    return 1 << min(4, max(1, rate // 11_000).bit_length() - 1)


class Rhythm:
    """How states follow one another: each counts alone in its turn, and partly where one passes into the next.

    Args:
        hops: States, each of which has one turn.
        dwell: Seconds of a turn.
        rate: Frames per second.

    Attributes:
        round: Frames of all turns.
        weights: How much each state counts in each frame of a round, float64 [hops, round], of sum 1.
    """

    def __init__(self, hops: int, dwell: float, rate: float):
        turn = max(1, round(dwell * rate))
        self.round = hops * turn
        away = np.abs(np.arange(self.round) / turn - np.arange(hops)[:, None])
        passing = (np.minimum(away, hops - away) - 0.5) * 2 * dwell / _FADE  # -1 to 1: it comes or goes
        self.weights = 0.5 - 0.5 * np.sin(np.pi / 2 * np.clip(passing, -1, 1)) if hops > 1 else np.ones((1, turn))
        self._long = self.weights

    def mixed(self, states: np.ndarray, first: int) -> np.ndarray:
        """The states, one after the other.

        Args:
            states: float64 [hops, channels, windows, frames].
            first: When in the rhythm the first frame is.

        Returns:
            float64 [channels, windows * frames].
        """
        hops, channels, *shape = states.shape
        frames, start = shape[0] * shape[1], first % self.round
        if start + frames > self._long.shape[1]:
            self._long = np.tile(self.weights, -(-(self.round + frames) // self.round))
        shares = self._long[:, start : start + frames].reshape(hops, *shape)
        mixed = states[0] * shares[0]
        for state, share in zip(states[1:], shares[1:], strict=True):
            mixed += state * share
        return mixed.reshape(channels, frames)


low_band = lru_cache(maxsize=8)(LowBand)
rhythm = lru_cache(maxsize=8)(Rhythm)


@lru_cache(maxsize=64)
def slots_of(classes: int, hops: int, seed: int) -> tuple[int, list[tuple[tuple[int, ...], ...]]]:
    """How many slots the band has, and which of them are turned down for each class: no two have the same.

    Up to 45 classes have one slot per state, of ten, if there are two states; more of them have two or three. No slot
    is used much more than the others.

    Args:
        classes: How many.
        hops: States of each.
        seed: Of the key.

    Returns:
        The number of slots, and for each class the slots of each state.
    """
    slots = _SLOTS
    while not (size := next((n for n in range(1, slots // hops) if comb(slots, n * hops) >= classes), 0)):
        slots += 1
    choices = np.array(list(combinations(range(slots), size * hops)))
    drawn = draws(np.full(len(choices), seed, np.uint64), np.arange(len(choices), dtype=np.uint64) + _ORDER_DRAW)
    choices = choices[np.argsort(drawn, kind="stable")]
    holds = (choices[:, :, None] == np.arange(slots)).any(axis=1)
    used, taken = np.zeros(slots, int), np.zeros(len(choices), bool)
    own = []
    for _ in range(classes):
        least = np.where(taken, np.iinfo(int).max, holds @ used).argmin()  # the first of these
        used, taken[least] = used + holds[least], True
        own.append(tuple(tuple(choices[least, state::hops].tolist()) for state in range(hops)))
    return slots, own
