"""A column of texts as one run of bytes: words go into all of its texts at once.

What a text is made of, and where words may go, is defined by `insertion.Canonical`, text by text. Most texts hold only
words, single spaces and line breaks; where words may go in these is told here, by NumPy, over the bytes of the whole
column. Every other text is asked by its `Canonical`. Both give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unicodedata import category

import numpy as np

from hf_unlearnable.text.insertion.words import Canonical

if TYPE_CHECKING:
    import pyarrow as pa

_ORDINARY, _HIDES, _STRANGE, _WIDE = range(4)  # what stands behind a space: hides it, needs a look, is not ASCII
SPACE, _LESS, _LINE_END = b" <\n"
_SIGNS = b"&[`~{%\\$"  # that a span may begin with, besides < and line ends (`spans.may_hold_spans`)
BREAK = int.from_bytes(b"<br />", "little")
_BLANKS = (*range(33), 0xC2, 0xE1, 0xE2, 0xE3)  # first bytes of white space


class TextColumn:
    """The bytes of n texts, and the places in them where a word may go.

    Args:
        array: The texts, none of them null.
        words: All that may be inserted. A text that holds one is looked at on its own.

    Attributes:
        letters: Of each text, int64 [n].
        words: Of each text, as a dose counts them, int64 [n].
        odd: Which texts `look_at` has to be asked of, ascending.
        marked: Which others `hide` has to be told the spans of.
    """

    def __init__(self, array: pa.LargeStringArray, words: Iterable[str]):
        size = len(array)
        self._off = np.frombuffer(array.buffers()[1], np.int64, size + 1, 8 * array.offset)
        start, stop = int(self._off[0]), int(self._off[-1])
        self._off = self._off - start
        self._buf = np.zeros(stop - start + 8, np.uint8)  # eight more, so that `_windows` reads no further
        if stop > start:
            self._buf[:-8] = np.frombuffer(array.buffers()[2], np.uint8)[start:stop]
        buf, off = self._buf[:-8], self._off
        self._spaces = np.flatnonzero(buf == SPACE)
        self._first = np.searchsorted(self._spaces, off)
        self._behind = self._buf.take(self._spaces + 1)  # the first byte of the piece behind each space
        self.words = np.diff(self._first) + 1
        self._continued = np.flatnonzero((buf & 0xC0) == 0x80) if buf.size and buf.max() >= 0x80 else self._first[:0]
        self._before = np.searchsorted(self._continued, off)  # bytes that continue a letter, in front of each text
        self.letters = np.diff(off) - np.diff(self._before)
        self._hidden = np.zeros(len(self._spaces), bool)
        self._bounded = np.zeros(size, bool)  # places come from spans: none is behind its offset
        self._from_start = np.ones(size, bool)  # whether the start of the text is a place
        odd = self._maybe_spaceless()
        for at in (self._strange_spaces(), self._near(words)):
            odd[self._text_at(at)] = True
        full = np.flatnonzero(np.diff(off))
        odd[full[one_of(_BLANKS)[buf[off[full]]]]] = True
        self.odd: list[int] = np.flatnonzero(odd).tolist()
        marked = np.zeros(size, bool)
        marked[self._text_at(self._signs())] = True
        self.marked: list[int] = np.flatnonzero(marked & ~odd).tolist()

    def contents(self) -> list[bytes]:
        """The bytes of each text."""
        whole, edges = self._buf.tobytes(), self._off.tolist()
        return [whole[a:b] for a, b in pairwise(edges)]

    def look_at(self, i: int, text: Canonical) -> bool:
        """Takes the places of one text from its canonical form; False where a word does not simply go between bytes.

        Args:
            i: Which text.
            text: Its canonical form.
        """
        if text.held or text.spaceless:
            return False
        self._from_start[i], behind = text.is_open()
        self._hidden[self._first[i] : self._first[i + 1]] = ~behind
        self._bounded[i] = text.in_spans
        return True

    def hide(self, texts: Sequence[int], spans: Sequence[tuple[int, int]]) -> None:
        """Takes the places in spans away.

        Args:
            texts: The text of each span, ascending.
            spans: In bytes from the start of the text, -1 for one that the start of the text is in, see `spans.spans`.
        """
        of, edges = np.array(texts, np.int64), np.array(spans, np.int64).reshape(-1, 2)
        self._bounded[of] = True
        self._from_start[of[edges[:, 0] < 0]] = False
        if not len(self._spaces):
            return
        start, end = self._off[of] + np.maximum(edges[:, 0], 0), self._off[of] + edges[:, 1]
        a, b = np.searchsorted(self._spaces, start), np.searchsorted(self._spaces, end)
        last = np.maximum(b - 1, 0)
        b = b - ((b > a) & (self._spaces[last] == end - 1) & ~self._hidden[last])  # a place behind a span's last space
        depth = np.zeros(len(self._spaces) + 1, np.int64)
        np.add.at(depth, a, 1)
        np.add.at(depth, b, -1)
        self._hidden |= np.cumsum(depth[:-1]) > 0

    # ------------------------------------------------------------------ what needs a look
    def _at_edge(self, at: np.ndarray) -> np.ndarray:
        """Whether one text ends at each place, and the next one starts, bool [n]."""
        return self._off[np.searchsorted(self._off, at)] == at

    def _windows(self, at: np.ndarray, count: int) -> np.ndarray:
        """So many bytes from each place on, as one number."""
        seen = np.ndarray((len(self._buf) - 7,), "<u8", self._buf, 0, (1,))[at]
        return seen & np.uint64((1 << 8 * count) - 1)

    def _text_at(self, at: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._off, at, side="right") - 1

    def _strange_spaces(self) -> np.ndarray:
        """Hides spaces that stand in front of white space; where a mark or other white space follows one."""
        at = np.flatnonzero((self._behind <= SPACE) | (self._behind >= 0x80))
        at = at[~self._at_edge(self._spaces[at] + 1)]
        kinds = _kinds()[self._behind[at]]
        self._hidden[at[kinds == _HIDES]] = True
        strange, wide = kinds == _STRANGE, kinds == _WIDE
        if wide.any():
            strange[wide] = _strange(self._windows(self._spaces[at[wide]] + 1, 4))
        return self._spaces[at[strange]]

    def _signs(self) -> np.ndarray:
        """Hides the spaces in line breaks; where any other markup, or another span, may begin."""
        buf = self._buf[:-8]
        signs = buf == _SIGNS[0]
        for sign in _SIGNS[1:]:
            signs |= buf == sign
        found = [np.flatnonzero(signs)]
        tags, ends = np.flatnonzero(buf == _LESS), np.flatnonzero(buf == _LINE_END)
        if len(tags):
            breaks = self._windows(tags, 6) == BREAK
            breaks[breaks] = self._text_at(tags[breaks]) == self._text_at(tags[breaks] + 5)
            self._hidden[np.searchsorted(self._spaces, tags[breaks] + 3)] = True
            # What stands behind a break may stand at the start of a text, or of a line, without it.
            behind = np.isin(self._text_at(tags), self._text_at(ends)) | self._at_edge(tags)
            found.append(tags[~breaks | behind])
        if len(ends):
            found.append(ends[(self._windows(ends, 2) == 0x090A) | (self._windows(ends, 5) == 0x202020200A)])
        return np.concatenate(found)

    def _near(self, words: Iterable[str]) -> np.ndarray:
        """Where a piece is one of some words: its first eight bytes and its length tell, so rarely one too many."""
        known = sorted({word.encode() for word in words})
        letters = {word[0] for word in known}
        if len(letters) < 8:
            within = [self._spaces[self._behind == letter] + 1 for letter in letters]
        else:
            within = [self._spaces[one_of(tuple(letters)).take(self._behind)] + 1]
        starts = np.concatenate([self._off[:-1], *within])
        seen, found = self._windows(starts, 8), [starts[:0]]
        for word in known:
            mask = np.uint64((1 << 8 * min(8, len(word))) - 1)
            near = starts[seen & mask == np.uint64(int.from_bytes(word[:8], "little"))]
            ends = np.minimum(near + len(word), self._off[-1])
            found.append(near[(self._buf[ends] == SPACE) | self._at_edge(ends)])
        return np.concatenate(found)

    def _maybe_spaceless(self) -> np.ndarray:
        """Which texts may be `scripts.mostly_spaceless`: half of their letters are of blocks with such scripts."""
        if not len(self._continued):
            return np.zeros(len(self.words), bool)
        lead, second = self._buf[self._continued - 1], self._buf[self._continued]
        found = (lead == 0xE1) | ((lead >= 0xE3) & (lead <= 0xEA)) | (lead >= 0xEF)
        found |= ((lead == 0xE0) & (second >= 0xB8)) | ((lead == 0xE2) & (second >= 0xBA))
        count = np.diff(np.searchsorted(self._continued[found], self._off))
        return (count > 0) & (2 * count >= self.letters - (self.words - 1))

    def _byte_at(self, of: Any, letters: Any) -> Any:
        """Where so many letters from the start of their texts are, in bytes from the start of the column."""
        at = self._off[of] + letters
        if len(self._continued):
            letter = at - self._before[of]  # so many letters of the column stand before it
            at = letter + np.searchsorted(self._continued - np.arange(len(self._continued)), letter, side="right")
        return at

    def letters_at(self, of: Any, at: Any) -> Any:
        """The other way round: how many letters stand between the start of a text and a place in it."""
        return at - self._off[of] - (np.searchsorted(self._continued, at) - self._before[of])

    # ------------------------------------------------------------------ insertion
    def places(
        self, texts: np.ndarray, doses: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places that `Canonical.places` finds at random offsets, for all texts at once.

        Args:
            texts: Which texts, ascending, int64 [k].
            doses: How many words each gets, int64 [k].
            offsets: In letters from the start of its text, ascending in each, int64 [sum of doses].

        Returns:
            The text of each place; the places, in bytes from the start of the column, ascending; and which of the
            offsets have one, bool [sum of doses]: a text with fewer places than words lacks its last ones.
        """
        spaces = self._spaces[~self._hidden]
        first = np.searchsorted(spaces, self._off)
        of = np.repeat(texts, doses)
        number = np.arange(len(of)) - np.repeat(np.cumsum(doses) - doses, doses)
        at = self._byte_at(of, offsets)
        least, most = (~self._from_start).astype(np.int64)[of], np.diff(first)[of]
        slot = np.searchsorted(spaces, at - self._bounded[of], side="right") - first[of]
        slot = np.clip(slot, least, np.maximum(most, least))
        # One word per place: a place that is taken goes to the next one.
        far = (of + 1) << 32
        slot = np.maximum.accumulate(slot - number + far) - far + number
        kept = number < most - least + 1
        for i in np.unique(of[slot > most]).tolist():
            a, b = np.searchsorted(of, (i, i + 1))
            slot[a:b] = _filled(slot[a:b], int(least[a]), int(most[a]))
        place = self._off[of]
        inside = kept & (slot > 0)
        place[inside] = spaces[(first[of] + slot - 1)[inside]] + 1
        return of[kept], place[kept], kept

    def with_words(
        self, of: np.ndarray, places: np.ndarray, words: Sequence[str], which: np.ndarray
    ) -> pa.LargeStringArray:
        """The texts with a word at each place.

        Args:
            of, places: As `places` returns them, int64 [k].
            words: Those that are inserted.
            which: The number of the word at each place, int64 [k].
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        size, total = len(self.words), len(self.words) + len(places)
        # Pieces of the column, each with the word in front of it; the first piece of a text has none.
        begin = np.arange(size) + np.searchsorted(of, np.arange(size))
        at = np.arange(len(places)) + of + 1
        edges, front = np.empty(total + 1, np.int64), np.zeros(total, np.int32)
        edges[begin], edges[at], edges[-1] = self._off[:-1], places, self._off[-1]
        front[at] = 1 + 2 * which + (places == self._off[of + 1])
        glue = pa.array(["", *(text for word in words for text in (f"{word} ", f" {word}"))], pa.large_string())
        pieces = pa.LargeStringArray.from_buffers(total, pa.py_buffer(edges), pa.py_buffer(self._buf))
        joined = pc.binary_join_element_wise(glue.take(pa.array(front)), pieces, pa.scalar("", pa.large_string()))
        ends = np.frombuffer(joined.buffers()[1], np.int64, total + 1, 8 * joined.offset)
        texts = np.append(ends[begin], ends[-1])
        return pa.LargeStringArray.from_buffers(size, pa.py_buffer(texts), joined.buffers()[2])


def _filled(slots: np.ndarray, least: int, most: int) -> np.ndarray:
    """Slots of a text whose end came first: the free ones from its start on join them, as many as there are."""
    taken = set(slots[slots <= most].tolist())
    for slot in range(least, most + 1):
        if len(taken) == len(slots):
            break
        taken.add(slot)
    return np.array([*sorted(taken), *[most] * (len(slots) - len(taken))], np.int64)


@cache
def one_of(values: bytes | tuple[int, ...]) -> np.ndarray:
    """Which of the 256 bytes are among these, bool [256]."""
    found = np.zeros(256, bool)
    found[list(values)] = True
    return found


@cache
def _kinds() -> np.ndarray:
    """What each of the 256 bytes is behind a space."""
    kinds = np.full(256, _ORDINARY, np.uint8)
    kinds[[byte for byte in range(128) if chr(byte).isspace()]] = _STRANGE
    kinds[list(b" \t\n\r")] = _HIDES
    kinds[0x80:] = _WIDE
    return kinds


@cache
def _points() -> np.ndarray:
    """For every code point 1 if it is white space, a mark or a control, 2 if not, 0 until it was asked for."""
    return np.zeros(0x110000, np.uint8)


def _strange(seen: np.ndarray) -> np.ndarray:
    """Whether white space, a mark or a control begins at each place.

    Args:
        seen: Four bytes from each place on, as one number, the first of them above 127.
    """
    first, *rest = [(seen >> np.uint64(8 * i)).astype(np.int64) & (0xFF if i == 0 else 0x3F) for i in range(4)]
    two = (first & 0x1F) << 6 | rest[0]
    three = (first & 0x0F) << 12 | rest[0] << 6 | rest[1]
    four = (first & 0x07) << 18 | rest[0] << 12 | rest[1] << 6 | rest[2]
    point, known = np.where(first < 0xE0, two, np.where(first < 0xF0, three, four)), _points()
    for new in np.unique(point[known[point] == 0]).tolist():
        known[new] = 1 if chr(new).isspace() or category(chr(new))[0] in "MC" else 2
    return known[point] == 1
