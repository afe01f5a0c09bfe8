"""What a protection of texts costs a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_unlearnable._words import counted
from hf_unlearnable.text.insertion.scripts import pieces_of, word_count

if TYPE_CHECKING:
    import pyarrow as pa

_MEASURED = 200  # texts whose edits are counted
_SHOWN = 150  # characters of an excerpt


@dataclass(frozen=True)
class TextFidelity:
    """How far protected texts are from the originals.

    Args:
        texts: How many there are.
        changed: How many of them differ.
        words: Words of the changed ones before, see `scripts.word_count`.
        added: How many more they have after.
        edit_rate: Words inserted, deleted or replaced, of 100 words before, over some 200 texts spread over the data;
            None where none of these changed.
    """

    texts: int
    changed: int
    words: int
    added: int
    edit_rate: float | None

    @property
    def words_added(self) -> float | None:
        """Words more per 100 words before; None where no text changed."""
        return 100 * self.added / max(1, self.words) if self.changed else None

    def __str__(self) -> str:
        if not self.changed:
            return f"{counted(self.texts, 'text')}, none changed"
        rate = "" if self.edit_rate is None else f", edit rate {self.edit_rate:.1f} %"
        return f"{self.changed:,} of {self.texts:,} texts changed: {self.words_added:+.1f} words per 100{rate}"


def text_fidelity(original: Any, protected: Any, text_column: str = "text") -> TextFidelity:
    """Counts what was done to the words of texts, or of chat messages.

    Args:
        original: The `Dataset` before.
        protected: The `Dataset` or `IterableDataset` after, rows in the same order.
        text_column: Column of texts.

    Raises:
        ValueError: The two have different numbers of rows.
    """
    import pyarrow.compute as pc

    every = max(1, len(original) // _MEASURED)
    texts = changed = words = words_after = edits = 0
    measured: list[str] = []
    originals = original.select_columns([text_column]).with_format("arrow")
    for table in protected.select_columns([text_column]).with_format("arrow").iter(batch_size=1000):
        texts += len(table)
        if texts > len(original):
            break
        before = originals[texts - len(table) : texts]
        one, two = (_joined(part[text_column].combine_chunks()) for part in (before, table))
        new = pc.not_equal(one, two)
        count = int(pc.sum(new).as_py() or 0)
        changed += count
        words += word_count(one if count == len(one) else one.filter(new))
        words_after += word_count(two if count == len(two) else two.filter(new))
        for row in range((len(table) - texts) % every, len(table), every):
            if new[row].as_py():
                edits += _edits(one[row].as_py(), two[row].as_py())
                measured.append(one[row].as_py())
    if texts != len(original):
        raise ValueError("There are not as many texts after as before: the rows do not correspond.")
    if not changed:
        return TextFidelity(texts, 0, 0, 0, None)
    rate = 100 * edits / word_count(measured) if measured else None
    return TextFidelity(texts, changed, words, words_after - words, rate)


def excerpts(before: Any, after: Any) -> tuple[str, str]:
    """The stretch of a text in which a protection first changed it, before and after, each on a line.

    Args:
        before, after: Texts, or lists of chat messages.
    """
    import pyarrow as pa

    one, two = (" ".join(_joined(pa.array([value]))[0].as_py().split()) for value in (before, after))
    end = 0 if one == two else min(len(one), len(two))  # of a change at the end
    start = max(0, next((i for i, (a, b) in enumerate(zip(one, two)) if a != b), end) - _SHOWN // 3)  # noqa: B905
    return tuple(  # type: ignore[return-value]
        ("... " if start else "") + text[start : start + _SHOWN] + (" ..." if len(text) > start + _SHOWN else "")
        for text in (one, two)
    )


def _pieces(text: str) -> list[str]:
    return text.split() if text.isascii() else [piece for piece in pieces_of(text) if not piece.isspace()]


def _joined(texts: pa.Array) -> pa.LargeStringArray:
    """Texts as they are, the messages of a chat one after the other; empty where there is none."""
    import polars as pl
    import pyarrow as pa

    if pa.types.is_nested(texts.type):
        series: Any = pl.Series(texts)
        inner = pl.element().struct.field("content") if isinstance(series.dtype.inner, pl.Struct) else pl.element()
        texts = series.to_frame("text").select(pl.col("text").list.eval(inner).list.join(" "))["text"].to_arrow()
    texts = texts.cast(pa.large_string())
    return texts.fill_null("") if texts.null_count else texts


def _edits(before: str, after: str) -> int:
    """Words inserted, deleted or replaced between two texts."""
    from difflib import SequenceMatcher

    one, two = _pieces(before), _pieces(after)
    left = iter(two)
    if all(piece in left for piece in one):  # words were only inserted
        return word_count([after]) - word_count([before])
    steps = SequenceMatcher(None, one, two, autojunk=False).get_opcodes()
    parts = [(" ".join(one[a:b]), " ".join(two[c:d])) for step, a, b, c, d in steps if step != "equal"]
    return sum(max(word_count([old]), word_count([new])) for old, new in parts)
