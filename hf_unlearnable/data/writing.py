"""Writing a dataset: whole, or not at all."""

from __future__ import annotations

import csv
import datetime
import json
import os
from pathlib import Path
from typing import Any

from hf_unlearnable._files import whole_or_nothing
from hf_unlearnable.data.csv_files import Form

_FILES = (".parquet", ".csv", ".tsv", ".jsonl")
_OTHER_FILES = (
    ".json", ".ndjson", ".txt", ".xls", ".xlsx", ".ods", ".arrow", ".feather", ".gz", ".bz2", ".xz", ".zst", ".zip",
    ".tar", ".tgz",
)  # fmt: skip


def is_file_name(output: str | os.PathLike) -> bool:
    """Whether an output is one file by its ending, and no folder."""
    return Path(output).suffix.lower() in _FILES


def check_ending(output: str | os.PathLike, format: str = "parquet", parts: int = 1) -> None:
    """Raises a ValueError for an output that ends like a file where no such file is written.

    Args:
        output: A file or a new folder.
        format: What a folder holds; a file has the format "parquet", whatever it ends in.
        parts: How many files are written: several splits, or the shares of several processes, take a folder.
    """
    ending = Path(output).suffix.lower()
    if is_file_name(output) and parts > 1:
        raise ValueError(
            f"{output} ends like one file, and {parts} are written (one per split and process). Give a new folder, "
            f"such as {Path(output).with_suffix('')}."
        )
    if is_file_name(output) and format != "parquet":
        raise ValueError(f"{output} ends like a file, and the format {format} is a folder. Leave one of them out.")
    if ending in _OTHER_FILES:
        raise ValueError(f"{ending} files are not written. Files that are: {', '.join(_FILES)}.")


def write_rows(
    dataset: Any,
    output: str | os.PathLike,
    *,
    split: str = "train",
    format: str = "parquet",
    form: Form | None = None,
) -> Path:
    """Writes a dataset, whole or not at all.

    Args:
        dataset: A `datasets.Dataset`.
        output: A file that ends in .parquet, .csv, .tsv or .jsonl, or a new folder.
        split: Name of the Parquet file in the folder, so that `load_dataset` finds the split again.
        format: What the folder holds: "parquet", which every tool reads, or "arrow", as `save_to_disk` writes it.
        form: How a CSV or TSV file is written, as `table_form` tells of the source; None for the usual form.

    Raises:
        FileExistsError: `output` is there already.
        OSError: It could not be written; nothing is left under the final name.
        ValueError: The kind of file is not written, is none of this format, or a column does not fit into it.
    """
    from datasets.features.features import require_storage_embed
    from datasets.table import embed_table_storage

    output = Path(output)
    check_ending(output, format)
    with whole_or_nothing(output) as scratch:
        if output.suffix.lower() in (".csv", ".tsv", ".jsonl"):
            write_table(dataset, scratch, form)
            return output
        if format != "arrow" and any(map(require_storage_embed, dataset.features.values())):
            # Files that are only pointed at, by the owner's path: `save_to_disk` takes them in, `to_parquet` does not.
            dataset = dataset.with_format("arrow").map(
                embed_table_storage, batched=True, batch_size=16, writer_batch_size=16,
                cache_file_name=str(scratch.with_name("embedded.arrow")),
            ).with_format(None)  # fmt: skip
        if format == "arrow":
            dataset.save_to_disk(str(scratch))
        elif output.suffix.lower() == ".parquet":
            dataset.to_parquet(str(scratch))
        else:
            scratch.mkdir()
            dataset.to_parquet(str(scratch / f"{split}.parquet"))
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
