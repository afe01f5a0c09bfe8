"""Which format is written: what the output's name or `--format` says, else that of the input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hf_unlearnable.data.csv_files import Form, table_form
from hf_unlearnable.data.sources import held, tables_of
from hf_unlearnable.data.writing import is_file_name

_WRITTEN = {".csv": "csv", ".tsv": "tsv", ".json": "jsonl", ".jsonl": "jsonl"}


def format_of(source: str | os.PathLike | Sequence[str], output: str | os.PathLike) -> str:
    """The format in which what was read from `source` is written to `output`.

    Args:
        source: A file, several, a folder or an id on the Hub.
        output: A new folder, or a file whose ending says the format.

    Returns:
        One of `FORMATS`, or the modality's own for a folder of its files, such as "images".
    """
    if is_file_name(output):
        return Path(output).suffix[1:].lower()
    modality = held(source)
    if modality is not None:
        return modality.files[0]
    tables = tables_of(source)
    return _kind(tables[0]) if tables else "parquet"


def source_form(
    source: str | os.PathLike | Sequence[str],
    format: str,
    separator: str | None,
    quoting: str | None,
    encoding: str | None,
) -> Form | None:
    """How the CSV or TSV file of a source is written, to write another one like it; None if it is of another format.

    Args:
        source: As for `format_of`.
        format: What is written.
        separator, quoting, encoding: As for `table_form`.
    """
    tables = tables_of(source)
    if format not in ("csv", "tsv") or not tables or _kind(tables[0]) != format:
        return None
    return table_form(tables[0], separator, quoting, encoding)


def _kind(table: Path) -> str:
    """The format of a file, packed or not; Arrow becomes Parquet."""
    return next((_WRITTEN[end] for end in map(str.lower, table.suffixes[-2:]) if end in _WRITTEN), "parquet")
