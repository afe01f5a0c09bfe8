"""Scripts that are written without spaces: which they are, where a word may go in them, and how words are counted.

`SPACELESS` is the one set of these scripts. It is written for `regex` (with its flag V1) and for Polars alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import regex

if TYPE_CHECKING:
    import polars as pl

_NAMES = (
    "Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Javanese", "Balinese",
    "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet",
)  # fmt: skip
# A character of such a script: a letter, a mark, a digit.
SPACELESS = "[" + "".join(rf"\p{{Script={name}}}" for name in _NAMES) + "]"

# Where the letters of these scripts lie, roughly: one fast search tells that most texts hold none.
_ROUGHLY = "[\u0e00-\u109f\u1780-\u1b7f\u2e80-\uabff\uf900-\ufaff\uff66-\uff9f\U00016fe0-\U0003fffd]"
_MAY_HOLD = re.compile(_ROUGHLY)
_LETTER = regex.compile(rf"(?V1)[{SPACELESS}&&[\p{{L}}\p{{M}}]]")
_OTHER_WORD = regex.compile(rf"(?V1)[^\s{SPACELESS}\p{{P}}][^\s{SPACELESS}]*")
_ASCII_PIECE = re.compile(r"\s|\S+")
_ASCII_WORD = re.compile(r"[^\t\n\x0b\x0c\r ]+")
_FEW = 8  # texts that are searched in less time than a column takes to begin with
_PIECE = regex.compile(rf"(?V1)\s|{SPACELESS}|[^\s{SPACELESS}]+")

# The last character in front of a place. The Unicode rules break words of these scripts between any two clusters, but
# not within Katakana; no cluster is cut: not behind a vowel that is written in front of its consonant, nor a sign that
# joins two consonants; not in front of what belongs to the letter before it: vowels, marks, small kana, signs of
# repetition, a consonant without a vowel. Tibetan marks its syllables itself.
BEFORE_PLACE = regex.compile(rf"""(?V1x)
    [[{SPACELESS}--\p{{Script=Tibetan}}]&&[\p{{L}}\p{{M}}]
        --\p{{Logical_Order_Exception}}--[\p{{InSC=Virama}}\p{{InSC=Invisible_Stacker}}]]
    (?=[[{SPACELESS}--\p{{Script=Tibetan}}]&&[\p{{L}}--\p{{Lm}}]
        --[\p{{InSC=Vowel_Dependent}}--\p{{Logical_Order_Exception}}]--\p{{Line_Break=CJ}}])
    (?!.\p{{M}}?[\p{{InSC=Pure_Killer}}\p{{InSC=Consonant_Killer}}\p{{InSC=Virama}}\u1039])
    (?!(?<=\p{{Script=Katakana}})\p{{Script=Katakana}})
    | \u0f0b (?=[\p{{Script=Tibetan}}&&\p{{L}}])
""")


def mostly_spaceless(text: str) -> bool:
    """Whether most of a text is of a script that is written without spaces."""
    if text.isascii() or not _MAY_HOLD.search(text):
        return False
    return 2 * len(_LETTER.findall(text)) >= max(1, len(text) - text.count(" "))


def word_count(texts: Any) -> int:
    """The words of some texts: what stands between white space, and two letters each of scripts without spaces.

    Args:
        texts: A sequence of texts or a series of Polars; None holds no word.
    """
    import polars as pl

    if len(texts) < _FEW and all(text is None or text.isascii() for text in texts):
        return sum(len(_ASCII_WORD.findall(text)) for text in texts if text)
    series = pl.Series(texts, dtype=pl.String).drop_nulls()
    words, others = _plain_words(series)
    spaceless = others.str.contains(_ROUGHLY)
    words += int(others.filter(~spaceless).str.count_matches(r"\S+").sum())
    for text in others.filter(spaceless):
        words += (len(_LETTER.findall(text)) + 1) // 2 + len(_OTHER_WORD.findall(text))
    return words


def _plain_words(series: pl.Series) -> tuple[int, pl.Series]:
    """The words of the ASCII texts, counted ten times as fast as a search finds them; and the other texts."""
    import polars as pl
    import pyarrow as pa

    array = series.to_arrow().cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not len(array):
        return 0, series
    off = np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, 8 * array.offset)
    bytes_ = np.frombuffer(array.buffers()[2] or b"", np.uint8)[off[0] : off[-1]]
    off = off - off[0]
    wide = np.zeros(len(array), bool)
    if len(bytes_) and bytes_.max() >= 0x80:
        wide[np.searchsorted(off, np.flatnonzero(bytes_ >= 0x80), side="right") - 1] = True
        plain = series.filter(~pl.Series(wide))
        return _plain_words(plain)[0], series.filter(pl.Series(wide))
    space = (bytes_ == 0x20) | ((bytes_ >= 0x09) & (bytes_ <= 0x0D))
    begins = np.ones(
        len(bytes_) + 1, bool
    )  # whether what stands in front of a byte ends a word: a space, another text
    begins[1:] = space
    begins[off[:-1]] = True
    return int(np.count_nonzero(begins[:-1] & ~space)), series.clear()


def pieces_of(text: str) -> list[str]:
    """A text in pieces that join to it: each white space, each character of a script without spaces, runs of others.

    A word that was put between two letters of such a script is a piece of its own.
    """
    return (_ASCII_PIECE if text.isascii() else _PIECE).findall(text)
