"""Shards: several files that make one dataset are written as they were read, with the same names and rows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hf_unlearnable.data.on_the_hub import HubFile, hub_files
from hf_unlearnable.data.sources import by_split, tables_of
from hf_unlearnable.data.tables import row_counts, table_name
from hf_unlearnable.data.writing import TABLES, is_file_name


def shards_of(
    source: str | os.PathLike | Sequence[str], output: str | os.PathLike, format: str, split: str = "train",
    separator: str | None = None, quoting: str | None = None, encoding: str | None = None,
) -> dict[str, int] | None:  # fmt: skip
    """The files that a split is written to, where it was read from several: their names and how many rows each gets.

    The names are those of the files that were read. Where a folder of such names would read as another split, or in
    another order, they are numbered: `train-00000-of-00003.parquet`.

    Args:
        source: A folder of tables, or files that make one dataset, as for `load_rows`.
        output: What is written: only a folder takes several files.
        format: That of the files; "arrow", and what is one file per row, have shards of their own.
        split: The one that is written.
        separator, quoting, encoding: As for `load_rows`.
    """
    files = tables_of(source, split)
    if len(files) < 2 or format not in TABLES or is_file_name(output):
        return None
    folder = Path(os.path.commonpath([file.absolute().parent for file in files]))
    if isinstance(source, str | os.PathLike):
        folder = Path(source).absolute()
    names = [file.absolute().relative_to(folder).with_name(f"{table_name(file)}.{format}") for file in files]
    counts = row_counts(files, separator, quoting, encoding)
    return dict(zip(_numbered(names, split, format), counts, strict=True))


def hub_shards(source: str | Sequence[str], split: str = "train") -> dict[str, HubFile]:
    """The Parquet files of a split on the Hub, by the names that `shards_of` would give them.

    Args:
        source: Paths as for `hub_files`.
        split: Whose files, where one folder is named.

    Raises:
        ValueError: The folder has no such split.
    """
    files = {Path(file.inside): file for file in hub_files(source)}
    folder = Path(os.path.commonpath([path.parent for path in files])) if files else Path()
    if isinstance(source, str) and not set("*?[") & set(source) and not source.endswith(".parquet"):
        splits = by_split(list(files), folder)
        if split not in splits:
            raise ValueError(f"{source} has no split {split!r}. Splits: {', '.join(splits)}.")
        files = {path: files[path] for path in splits[split]}
    names = _numbered([path.relative_to(folder) for path in files], split, "parquet")
    return dict(zip(names, files.values(), strict=True))


def _numbered(names: list[Path], split: str, format: str) -> list[str]:
    """These names, or numbers where they would read as another split or in another order."""
    if not _reads_as(names, split):
        names = [Path(f"{split}-{i:05d}-of-{len(names):05d}.{format}") for i in range(len(names))]
    return list(map(str, names))


def _reads_as(names: list[Path], split: str) -> bool:
    """Whether a folder of these files holds one split, in this order."""
    in_order = sorted(names, key=lambda name: ([(1, part) for part in name.parts[:-1]], (0, name.name)))
    if in_order != names or Counter(names).most_common(1)[0][1] > 1:
        return False
    try:
        return list(by_split(names, Path())) == [split]
    except ValueError:  # some names tell of a split, and others do not
        return False
