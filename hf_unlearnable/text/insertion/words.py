"""Putting words into a text and taking them out again, byte for byte.

A text is cut at single spaces, so joining its pieces gives it back exactly: line breaks, double spaces, markup, emoji
and right-to-left text are never touched. A word goes in front of a piece together with one space. In scripts that are
written without spaces (`scripts`) it goes between two letters, with a space on either side. Nothing goes into code,
markup, data and the like (`spans`), nor between two spaces; a text that holds no place stays as it is.

Taking words out has to find them without the original at hand. Everything is therefore computed from the *canonical*
text: the text without the pieces that equal one of the pool's words. The original and the protected text share it, so
they share dose, spans, places and words; a pool word that the original held already stays where it was.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING
from unicodedata import category

import regex

from hf_unlearnable.text.insertion.scripts import BEFORE_PLACE, mostly_spaceless
from hf_unlearnable.text.insertion.spans import may_hold_spans, spans

if TYPE_CHECKING:
    import numpy as np

_MANY = 12  # words of a pool; more are looked up rather than searched for
_BREAK = "<br />"
_SPACE = re.compile(" ")
_NOT_SPACE = re.compile(r"\S*")
# A space that no place is behind: in a run of white space, or one cluster with the mark that follows it.
_NO_PLACE = re.compile(r" (?=\s)")
_BEHIND_SPACE = re.compile(" ([^\x00-\u02ff])")
_NO_PLACE_MARKS = regex.compile(r" (?=[\s\p{M}\u200d])")


def spans_in_words(text: str) -> list[tuple[int, int]]:
    """The `spans` of a text in a script with spaces; none where line breaks are all the markup, as in most texts."""
    return spans(text) if may_hold_spans(text.replace(_BREAK, "") if "<br" in text else text) else []


class Canonical:
    """A text without its pool words, and the places in it where a word may go.

    Args:
        text: The full text.
        pool: The words that may be inserted; none for replacing words.
    """

    __slots__ = ("_cuts", "_gone", "_pool", "_shadow", "_spans", "_text", "held", "spaceless", "text", "words")

    def __init__(self, text: str, pool: Collection[str]):
        self._text = text
        self._pool = pool
        if len(pool) > _MANY:
            self._pool = pool = frozenset(pool)
        starts = _pieces_among(text, pool)
        self.held = bool(starts)
        self.text, self._cuts, self._gone = _without(text, starts) if starts else (text, [], [0])
        self.spaceless = not self.text.isascii() and mostly_spaceless(self.text)
        if self.spaceless:
            self.text = self._joined()
            self.words = max(1, (len(self.text) - self.text.count(" ")) // 2)
            self._shadow = self._shadow_between_letters()
        else:
            self.words = self.text.count(" ") + 1
            self._shadow = self._shadow_behind_spaces()
        if self.spaceless or not pool:
            self._spans = spans(self.text, addresses=True)
        else:
            if "<br" in self.text:
                self._shadow = self._shadow.replace(_BREAK, "<br_/>")
            self._spans = spans_in_words(self.text)
        if self._spans:
            self._shadow = self._shadow_outside_spans()

    def _joined(self) -> str:
        """The canonical text of a script without spaces: it keeps the spaces that no pool word stands beside."""
        parts: list[str] = []
        beside = True
        for piece in self._text.split(" "):
            if piece in self._pool:
                beside = True
                continue
            if not beside:
                parts.append(" ")
            parts.append(piece)
            beside = False
        return "".join(parts)

    # A shadow has the length of the canonical text. A place is the start of the text, or lies just behind a space of
    # the shadow: this lets one search serve every kind of script.
    def _shadow_behind_spaces(self) -> str:
        text = self.text
        if not text.isascii() and any(category(c)[0] in "MC" for c in {*_BEHIND_SPACE.findall(text)}):
            return _NO_PLACE_MARKS.sub("_", text)
        if "\n" in text or "\r" in text or "\t" in text:
            return _NO_PLACE.sub("_", text)
        return text if "  " not in text else _NO_PLACE.sub("_", text)

    def _shadow_between_letters(self) -> str:
        text = self.text
        shadow = list(BEFORE_PLACE.sub(" ", re.sub(r"\s", "_", text)))
        for word in self._pool:  # a cut here would make a pool word out of the text's own letters
            at = -1 if " " in word else text.find(word)
            while at >= 0:
                for edge in (at - 1, at + len(word) - 1):
                    if edge >= 0:
                        shadow[edge] = "_"
                at = text.find(word, at + 1)
        return "".join(shadow)

    def _shadow_outside_spans(self) -> str:
        parts: list[str] = []
        last = 0
        for start, end in self._spans:
            start, end = max(start, 0), end - self._shadow.endswith(" ", 0, end)
            parts += (self._shadow[last:start], "_" * (end - start))
            last = end
        return "".join([*parts, self._shadow[last:]])

    # ------------------------------------------------------------------ places, as offsets in the canonical text
    def places(self, position: str, offsets: Sequence[int]) -> Sequence[int]:
        """Places in ascending order, one for each offset, or as many as there are; none in a text that is one span.

        Args:
            position: "random" goes by the offsets; "begin", "middle" and "end" put all words at one place.
            offsets: Ascending, in [0, len(text)).
        """
        length, n = len(self.text), len(offsets)
        if self._spans:
            free = [match.end() for match in _SPACE.finditer(self._shadow)]
            if self._spans[0][0] >= 0:
                free.insert(0, 0)
            if not free:
                return []
        if position == "begin":
            return [free[0] if self._spans else 0] * n
        if position == "end":
            return [length] * n
        if position == "middle":
            offsets = [length // 2] * n
        if self._spans:
            places = [free[max(0, bisect_right(free, offset) - 1)] for offset in offsets]
        else:
            find = self._shadow.rfind
            places = [find(" ", 0, offset + 1) + 1 for offset in offsets]
        if position == "random" and len(set(places)) < n:
            last = -1
            for i, place in enumerate(places):
                if place <= last:
                    place = self._shadow.find(" ", last) + 1
                    if not place:
                        return self._fill(places[:i], n)
                places[i] = last = place
        return places

    def _is_place(self, place: int) -> bool:
        if place:
            return self._shadow[place - 1] == " "
        return not self._spans or self._spans[0][0] >= 0

    def _fill(self, places: list[int], n: int) -> list[int]:
        """The end of the text came first: take the free places from its start on, as many as there are."""
        taken = set(places)
        place = 0 if self._is_place(0) else self._shadow.find(" ") + 1
        while len(taken) < n:
            taken.add(place)
            place = self._shadow.find(" ", place) + 1
            if not place:
                break
        return sorted(taken)

    @property
    def in_spans(self) -> bool:
        """Whether spans leave fewer places: the last of those up to an offset is then taken, not the next one."""
        return bool(self._spans)

    def is_open(self) -> tuple[bool, np.ndarray]:
        """Where places are, in a script with spaces.

        Returns:
            Whether the start of the text is one, and which of its spaces have one behind them, bool [spaces].
        """
        import numpy as np

        code, kind = ("ascii", "u1") if self.text.isascii() else ("utf-32-le", "<u4")
        text, shadow = (np.frombuffer(one.encode(code, "surrogatepass"), kind) for one in (self.text, self._shadow))
        return self._is_place(0), shadow[text == 32] == 32

    # ------------------------------------------------------------------ the full text
    def with_words(self, places: Sequence[int], words: Sequence[str]) -> str:
        """The full text with each word at its place."""
        if not places:
            return self._text
        text, places = self._text, self._located(places)
        end, before = len(text), " " if self.spaceless else ""
        if len(set(words)) == 1 and places[-1] != end:
            return f"{before}{words[0]} ".join([text[a:b] for a, b in pairwise([0, *places, end])])
        parts: list[str] = []
        last = 0
        for place, word in zip(places, words, strict=True):
            parts += (text[last:place], f" {word}" if place == end else f"{before}{word} ")
            last = place
        return "".join([*parts, text[last:]])

    def without_words(self, places: Sequence[int], words: Sequence[str]) -> str:
        """The full text with each word taken out from in front of its place.

        Raises:
            ValueError: A word is not where it should be: the text was changed, or protected with another key.
        """
        text, before = self._text, " " if self.spaceless else ""
        kept, tail, last = [], len(text), -1
        for place, word in zip(reversed(self._located(places)), reversed(words), strict=True):
            piece = f" {word}" if place == len(text) else f"{before}{word} "
            end = tail if place == last else place  # several words at one place stand one behind the other
            if end > tail or not text.endswith(piece, 0, end):
                raise ValueError("an inserted word is missing")
            kept.append(text[end:tail])
            tail, last = end - len(piece), place
        return "".join([text[:tail], *reversed(kept)])

    def holds(self, places: Sequence[int], words: Sequence[str]) -> bool:
        """Whether the full text holds each word at its place already."""
        try:
            self.without_words(places, words)
        except ValueError:
            return False
        return True

    def with_replacements(self, places: Sequence[int], words: Sequence[str]) -> str:
        """The full text with the word at each place replaced; markup, code and addresses are left as they are."""
        text, last = self._text, 0
        parts: list[str] = []
        for place, start, word in zip(places, self._located(places), words, strict=True):
            if self.spaceless:  # two letters or more, up to the next place
                end = self._shadow.find(" ", start + 1) + 1 or start + 2
            else:
                end = _NOT_SPACE.match(text, start).end()  # type: ignore[union-attr]
            i = bisect_right(self._spans, (place + end - start - 1, len(self.text))) - 1
            if start == end or (i >= 0 and place < self._spans[i][1]):
                continue
            parts += (text[last:start], word)
            last = end
        parts.append(text[last:])
        return "".join(parts)

    def _located(self, places: Sequence[int]) -> Sequence[int]:
        """Where these places are in the full text."""
        if not (self.held or self.spaceless):
            return places
        end = len(self.text)
        if not self.spaceless:
            gone, cuts = self._gone, self._cuts
            return [place + gone[bisect_right(cuts, place)] if place != end else len(self._text) for place in places]
        in_text, in_canonical = [], []
        t = c = 0
        beside = True  # a pool word: the canonical text of a script without spaces has no space there
        for piece in self._text.split(" "):
            if piece in self._pool:
                beside = True
            else:
                c += not beside
                in_text.append(t)
                in_canonical.append(c)
                c += len(piece)
                beside = False
            t += len(piece) + 1
        located = []
        for place in places:
            if place == end:
                located.append(len(self._text))
                continue
            i = bisect_right(in_canonical, place) - 1
            located.append(in_text[i] + place - in_canonical[i])
        return located


def _pieces_among(text: str, pool: Collection[str]) -> list[tuple[int, int]]:
    """Start and end of the pieces of a text, between spaces, that are words of a pool; ascending."""
    found: list[tuple[int, int]] = []
    if len(pool) > _MANY:
        pieces = text.split(" ")
        if not pool.isdisjoint(pieces):  # type: ignore[attr-defined]
            start = 0
            for piece in pieces:
                if piece in pool:
                    found.append((start, start + len(piece)))
                start += len(piece) + 1
        return found
    spaced = ""
    for word in pool:
        if word in text and " " not in word:
            spaced = spaced or f" {text} "
            piece, size = f" {word} ", len(word)
            at = spaced.find(piece)
            while at >= 0:
                found.append((at, at + size))
                at = spaced.find(piece, at + size + 1)
    return sorted(set(found)) if spaced else found


def _without(text: str, pieces: Sequence[tuple[int, int]]) -> tuple[str, list[int], list[int]]:
    """A text without some of its pieces; where in it each was, and how many letters are gone before the next one."""
    kept, cuts, gone, last = [], [], [0], 0
    for start, end in pieces:
        kept.append(text[last:start])
        cuts.append(start - gone[-1])
        gone.append(gone[-1] + end - start + 1)
        last = end + 1
    kept.append(text[last:])
    whole = "".join(kept)
    return (whole if last <= len(text) else whole[:-1]), cuts, gone
