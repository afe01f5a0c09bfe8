"""How a seed can be spelled: in any base and byte order, with separators, in base64, as raw bytes, as numbers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from hf_unlearnable.publish.spotting import Texts

LARGE = 2**32  # a smaller number may stand in a text by chance
_SEPARATOR = r"[\W_]{0,3}(?:\\x|0x)?"  # between two digits of a seed
_NOT_DIGITS = r"0x|\\x|[\W_]+"


class Seed:
    """The spellings of one seed, made once.

    Args:
        seed: Whole number in [0, 2**64); below 2**32 it is only looked for behind the word "seed".

    Attributes:
        raw: Its eight bytes in both orders; none if these may stand together by chance.
    """

    def __init__(self, seed: int):
        self._seed = seed
        self.raw = {seed.to_bytes(8, "big"), seed.to_bytes(8, "little")}
        if seed < LARGE or any(len(set(raw)) < 5 for raw in self.raw):
            self.raw = set()
        self._decimal = {str(seed), str(seed - 2**64) if seed >= 2**63 else str(seed), f"{seed:o}", f"{seed:b}"}
        self._hexadecimal = {f"{seed:x}", *(raw.hex() for raw in self.raw)}

    @cached_property
    def codes(self) -> list[str]:
        """Spellings in which the case of letters counts: base64 and base32."""
        if self._seed < LARGE:
            return []
        coded = [*self.raw, str(self._seed).encode(), f"{self._seed:x}".encode(), f"{self._seed:X}".encode()]
        every = [code(one) for code in (base64.b64encode, base64.urlsafe_b64encode) for one in coded]
        every += [base64.b32encode(raw) for raw in self.raw]
        return list(dict.fromkeys(one.decode().rstrip("=") for one in every))

    @cached_property
    def exact(self) -> re.Pattern:
        """Matches every spelling in letters."""
        if self._seed < LARGE:
            seed = self._seed
            return re.compile(rf"(?i)seed\W{{0,5}}(?:0*{seed}(?!\d)|0x0*{seed:x}(?![0-9a-f]))")
        numbers = [
            rf"(?<!\d)(?:{'|'.join(map(_separated, self._decimal))}|{re.escape(repr(float(self._seed)))})(?!\d)"
        ]
        for digits in self._hexadecimal:  # of decimal digits alone, it would be found within amounts of money
            spelled = digits if digits.isdecimal() else _separated(digits)
            numbers.append(rf"(?<![0-9a-fA-F])0*(?i:{spelled})(?![0-9a-fA-F])")
        return re.compile("|".join([*numbers, *map(re.escape, self.codes)]))

    @cached_property
    def _digits(self) -> list[str]:
        """The spellings in digits, without anything between these."""
        return [re.sub(r"\W", "", one) for one in (*self._decimal, *self._hexadecimal, repr(float(self._seed)))]

    def stands_in(self, text: str) -> bool:
        """Whether a text spells it."""
        if self._seed >= LARGE and not any(code in text for code in self.codes):
            digits = re.sub(_NOT_DIGITS, "", text.lower())
            if not any(one in digits for one in self._digits):
                return False
        return self.exact.search(text) is not None

    def candidates(self, texts: Texts) -> np.ndarray:
        """Which texts may spell it in digits: they hold as many of them, near each other.

        Args:
            texts: n texts.

        Returns:
            bool [n].
        """
        if self._seed < LARGE:
            return texts.contains("(?i)seed")
        within = 4 * max(map(len, self._digits[:-1]))
        found = texts.digits_in_turn([re.sub(r"\D", "", one) for one in self._digits], within)
        index = np.flatnonzero(found)
        if len(index):
            digits = texts.series.gather(index).str.to_lowercase().str.replace_all(_NOT_DIGITS, "")
            found[index] = digits.str.contains("|".join(self._digits)).to_numpy()
        return found

    def in_numbers(self, values: pa.Array) -> Iterator[np.ndarray]:
        """Where numbers are the seed, in either byte order, or its bytes stand one after the other.

        Args:
            values: n whole or floating-point numbers.

        Returns:
            Places of the values.
        """
        import pyarrow as pa

        if values.null_count == len(values):
            return
        kind = values.type
        filled: Any = values.fill_null(0).to_numpy(zero_copy_only=False)
        wanted = {self._seed}
        if self.raw and not pa.types.is_floating(kind):
            wanted |= {int.from_bytes(raw, "big") for raw in self.raw}
            for raw in self.raw if len(filled) >= 8 else ():
                starts = np.flatnonzero(filled[: len(filled) - 7] == raw[0])
                for i in range(1, 8):
                    starts = starts[filled[starts + i] == raw[i]]
                yield starts
        for number in wanted:
            if pa.types.is_floating(kind):
                if kind.bit_width >= 32:
                    yield np.flatnonzero(filled == filled.dtype.type(number))
            elif kind.bit_width == 64 or number < 2 ** (kind.bit_width - 1):
                yield np.flatnonzero(filled == np.array(number, np.uint64).astype(filled.dtype))


def _separated(digits: str) -> str:
    return _SEPARATOR.join(digits)
