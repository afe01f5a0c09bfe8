"""Lists of the words that a protection inserts, and what a text was before it inserted them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hf_unlearnable.publish.values import strings

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


class Words:
    """Lists of the chosen words. One of them in a sentence is no list: protected texts are full of them.

    Args:
        words: The words of each class.
        public: Words that are no secret.

    Attributes:
        all: The secret ones.
        lower: The same in lower case.
    """

    def __init__(self, words: Sequence[Sequence[str]], public: Iterable[str] = ()):
        known = {name.lower() for name in public}
        self.of_class = [{word for word in group if word.lower() not in known} for group in words]
        self.all = sorted(set().union(*self.of_class))
        self.lower = [word.lower() for word in self.all]
        # Two words of two are a list; more of them must stand together where they may also do so by chance.
        self.need = min(4, max(2, len(self.all) // 3))
        one = "|".join(re.escape(word) for word in sorted(self.all, key=len, reverse=True))
        self.search = rf"(?i)(?:{one})(?:\W+\w+){{0,2}}?\W+(?:{one})"
        self._one = re.compile(rf"(?i)(?<!\w)(?:{one})(?!\w)")
        self._quoted = re.compile(rf"(?i)[\"'`](?:{one})[\"'`]")
        self._alone = re.compile(
            rf"(?i)(?:^|[`\"'*\[({{|:=-])[ \t]*(?:{one})[ \t]*(?:$|[`\"'*\])}}|,;.])", re.MULTILINE
        )  # fmt: skip
        self._inserted, self._at_end = rf"(^| )(?:(?:{one}) )+", rf"(?: (?:{one}))+$"

    def without_public(self, public: Iterable[str]) -> Words:
        """The same but for words that are no secret."""
        return Words([sorted(group) for group in self.of_class], public)

    def named(self, names: Iterable[str]) -> list[str]:
        """Which names of columns, classes and the like are a word; all that hold one if they hold different ones."""
        names = list(names)
        held = {name: set(re.findall(r"[^\W_]+", name.lower())) & set(self.lower) for name in names}
        whole = [name for name in names if name.strip("_").lower() in self.lower]
        several = len(set().union(*held.values())) >= max(2, self.need) if held else False
        return [name for name in names if held[name]] if several else whole

    def hidden(self, place: str) -> str:
        """A place without the words."""
        return self._one.sub("<hidden>", place) if self.all else place

    def candidates(self, texts: pl.Series, protected: bool) -> list[int]:
        """Which texts may list words. A protected one holds those of one class anyway: two are needed there."""
        import polars as pl

        groups = [group for group in self.of_class if group] if protected else [self.all]
        text = pl.col(texts.name)
        held = [text.str.contains(f"(?i){'|'.join(map(re.escape, group))}").cast(pl.UInt8) for group in groups]
        index = texts.to_frame().select((pl.sum_horizontal(held) >= min(2, len(groups))).arg_true()).to_series()
        return index.filter(texts.gather(index).str.contains(self.search)).to_list() if len(index) else []

    def listed(self, text: str, share: float = 0, gap: int = 2, least: int = 2) -> bool:
        """Whether a text lists words: several in a row, with few others between them.

        Args:
            text: A value, or the text of a file.
            share: Of the words of the text that those of the list are at least, unless they stand in quotes. In a
                sentence two of them may come together by chance.
            gap: Most words between one and the next.
            least: Different words outside of quotes that are a list. A short text may hold one of its own, and gets
                another: three are needed where words are inserted.
        """
        need = max(self.need, least)
        if len(self.all) < need and not self._quoted.search(text):
            return False
        count = None  # of the text's words
        run: list[str] = []
        end = 0
        for match in self._one.finditer(text):
            between = text[end : match.start()]
            if len(between) > 60 or len(re.findall(r"\w+", between)) > gap:
                run = []
            around = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
            word = match[0].lower()
            run.append(word if around.strip("\"'`") else f"'{word}'")
            end = match.end()
            if len(run) >= self.need and len({one for one in run if one[0] == "'"}) >= self.need:
                return True
            if len(run) >= need and len({one.strip("'") for one in run}) >= need:
                count = len(re.findall(r"\w+", text)) if count is None else count
                if len(run) >= share * count:
                    return True
        return False

    def alone(self, text: str) -> bool:
        """Whether one word stands as a value of its own, in quotes, in a table or behind a colon."""
        return bool(self._alone.search(text))

    def without(self, texts: pa.Array) -> pa.Array:
        """Texts as they were before words were inserted, but for the words that they held themselves."""
        import polars as pl

        shorter = pl.Series(texts).str.replace(self._at_end, "").str.replace_all(self._inserted, "${1}")
        return strings(shorter.to_arrow())
