"""Codes in sentences: which carriers go to the start of a sentence and which to its end, in columns and one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable.text.carriers import PhraseCanonical
from hf_unlearnable.text.codes import sizes_of
from hf_unlearnable.text.insertion.columns import TextColumn
from hf_unlearnable.text.insertion.sentences import SentenceColumn
from hf_unlearnable.text.insertion.spread import ColumnTransform, Pools

if TYPE_CHECKING:
    from hf_unlearnable.text.insertion.words import Canonical

_FEW = 64  # texts that are planned one by one in less time than a column takes to begin with


class SentenceTransform(ColumnTransform):
    """Base class of protections that put each code of a text into a sentence of its own."""

    _canonical_type: ClassVar[type[Canonical]] = PhraseCanonical
    _column_type: ClassVar[type[TextColumn]] = SentenceColumn

    # ------------------------------------------------------------------ for subclasses
    def _drawn(
        self, words: np.ndarray, lengths: np.ndarray, streams: np.ndarray, parts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the streams say of n texts: how many codes each gets, and of all these which code and at which offset.

        Args:
            words: Of each text, int64 [n].
            lengths: Of the texts, in letters, int64 [n].
            streams: The random stream of each one's row, uint64 [n].
            parts: Which text of its row each one is, int64 [n].
        """
        raise NotImplementedError

    def _sides_of(self, own: Any) -> list[tuple[list[str], list[str]]]:
        """For each code of a label the carriers at the start of a sentence, and those at its end."""
        raise NotImplementedError

    # ------------------------------------------------------------------ one by one
    def _planned(
        self, texts: Sequence[Any], chosen: Sequence[Any], streams: np.ndarray, parts: np.ndarray
    ) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
        told = self._planned_in_column(texts, chosen, streams, parts) if len(texts) >= _FEW else {}
        rest = [i for i in range(len(texts)) if i not in told]
        alone = self._planned_alone([texts[i] for i in rest], [chosen[i] for i in rest], streams[rest], parts[rest])
        for i in range(len(texts)):
            yield told[i] if i in told else next(alone)

    def _planned_alone(
        self, texts: Sequence[PhraseCanonical], chosen: Sequence[Any], streams: np.ndarray, parts: np.ndarray
    ) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
        """`_planned`, text by text."""
        words_of, lengths = sizes_of(texts)
        doses, sets, offsets = self._drawn(words_of, lengths, streams, parts)
        which, at = sets.tolist(), offsets.tolist()
        sides_of: dict[int, list[tuple[list[str], list[str]]]] = {}
        stop = 0
        for text, own, dose in zip(texts, chosen, doses.tolist(), strict=True):
            start, stop = stop, stop + dose
            by_code = sides_of.get(id(own)) or sides_of.setdefault(id(own), self._sides_of(own))
            # What comes first is learned first.
            sentences = text.ends_of_sentences([0, *at[start + 1 : stop]])
            found = text.in_order([place for ends in sentences for place in ends])
            places, words = [], []
            for code, front, end in zip(which[start:stop], found[::2], found[1::2], strict=False):
                early, late = by_code[code]
                places += [front] * len(early) + [end] * len(late)
                words += early + late
            yield places, words

    def _planned_in_column(
        self, texts: Sequence[PhraseCanonical], chosen: Sequence[Any], streams: np.ndarray, parts: np.ndarray
    ) -> dict[int, tuple[Sequence[int], Sequence[str]]]:
        """`_planned` of those texts that a column tells, by their numbers."""
        import pyarrow as pa

        try:
            column = SentenceColumn(pa.array([text.text for text in texts], pa.large_string()), ())
        except UnicodeEncodeError:  # half of a surrogate pair, which a `str` may hold
            return {}
        known = np.array([not (text.in_spans or text.spaceless) for text in texts])
        known[column.odd] = False
        at = np.flatnonzero(known)
        if not len(at):
            return {}
        pools = Pools.of(chosen, self._pool)
        of, places, which, left = self._placed(column, at, streams, pools, parts)
        letters, words = column.letters_at(of, places).tolist(), [pools.words[i] for i in which.tolist()]
        stops = np.searchsorted(of, at, "right").tolist()
        starts = [0, *stops[:-1]]
        alone = set(left)
        told = zip(at.tolist(), starts, stops, strict=True)
        return {i: (letters[a:b], words[a:b]) for i, a, b in told if i not in alone}

    # ------------------------------------------------------------------ a column
    def _in_columns(self) -> bool:
        return True

    def _placed(
        self, column: Any, at: np.ndarray, streams: np.ndarray, pools: Pools, parts: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[int]]:
        parts = np.zeros(len(streams), np.int64) if parts is None else parts
        doses, sets, offsets = self._drawn(column.words[at], column.letters[at], streams[at], parts[at])
        begin = np.cumsum(doses) - doses
        offsets[begin] = 0  # what comes first is learned first
        of, fronts, ends = column.places_in_sentences(np.repeat(at, doses), offsets)
        # The sentences of a text take its codes in their order: there may be fewer of them.
        number = np.arange(len(of)) - np.searchsorted(of, of)
        code = sets[begin[np.searchsorted(at, of)] + number]
        numbered = [self._numbered(own, start) for own, start in zip(pools.chosen, pools.starts.tolist(), strict=True)]
        front_of, words_of = (np.array(each) for each in zip(*numbered, strict=True))
        own = pools.number[of]
        is_front, words = front_of[own, code], words_of[own, code]
        places = np.where(is_front, fronts[:, None], ends[:, None])
        left = at[column.left[at]].tolist()
        return np.repeat(of, words.shape[1]), places.ravel(), words.ravel(), left

    def _numbered(self, own: Any, start: int) -> tuple[list[list[bool]], list[list[int]]]:
        """For each code of a label which carriers stand at the start of a sentence, and their numbers in its pool."""
        pool, codes = list(self._pool(own)), self._sides_of(own)
        return (
            [[True] * len(early) + [False] * len(late) for early, late in codes],
            [[start + pool.index(carrier) for carrier in early + late] for early, late in codes],
        )
