"""Arrays that are larger than memory, in a pickle."""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Mapped:
    """An array that is mapped from a file, named instead of copied: it may be larger than memory.

    Args:
        path: The file.
        written: When it was last written, in nanoseconds: another content is another identity.
        dtype, offset, shape: Where the array lies in it.
    """

    path: str
    written: int
    dtype: str
    offset: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: np.ndarray) -> np.ndarray | Mapped:
        """The name of a whole mapped array whose file is there; any other array as it is."""
        if not isinstance(array, np.memmap) or not isinstance(array.base, mmap) or not Path(array.filename).is_file():
            return array
        written = Path(array.filename).stat().st_mtime_ns
        return cls(str(array.filename), written, array.dtype.str, array.offset, array.shape)

    def mapped(self) -> np.ndarray:
        """The array."""
        return np.memmap(self.path, self.dtype, "r", offset=self.offset, shape=self.shape)
