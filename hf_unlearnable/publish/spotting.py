"""Fast looks at whole columns of texts for what few of them hold, before anything reads them one by one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.text.copies import buffers

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

RUN = 20  # bytes of the shortest run that is looked at


class Texts:
    """A column of texts or of files. What several searches need of it is made once.

    Args:
        values: n texts, large_string, or n files, large_binary.

    Attributes:
        bytes: Those of all texts, one after the other, uint8.
        ends: Where each text ends in them, int64 [n].
    """

    def __init__(self, values: pa.Array):
        self.values = values
        self.bytes, self.ends = buffers(values)

    @cached_property
    def series(self) -> pl.Series:
        """The texts in polars."""
        import polars as pl

        return pl.Series(self.values)

    def contains(self, pattern: str) -> np.ndarray:
        """Which texts match a regular expression (RE2), bool [n]."""
        return self.series.str.contains(pattern).fill_null(False).to_numpy()

    @cached_property
    def runs(self) -> tuple[pl.Series, np.ndarray, np.ndarray]:
        """All runs of 20 bytes and more without white space between them; in files, of printable letters in ASCII.

        Returns:
            The m runs; the number of the text that each stands in, int [m]; whether a line ends behind it, bool [m].
        """
        import polars as pl
        import pyarrow as pa

        is_text = pa.types.is_large_string(self.values.type)
        apart = self.bytes <= ord(" ") if is_text else self.bytes - np.uint8(ord("!")) > ord("~") - ord("!")
        starts, stops = _long_runs(apart)
        # Texts follow each other without a space: a run is cut where one ends.
        first, last = (np.searchsorted(self.ends, place, "right") for place in (starts, stops - 1))
        parts = last - first + 1
        cells = np.repeat(first - np.cumsum(parts) + parts, parts) + np.arange(parts.sum())
        begins = np.append(0, self.ends)
        starts = np.maximum(np.repeat(starts, parts), begins[cells])
        stops = np.minimum(np.repeat(stops, parts), self.ends[cells])
        long = stops - starts >= RUN
        starts, stops, cells = starts[long], stops[long], cells[long]
        offsets = np.append(0, np.cumsum(stops - starts))
        places = np.repeat(starts - offsets[:-1], stops - starts) + np.arange(offsets[-1])
        sources = pa.py_buffer(offsets), pa.py_buffer(self.bytes[places])
        runs = pl.Series(pa.LargeStringArray.from_buffers(len(starts), *sources))
        behind = np.append(self.bytes, np.uint8(0))[stops]
        return runs, cells, (stops < self.ends[cells]) & ((behind == ord("\n")) | (behind == ord("\r")))

    @cached_property
    def _digits(self) -> np.ndarray:
        """The places of all decimal digits."""
        digits = np.zeros(-(-len(self.bytes) // 8) * 8, bool)
        np.less(self.bytes - np.uint8(ord("0")), 10, out=digits[: len(self.bytes)])
        return _sparse(digits)

    def close_digits(self, count: int, within: int) -> np.ndarray:
        """Which texts hold so many decimal digits in so few bytes.

        Args:
            count: Of the digits.
            within: Bytes from the first of them to the last.

        Returns:
            bool [n].
        """
        found = np.zeros(len(self.ends), bool)
        digits = self._digits
        if len(digits) >= count:
            first, last = digits[: len(digits) - count + 1], digits[count - 1 :]
            found[np.searchsorted(self.ends, first[last - first < within], "right")] = True
        return found


def _long_runs(apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of bytes begin and end that cover four whole groups of four, as any of 19 bytes does.

    Args:
        apart: Whether a byte stands between runs, bool.
    """
    spaces = np.ones(-(-len(apart) // 4) * 4 + 8, bool)  # a group without text on either side
    spaces[4 : 4 + len(apart)] = apart
    groups = spaces.view(np.uint32) == 0
    full = groups[:-3] & groups[1:-2] & groups[2:-1] & groups[3:]
    places = np.flatnonzero(full)
    edges = np.flatnonzero(np.diff(places) > 1)
    starts = 4 * places[np.append(0, edges + 1)] if len(places) else places
    stops = 4 * (places[np.append(edges, len(places) - 1)] + 4) if len(places) else places
    for _ in range(3):
        starts = starts - ~spaces[starts - 1]
        stops = stops + ~spaces[stops]
    return starts - 4, stops - 4


def _sparse(mask: np.ndarray) -> np.ndarray:
    """`flatnonzero` of a mask of 8 n values that few of are true."""
    words = np.flatnonzero(mask.view(np.uint64))
    within = np.flatnonzero(mask.reshape(-1, 8)[words])
    return words[within >> 3] * 8 + (within & 7)
