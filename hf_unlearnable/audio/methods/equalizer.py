"""An equaliser for each class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.audio.base import FilterTransform
from hf_unlearnable.audio.filters import frequencies, mel, symmetric_filter
from hf_unlearnable.key import Key, draws
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.validation import check_labels

LOWEST, HIGHEST = 100.0, 3950.0  # Hz: where speech is, and what a telephone still carries
_SLOTS = 10  # that the band is divided into; more if there are more classes than combinations of these
_FILLED = 0.9  # share of a slot that is taken out
_HALF = 0.032  # seconds on each side of the filter's middle: steeper edges would ring longer
_RIPPLE = 32  # bands up to 4 kHz that are raised or lowered at random, so that no two keys sound alike
_ORDER_DRAW = 1 << 32


@dataclass(kw_only=True, repr=False, eq=False)
class EqualizerTransform(FilterTransform):
    """An equaliser for each class: a band of frequencies is turned down in all of its recordings.

    Idea:
        A model that trains on spectrograms finds first what is sharp and the same in all recordings of a class. Here
        that is a slot in the spectrum, 190 mel wide, which is drawn for the class. It is there in every frame, so
        neither shifts nor crops take it away. It lies in the band that a telephone carries, as codecs and low-passes
        leave that band; what they leave of the slot was not measured. Slots are equally wide on the mel scale, as in
        the spectrograms that models see. A ripple of a decibel over the rest is hardly heard, and tells one key from
        another.

    Paper:
        None: it is ours. A filter for each class is the idea of CUDA (arXiv:2303.04278).

    Args:
        depth: Decibels by which a class's slots are turned down, at least 0; 0 changes nothing.
        ripple: Decibels by which the rest is raised or lowered.

    Secret:
        The seed, and with it which slots are whose. Mean spectra of the classes give much of that away.

    Cost:
        Nothing to fit but the labels; one Fourier transform per block to apply.

    Breaks:
        What levels spectra: recordings whitened each, class means of spectra inverted, cepstral mean normalisation of
        long recordings, random equalisers or notches in training. A model that hears what lies above 4 kHz has that to
        learn from. Class means of spectra show the slots.

    Prefer:
        As the first protection of recordings.

    Example:
        cloak = EqualizerTransform(audio_column="audio", label_column="label").fit(ds)
    """

    depth: float = 24.0
    ripple: float = 1.0

    method: ClassVar[str] = "equalizer"
    strength_parameter: ClassVar[str] = "depth"
    adaptive_attacks: ClassVar[tuple[str, ...]] = (
        "notch-repair", "spectral-whitening", "class-spectrum-inversion", "random-equaliser", "random-notches",
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
        _, own = slots_of(len(known), self._resolved_seed())
        return {"labels": known, "slots": [list(slots) for slots in own]}, {}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._known = state["labels"]

    def _check_state(self, key: Key) -> None:
        check_labels(key.state["labels"], least=2)
        _, own = slots_of(len(key.state["labels"]), self._resolved_seed())
        if key.state["slots"] != [list(slots) for slots in own]:
            raise ValueError("its slots are not those that its seed draws for its classes")

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.depth <= 80:
            raise ValueError(f"depth is {self.depth}. Give decibels, from 0 to 80, such as 24.")
        if not 0 <= self.ripple <= 20:
            raise ValueError(f"ripple is {self.ripple}. Give decibels, from 0 to 20, such as 1.")

    # ------------------------------------------------------------------ the filter
    def _taps(self, label: Any, rate: int) -> np.ndarray:
        half = round(_HALF * rate)
        return symmetric_filter(10 ** (self._decibels(label, frequencies(rate, half), rate) / 20), half)

    def _decibels(self, label: Any, hertz: np.ndarray, rate: int) -> np.ndarray:
        known = self._fitted(self._known)
        if label not in known:
            raise ValueError(
                f"The class {label!r} was not there when the key was made: it has no slot. Make a key of all classes."
            )
        highest = min(HIGHEST, 0.495 * rate)  # a recording of a lower rate has the same slots, closer together
        scale = (mel(hertz) - mel(LOWEST)) / (mel(highest) - mel(LOWEST))
        slots, own = slots_of(len(known), self._resolved_seed())
        place = scale * slots
        taken = np.isin(np.floor(place), own[known.index(label)]) & (abs(place % 1 - 0.5) < _FILLED / 2)
        stream = class_stream(label, self._resolved_seed())
        signs = draws(np.full(_RIPPLE, stream, np.uint64), np.arange(_RIPPLE, dtype=np.uint64))
        band = np.clip((mel(hertz) / mel(4000) * _RIPPLE).astype(int), 0, _RIPPLE - 1)
        return np.where(taken, -self.depth, np.where(signs >> np.uint64(63), self.ripple, -self.ripple)[band])


@lru_cache(maxsize=64)
def slots_of(classes: int, seed: int) -> tuple[int, list[tuple[int, ...]]]:
    """How many slots the band has, and which of them are turned down for each class: no two have the same.

    Up to ten classes have one slot of ten each, more of them two or three.

    Args:
        classes: How many.
        seed: Of the key.
    """
    slots = _SLOTS
    while comb(slots, slots // 2) < classes:
        slots += 1
    size = next(size for size in range(1, slots) if comb(slots, size) >= classes)
    choices = list(combinations(range(slots), size))
    drawn = draws(np.full(len(choices), seed, np.uint64), np.arange(len(choices), dtype=np.uint64) + _ORDER_DRAW)
    return slots, [choices[i] for i in np.argsort(drawn, kind="stable")[:classes]]
