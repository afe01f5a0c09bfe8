"""Scripts that are written without spaces: which they are, where a word may go in them, and how words are counted.

`SPACELESS` is the one set of these scripts. It is written for `regex` (with its flag V1) and for Polars alike.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import regex

from hf_unlearnable.text.copies import buffers

_NAMES = (
    "Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Javanese", "Balinese",
    "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet",
)  # fmt: skip
# A character of such a script: a letter, a mark, a digit.
SPACELESS = "[" + "".join(rf"\p{{Script={name}}}" for name in _NAMES) + "]"

# Where the letters of these scripts lie, roughly: one fast search tells that most texts hold none.
_ROUGHLY = "[\u0e00-\u109f\u1780-\u1b7f\u2e80-\uabff\uf900-\ufaff\uff66-\uff9f\U00016fe0-\U0003fffd]"
_MAY_HOLD = re.compile(_ROUGHLY)
_SPACES = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_LETTER = regex.compile(rf"(?V1)[{SPACELESS}&&[\p{{L}}\p{{M}}]]")
_OTHER_WORD = regex.compile(rf"(?V1)[^\s{SPACELESS}\p{{P}}][^\s{SPACELESS}]*")
_ASCII_PIECE = re.compile(r"\s|\S+")
_ASCII_WORD = re.compile(r"[^\t\n\x0b\x0c\r ]+")
_BLOCK = 1 << 16  # bytes that are looked at in one go: what stays in the caches
# White space beyond ASCII, by its first byte in UTF-8: U+0085, U+00A0, U+1680, U+2000 to U+200A, ..., U+3000.
_WIDE_SPACES = {
    lead: [char.encode()[1:] for char in _SPACES if char.encode()[0] == lead] for lead in (0xC2, 0xE1, 0xE2, 0xE3)
}
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
        texts: A sequence of texts, a series of Polars or a large_string array; None holds no word.
    """
    import polars as pl
    import pyarrow as pa

    if not isinstance(texts, pa.Array):
        if len(texts) < _FEW and all(text is None or text.isascii() for text in texts):
            return sum(len(_ASCII_WORD.findall(text)) for text in texts if text)
        texts = pl.Series(texts, dtype=pl.String).to_arrow().cast(pa.large_string())
    data, ends = buffers(texts.fill_null("") if texts.null_count else texts)
    lead = np.flatnonzero(data >= 0xE0) if len(data) and data.max() >= 0x80 else ends[:0]
    # Quotation marks and dashes of general punctuation are what most texts that are not ASCII hold.
    lead = lead[(data[lead] != 0xE2) | (data[lead + 1] >= 0xBA)] if len(lead) else lead
    near = np.unique(np.searchsorted(ends, lead, "right"))
    spaceless = near[pl.Series(texts.take(pa.array(near))).str.contains(_ROUGHLY).to_numpy()] if len(near) else near
    words = _words_between_spaces(data, ends, spaceless)
    for text in texts.take(pa.array(spaceless)).to_pylist() if len(spaceless) else ():
        words += (len(_LETTER.findall(text)) + 1) // 2 + len(_OTHER_WORD.findall(text))
    return words


def _words_between_spaces(data: np.ndarray, ends: np.ndarray, without: np.ndarray) -> int:
    """The runs of what is no white space, in texts one after the other.

    Args:
        data: Their bytes, uint8.
        ends: Where each ends, int64 [n].
        without: Numbers of texts that are left out, int64.
    """
    if not len(data):
        return 0
    space = np.empty(len(data), bool)
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        np.less(block - np.uint8(0x09), 5, out=space[start : start + _BLOCK])
        space[start : start + _BLOCK] |= block == 0x20
    if data.max() >= 0x80:
        _add_wide_spaces(space, data)
    starts = np.append(0, ends[:-1])
    for start, end in zip(starts[without].tolist(), ends[without].tolist(), strict=True):
        space[start:end] = True
    full = starts[starts < ends]
    # A word that begins its text stands behind no space.
    first = full[~space[full]]
    return (
        int(np.count_nonzero(space[:-1] > space[1:]))
        + int((first == 0).sum())
        + int((~space[first[first > 0] - 1]).sum())
    )


def _add_wide_spaces(space: np.ndarray, data: np.ndarray) -> None:
    """Marks the bytes of white space beyond ASCII, as the Unicode property has it."""
    for lead, follow in _WIDE_SPACES.items():
        at = np.flatnonzero(data == lead)
        for rest in follow if len(at) else ():
            found = at
            for i, byte in enumerate(rest, 1):
                found = found[data[found + i] == byte]
            for i in range(len(rest) + 1):
                space[found + i] = True


def pieces_of(text: str) -> list[str]:
    """A text in pieces that join to it: each white space, each character of a script without spaces, runs of others.

    A word that was put between two letters of such a script is a piece of its own.
    """
    return (_ASCII_PIECE if text.isascii() else _PIECE).findall(text)
