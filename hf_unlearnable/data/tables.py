"""Tables in files, read letter by letter: what is written back is what stood there.

`datasets` takes a path for a pattern and reads CSV as pandas guesses it ("None" is null, 01069 is 1069). Here a path
is a path, and a column of a CSV file gets a type only if every value is written back as it was. What is read is kept
as Arrow beside the caches of `datasets`, so that memory stays bounded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._files import remove_left, whole_or_nothing
from hf_unlearnable._words import spelled
from hf_unlearnable.data.csv_files import check_options, csv_rows
from hf_unlearnable.data.text_files import PACKED, broken_named, decoded, found_encoding, opened

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

# Endings of tables, and what reads them.
READERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}
_ARCHIVES = (".tar", ".tgz", ".zip", ".7z", ".rar")

_ROWS = 1000  # in memory at a time
_IMAGE_ROWS = 64  # of Parquet and Arrow, whose rows may hold images


def reader_of(path: Path) -> str | None:
    """What reads a file, by its ending: "csv", "json", "parquet" or "arrow"; None for a file that is no table."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in PACKED
    kind = READERS.get(suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else "")
    return None if packed and kind not in ("csv", "json") else kind


def read_tables(
    files: Sequence[Path],
    *,
    kind: str | None = None,
    split: str = "train",
    separator: str | None = None,
    quoting: str | None = None,
    encoding: str | None = None,
) -> Dataset:
    """Some files of one kind, one after the other.

    Args:
        files: At least one.
        kind: What reads them; None tells it from the endings.
        split: Name that the dataset gets.
        separator: Of CSV files; None finds it.
        quoting: Of CSV files, "minimal" or "none"; None finds it.
        encoding: Of CSV and JSON files; None takes UTF-8, or what a byte order mark says.

    Returns:
        A `Dataset` that is mapped from the disk.

    Raises:
        ValueError: A file is broken, of an unknown kind, can be read in two ways, or does not fit to the others.
        OSError: A file cannot be opened.
    """
    kinds = {kind or reader_of(file) for file in files}
    if None in kinds:
        strange = next(file for file in files if reader_of(file) is None)
        if strange.suffix.lower() in _ARCHIVES:
            raise ValueError(f"{strange} is an archive. Unpack it, and give the folder that it becomes.")
        packed = f"; CSV and JSON also packed as {', '.join(PACKED)}"
        raise ValueError(f"{strange} is of an unknown kind. Kinds of files: {', '.join(READERS)}{packed}.")
    if len(kinds) > 1:
        raise ValueError(f"{files[0].parent} holds tables of several kinds ({_named_files(files)}). Name one file.")
    (kind,) = kinds
    if kind == "csv":
        check_options(separator, quoting, encoding)
        options = (separator, quoting, encoding)
        return _kept(files, options, split, lambda: csv_rows(files, separator, quoting, encoding))
    if separator or quoting:
        raise ValueError(f"{files[0]} is no CSV file: {spelled('separator')} and {spelled('quoting')} do not apply.")
    readers: dict[str, Callable[[], Any]] = {
        "json": lambda: _json_rows(files, encoding),
        "parquet": lambda: _columnar_rows(files, _parquet_batches),
        "arrow": lambda: _columnar_rows(files, _arrow_batches),
    }
    return _kept(files, (kind, encoding), split, readers[str(kind)])


def _named_files(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files[:3]) + (", ..." if len(files) > 3 else "")


def _kept(
    files: Sequence[Path], options: tuple, split: str, read: Callable[[], tuple[pa.Schema, Iterator[pa.RecordBatch]]]
) -> Dataset:
    """The rows, mapped from a file of the cache that is written if it is not there yet."""
    import pyarrow as pa
    import xxhash
    from datasets import Dataset, NamedSplit, config

    from hf_unlearnable._version import __version__

    stats = [(str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    name = xxhash.xxh3_128_hexdigest(repr((stats, options, __version__)).encode())
    place = Path(config.HF_DATASETS_CACHE, "hf-unlearnable-tables", f"{name}.arrow")
    if not place.is_file():
        remove_left(place.parent)  # of any name: that of a table which was killed may never be written again
        with (
            whole_or_nothing(place, replace=True) as scratch,
            broken_named(files[0] if len(files) == 1 else files[0].parent),
        ):
            schema, batches = read()
            with pa.ipc.new_stream(str(scratch), schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
    return Dataset.from_file(str(place), split=NamedSplit(split))


# ---------------------------------------------------------------------- JSON
def _json_rows(files: Sequence[Path], encoding: str | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Objects on lines of their own, or in one list. Types are those of all rows: the first ones may hold nulls."""
    import pyarrow as pa

    def tables() -> Iterator[tuple[Path, int, dict[str, list]]]:
        for file in files:
            objects, row = _objects(file, encoding or found_encoding(file)), 0
            while part := list(islice(objects, _ROWS)):
                names = dict.fromkeys(name for one in part for name in one)
                yield file, row, {name: [one.get(name) for one in part] for name in names}
                row += len(part)

    schema = pa.schema([])
    for file, row, columns in tables():
        for name, values in columns.items():
            try:
                new = pa.schema([(name, pa.array(values).type)])
                schema = pa.unify_schemas([schema, new], promote_options="permissive")
            except (pa.ArrowException, OverflowError) as error:
                where = f"rows {row} to {row + len(values) - 1}, column {name!r}"
                raise ValueError(
                    f"{file}, {where}: the values are of several types ({error}). Make them one."
                ) from None
    if not len(schema):
        raise ValueError(f"{files[0]} is empty: there are no rows to read.")

    def batches() -> Iterator[pa.RecordBatch]:
        for _, _, columns in tables():
            rows = len(next(iter(columns.values())))
            arrays = [pa.array(columns.get(field.name, [None] * rows), field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return schema, batches()


def _objects(path: Path, encoding: str) -> Iterator[dict[str, Any]]:
    with decoded(path, encoding), opened(path, encoding) as file:
        start = file.read(1 << 16)
        if start.lstrip().startswith("["):
            try:
                rows = json.loads(start + file.read())
            except json.JSONDecodeError as error:
                raise ValueError(f"{path} is no JSON: {error}") from None
            places: Iterator[tuple[str, Any]] = ((f"entry {i}", row) for i, row in enumerate(rows))
        else:
            places = _lines(path, encoding)
        for place, row in places:
            if not isinstance(row, dict) or not row:
                raise ValueError(f'{path}, {place}: this is no object with columns, such as {{"text": "..."}}.')
            yield row


def _lines(path: Path, encoding: str) -> Iterator[tuple[str, Any]]:
    with opened(path, encoding) as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                yield f"line {number}", json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{path}, line {number} is no JSON ({error.msg}). Give one object per line, or a list of them."
                ) from None


# ---------------------------------------------------------------------- Parquet and Arrow
def _columnar_rows(
    files: Sequence[Path], opened: Callable[[Path], tuple[pa.Schema, Iterator[pa.RecordBatch]]]
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    from datasets import Features

    features = []
    for file in files:
        with broken_named(file):
            features.append(Features.from_arrow_schema(opened(file)[0]))
        if features[-1] != features[0]:
            raise ValueError(f"{files[0]} and {file} have different columns, or of different types.")
    if not features[0]:
        raise ValueError(f"{files[0]} has no columns: there is nothing to read.")
    return features[0].arrow_schema, _cast_batches(files, features[0], opened)


def _cast_batches(files: Sequence[Path], features: Any, opened: Callable) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from datasets.table import table_cast

    for file in files:
        with broken_named(file):
            for batch in opened(file)[1]:
                yield from table_cast(pa.Table.from_batches([batch]), features.arrow_schema).to_batches()


def _parquet_batches(file: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file.absolute())  # else "zip:a.parquet" would be an address
    return opened.schema_arrow, opened.iter_batches(batch_size=_IMAGE_ROWS)


def _arrow_batches(file: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    import pyarrow as pa

    source = pa.memory_map(str(file.absolute()))
    try:
        stream = pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        opened = pa.ipc.open_file(source)
        return opened.schema, map(opened.get_batch, range(opened.num_record_batches))
    return stream.schema, iter(stream)
