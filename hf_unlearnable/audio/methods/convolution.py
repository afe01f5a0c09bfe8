"""Convolution-based unlearnable data (CUDA) in sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.audio.base import FilterTransform
from hf_unlearnable.key import draws
from hf_unlearnable.labelled import class_stream


@dataclass(kw_only=True, repr=False, eq=False)
class AudioConvolutionTransform(FilterTransform):
    """Convolution-based unlearnable data (CUDA) in sound: every class is heard through a filter of its own.

    Idea:
        One short filter per class with random weights, drawn with the key. A model learns to tell the filters apart.
        It is the ancestor of the equalizer, which chooses what a filter does where; this one takes it as it comes.

    Paper:
        V. S. Sadasivan, M. Soltanolkotabi, S. Feizi, "CUDA: Convolution-based Unlearnable Datasets", CVPR 2023,
        arXiv:2303.04278, for images.

        For class c:

            w_c ~ U(0, blur)^k on each side, its middle 1;   x' = (w_c * x) / sum(w_c)

    Ours:
        The filter is symmetric, so that nothing is delayed. It is divided by its sum, not by the largest value of each
        recording, so that a block at a time can be filtered. Its weights lie 1/8000 of a second apart at any rate.

    Args:
        blur: Largest weight of a filter's entries beside the middle one, at least 0; 0 changes nothing.
        kernel_size: Entries on each side of the middle.

    Secret:
        The seed, and with it the filters.

    Cost:
        Nothing to fit; two Fourier transforms per window to apply.

    Breaks:
        All that breaks the equalizer: a spectrum that is flattened per recording, random equalisers in training. On
        spoken digits 8 weights of up to 0.3 left a log-mel network at 94 % of 99.7.

    Prefer:
        As a baseline, beside `equalizer`.

    Example:
        cloak = AudioConvolutionTransform(audio_column="audio", label_column="label").fit(ds)
    """

    blur: float = 0.3
    kernel_size: int = 16

    method: ClassVar[str] = "audio-convolution"
    method_version: ClassVar[int] = 2  # 2: filtered in shorter windows; `fraction` draws by another hash
    strength_parameter: ClassVar[str] = "blur"
    is_baseline: ClassVar[bool] = True
    adaptive_attacks: ClassVar[tuple[str, ...]] = (
        "spectral-whitening", "class-spectrum-inversion", "random-equaliser",
    )  # fmt: skip

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.blur <= 1:
            raise ValueError(f"blur is {self.blur}, but it is the largest weight of a neighbour: give 0 to 1.")
        if not 1 <= self.kernel_size <= 1000:
            raise ValueError(f"kernel_size is {self.kernel_size}. Give entries on each side, from 1 to 1000.")

    def _taps(self, label: Any, rate: int) -> np.ndarray:
        return spread(class_weights(class_stream(label, self._resolved_seed()), self.kernel_size, self.blur), rate)

    def _decibels(self, label: Any, hertz: np.ndarray, rate: int) -> np.ndarray:
        taps = self._taps(label, 8000)
        seconds = np.arange(-(len(taps) // 2), len(taps) // 2 + 1) / 8000
        return 20 * np.log10(np.abs(np.cos(2 * np.pi * np.outer(hertz, seconds)) @ taps) + 1e-3)


def class_weights(stream: int, size: int, most: float) -> np.ndarray:
    """Half of a symmetric filter, float64 [1 + size]: 1, and weights that are uniform in [0, most)."""
    drawn = draws(np.full(size, stream, np.uint64), np.arange(size, dtype=np.uint64)) * 2.0**-64
    return np.concatenate([[1.0], most * drawn])


def spread(weights: np.ndarray, rate: int, step: float = 1 / 8000) -> np.ndarray:
    """A symmetric filter of sum 1 whose weights stand `step` seconds apart, a weight between frames on both of them.

    Args:
        weights: From the middle on, float [1 + size].
        rate: Frames per second.
        step: In seconds.
    """
    places = np.arange(len(weights)) * step * rate
    below = places.astype(int)
    side = np.zeros(below[-1] + 2)
    np.add.at(side, below, weights * (1 - (places - below)))
    np.add.at(side, below + 1, weights * (places - below))
    taps = np.concatenate([side[:0:-1], side])
    return taps / taps.sum()
