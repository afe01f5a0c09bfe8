"""Fast looks at whole columns of texts for what few of them hold, before anything reads them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.text.copies import buffers

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

RUN = 20  # bytes of the shortest run that is looked at
_BLOCK = 1 << 18  # bytes looked at in one go: what stays in the cache
_FACTOR = np.uint32(0x9E3779B1)


class Needles:
    """Byte strings that are looked for all at once, wherever they begin.

    Each holds, at any place, a whole aligned word of four bytes of its own: a table of these tells which words of the
    data are worth a look. It is a tenth of the cost of a regular expression.

    Args:
        needles: Of seven bytes and more.
    """

    SHORTEST = 7

    def __init__(self, needles: Sequence[bytes]):
        self._needles = list(dict.fromkeys(needles))
        words = b"".join(needle[i : i + 4] for needle in self._needles for i in range(4))
        self._words, self._table = np.unique(np.frombuffer(words, np.uint32)), np.zeros(1 << 16, bool)
        self._table[(self._words * _FACTOR) >> np.uint32(16)] = True

    def stand_in(self, files: Texts) -> np.ndarray:
        """The numbers of the files that hold one, int [m]."""
        if not self._needles:
            return np.zeros(0, int)
        data = files.bytes
        numbers = set[int]()
        for place in (4 * self._places(data[: len(data) // 4 * 4].view(np.uint32))).tolist():
            near = data[max(0, place - 3) : place + max(map(len, self._needles))].tobytes()
            for needle in self._needles:
                at = near.find(needle)
                if at >= 0:
                    first = max(0, place - 3) + at
                    number = int(np.searchsorted(files.ends, first, "right"))
                    if first + len(needle) <= files.ends[number]:
                        numbers.add(number)
        return np.array(sorted(numbers), int)

    def _places(self, words: np.ndarray) -> np.ndarray:
        """Where one of the needles' words stands among these, uint32 [m]."""
        size = _BLOCK >> 3
        products, slots, held = np.empty(size, np.uint32), np.empty(size, np.intp), np.empty(size, bool)
        found = [np.zeros(0, int)]
        for start in range(0, len(words), size):
            block = words[start : start + size]
            part = slice(0, len(block))
            np.multiply(block, _FACTOR, out=products[part])
            np.right_shift(products[part], np.uint32(16), out=slots[part])
            self._table.take(slots[part], out=held[part], mode="clip")  # all slots are in the table
            found.append(start + np.flatnonzero(held[part]))
        places = np.concatenate(found)
        maybe = words[places]
        return places[self._words.take(np.searchsorted(self._words, maybe), mode="clip") == maybe]


class Texts:
    """A column of texts or of files. What several searches need of it is made once.

    Args:
        values: n texts, large_string, or n files, large_binary; an empty one in place of none.

    Attributes:
        bytes: Those of all texts, one after the other, uint8.
        ends: Where each text ends in them, int64 [n].
    """

    def __init__(self, values: pa.Array):
        import pyarrow.compute as pc

        self.values = pc.fill_null(values, "") if values.null_count else values
        self.bytes, self.ends = buffers(self.values)

    @cached_property
    def series(self) -> pl.Series:
        """The texts in polars."""
        import polars as pl

        return pl.Series(self.values)

    def contains(self, pattern: str) -> np.ndarray:
        """Which texts match a regular expression (RE2), bool [n]."""
        return self.series.str.contains(pattern).to_numpy()

    @cached_property
    def runs(self) -> tuple[pl.Series, np.ndarray, np.ndarray]:
        """All runs of 20 bytes and more without white space between them; in files, of printable letters in ASCII.

        Returns:
            The m runs; the number of the text that each stands in, int [m]; whether a line ends behind it, bool [m].
        """
        import polars as pl
        import pyarrow as pa

        starts, stops = self._long_runs()
        # Texts follow each other without a space: a run is cut where one ends.
        first, last = (np.searchsorted(self.ends, place, "right") for place in (starts, stops - 1))
        parts = last - first + 1
        numbers = np.repeat(first - np.cumsum(parts) + parts, parts) + np.arange(parts.sum())
        begins = np.append(0, self.ends)
        starts = np.maximum(np.repeat(starts, parts), begins[numbers])
        stops = np.minimum(np.repeat(stops, parts), self.ends[numbers])
        long = stops - starts >= RUN
        starts, stops, numbers = starts[long], stops[long], numbers[long]
        offsets = np.append(0, np.cumsum(stops - starts))
        places = np.repeat(starts - offsets[:-1], stops - starts) + np.arange(offsets[-1])
        sources = pa.py_buffer(offsets), pa.py_buffer(self.bytes[places])
        runs = pl.Series(pa.LargeStringArray.from_buffers(len(starts), *sources))
        behind = self.bytes[np.minimum(stops, len(self.bytes) - 1)]
        return runs, numbers, (stops < self.ends[numbers]) & ((behind == ord("\n")) | (behind == ord("\r")))

    def _long_runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Where runs begin and end that cover four whole groups of four bytes, as any of 19 bytes does."""
        import pyarrow as pa

        is_text = pa.types.is_large_string(self.values.type)

        def part_of_run(text: np.ndarray) -> np.ndarray:
            return text > ord(" ") if is_text else text - np.uint8(ord("!")) <= ord("~") - ord("!")

        found = [np.zeros(0, int)]
        for start in range(0, len(self.bytes) // 4 * 4, _BLOCK):
            block = self.bytes[start : start + _BLOCK + 12]
            groups = part_of_run(block[: len(block) // 4 * 4]).view(np.uint32) == 0x01010101
            found.append(start + 4 * np.flatnonzero(groups[:-3] & groups[1:-2] & groups[2:-1] & groups[3:]))
        places = np.concatenate(found)
        edges = np.flatnonzero(np.diff(places) > 4)
        starts = places[np.append(0, edges + 1)] if len(places) else places
        stops = places[np.append(edges, len(places) - 1)] + 16 if len(places) else places
        size = len(self.bytes)
        for _ in range(3):
            starts = starts - ((starts > 0) & part_of_run(self.bytes[starts - 1]))
            stops = stops + ((stops < size) & part_of_run(self.bytes[np.minimum(stops, size - 1)]))
        return starts, stops

    @cached_property
    def _digits(self) -> np.ndarray:
        """The places of all decimal digits."""
        found = [np.zeros(0, int)]
        zeros, tens, ones = (np.uint64(0x0101010101010101 * byte) for byte in (ord("0"), 10, 0x80))
        whole = len(self.bytes) // 8 * 8
        for start in range(0, whole, _BLOCK):
            block = self.bytes[start : min(start + _BLOCK, whole)]
            eights = block.view(np.uint64) ^ zeros
            words = np.flatnonzero(((eights - tens) & ~eights & ones) != 0)  # few of them: eight bytes at a time
            within = np.flatnonzero(block.reshape(-1, 8)[words] - np.uint8(ord("0")) < 10)
            found.append(start + 8 * words[within >> 3] + (within & 7))
        found.append(whole + np.flatnonzero(self.bytes[whole:] - np.uint8(ord("0")) < 10))
        return np.concatenate(found)

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

    def digits_in_turn(self, sequences: Sequence[str], within: int) -> np.ndarray:
        """Which texts hold one of these sequences of decimal digits, with no other digit between two of them.

        Anything else may stand between them; of the "0x" before a hexadecimal number the 0 is no digit.

        Args:
            sequences: Of decimal digits; every text holds an empty one.
            within: Bytes from the first digit to the last.

        Returns:
            bool [n].
        """
        found = np.full(len(self.ends), "" in sequences)
        places = self._digits
        after = self.bytes[np.minimum(places + 1, len(self.bytes) - 1)] | np.uint8(0x20)  # in lower case
        places = places[(self.bytes[places] != ord("0")) | (after != ord("x"))]
        digits = self.bytes[places]
        for sequence in filter(None, sequences):
            at = np.arange(len(digits) - len(sequence) + 1)
            for step, digit in enumerate(sequence.encode()):
                at = at[digits[at + step] == digit] if len(at) else at
            at = at[places[at + len(sequence) - 1] - places[at] < within]
            found[np.searchsorted(self.ends, places[at], "right")] = True
        return found
