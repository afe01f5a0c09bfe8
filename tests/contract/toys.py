"""Two methods as a third party would write them, with the documented hooks and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.bounded import BoundedImageTransform, add_levels
from hf_unlearnable.image.learning.noise import fitted_to
from hf_unlearnable.image.trace import Bank, stretched
from hf_unlearnable.key import draws
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.text.base import TextTransform


@dataclass(kw_only=True, repr=False, eq=False)
class LastWordTransform(TextTransform):
    """Ends every text with one of its class's words, drawn for each row.

    Args:
        rate: 0 changes nothing, anything else puts one word.
        words_per_class: How many words a class has; of one word, nothing tells which seed put it there.

    Breaks:
        Cutting the last word off every text.
    """

    words_per_class: int = 8

    method: ClassVar[str] = "last-word"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("label-word-filter",)

    def _chosen_words(self, counts, labels):
        count = self.words_per_class * len(labels)
        drawn = draws(np.full(count, self._resolved_seed(), np.uint64), np.arange(count, dtype=np.uint64))
        words = [f"zq{value:016x}" for value in drawn.tolist()]
        return {label: words[i :: len(labels)] for i, label in enumerate(labels)}

    def _planned(self, texts, chosen, streams, parts):
        drawn = draws(streams, parts.astype(np.uint64))
        for text, pool, number in zip(texts, chosen, drawn.tolist(), strict=True):
            yield [len(text.text)], [pool[number % len(pool)]]


@dataclass(kw_only=True, repr=False, eq=False)
class QuiltTransform(BoundedImageTransform):
    """Adds the same 8 x 8 black and white patches to every image of a class.

    Breaks:
        Subtracting the mean image of each class.
    """

    method: ClassVar[str] = "quilt"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("class-mean-subtraction",)
    differs_by_row: ClassVar[bool] = False

    def _patches(self, label: Any) -> np.ndarray:
        bits = draws(
            np.full(64, class_stream(label, self._resolved_seed()), np.uint64), np.arange(64, dtype=np.uint64)
        )
        return np.where(bits >> np.uint64(63), self.max_levels, -self.max_levels).reshape(8, 8, 1)

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        return add_levels(levels, fitted_to(self._patches(label), levels.shape))

    def _pattern_bank(self, labels: Sequence[Any], shape: tuple[int, ...]) -> Bank:
        return stretched([self._patches(label) for label in labels], shape[2], self.max_levels)
