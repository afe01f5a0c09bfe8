"""What a column holds: the bytes behind its values, and what identifies all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_unlearnable.rows import require_columns


def contents(table: Any, column: str) -> Iterator[bytes]:
    """What each value of a column of an Arrow table holds, files as their bytes wherever they stand."""
    for value in table[column].to_pylist():
        value = stored_bytes(value)
        yield value if isinstance(value, bytes) else repr(value).encode()


def stored_bytes(value: Any) -> Any:
    """The file behind a stored image or sound, wherever it stands; anything else as it is."""
    if not isinstance(value, dict) or not value or not set(value) <= {"bytes", "path"}:
        return value
    if value.get("bytes") is not None or not value.get("path"):
        return value.get("bytes")
    if Path(value["path"]).is_file():
        return Path(value["path"]).read_bytes()
    import fsspec

    with fsspec.open(value["path"], "rb") as file:
        return file.read()


def holds_files(type: Any) -> bool:
    """Whether a column of this Arrow type holds files as `datasets` stores them: their bytes, their path or both."""
    import pyarrow as pa

    return pa.types.is_struct(type) and {field.name for field in type} == {"bytes", "path"}


def fingerprint(dataset: Any, column: str) -> str:
    """Identifies what a column holds: the same for the same values in the same order, wherever they are stored.

    Args:
        dataset: A `Dataset` or an `IterableDataset`.
        column: One of its columns; a ValueError names those there are.
    """
    import xxhash

    require_columns(dataset.column_names, [column])
    hashed = xxhash.xxh3_128()
    for table in dataset.select_columns([column]).with_format("arrow").iter(batch_size=64):
        for value in contents(table, column):
            hashed.update(len(value).to_bytes(8, "little") + value)
    return hashed.hexdigest()
