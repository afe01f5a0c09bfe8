"""Which words of a text to replace, and by which: those that lower the loss of an untrained network most."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hf_unlearnable.text.edits import Edit, words_of
from hf_unlearnable.text.gradients import Surrogate, best_words
from hf_unlearnable.text.vectors import WordVectors

_TEXTS = 64  # of the network at a time
_CHOICES = 64  # told of a short text, so that texts that differ in a word need not come out alike
_DIGITS = 9  # as for words, see `gradients`


class _Stretch(NamedTuple):
    """What the network reads at a time of a text."""

    text: int
    words: list[str]
    starts: list[int]
    free: list[int]  # numbers of the words that may be replaced


@dataclass(frozen=True)
class EditSearch:
    """Finds the edits of texts; what it finds depends on nothing but the text, its class and what stands here.

    Args:
        vectors: Of words.
        candidates: Words that may be put in.
        surrogate: The network.
        min_similarity: Least cosine of a word and the one in its place.
        max_length: Words that the network reads at a time.
    """

    vectors: WordVectors
    candidates: Sequence[str]
    surrogate: Surrogate
    min_similarity: float
    max_length: int

    def __call__(self, texts: Sequence[str], classes: Sequence[int]) -> list[list[Edit]]:
        """The edits that lower each text's loss, the best first.

        Args:
            texts: n texts.
            classes: The class of each.
        """
        found: list[list[tuple[float, Edit]]] = [[] for _ in texts]
        stretches = [one for i, text in enumerate(texts) for one in self._stretches(i, text)]
        stretches.sort(key=lambda one: len(one.words))  # so that little is padded
        number = {word: i for i, word in enumerate(self.candidates)}
        vectors = self.vectors.of(self.candidates)
        for start in range(0, len(stretches), _TEXTS):
            batch = stretches[start : start + _TEXTS]
            read = np.zeros((len(batch), len(batch[-1].words), vectors.shape[1]))
            for one, own in zip(batch, read, strict=True):
                own[: len(one.words)] = self.vectors.of([word.lower() for word in one.words])
            lengths = np.array([len(one.words) for one in batch])
            gradients = self.surrogate.gradients(read, lengths, np.array([classes[one.text] for one in batch]))
            for one, gradient, own in zip(batch, gradients, read, strict=True):
                found[one.text] += self._ranked(one, gradient[one.free], own[one.free], vectors, number)
        return [_in_order(edits) for edits in found]

    def _stretches(self, number: int, text: str) -> Iterator[_Stretch]:
        words, starts, free = words_of(text)
        for start in range(0, len(words), self.max_length):
            end = start + self.max_length
            inside = [i - start for i in free[bisect_left(free, start) : bisect_left(free, end)]]
            if inside:
                yield _Stretch(number, words[start:end], starts[start:end], inside)

    def _ranked(
        self, one: _Stretch, gradient: np.ndarray, own: np.ndarray, candidates: np.ndarray, number: dict[str, int]
    ) -> list[tuple[float, Edit]]:
        """The edits of a stretch, each with the change of the loss.

        Args:
            one: The stretch.
            gradient: By the vectors of its words that may be replaced [n, width].
            own: These vectors.
            candidates: Those of the candidates [candidates, width].
            number: Of each candidate.
        """
        never = np.zeros((len(own), len(candidates)), bool)
        if self.min_similarity > -1:
            never = _cosines(own, candidates) < self.min_similarity
        words = [one.words[i] for i in one.free]
        for i, word in enumerate(words):
            if word.lower() in number:
                never[i, number[word.lower()]] = True
        count = min(-(-_CHOICES // len(words)), len(candidates))
        chosen, change = best_words(gradient, own, candidates, never, count)
        return [
            (float(change[i, k]), (one.starts[one.free[i]], word, self.candidates[chosen[i, k]]))
            for i, word in enumerate(words)
            for k in range(count)
            if np.isfinite(change[i, k])
        ]


def _in_order(edits: list[tuple[float, Edit]]) -> list[Edit]:
    """By the change of the loss; what is equal but for rounding keeps its order."""
    most = max((abs(change) for change, _ in edits), default=1.0) or 1.0
    return [edit for _, edit in sorted(edits, key=lambda one: round(one[0] / most, _DIGITS))]


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.round(a @ b.T / np.maximum(lengths, 1e-300), _DIGITS)
