"""Fast looks at whole columns of texts for what few of them hold, before anything reads them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.text.copies import buffers

if TYPE_CHECKING:
    import pyarrow as pa


def long_runs(values: pa.Array, length: int) -> np.ndarray:
    """Which texts may hold so many bytes without white space between them: all that do, and few that do not.

    Args:
        values: n texts, large_string.
        length: Of the run, in bytes.

    Returns:
        bool [n].
    """
    text, ends = buffers(values)
    found = np.zeros(len(ends), bool)
    # A run covers whole groups of four bytes: a text is looked at in these.
    spaces = np.ones(-(-len(text) // 4) * 4, bool)
    np.less_equal(text, ord(" "), out=spaces[: len(text)])
    groups = spaces.view(np.uint32) == 0
    count = (length - 3) // 4
    full = groups[: max(0, len(groups) - count + 1)].copy()
    for i in range(1, count):
        full &= groups[i : i + len(full)]
    found[np.searchsorted(ends, 4 * np.flatnonzero(full), "right")] = True
    found[np.searchsorted(ends, 4 * (np.flatnonzero(full) + count) - 1, "right")] = True
    return found & (np.diff(ends, prepend=0) >= length)


def close_digits(values: pa.Array, count: int, within: int) -> np.ndarray:
    """Which texts hold so many decimal digits in so few bytes.

    Args:
        values: n texts, large_string.
        count: Of the digits.
        within: Bytes from the first of them to the last.

    Returns:
        bool [n].
    """
    text, ends = buffers(values)
    found = np.zeros(len(ends), bool)
    digits = np.flatnonzero((text - np.uint8(ord("0"))) < 10)
    first, last = digits[: len(digits) - count + 1], digits[count - 1 :]
    first = first[last - first < within] if len(digits) >= count else digits[:0]
    found[np.searchsorted(ends, first, "right")] = True
    return found
