"""Arrays that are larger than memory, in a pickle."""

from __future__ import annotations

import os
import shutil
import weakref
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import numpy as np

from hf_unlearnable._files import scratch_folder

_LARGE = 16 << 20  # bytes


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


def on_disk(array: np.ndarray) -> np.ndarray:
    """The same array, mapped from a file beside the caches of `datasets` if it is large.

    The file is readable by its owner alone. It is gone with the array, and with the next such one after a kill.
    """
    if array.nbytes < _LARGE or isinstance(array, np.memmap):
        return array
    from datasets import config

    parent = Path(config.HF_DATASETS_CACHE, "hf-unlearnable-noise")
    parent.mkdir(parents=True, exist_ok=True)
    folder = scratch_folder(parent, "noise")
    array.tofile(folder / "array")
    found = np.memmap(folder / "array", array.dtype, "r", shape=array.shape)
    weakref.finalize(found, _removed, folder, os.getpid())
    return found


def _removed(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a copy of the array in a process that was forked is no owner
        shutil.rmtree(folder, ignore_errors=True)
