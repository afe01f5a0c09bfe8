"""Whether a text is a copy of another, the same but for case, punctuation, markup and escapes, or nearly.

Pieces are counted, not sampled: `datasketch.MinHash` takes 40 times as long on 920 notes, and a copy of half of a text
is another thing to it than the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.text.plain import SPELLED, plain_texts

if TYPE_CHECKING:
    import pyarrow as pa

SHORT = 20  # letters and digits below which a text is no copy of another: labels, names, "thank you very much"
_WINDOW = 12  # letters of a piece of text
_SHARE = 0.4  # of the original's pieces that a near copy holds
_AT_ONCE = 1 << 19  # bytes of texts that are taken apart in one go

_LETTERS = np.arange(256, dtype=np.uint8)  # bytes above 127 are parts of letters
_LETTERS[:128] = [ord(chr(i).lower()) if chr(i).isalnum() else 0 for i in range(128)]
_FACTORS = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F], np.uint32)


def letters(values: pa.Array) -> pa.Array:
    """The letters and digits of each text alone, lower-case, without markup: equal for copies that differ in no other.

    Args:
        values: n texts, large_string.

    Returns:
        n values, large_binary; empty where there is no text.
    """
    import pyarrow as pa

    found = [pa.array([], pa.large_binary())]
    values = _plain(values)
    for part in _parts(values):
        text, ends = _letters(values[part])
        buffers = [None, pa.py_buffer(np.concatenate([[0], ends])), pa.py_buffer(text)]
        found.append(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), buffers))
    return pa.concat_arrays(found)


def _parts(values: pa.Array) -> Iterator[slice]:
    """Texts side by side that hold half a megabyte together: what follows takes many times their memory."""
    import pyarrow.compute as pc

    ends = np.cumsum(pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False))
    start = 0
    while start < len(values):
        stop = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _AT_ONCE, "right"))
        yield slice(start, max(start + 1, stop))
        start = max(start + 1, stop)


def _plain(values: pa.Array) -> pa.Array:
    """Texts without markup and escapes, their letters beyond ASCII in lower case: few texts hold any."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.fill_null(values, "")
    text, ends = buffers(values)
    texts = pl.Series(values)
    changed = np.zeros(len(ends), bool)
    if re.search(rb"[<&%\\]", text.data):
        changed |= texts.str.contains(SPELLED).to_numpy()
    changed[np.unique(np.searchsorted(ends, np.flatnonzero(text > 127), "right"))] = True
    if not changed.any():
        return values
    index = np.flatnonzero(changed)
    lower = plain_texts(texts.gather(index)).str.to_lowercase()
    return texts.scatter(index, lower).to_arrow().cast(pa.large_string())


def _letters(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The letters and digits of `_plain` texts as UTF-8 in one array, and where each text ends in it."""
    text, ends = buffers(values)
    data = text.tobytes()
    letters = np.frombuffer(bytearray(data.replace(b"<br />", b"      ").translate(_LETTERS.tobytes())), np.uint8)
    if b"\\" in data:
        escapes = np.flatnonzero(text[:-1] == ord("\\"))  # "\n" in JSON is no letter
        letters[escapes[np.isin(text[escapes + 1], np.frombuffer(b"nrt", np.uint8))] + 1] = 0
    high = np.flatnonzero(text >= 0xC2) if not data.isascii() else np.zeros(0, int)
    for lead, second, length in ((0xC2, None, 2), (0xE2, (0x80, 0x81), 3), (0xE3, (0x80,), 3)):  # foreign punctuation
        at = high[text[high] == lead]
        at = at if second is None else at[np.isin(text[at + 1], second)]
        for i in range(length):
            letters[at + i] = 0
    kept = np.zeros(len(letters) // 64 * 64 + 64, bool)
    kept[: len(letters)] = letters != 0
    before = np.cumsum(kept.reshape(-1, 64).view(np.uint8).sum(1, dtype=np.uint8), dtype=np.int64)
    within = kept.reshape(-1, 64)[ends // 64] & (np.arange(64) < (ends % 64)[:, None])
    return letters[kept[: len(letters)]], np.append(0, before)[ends // 64] + within.sum(1)


def buffers(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all values one after the other, uint8, and where each value ends in them, int64 [n].

    Args:
        values: n values, large_string or large_binary.
    """
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(values) + 1, values.offset * 8)
    text = np.frombuffer(data, np.uint8, int(bounds[-1])) if data is not None else np.zeros(0, np.uint8)
    return text[bounds[0] :], bounds[1:] - bounds[0]


def _pieces(values: pa.Array, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A hash of the runs of twelve letters, mixed with the number of its text, and that number.

    Args:
        values: Texts.
        every: Of so many runs one is taken, chosen by its letters: the same ones in every text.
    """
    letters, ends = _letters(_plain(values))
    n = len(letters) - _WINDOW + 1
    if n <= 0:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    a, b, c, d = _FACTORS
    letters = letters.astype(np.uint32)
    two = letters[:-1] * a + letters[1:]
    four = two[:-2] * b + two[2:]
    eight = four[:-4] * c + four[4:]
    twelve = eight[:-4] * d + four[8:]
    index = np.flatnonzero((twelve >> np.uint32(15)) % np.uint32(every) == 0)
    numbers = np.searchsorted(ends, index, "right")
    whole = index + _WINDOW <= ends[numbers]
    numbers = numbers[whole]
    mixed = (twelve[index[whole]] ^ (numbers.astype(np.uint32) * a)) * c
    return mixed ^ (mixed >> np.uint32(15)), numbers


def near_copies(original: pa.Array, after: pa.Array, texts: pa.Array, changed: np.ndarray, known: bool) -> np.ndarray:
    """Which of `texts` are near copies of the text that the protection began with.

    Args:
        original: The texts before, or the protected ones where those are not known.
        after: The protected texts.
        texts: What stands in another column of the same rows.
        changed: Whether the row is protected, bool [n].
        known: Whether `original` is known.

    Returns:
        bool [n].
    """
    parts = [_near(original[part], after[part], texts[part], changed[part], known) for part in _parts(texts)]
    return np.concatenate([np.zeros(0, bool), *parts])


def _near(original: pa.Array, after: pa.Array, texts: pa.Array, changed: np.ndarray, known: bool) -> np.ndarray:
    """`near_copies` of a few texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    near = np.zeros(len(texts), bool)
    sizes, others = (
        pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False) for values in (original, texts)
    )
    possible = np.flatnonzero(changed & (sizes >= 1.6 * SHORT) & (others >= _SHARE * sizes * 0.8))
    if not len(possible):
        return near
    few, few_texts = _pieces(original.take(pa.array(possible)), 16)
    within = _within(few, _pieces(texts.take(pa.array(possible)), 16)[0])
    looked, same = (np.bincount(few_texts, weights, len(possible)) for weights in (None, within))
    possible = possible[(looked < 8) | (same >= _SHARE / 2 * looked)]
    if not len(possible):
        return near
    index = pa.array(possible)
    (one, one_text), (two, two_text), (three, three_text) = map(
        _pieces, (original.take(index), after.take(index), texts.take(index))
    )
    n = len(possible)

    def share(pieces: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = np.bincount(numbers, minlength=n)
        return np.bincount(numbers, pieces, minlength=n) / np.maximum(total, 1), total

    in_texts = _within(one, three)
    held, total = share(in_texts, one_text)
    found = (held >= _SHARE) & (total > 0)
    if known:  # it holds what only the original has, more than what only the protected text has
        lost, new = ~_within(one, two), ~_within(two, one)
        of_original, count = share(in_texts[lost], one_text[lost])
        of_protected, _ = share(_within(two, three)[new], two_text[new])
        found &= (count > 0) & (of_original > of_protected)
    else:  # neither holds the other
        found &= (1 - held) * total >= _WINDOW / 2
        back, size = share(_within(three, two), three_text)
        found &= (1 - back) * size >= _WINDOW / 2
    near[possible] = found
    return near


def _within(pieces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of these hashes are among the others, but for one error in sixteen."""
    bits = max(10, int(len(others) * 16).bit_length())
    shift = np.uint32(max(0, 32 - bits))
    table = np.zeros(1 << min(bits, 32), bool)
    table[others >> shift] = True
    return table[pieces >> shift]
