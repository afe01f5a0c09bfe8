"""Writing a dataset: whole, or not at all."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_unlearnable._files import whole_or_nothing
from hf_unlearnable._progress import without_progress_bars
from hf_unlearnable._words import spelled
from hf_unlearnable.data.csv_files import Form

TABLES = ("parquet", "csv", "tsv", "jsonl")  # a file each
FORMATS = (*TABLES, "arrow")


def is_file_name(output: str | os.PathLike) -> bool:
    """Whether an output is one file by its ending, and no folder."""
    return Path(output).suffix[1:].lower() in TABLES


def check_ending(output: str | os.PathLike, format: str | None = None, parts: int = 1) -> None:
    """Raises a ValueError for an output that ends like a file where no such file is written.

    Args:
        output: A file or a new folder.
        format: What it holds; None for what the ending says, and "parquet" in a folder.
        parts: How many files are written: several splits, or the shares of several processes, take a folder.
    """
    ending = Path(output).suffix.lower()
    if is_file_name(output) and parts > 1:
        raise ValueError(
            f"{output} ends like one file, and {parts} are written (one per split and process). Give a new folder, "
            f"such as {Path(output).with_suffix('')}."
        )
    if is_file_name(output) and format not in (None, ending[1:]):
        what = f"another {spelled('output')}" if format in TABLES else f"a new folder as {spelled('output')}"
        raise ValueError(f"{output} ends like a file, and the format is {format}. Give {what}.")
    # A folder may have a dot in its name, such as photos-1.0 or photos.v2.
    if re.fullmatch(r"\.(?!v\d)[a-z]\w{0,9}|\.7z", ending) and not is_file_name(output) and format in (None, *TABLES):
        files = ", ".join(f".{name}" for name in TABLES)
        raise ValueError(f"{ending} files are not written. Files that are: {files}. A folder takes a name without it.")


def write_rows(
    dataset: Any,
    output: str | os.PathLike,
    *,
    split: str = "train",
    format: str | None = None,
    form: Form | None = None,
    shards: Mapping[str, int] | None = None,
) -> Path:
    """Writes a dataset, whole or not at all.

    Args:
        dataset: A `datasets.Dataset`.
        output: A file that ends in .parquet, .csv, .tsv or .jsonl, or a new folder.
        split: Name of the file in the folder, so that `load_dataset` finds the split again.
        format: What a folder holds, one of `FORMATS`; "arrow" is that of `save_to_disk`. None is "parquet".
        form: How a CSV or TSV file is written, as `table_form` tells of the source; None for the usual form.
        shards: Names of the files in a folder and how many rows each gets, as `shards_of` tells; None for one file.

    Raises:
        FileExistsError: `output` is there already.
        OSError: It could not be written; nothing is left under the final name.
        ValueError: The kind of file is not written, is none of this format, or a column does not fit into it.
    """
    from datasets.features.features import require_storage_embed
    from datasets.table import embed_table_storage
    from datasets.utils import tqdm

    output = Path(output)
    if shards is not None:
        with whole_or_nothing(output) as scratch:
            start = 0
            for name, rows in tqdm(shards.items(), desc="Writing files", unit=" files"):
                with without_progress_bars():  # one bar for all files
                    write_rows(dataset.select(range(start, start + rows)), scratch / name, form=form)
                start += rows
        return output
    check_ending(output, format)
    with whole_or_nothing(output) as scratch:
        file = scratch
        if not is_file_name(output) and format != "arrow":
            scratch.mkdir()
            file = scratch / f"{split}.{format or 'parquet'}"
        if file.suffix.lower() in (".csv", ".tsv", ".jsonl"):
            write_table(dataset, file, form)
            return output
        if format != "arrow" and any(map(require_storage_embed, dataset.features.values())):
            # Files that are only pointed at, by the owner's path: `save_to_disk` takes them in, `to_parquet` does not.
            dataset = dataset.with_format("arrow").map(
                embed_table_storage, batched=True, batch_size=16, writer_batch_size=16,
                cache_file_name=str(scratch.with_name("embedded.arrow")),
            ).with_format(None)  # fmt: skip
        if format == "arrow":
            dataset.save_to_disk(str(scratch))
        else:
            dataset.to_parquet(str(file))
    return output


def write_table(dataset: Any, path: Path, form: Form | None = None) -> None:
    """Writes CSV, TSV, JSON lines or Parquet, by the ending of `path`; CSV letter by letter as it was read.

    Raises:
        ValueError: A column holds what such a file cannot hold.
    """
    from datasets import ClassLabel, Value

    ending = path.suffix.lower()
    if ending == ".parquet":
        dataset.to_parquet(str(path))
        return
    tables = (table.to_pydict() for table in dataset.with_format("arrow").iter(batch_size=1000))
    if ending == ".jsonl":
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for columns in tables:
                for values in zip(*columns.values(), strict=True):
                    try:
                        row = json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False, default=_as_text)
                    except TypeError as error:
                        raise ValueError(f"JSON lines do not hold {error}. Write a .parquet file.") from None
                    file.write(row + "\n")
        return
    for name, feature in dataset.features.items():
        if not isinstance(feature, ClassLabel | Value) or getattr(feature, "dtype", "").endswith("binary"):
            raise ValueError(f"Column {name!r} holds more than text and numbers, which CSV does not: write .parquet.")
    form = form or Form(separator="\t" if ending == ".tsv" else ",")
    quoting: dict[str, Any] = {"quoting": csv.QUOTE_MINIMAL}
    if form.quoting == "none":
        quoting = {"quoting": csv.QUOTE_NONE, "quotechar": None}
    with path.open("w", encoding=form.encoding, newline="") as file:
        writer = csv.writer(file, delimiter=form.separator, lineterminator=form.line_end, **quoting)
        try:
            writer.writerow(dataset.column_names)
            for columns in tables:
                writer.writerows(zip(*columns.values(), strict=True))
        except csv.Error:
            raise ValueError(
                "A text holds a separator or a line break, which a file without quoting does not hold. Write a "
                ".parquet or .jsonl file."
            ) from None
        except UnicodeEncodeError as error:
            raise ValueError(
                f"A text does not fit into {form.encoding} ({error}). Write .parquet or .jsonl."
            ) from None


def _as_text(value: Any) -> str:
    """Dates and times, which JSON has no type for."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise TypeError(type(value).__name__)
