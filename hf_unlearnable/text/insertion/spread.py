"""Words spread over a text: where every inserted word goes, and what it is chosen by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from hf_unlearnable.key import draws, row_streams
from hf_unlearnable.rows import Batch
from hf_unlearnable.text.base import TextTransform
from hf_unlearnable.text.insertion.batch import BatchTexts
from hf_unlearnable.text.insertion.columns import TextColumn
from hf_unlearnable.text.insertion.editing import Edit
from hf_unlearnable.text.insertion.words import Canonical, spans_in_words
from hf_unlearnable.transform import _FRACTION_DRAW

if TYPE_CHECKING:
    import pyarrow as pa

_FEW = 64  # texts that are done one by one in less time than a column takes to begin with
_BYTES = 1 << 19  # of text that are done at once: what stays in the caches


def spread(
    doses: np.ndarray, streams: np.ndarray, parts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For every word to insert one offset, each in a stretch of its text of its own, and 32 bits to choose it by.

    Stretches keep the words in whatever part of a long text a model reads.

    Args:
        doses: How many words each of n texts gets, int64 [n].
        streams: The random stream of each text's row, uint64 [n].
        parts: Which text of its row each one is, int64 [n].
        lengths: Of the texts, in characters, int64 [n].

    Returns:
        Offsets in the texts, ascending in each, int64, and numbers below 2^32, uint64, both [sum of doses].
    """
    number = np.arange(doses.sum()) - np.repeat(np.cumsum(doses) - doses, doses)
    bits = draws(np.repeat(streams, doses), (number + np.repeat(parts << 32, doses)).astype(np.uint64))
    stretch = np.repeat(lengths / np.maximum(doses, 1), doses)
    offsets = (number + (bits >> np.uint64(32)) * 2.0**-32) * stretch
    return offsets.astype(np.int64), bits & np.uint64(0xFFFFFFFF)


class ColumnTransform(TextTransform):
    """Base class of protections that change a column of texts at once.

    What the words of a text are and where they go is the same as text by text (`_planned`), byte for byte. A text
    that a subclass cannot place words in together with others is changed one by one.
    """

    _column_type: ClassVar[type[TextColumn]] = TextColumn

    def _in_columns(self) -> bool:
        """Whether these parameters are for whole columns."""
        raise NotImplementedError

    def _placed(
        self, column: Any, at: np.ndarray, streams: np.ndarray, pools: Pools
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[int]]:
        """Where words go, and which.

        Args:
            column: All texts, of `_column_type`.
            at: The numbers of those to change, ascending, int64 [k].
            streams: The random stream of each text's row, uint64 [n].
            pools: What may be inserted into each.

        Returns:
            The text of each place; the places, in bytes from the start of the column, ascending; the number of the
            word at each; and the numbers of texts that have to be changed one by one after all, ascending.
        """
        raise NotImplementedError

    def _fits(self, column: Any, i: int, text: Canonical) -> bool:
        """Whether the places of a text that its column does not tell were taken over from its canonical form."""
        return False

    def _edited(self, rows: Batch, restore: bool) -> dict[str, Any]:
        name, *others = self._columns()
        by_column = self._in_columns() and self.rate != 0 and not restore and not others
        array = rows.texts(name) if by_column else None
        if array is None or len(array) < _FEW:
            return super()._edited(rows, restore)
        import pyarrow as pa
        import pyarrow.compute as pc

        chosen = self._chosen(rows, len(array))
        ids = None if self.id_column is None else [repr(value).encode() for value in rows.column(self.id_column)]
        step = max(_FEW, _BYTES * len(array) // max(1, array.nbytes))
        parts, alone, active = [], [], 0
        for start in range(0, len(array), step):
            part = slice(start, start + step)
            texts, edits, count = self._together(array[part], chosen[part], ids and ids[part])
            parts.append(texts)
            alone += [edit._replace(i=start + edit.i) for edit in edits]
            active += count
        texts = pa.concat_arrays(parts)
        if alone:
            batch = BatchTexts({name: [""] * len(array)}, self.role)
            made = dict(self._edits_made(alone, batch, False, active))
            mask = np.zeros(len(array), bool)
            mask[list(made)] = True
            texts = pc.replace_with_mask(texts, mask, pa.array(made.values(), texts.type))
        return {name: pc.if_else(array.is_valid(), texts, None) if array.null_count else texts}

    def _together(
        self, array: pa.LargeStringArray, chosen: Sequence[Any], ids: Sequence[bytes] | None
    ) -> tuple[pa.LargeStringArray, list[Edit], int]:
        """Some texts with their words, those that have to be changed one by one, and how many are changed in all.

        Args:
            array: n texts.
            chosen: What was chosen for the label of each; None for texts that stay.
            ids: What identifies each; None for their own bytes.
        """
        pools = Pools.of(chosen, self._pool)
        column = self._column_type(array.fill_null("") if array.null_count else array, pools.words)
        active = (pools.number >= 0) & (column.letters > 0)
        contents = column.contents()
        alone: dict[int, Canonical] = {}

        def canonical(i: int) -> Canonical:
            return self._canonical_type(contents[i].decode(), self._pool(chosen[i]))

        for i in column.odd:
            if active[i]:
                text = canonical(i)
                active[i] = bool(text.text) and not text.text.isspace()
                if active[i] and not self._fits(column, i, text):
                    alone[i] = text
                    contents[i] = text.text.encode()
        found = [(i, span) for i in column.marked if active[i] for span in _spans_of(contents[i])]
        if found:
            column.hide(*zip(*found, strict=True))
        streams = row_streams(contents if ids is None else ids, self._resolved_seed())
        if self.fraction != 1:  # `_sampled`, of all
            limit = np.uint64(math.ceil(self.fraction * 2.0**64))
            active &= draws(streams, np.full(len(streams), _FRACTION_DRAW, np.uint64)) < limit
        together = active.copy()
        together[list(alone)] = False
        at = np.flatnonzero(together)
        of, places, which, left = self._placed(column, at, streams, pools) if len(at) else (at, at, at, ())
        alone |= {i: canonical(i) for i in left}
        edits = [Edit(i, alone[i], chosen[i], int(streams[i])) for i in sorted(alone) if active[i]]
        return column.with_words(of, places, pools.words, which), edits, int(active.sum())


class Pools(NamedTuple):
    """What may be inserted into each of n texts.

    Args:
        chosen: What was chosen for the m labels of these texts.
        words: The words of all m pools, one pool after the other.
        sizes: How many words each pool has, int64 [m].
        number: The pool of each text, -1 for one that stays, int64 [n].
    """

    chosen: list[Any]
    words: list[str]
    sizes: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, chosen: Sequence[Any], pool: Callable[[Any], Sequence[str]]) -> Pools:
        """The pools of texts by what was chosen for each, None for texts that stay."""
        ids = list(map(id, chosen))
        distinct = dict(zip(ids, chosen, strict=True))
        distinct.pop(id(None), None)
        pools = [list(pool(own)) for own in distinct.values()]
        number = {id(None): -1, **{own: i for i, own in enumerate(distinct)}}
        words, sizes = [word for words in pools for word in words], np.array(list(map(len, pools)), np.int64)
        return cls(list(distinct.values()), words, sizes, np.array(list(map(number.__getitem__, ids)), np.int64))

    @property
    def starts(self) -> np.ndarray:
        """The number of each pool's first word."""
        return np.cumsum(self.sizes) - self.sizes


class SpreadTransform(ColumnTransform):
    """Base class of protections that `spread` words of a label over its texts."""

    def _doses(self, words: np.ndarray) -> np.ndarray:
        """How many words each of n texts gets, int64 [n], by how many it has."""
        raise NotImplementedError

    def _fits(self, column: TextColumn, i: int, text: Canonical) -> bool:
        return column.look_at(i, text)

    def _placed(
        self, column: TextColumn, at: np.ndarray, streams: np.ndarray, pools: Pools
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[int]]:
        doses = self._doses(column.words[at])
        offsets, bits = spread(doses, streams[at], np.zeros(len(at), np.int64), column.letters[at])
        of, places, kept = column.places(at, doses, offsets)
        own = pools.number[of]
        return of, places, pools.starts[own] + drawn(bits[kept], pools.sizes[own]), []


def _spans_of(content: bytes) -> list[tuple[int, int]]:
    """The spans of a text, in its bytes."""
    text = content.decode()
    found = spans_in_words(text)
    if text.isascii():
        return found
    return [(len(text[:start].encode()) if start > 0 else start, len(text[:end].encode())) for start, end in found]


def drawn(bits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which word of its pool each one is, int64 [n].

    Args:
        bits: Numbers below 2^32, uint64 [n].
        sizes: Of the pools, int64 [n].
    """
    return (bits * sizes.astype(np.uint64) >> np.uint64(32)).astype(np.int64)
