"""Putting words into a text and taking them out again, byte for byte.

A text is cut at single spaces, so joining its pieces gives it back exactly: line breaks, double spaces, markup, emoji
and right-to-left text are never touched. A word goes in front of a piece together with one space. In scripts that are
written without spaces (Chinese, Japanese, Thai, ...) it goes between two characters, with a space on either side.

Taking words out has to find them without the original at hand. Everything is therefore computed from the *canonical*
text: the text without the pieces that equal one of the pool's words. The original and the protected text share it, so
they share the dose, the places and the words; a pool word that the original held already stays where it was.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence

# Code, markup and addresses, inside which nothing is inserted. Every alternative is linear in the text's length. Most
# texts hold tags only; a pattern that starts with a fixed letter is searched some thirty times faster.
_TAG = r"<(?:!--.*?(?:-->|\Z)|(code|pre|script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)|/?[A-Za-z!?][^<>]*>)"
_TAGS = re.compile(_TAG, re.DOTALL | re.IGNORECASE)
_PROTECTED = re.compile(
    rf"{_TAG}|```.*?(?:```|\Z)|`[^`\n]*`|[A-Za-z][A-Za-z0-9+.-]{{1,9}}://[!-;=?-~]+", re.DOTALL | re.IGNORECASE
)
# Letters of scripts that are written without spaces: Thai to Lao, Myanmar, Khmer, kana, Han.
_SPACELESS = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ec0-\u0ec6\u1000-\u102a\u1780-\u17b3"
    "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
)
_SPACELESS_LETTER = re.compile(f"[{_SPACELESS}]")
# A place between two such letters; not in front of a vowel that belongs to the letter before it.
_BETWEEN = re.compile(f"[{_SPACELESS}](?=[{_SPACELESS}])(?![\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3])")


_BREAK = "<br />"
_NOT_SPACE = re.compile(r"\S*")


class Canonical:
    """A text without its pool words, and the places in it where a word may go.

    Args:
        text: The full text.
        pool: The words that may be inserted; none for replacing words.
    """

    __slots__ = ("_held", "_pool", "_shadow", "_spans", "_text", "spaceless", "text", "words")

    def __init__(self, text: str, pool: Collection[str]):
        self._text = text
        self._pool = pool
        self._held = False
        for word in pool:
            if word in text and f" {word} " in f" {text} ":
                self._held = True
                break
        self.text = " ".join([piece for piece in text.split(" ") if piece not in pool]) if self._held else text
        self.spaceless = not self.text.isascii() and _mostly_spaceless(self.text)
        if self.spaceless:
            self.text = self.text.replace(" ", "")
            self.words = max(1, len(self.text) // 2)
            self._shadow = self._shadow_of(self.text)
        else:
            self.words = self.text.count(" ") + 1
            self._shadow = self.text  # a place is the start of the text, or lies just behind a space
        pattern = _PROTECTED if "`" in self.text or "://" in self.text else _TAGS if "<" in self.text else None
        if pattern is _TAGS and pool and self.text.count("<") == self.text.count(_BREAK):
            # Line breaks are all the markup that most texts hold: to insert, hiding their space is enough and fast.
            self._shadow, pattern = self._shadow.replace(_BREAK, "<br_/>"), None
        self._spans = [match.span() for match in pattern.finditer(self.text)] if pattern else []

    def _shadow_of(self, text: str) -> str:
        """The same length, with a space in front of every place: lets one search serve both kinds of script."""
        shadow = list(_BETWEEN.sub(" ", re.sub(r"\s", "_", text)))
        for word in self._pool:  # a cut here would make a pool word out of the text's own letters
            at = text.find(word)
            while at >= 0:
                for edge in (at - 1, at + len(word) - 1):
                    if edge >= 0:
                        shadow[edge] = "_"
                at = text.find(word, at + 1)
        return "".join(shadow)

    # ------------------------------------------------------------------ places, as offsets in the canonical text
    def places(self, position: str, offsets: Sequence[int]) -> Sequence[int]:
        """Places in ascending order, one for each offset, or as many as there are.

        Args:
            position: "random" goes by the offsets; "begin", "middle" and "end" put all words at one place.
            offsets: Ascending, in [0, len(text)).
        """
        length, n = len(self.text), len(offsets)
        if position == "begin":
            return [0] * n
        if position == "end":
            return [length] * n
        if position == "middle":
            place = self._place(length // 2)
            return [length if place is None else place] * n
        find = self._shadow.rfind
        places: list[int | None] = [find(" ", 0, offset + 1) + 1 for offset in offsets]
        if self._spans:
            places = [self._allowed(place) for place in places]  # type: ignore[arg-type]
        if None in places or len(set(places)) < n:
            last = -1
            for i, place in enumerate(places):
                if place is not None and place <= last:
                    place = self._next(last + 1)
                if place is None:
                    return self._fill(places[:i], n)  # type: ignore[arg-type]
                places[i] = last = place
        return places  # type: ignore[return-value]

    def _place(self, offset: int) -> int | None:
        """The place at the start of the word that `offset` lies in, or the first one behind it that is allowed."""
        place = self._shadow.rfind(" ", 0, offset + 1) + 1
        return self._allowed(place) if self._spans else place

    def _next(self, offset: int) -> int | None:
        """The first allowed place from `offset` on."""
        place = self._shadow.find(" ", offset - 1 if offset else 0) + 1
        return self._allowed(place) if place else None

    def _allowed(self, place: int) -> int | None:
        while True:
            i = bisect_right(self._spans, (place, -1)) - 1
            if i < 0 or place >= self._spans[i][1]:
                return place
            place = self._shadow.find(" ", self._spans[i][1] - 1) + 1
            if not place:
                return None

    def _fill(self, places: list[int], n: int) -> list[int]:
        """The end of the text came first: take the free places from its start on, as many as there are."""
        taken = set(places)
        place = self._allowed(0)
        while place is not None and len(taken) < n:
            taken.add(place)
            place = self._next(place + 1)
        return sorted(taken)

    # ------------------------------------------------------------------ the full text
    def with_words(self, places: Sequence[int], words: Sequence[str]) -> str:
        """The full text with each word at its place."""
        text, places = self._text, self._located(places)
        pieces = [text[a:b] for a, b in zip([0, *places], [*places, None], strict=True)]
        end, before = len(text), " " if self.spaceless else ""
        if len(set(words)) == 1 and places[-1] != end:
            return f"{before}{words[0]} ".join(pieces)
        put = [f" {word}" if place == end else f"{before}{word} " for place, word in zip(places, words, strict=True)]
        return "".join([part for pair in zip(pieces, [*put, ""], strict=True) for part in pair])

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

    def with_replacements(self, places: Sequence[int], words: Sequence[str]) -> str:
        """The full text with the word at each place replaced; markup, code and addresses are left as they are."""
        text, last = self._text, 0
        parts: list[str] = []
        for place, start, word in zip(places, self._located(places), words, strict=True):
            end = start + 2 if self.spaceless else _NOT_SPACE.match(text, start).end()  # type: ignore[union-attr]
            i = bisect_right(self._spans, (place + end - start - 1, len(self.text))) - 1
            if start == end or (i >= 0 and place < self._spans[i][1]):
                continue
            parts += (text[last:start], word)
            last = end
        parts.append(text[last:])
        return "".join(parts)

    def _located(self, places: Sequence[int]) -> Sequence[int]:
        """Where these places are in the full text."""
        if not (self._held or self.spaceless):
            return places
        in_text, in_canonical = [], []
        t = c = 0
        for piece in self._text.split(" "):
            if piece not in self._pool:
                in_text.append(t)
                in_canonical.append(c)
                c += len(piece) + (not self.spaceless)
            t += len(piece) + 1
        located = []
        for place in places:
            if place == len(self.text):
                located.append(len(self._text))
                continue
            i = bisect_right(in_canonical, place) - 1
            located.append(in_text[i] + place - in_canonical[i])
        return located


def _mostly_spaceless(text: str) -> bool:
    return 2 * len(_SPACELESS_LETTER.findall(text)) >= max(1, len(text) - text.count(" "))
