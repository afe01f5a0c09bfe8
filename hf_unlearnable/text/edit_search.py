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

_TEXTS = 32  # of the network at a time
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

    def __call__(self, texts: Sequence[str], classes: Sequence[int], count: int = 1) -> list[list[Edit]]:
        """The edits that lower each text's loss, the best first.

        Args:
            texts: n texts.
            classes: The class of each.
            count: How many words to tell for each place.
        """
        found: list[list[tuple[float, Edit]]] = [[] for _ in texts]
        stretches = [one for i, text in enumerate(texts) for one in self._stretches(i, text)]
        stretches.sort(key=lambda one: len(one.words))  # so that little is padded
        candidates, number = self.vectors.of(self.candidates), {word: i for i, word in enumerate(self.candidates)}
        for start in range(0, len(stretches), _TEXTS):
            batch = stretches[start : start + _TEXTS]
            read = np.zeros((len(batch), len(batch[-1].words), candidates.shape[1]))
            lengths = np.array([len(one.words) for one in batch])
            inside = np.arange(read.shape[1]) < lengths[:, None]
            read[inside] = self.vectors.of([word.lower() for one in batch for word in one.words])
            gradients = self.surrogate.gradients(read, lengths, np.array([classes[one.text] for one in batch]))
            rows = [i for i, one in enumerate(batch) for _ in one.free]
            places = [place for one in batch for place in one.free]
            own, words = read[rows, places], [batch[i].words[place] for i, place in zip(rows, places, strict=True)]
            never = self._never(own, [number.get(word.lower()) for word in words], candidates)
            chosen, change = best_words(
                gradients[rows, places], own, candidates, never, min(count, len(self.candidates))
            )
            for i, place, word, numbers, by in zip(rows, places, words, chosen.tolist(), change.tolist(), strict=True):
                one = batch[i]
                found[one.text] += [
                    (value, (one.starts[place], word, self.candidates[number]))
                    for number, value in zip(numbers, by, strict=True)
                    if value < np.inf
                ]
        return [_in_order(edits) for edits in found]

    def _never(self, own: np.ndarray, numbers: Sequence[int | None], candidates: np.ndarray) -> np.ndarray:
        """Which candidate may not stand in for which word: itself, and those that are not alike; [words, candidates].

        Args:
            own: The vectors of the words [words, width].
            numbers: Which candidate each word is, if any.
            candidates: The vectors of the candidates [candidates, width].
        """
        never = np.zeros((len(own), len(candidates)), bool)
        if self.min_similarity > -1:
            never = _cosines(own, candidates) < self.min_similarity
        itself = [i for i, number in enumerate(numbers) if number is not None]
        never[itself, [numbers[i] for i in itself]] = True
        return never

    def _stretches(self, number: int, text: str) -> Iterator[_Stretch]:
        words, starts, free = words_of(text)
        for start in range(0, len(words), self.max_length):
            end = start + self.max_length
            inside = [i - start for i in free[bisect_left(free, start) : bisect_left(free, end)]]
            if inside:
                yield _Stretch(number, words[start:end], starts[start:end], inside)


def _in_order(edits: list[tuple[float, Edit]]) -> list[Edit]:
    """By the change of the loss; what is equal but for rounding keeps its order."""
    most = max((abs(change) for change, _ in edits), default=1.0) or 1.0
    return [edit for _, edit in sorted(edits, key=lambda one: round(one[0] / most, _DIGITS))]


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.round(a @ b.T / np.maximum(lengths, 1e-300), _DIGITS)
