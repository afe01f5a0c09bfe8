"""Opens what a visitor hands in, in a process of its own with bounded memory and time: see `reader`."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .limits import RefusedError
from .reader import SECONDS, too_much

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

# What takes much memory happens one at a time, however many visitors hand something in at once. A thread that holds
# it may have something read meanwhile.
ALONE = threading.RLock()
# Threads and arenas would take memory that no file needs.
_FRUGAL = {
    "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1",
}  # fmt: skip


def alone(function: Callable) -> Callable:
    """The function, run while no other that takes much memory runs."""

    @functools.wraps(function)
    def waiting(*args: Any, **kwargs: Any) -> Any:
        with ALONE:
            return function(*args, **kwargs)

    return waiting


def read_table(path: str | Path) -> Dataset:
    """A CSV or Parquet file as a dataset in memory, see `limits.read_table`."""
    from datasets import Dataset

    _, table = _apart("table", path=str(path))
    return Dataset(table)


def read_images(paths: list[str] | list[Path], label: str) -> list[dict[str, Any]]:
    """The images of some files and archives, see `limits.read_images`."""
    _, table = _apart("images", paths=[str(path) for path in paths], label=label)
    return table.to_pylist()


def read_recordings(paths: list[str] | list[Path], label: str) -> list[dict[str, Any]]:
    """The recordings of some files and archives, see `recordings.read_recordings`."""
    _, table = _apart("recordings", paths=[str(path) for path in paths], label=label)
    return table.to_pylist()


def verified(key: str, paths: list[str], column: str | None) -> str:
    """Whether data was protected with a key, as a sentence.

    Args:
        key: The key as a zip archive.
        paths: A table, or images, recordings and archives of them.
        column: The protected column, where it is not called as in the key; None where it is.

    Raises:
        RefusedError: A file does not open, the key leaves no mark, or the data lacks what the key needs.
    """
    return _apart("verify", key=key, paths=paths, column=column)[0]


def restored(key: str, path: str) -> tuple[list[str], Dataset]:
    """The columns that were protected, and the table as it was before.

    Args:
        key: The key as a zip archive.
        path: The table.

    Raises:
        RefusedError: A file does not open, the method cannot be undone, or a row was not protected with this key.
    """
    from datasets import Dataset

    columns, table = _apart("restore", key=key, path=path)
    return columns, Dataset(table)


def _apart(task: str, **arguments: Any) -> tuple[Any, pa.Table]:
    """What the reader found, and the table that it wrote."""
    import pyarrow as pa

    settings = {**os.environ, **_FRUGAL, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with ALONE, tempfile.TemporaryDirectory(dir=os.environ.get("HF_UNLEARNABLE_SPACE")) as folder:
        output = Path(folder, "table.arrow")
        try:
            done = subprocess.run(
                [sys.executable, "-m", "hf_unlearnable.space.reader", task, str(output)], env=settings,
                input=json.dumps(arguments).encode(), capture_output=True, timeout=10 * SECONDS,
            )  # fmt: skip
            answer = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, json.JSONDecodeError):  # stopped by its limits, or by a decoder's crash
            raise RefusedError(too_much(arguments)) from None
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        if not output.is_file():
            return answer["found"], None
        with pa.OSFile(str(output)) as file:
            return answer["found"], pa.ipc.open_stream(file).read_all()
