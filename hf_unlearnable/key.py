"""The owner's secret, and the randomness that is drawn from it.

Knowing how a protection works must not be enough to undo it, so everything that an adversary needs beyond the
published method lives in a `Key`: the seed and what `fit` learned. It is saved as a directory apart from the data
(JSON and safetensors, never pickle), readable by its owner only, with a checksum: a damaged key is refused, for it
would protect with other bytes than the rest of the data, or not at all.
"""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hf_unlearnable._files import whole_or_nothing
from hf_unlearnable._version import __version__

logger = logging.getLogger(__name__)

_FORMAT = 2  # 2: with a checksum
_FIELDS = {"method": str, "method_version": int, "package_version": str, "parameters": dict, "seed": int,
           "state": dict}  # fmt: skip
_told: set[Path] = set()  # keys that were said to be readable by others
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WORD = 2**64 - 1


@dataclass(frozen=True, repr=False)
class Key:
    """What an adversary must not have.

    Args:
        method: Name of the method in the registry.
        method_version: Version of the method's algorithm; another version would give other bytes.
        parameters: Constructor arguments of the transform, without the seed.
        seed: Secret integer in [0, 2**64).
        state: What `fit` learned, as JSON values.
        tensors: What `fit` learned, as arrays by name.
        package_version: The version of hf-unlearnable that made the key.
        path: Where it was loaded from, for messages.
    """

    method: str
    method_version: int
    parameters: dict[str, Any]
    seed: int
    state: dict[str, Any]
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    package_version: str = __version__
    path: Path | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"Key(method={self.method!r}, secret=<hidden>)"

    @property
    def named(self) -> str:
        """The key in a message."""
        return "This key" if self.path is None else f"The key {self.path}"

    def save(self, path: str | os.PathLike) -> Path:
        """Writes the key as a new directory, whole or not at all, with file mode 0600.

        Raises:
            FileExistsError: `path` is there already. A key is never overwritten: the data that it protects could
                not be restored or proven any more.
        """
        path = Path(path)
        if os.path.lexists(path):
            raise FileExistsError(
                f"{path} exists, and a key is never overwritten. Give another path, or move it away."
            )
        contents = {
            "format": _FORMAT,
            "method": self.method,
            "method_version": self.method_version,
            "package_version": self.package_version,
            "parameters": self.parameters,
            "seed": self.seed,
            "state": self.state,
        }
        with whole_or_nothing(path) as scratch:
            scratch.mkdir(mode=0o700)
            if self.tensors:
                _write_tensors(scratch / "tensors.safetensors", self.tensors)
            contents["checksum"] = _checksum(json.loads(json.dumps(contents)), scratch)
            with _open_private(scratch / "key.json") as file:
                file.write(json.dumps(contents, indent=1, ensure_ascii=False).encode())
        return path

    def same_secret(self, other: Key) -> bool:
        """Whether both keys protect alike: all but the open parameters and the package's version are equal."""
        mine, its = (
            (key.method, key.method_version, key.seed, key.state, sorted(key.tensors)) for key in (self, other)
        )
        return mine == its and all(np.array_equal(array, other.tensors[name]) for name, array in self.tensors.items())

    @classmethod
    def load(cls, path: str | os.PathLike) -> Key:
        """Reads a key that `save` wrote.

        Warns of one that others than its owner can read, once.

        Raises:
            FileNotFoundError: There is no key at `path`.
            ValueError: The key is damaged or was changed by hand, or is of a newer format.
        """
        path = Path(path)
        if not (path / "key.json").is_file():
            raise FileNotFoundError(f"{path} is not a key: it holds no key.json.")
        _warn_of_readers(path)
        try:
            contents = json.loads((path / "key.json").read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise damaged(path, "key.json does not read") from error
        version = contents.pop("format", None) if isinstance(contents, dict) else None
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise damaged(path, "key.json names no format")
        if version > _FORMAT:
            raise ValueError(
                f"The key {path} has format {version}, this package reads {_FORMAT}. Update hf-unlearnable."
            )
        # Format 1 had no checksum.
        if version > 1 and contents.pop("checksum", None) != _checksum({"format": version, **contents}, path):
            raise damaged(path, "it is not what its checksum says, and may have been changed by hand")
        _check_fields(path, contents)
        tensors = {}
        if (path / "tensors.safetensors").is_file():
            try:
                tensors = _map_tensors(path / "tensors.safetensors")
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
                raise damaged(path, "tensors.safetensors does not read") from error
        return cls(tensors=tensors, path=path, **contents)


def damaged(path: Path | None, what: str) -> ValueError:
    """The error for a damaged key.

    Args:
        path: Where it was loaded from, if it was.
        what: What is wrong with it, without what is secret.
    """
    return ValueError(f"The key{'' if path is None else f' {path}'} is damaged: {what}. Restore it from a copy.")


def _check_fields(path: Path, contents: dict[str, Any]) -> None:
    """Raises for fields that are missing, unknown, of another type, or for a seed that is none."""
    strange = sorted(set(contents) ^ set(_FIELDS))
    if strange:
        raise damaged(path, f"key.json lacks {strange[0]}" if strange[0] in _FIELDS else "key.json has unknown fields")
    for name, kind in _FIELDS.items():
        if not isinstance(contents[name], kind) or isinstance(contents[name], bool):
            raise damaged(path, f"{name} in key.json is of type {type(contents[name]).__name__}, not {kind.__name__}")
    if not 0 <= contents["seed"] < 2**64:
        raise damaged(path, "the seed in key.json is not from 0 to 2**64 - 1")


def _checksum(contents: dict[str, Any], folder: Path) -> str:
    """128 bits of what key.json says, however it is laid out, and of the tensors' file: against accidents only."""
    import xxhash

    hashed = xxhash.xxh3_128(json.dumps(contents, sort_keys=True).encode())
    path = folder / "tensors.safetensors"
    if path.is_file():
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                hashed.update(part)
    return hashed.hexdigest()


def _warn_of_readers(path: Path) -> None:
    """Warns once of a key that its group or others can read."""
    if os.name != "posix" or path.resolve() in _told:
        return
    readable = stat.S_IRWXG | stat.S_IRWXO
    if any(place.stat().st_mode & readable for place in (path, path / "key.json", *path.glob("*.safetensors"))):
        _told.add(path.resolve())
        logger.warning("Others than its owner can read the key %s. Run: chmod -R go-rwx '%s'", path, path)


def _open_private(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


# The safetensors format: 8 bytes with the length of a JSON header, the header, the arrays one after the other. The
# library reads and writes whole files in memory; noise may be larger than that, so it goes array by array and comes
# back mapped, read from disk where it is used.
_TYPES: dict[str, Any] = {
    "I8": np.int8, "U8": np.uint8, "I32": np.int32, "I64": np.int64, "U64": np.uint64, "F32": np.float32,
    "F64": np.float64,
}  # fmt: skip


def _write_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    names = {np.dtype(value): name for name, value in _TYPES.items()}
    header: dict[str, Any] = {}
    end = 0
    ordered = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))  # so that all lie aligned
    for name in ordered:
        start, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": names[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with _open_private(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in ordered:
            np.ascontiguousarray(tensors[name]).tofile(file)


def _map_tensors(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("the header is longer than the file")
        header = json.loads(file.read(length))
    size = path.stat().st_size - 8 - length
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        dtype, shape = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"])
        if not 0 <= start <= end <= size or end - start != dtype.itemsize * math.prod(shape):
            raise ValueError(f"{name} does not lie within the file")
        if end == start:
            tensors[name] = np.empty(shape, dtype)
        else:
            tensors[name] = np.memmap(path, dtype, "r", offset=8 + length + start, shape=shape)
    return tensors


def new_seed() -> int:
    """A fresh secret seed, 64 bits from the operating system."""
    return secrets.randbits(64)


def row_stream(content: bytes, seed: int) -> int:
    """The start of a row's own random stream: 64 bits that depend on the key and on the row, and on nothing else."""
    import xxhash

    return xxhash.xxh3_64_intdigest(content, seed=seed)


def row_streams(contents: Iterable[bytes | memoryview], seed: int) -> np.ndarray:
    """`row_stream` of many rows, uint64 [n]."""
    from xxhash import xxh3_64_intdigest

    return np.array([xxh3_64_intdigest(content, seed=seed) for content in contents], np.uint64)


def draws(streams: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Draw number `index` of each stream: SplitMix64 (Steele et al. 2014), which reaches any draw in one step.

    Args:
        streams: uint64 [n], from `row_stream`.
        index: uint64 [n], which draw of that stream.

    Returns:
        uint64 [n], uniform.
    """
    with np.errstate(over="ignore"):
        z = streams + (index + np.uint64(1)) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def draw(stream: int, index: int) -> int:
    """One draw of one stream, as `draws` gives it."""
    z = (int(stream) + (int(index) + 1) * int(_GOLDEN)) & _WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _WORD
    return z ^ (z >> 31)
