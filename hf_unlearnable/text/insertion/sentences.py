"""The sentences of a column of texts: where they end, told by NumPy over the bytes of all texts.

What a sentence is, and where carriers may go in it, is defined by `carriers.PhraseCanonical`, text by text. Most
texts give the same places here; `left` names those that are not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from string import ascii_letters, digits
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.text.carriers import HELD, LONGEST, WHOLE, holding, holds, is_abbreviated, words_back
from hf_unlearnable.text.insertion.columns import BREAK, SPACE, TextColumn, one_of

if TYPE_CHECKING:
    import pyarrow as pa

_ENDS, _CLOSERS, _DOT = b".!?", b"\"')", ord(".")
_SIGNS_BEHIND = b",.;:!?)]"  # behind one of these nothing is held (`carriers.holds`)
_LETTERS = ascii_letters.encode()
_ALNUM = _LETTERS + digits.encode()
_EIGHT = 0x0101010101010101
_SEEN = 64  # bytes of a text by which an abbreviation is told: more than nine letters have
_ROUNDS = 3  # words that hold the next, one after the other, before the few texts that have more are asked
_WIDE = b"\xe0\xe2"  # first bytes of all other signs that end a sentence (\u2026, \u0964) or close it


class SentenceColumn(TextColumn):
    """The bytes of n texts, and the sentences in them.

    Args:
        array: The texts, none of them null.
        words: All that may be inserted.

    Attributes:
        left: Which texts have sentences that are not told here, bool [n].
    """

    def __init__(self, array: pa.LargeStringArray, words: Iterable[str]):
        super().__init__(array, words)
        self._texts = self.contents()
        self.left = np.zeros(len(self.words), bool)
        signs = self._continued[one_of(_WIDE)[self._buf[self._continued - 1]]]
        self.left[self._text_at(signs)] = True  # which may end a sentence beside those of ASCII, or close it
        self._ends = self._ends_of_sentences()

    def places_in_sentences(self, texts: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places in front of each sentence that holds an offset, and at its end: see `ends_of_sentences` there.

        Args:
            texts: The text of each offset, ascending, int64 [m].
            offsets: In letters, ascending in each text, int64 [m].

        Returns:
            The text of each sentence; the place in front of it and the one at its end, in bytes from the start of the
            column, all int64. Sentences of texts that are `left` are none.
        """
        kept = ~self.left[texts]
        texts, offsets = texts[kept], offsets[kept]
        last = np.searchsorted(self._ends, self._off[1:])  # the number of each text's last sentence
        sentences = np.unique(
            np.minimum(np.searchsorted(self._ends, self._byte_at(texts, offsets), "right"), last[texts])
        )
        ends = self._ends[sentences]
        of = self._text_at(ends - 1)
        fronts = np.maximum(self._off[of], np.where(sentences > 0, self._ends[sentences - 1], 0))
        edges = self._off[of]
        behind = self._places_at_ends(of, fronts, ends)
        # A place that no word may go to, behind a space that is hidden, has a nearest one: that is told elsewhere.
        self.left[of[(fronts == edges) & ~self._from_start[of]]] = True
        for at in (fronts, behind):
            inside = at[(at > edges) & (at < self._off[of + 1])]
            self.left[self._text_at(inside[self._hidden[np.searchsorted(self._spaces, inside - 1)]])] = True
        kept = ~self.left[of]
        return of[kept], fronts[kept], behind[kept]

    def _places_at_ends(self, of: np.ndarray, fronts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Where a word goes at the end of each sentence, in bytes from the start of the column, int64 [m].

        In front of its last word, mostly: where a single space parts it from a word that holds nothing.

        Args:
            of: The text of each sentence, int64 [m].
            fronts, ends: Where it begins and ends, in such bytes, int64 [m].
        """
        behind, alnum = ends.copy(), one_of(_ALNUM)[self._buf[ends - 1]]
        number = np.searchsorted(self._spaces, ends - 1) - 1  # of the last space before the last letter
        last = self._spaces[np.maximum(number, 0)] if len(self._spaces) else np.zeros(len(ends), np.int64)
        known = (number >= 0) & (last > fronts) & (self._buf[ends - 1] < 0x80)
        asked, open_ = [np.flatnonzero(~known)], np.flatnonzero(known)
        for _ in range(_ROUNDS):
            if not len(open_):
                break
            stop = self._spaces[number[open_]]
            begin = np.where(number[open_] > 0, self._spaces[number[open_] - 1] + 1, 0)
            begin = np.maximum(begin, self._off[of[open_]])
            single = begin < stop
            nothing, something = self._holding(np.minimum(begin, stop - 1), stop)
            free = single & (nothing | one_of(_SIGNS_BEHIND)[self._buf[stop - 1]])
            behind[open_[free]] = np.where(alnum[open_[free]], ends[open_[free]], stop[free] + 1)
            held = single & ~free & something & ~self._bounded[of[open_]]
            asked.append(open_[~free & ~held])
            inside = held & (begin > fronts[open_])  # else all words before the last one hold the next: it is behind
            open_ = open_[inside]
            number[open_] -= 1
        rest = np.concatenate([*asked, open_])
        strings = {i: self._texts[i].decode() for i in np.unique(of[rest]).tolist()}
        places = (of[rest].tolist(), *(self.letters_at(of[rest], at[rest]).tolist() for at in (fronts, ends)))
        letters = [_end_place(strings[i], start, end, self._parted(i)) for i, start, end in zip(*places, strict=True)]
        behind[rest] = self._byte_at(of[rest], np.array(letters, np.int64))
        return behind

    def _holding(self, begin: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether a piece is a short word in ASCII that does not hold the next; and whether it is one that does.

        Neither is told of a piece of other characters, or of more than sixteen letters.

        Args:
            begin, stop: Where each piece begins and ends, in bytes from the start of the column, int64 [m].

        Returns:
            bool [m], twice.
        """
        size, every = stop - begin, ~np.uint64(0)
        mask = np.where(size < 8, (np.uint64(1) << (8 * np.minimum(size, 7)).astype(np.uint64)) - np.uint64(1), every)
        first, final = self._windows(begin, 8) & mask, self._windows(np.maximum(stop - 8, begin), 8)
        filled = first | (~mask & np.uint64(_EIGHT * ord("a")))  # behind the end of a short one
        words = np.stack([filled, np.where(size > 8, final, filled)])
        letters = one_of(_LETTERS)[words.view(np.uint8).reshape(2, -1, 8)].all((0, 2))
        lower = first | (mask & np.uint64(_EIGHT * 0x20))
        beginnings, short = _held_beginnings()
        return letters & (size <= 16) & ~np.isin(lower, beginnings), letters & (size <= 8) & np.isin(lower, short)

    def _parted(self, i: int) -> Callable[[int], bool] | None:
        """What tells whether a letter of a text with spans stands at a place; None for other texts."""
        if not self._bounded[i]:
            return None

        def is_place(letter: int) -> bool:
            if not letter:
                return bool(self._from_start[i])
            space = int(self._byte_at(i, letter)) - 1
            number = int(np.searchsorted(self._spaces, space))
            return number < len(self._spaces) and self._spaces[number] == space and not self._hidden[number]

        return is_place

    # ------------------------------------------------------------------ where sentences end
    def _ends_of_sentences(self) -> np.ndarray:
        """Where sentences end, in bytes from the start of the column, ascending: the end of each text among them."""
        which, of = self._seeming_ends()
        first = self._first[of]  # the number of each text's first space
        while True:  # a sentence of a single word belongs to the next
            inside = np.append(False, of[1:] == of[:-1])
            before = np.where(inside, np.append(-1, which[:-1]), first - 1)
            short = np.flatnonzero(which - before < 2)
            if not len(short):
                break
            dropped = short[np.append(True, of[short[1:]] != of[short[:-1]])]
            which, of, first = (np.delete(values, dropped) for values in (which, of, first))
        bounds = np.append(which, self._first[1:] - 1)  # by the numbers of spaces; the last one of each text
        texts = np.append(of, np.arange(len(self.words)))
        order = np.lexsort((bounds, texts))
        bounds, texts = bounds[order], texts[order]
        begins = np.append(-1, bounds[:-1])
        begins[np.append(True, texts[1:] != texts[:-1])] = self._first[:-1] - 1
        ends = [self._spaces[which] + 1, self._off[1:]]
        self.left[np.intersect1d(np.array(self.marked, np.int64), texts[bounds - begins > LONGEST])] = (
            True  # spans are not known yet
        )
        for j in np.flatnonzero((bounds - begins > LONGEST) & ~self.left[texts]).tolist():
            ends.append(self._cuts(int(texts[j]), int(begins[j]), int(bounds[j])))
        return np.unique(np.concatenate(ends))

    def _cuts(self, i: int, begin: int, bound: int) -> np.ndarray:
        """Where a long sentence of text `i` is cut, in bytes; after the space `begin`, up to the space `bound`."""
        start = max(int(self._off[i]), int(self._spaces[begin]) + 1 if begin >= 0 else 0)
        is_last = bound == self._first[i + 1] - 1
        stop = int(self._off[i + 1] if is_last else self._spaces[bound] + 1)
        text = self._texts[i].decode()
        inside = np.arange(begin + 1, bound + 1)
        behind = self._spaces[inside[self._behind[inside] != SPACE]] + 1
        words = np.concatenate([np.full(int(self._buf[start] != SPACE), start), behind[behind < stop]])
        words = words[LONGEST : len(words) - LONGEST // 2 : LONGEST]
        found = [_before_held(text, cut) for cut in self.letters_at(i, words).tolist()]
        self.left[i] |= -1 in found
        return self._byte_at(i, np.array(found, np.int64))

    def _seeming_ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The spaces, by number, that stand behind the end of a sentence and no abbreviation; and their texts."""
        buf = self._buf
        which = np.flatnonzero(one_of(_ENDS + _CLOSERS + b"> ")[buf[self._spaces - 1]] & (self._behind > SPACE))
        of = self._text_at(self._spaces[which])
        kept = self._spaces[which] + 1 < self._off[of + 1]
        which, of = which[kept], of[kept]
        first = self._off[of]
        stop = self._back_over(self._spaces[which], first, bytes([SPACE]))
        closed = self._back_over(stop, first, _CLOSERS)
        ended = (closed > first) & one_of(_ENDS)[buf[closed - 1]]
        broken = (stop - 6 >= first) & (self._windows(np.maximum(stop - 6, 0), 6) == BREAK)
        dotted = ended & (closed == stop) & (buf[stop - 1] == _DOT)
        kept = ended | broken
        which, of, dotted = which[kept], of[kept], dotted[kept]
        real = np.ones(len(which), bool)
        for j in np.flatnonzero(dotted)[self._may_abbreviate(stop[kept][dotted] - 2)].tolist():
            i, space = int(of[j]), self._spaces[which[j]]
            stop_at = int(space + 1 - self._off[i])
            seen = self._texts[i][max(0, stop_at - _SEEN) : stop_at].decode(errors="ignore")  # a letter may be cut
            if is_abbreviated(seen, 0, len(seen)):
                real[j] = False
                if j and of[j - 1] == i:  # the sentence may begin within the abbreviation
                    own = int(self.letters_at(i, space + 1) - self.letters_at(i, self._spaces[which[j - 1]] + 1))
                    self.left[i] |= own < 9 and not is_abbreviated(seen, len(seen) - own, len(seen))
        return which[real], of[real]

    def _back_over(self, at: np.ndarray, first: np.ndarray, signs: bytes) -> np.ndarray:
        """The places moved back over some signs, as far as the start of their text."""
        at, skipped = at.copy(), one_of(signs)
        moving = np.arange(len(at))
        while len(moving):
            moving = moving[(at[moving] > first[moving]) & skipped[self._buf[at[moving] - 1]]]
            at[moving] -= 1
        return at

    def _may_abbreviate(self, at: np.ndarray) -> np.ndarray:
        """Whether an abbreviation may end at each place, see `carriers.is_abbreviated`, bool [n]."""
        one, two, three = (self._buf[at - i] for i in range(3))

        def are(values: np.ndarray, letters: str) -> np.ndarray:
            return one_of(letters.encode())[values]

        found = are(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        pairs: Sequence[tuple[str, str]] = (("r", "MDJ"), ("s", "Mv"), ("t", "S"), ("f", "c"), ("eg", "."))
        for letters, before in pairs:
            found |= are(one, letters) & are(two, before)
        return (
            found
            | (are(one, "s") & are(two, "r") & are(three, "M"))
            | (are(one, "f") & are(two, "o") & are(three, "r"))
        )


@cache
def _held_beginnings() -> tuple[np.ndarray, np.ndarray]:
    """The first eight bytes of every word in ASCII that holds the next, as numbers; and of those that have no more."""
    words = [word.encode() for word in WHOLE if word.isascii()]
    first, short = ([int.from_bytes(word[:8], "little") for word in words if len(word) <= most] for most in (99, 8))
    return np.array(first, np.uint64), np.array(short, np.uint64)


def _end_place(text: str, start: int, end: int, is_place: Callable[[int], bool] | None) -> int:
    """In front of the last word of a sentence that may be parted from the one before; or behind it."""
    last = text.rfind(" ", start, end - 1) + 1  # most often it is the last word of all, behind a single space
    if start < last < end and text[last - 2] != " ":
        if holds(text[max(text.rfind(" ", 0, last - 1) + 1, last - 41) : last - 1]):
            last = _last_free(text, start, end, is_place)
    else:
        last = _last_free(text, start, end, is_place)
    return end if last == start or text[end - 1].isalnum() else last


def _last_free(text: str, start: int, end: int, is_place: Callable[[int], bool] | None) -> int:
    """The last word of a sentence that may be parted from the one before; its first one at least."""
    for begin in words_back(text, start, end):
        if begin <= start or _is_free(text, begin, is_place):
            return begin
    return start


def _is_free(text: str, place: int, is_place: Callable[[int], bool] | None = None) -> bool:
    """Whether a word at a place parts none from what holds it, which counts only behind a place itself."""
    held = holding(text, place)
    if held <= 0 or is_place is not None:
        return held < 0 or not (is_place is None or is_place(held))
    return text[held].isspace() or text.startswith("<br />", held - 4)  # within a line break, or where a line begins


def _before_held(text: str, place: int) -> int:
    """The same place, or the one in front of what would be parted from its word; -1 in a run that holds throughout."""
    for _ in range(HELD):
        if _is_free(text, place):
            return place
        place = next(words_back(text, 0, place), 0)
    return -1
