"""Results at rest: one file a training, named by everything that the training depended on.

What is named by its content is never computed twice, whatever was run in between, and a run that was killed goes on
where it was. Runs that share a folder share the work: each takes a training that no other holds a lock on, and a lock
goes away with the process that held it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from hf_unlearnable._files import remove_left, write_file

logger = logging.getLogger(__name__)

_INDIRECT = ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV")  # modes of PIL images whose levels are no RGB


class Store:
    """A folder of results.

    Args:
        folder: Where they are; None keeps them in memory.
    """

    def __init__(self, folder: str | os.PathLike | None = None):
        self.folder = None if folder is None else Path(folder)
        self._memory: dict[str, dict] = {}
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remove_left()

    def _remove_left(self) -> None:
        """Removes what a killed run left."""
        from filelock import FileLock, Timeout

        assert self.folder is not None
        remove_left(self.folder)
        for lock in self.folder.glob(".*.lock"):
            with suppress(Timeout, OSError), FileLock(lock, blocking=False):
                lock.unlink()

    def get(self, name: str) -> dict | None:
        """The result of that name, or None, also where its file is damaged: it is computed again then."""
        if name not in self._memory and self.folder is not None:
            path = self.folder / f"{name}.json"
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                return None
            except ValueError:
                found = None
            if not isinstance(found, dict):
                logger.warning("%s is damaged: what it held is computed again.", path)
                return None
            self._memory[name] = found
        return self._memory.get(name)

    def put(self, name: str, result: dict) -> None:
        """Keeps a result: the whole file appears at once."""
        self._memory[name] = result
        if self.folder is not None:
            write_file(self.folder / f"{name}.json", json.dumps(result) + "\n")

    def each(self, names: Sequence[str], compute: Callable[[int], dict | None], wait: float = 1.0) -> Iterator[int]:
        """Computes what is missing, in that order, and yields each place whose result is there.

        Args:
            names: Of the results.
            compute: From a place in `names` to its result; None where there shall be none.
            wait: Seconds between two looks at what other processes compute.
        """
        left = list(range(len(names)))
        while left:
            held = []
            for place in left:
                there = self._there(names[place], partial(compute, place))
                if there:
                    yield place
                elif there is None:
                    held.append(place)
            left = held
            if left:
                time.sleep(wait)

    def _there(self, name: str, compute: Callable[[], dict | None]) -> bool | None:
        """Whether the result is there, computed if need be; None while another process computes it."""
        if self.get(name) is not None:
            return True
        if self.folder is None:
            result = compute()
            if result is not None:
                self.put(name, result)
            return result is not None
        from filelock import FileLock, Timeout

        lock = self.folder / f".{name}.lock"
        try:
            with FileLock(lock, blocking=False):
                result = self.get(name) or compute()
                if result is not None:
                    self.put(name, result)
        except Timeout:
            return None
        with suppress(OSError):  # on Windows, where another process has it open
            lock.unlink()
        return result is not None


def packed(correct: np.ndarray) -> dict[str, Any]:
    """The part of a result that says which test rows were labelled rightly, boolean [rows]."""
    return {"correct": np.packbits(correct).tobytes().hex(), "test_rows": len(correct)}


def unpacked(result: dict[str, Any]) -> np.ndarray:
    """What `packed` was given."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(result["correct"]), np.uint8))
    return bits[: result["test_rows"]].astype(bool)


def digest(*parts: Any) -> str:
    """A name for what a result depends on, the same in every process.

    Args:
        parts: Strings, numbers, arrays, images, functions, dataclasses such as a `Victim`, and containers of them. A
            function is known by its name, an object without a `repr` of its own by its type and attributes.
    """
    hashed = xxhash.xxh3_128()
    for part in _pieces(parts):
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return hashed.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, partial):
        yield from _pieces((value.func, value.args, value.keywords))
    elif is_dataclass(value) and not isinstance(value, type):  # such as a Victim
        yield from _pieces((type(value), {field.name: getattr(value, field.name) for field in fields(value)}))
    elif callable(value):
        # A function is known by its name: give a victim another name when you change what it does.
        yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(type(value)))}".encode()
    elif isinstance(value, dict):
        yield from _pieces(sorted(value.items(), key=lambda item: str(item[0])))
    elif isinstance(value, np.ndarray) or hasattr(value, "__array_interface__"):
        if getattr(value, "mode", None) in _INDIRECT:  # equal levels of two such images may be other colours
            yield value.mode.encode()
            value = value.convert("RGBA")
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}".encode()
        yield np.ascontiguousarray(array).tobytes()
    elif isinstance(value, set | frozenset):  # whose order is another one in every process
        yield from _pieces(sorted(digest(item) for item in value))
    elif isinstance(value, Iterable):
        items = list(value)
        yield str(len(items)).encode()
        for item in items:
            yield from _pieces(item)
    elif type(value).__repr__ is object.__repr__:  # it would show an address
        yield from _pieces((type(value), getattr(value, "__dict__", {})))
    else:
        yield repr(value).encode()
