"""Text files, packed or not, in an encoding that is never guessed; and errors of readers that name the file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hf_unlearnable._words import spelled

PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip


def opened(path: Path, encoding: str | None) -> IO[Any]:
    """A file unpacked, as text with all its line breaks, or as bytes where there is no encoding."""
    opener: Any = PACKED.get(path.suffix.lower(), open)
    return opener(path, "rb") if encoding is None else opener(path, "rt", encoding=encoding, newline="")


def found_encoding(path: Path) -> str:
    with opened(path, None) as file:
        start = file.read(4)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    if b"\0" in start:
        raise ValueError(f"{path} is no UTF-8 text. Give its {spelled('encoding')}, such as utf-16-le.")
    return "utf-8"


@contextmanager
def decoded(path: Path, encoding: str) -> Iterator[None]:
    """Names the line that is not in the encoding."""
    try:
        yield
    except UnicodeError as error:
        shown = "UTF-8" if encoding.startswith("utf-8") else encoding
        where = ""
        if shown == "UTF-8":
            with opened(path, None) as file:
                for number, line in enumerate(file, 1):
                    try:
                        line.decode("utf-8")
                    except UnicodeDecodeError as wrong:
                        where = f" (line {number}, byte 0x{line[wrong.start]:02x})"
                        break
        else:
            where = f" ({error})"
        raise ValueError(
            f"{path} is not {shown}{where}. Give its {spelled('encoding')}, such as cp1252 or latin-1."
        ) from None


@contextmanager
def broken_named(path: Path) -> Iterator[None]:
    """Turns what readers raise over broken files into a ValueError that names the file."""
    import pyarrow as pa

    try:
        yield
    except (
        pa.ArrowException, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, UnicodeError, RecursionError
    ) as error:  # fmt: skip
        raise ValueError(f"{path} cannot be read, it is broken or of another kind: {error}") from None
    except OSError as error:
        if error.errno is None:  # of a library that reads; those of the system say what and where
            raise ValueError(f"{path} cannot be read, it is broken or of another kind: {error}") from None
        raise
