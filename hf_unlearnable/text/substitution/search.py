"""Which words of a text to replace, and by which: those that lower the loss of an untrained network most."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hf_unlearnable.text.substitution.edits import Edit, words_of
from hf_unlearnable.text.substitution.gradients import Surrogate, best_words
from hf_unlearnable.text.substitution.vectors import WordVectors

_TEXTS = 32  # of the network at a time
_DIGITS = 9  # as for words, see `gradients`


class _Stretch(NamedTuple):
    """What the network reads at a time of a text."""

    text: int
    words: list[str]
    starts: list[int]
    free: list[int]  # numbers of the words that may be replaced


class _Place(NamedTuple):
    """A word that may be replaced."""

    text: int
    word: str
    start: int


@dataclass(frozen=True)
class EditSearch:
    """Finds the edits of texts; what it finds depends on nothing but the text, its class and what stands here.

    Args:
        vectors: Of words.
        surrogate: The network.
        candidates: Words that may be put in.
        owners: The class whose texts each of them may be put in; None for all.
        min_similarity: Least cosine of a word and the one in its place.
        max_length: Words that the network reads at a time.
    """

    vectors: WordVectors
    surrogate: Surrogate
    candidates: Sequence[str]
    owners: np.ndarray | None
    min_similarity: float
    max_length: int

    def __call__(self, texts: Sequence[str], classes: Sequence[int]) -> list[list[Edit]]:
        """The best edit of each place of each text, those first that lower the loss most.

        Args:
            texts: n texts.
            classes: The class of each.
        """
        found: list[list[tuple[float, Edit]]] = [[] for _ in texts]
        candidates, number = self.vectors.of(self.candidates), {word: i for i, word in enumerate(self.candidates)}
        for places, own, gradients in self._read(texts, classes):
            never = np.zeros((len(places), len(candidates)), bool)
            if self.owners is not None:
                never = self.owners != np.array([classes[one.text] for one in places])[:, None]
            for i, one in enumerate(places):
                if one.word.lower() in number:
                    never[i, number[one.word.lower()]] = True
            if self.min_similarity > -1:
                never |= _cosines(own, candidates) < self.min_similarity
            chosen, change = best_words(gradients, own, candidates, never)
            for one, best, value in zip(places, chosen.tolist(), change.tolist(), strict=True):
                if value < np.inf:
                    found[one.text].append((value, (one.start, one.word, self.candidates[best])))
        return [_in_order(edits) for edits in found]

    def pulls(self, texts: Sequence[str], classes: Sequence[int], count: int) -> np.ndarray:
        """By how much each candidate would raise the loss of each class, in all places: [candidates, count].

        Args:
            texts: n texts.
            classes: The class of each, below `count`.
            count: Of the classes.
        """
        total = np.zeros((count, self.vectors.width))
        for places, _, gradients in self._read(texts, classes):
            np.add.at(total, [classes[one.text] for one in places], gradients)
        return self.vectors.of(self.candidates) @ total.T

    def _read(
        self, texts: Sequence[str], classes: Sequence[int]
    ) -> Iterator[tuple[list[_Place], np.ndarray, np.ndarray]]:
        """The places of texts, some at a time, with the vectors of their words and the gradients by these."""
        stretches = [one for i, text in enumerate(texts) for one in self._stretches(i, text)]
        stretches.sort(key=lambda one: len(one.words))  # so that little is padded
        for first in range(0, len(stretches), _TEXTS):
            batch = stretches[first : first + _TEXTS]
            lengths = np.array([len(one.words) for one in batch])
            read = np.zeros((len(batch), lengths[-1], self.vectors.width))
            inside = np.arange(read.shape[1]) < lengths[:, None]
            read[inside] = self.vectors.of([word.lower() for one in batch for word in one.words])
            gradients = self.surrogate.gradients(read, lengths, np.array([classes[one.text] for one in batch]))
            at = [(i, k) for i, one in enumerate(batch) for k in one.free]
            places = [_Place(batch[i].text, batch[i].words[k], batch[i].starts[k]) for i, k in at]
            rows, columns = np.array(at).T
            yield places, read[rows, columns], gradients[rows, columns]

    def _stretches(self, number: int, text: str) -> Iterator[_Stretch]:
        words, starts, free = words_of(text)
        for start in range(0, len(words), self.max_length):
            end = start + self.max_length
            inside = [i - start for i in free[bisect_left(free, start) : bisect_left(free, end)]]
            if inside:
                yield _Stretch(number, words[start:end], starts[start:end], inside)


def words_of_classes(pulls: np.ndarray, count: int) -> list[int]:
    """The numbers of the candidates that lower the loss most, one of each class after the other; ties by number.

    Args:
        pulls: See `EditSearch.pulls`, of all texts.
        count: Words of each class.
    """
    left, chosen = np.round(pulls / (np.abs(pulls).max() + 1e-300), _DIGITS), []
    for _ in range(count):
        for number in range(left.shape[1]):
            chosen.append(int(left[:, number].argmin()))
            left[chosen[-1]] = np.inf
    return chosen


def _in_order(edits: list[tuple[float, Edit]]) -> list[Edit]:
    """By the change of the loss; what is equal but for rounding keeps its order."""
    most = max((abs(change) for change, _ in edits), default=1.0) or 1.0
    return [edit for _, edit in sorted(edits, key=lambda one: round(one[0] / most, _DIGITS))]


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.round(a @ b.T / np.maximum(lengths, 1e-300), _DIGITS)
