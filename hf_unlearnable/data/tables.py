"""Tables in files, read letter by letter: what is written back is what stood there.

`datasets` takes a path for a pattern and reads CSV as pandas guesses it ("None" is null, 01069 is 1069). Here a path
is a path, and a column of a CSV file gets a type only if every value is written back as it was. What is read is kept
as Arrow beside the caches of `datasets`, so that memory stays bounded.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import logging
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

logger = logging.getLogger(__name__)

# Endings of tables, and what reads them.
READERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}

_PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_QUOTING: dict[str, Any] = {"minimal": csv.QUOTE_MINIMAL, "none": csv.QUOTE_NONE}
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip
_ROWS = 1000  # in memory at a time
_IMAGE_ROWS = 64  # of Parquet and Arrow, whose rows may hold images


@dataclass(frozen=True)
class Form:
    r"""How a CSV or TSV file is written.

    Args:
        separator: One letter between two values.
        quoting: "minimal" where a value with separators, quotes or line breaks stands in quotes, as RFC 4180 says;
            "none" where a quote is a letter like any other, as in GLUE's TSV files.
        encoding: Name of a codec of Python.
        line_end: Behind each row: "\n", "\r\n" or "\r".
    """

    separator: str = ","
    quoting: str = "minimal"
    encoding: str = "utf-8"
    line_end: str = "\n"


def reader_of(path: Path) -> str | None:
    """What reads a file, by its ending: "csv", "json", "parquet" or "arrow"; None for a file that is no table."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in _PACKED
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
        packed = f"; CSV and JSON also packed as {', '.join(_PACKED)}"
        raise ValueError(f"{strange} is of an unknown kind. Kinds of files: {', '.join(READERS)}{packed}.")
    if len(kinds) > 1:
        raise ValueError(f"{files[0].parent} holds tables of several kinds ({_named_files(files)}). Name one file.")
    (kind,) = kinds
    if kind == "csv":
        check_options(separator, quoting, encoding)
        options = (separator, quoting, encoding)
        return _kept(files, options, split, lambda: _csv_rows(files, separator, quoting, encoding))
    if separator or quoting:
        raise ValueError(f"{files[0]} is no CSV file: separator and quoting do not apply.")
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

    from hf_unlearnable import __version__

    stats = [(str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    name = xxhash.xxh3_128_hexdigest(repr((stats, options, __version__)).encode())
    place = Path(config.HF_DATASETS_CACHE, "hf-unlearnable-tables", f"{name}.arrow")
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=place.parent))
        try:
            with broken_named(files[0] if len(files) == 1 else files[0].parent):
                schema, batches = read()
                with pa.ipc.new_stream(str(scratch / place.name), schema) as writer:
                    for batch in batches:
                        writer.write_batch(batch)
            os.replace(scratch / place.name, place)
        finally:
            (scratch / place.name).unlink(missing_ok=True)
            scratch.rmdir()
    return Dataset.from_file(str(place), split=NamedSplit(split))


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


# ---------------------------------------------------------------------- text files
def _opened(path: Path, encoding: str | None) -> IO[Any]:
    """A file unpacked, as text with all its line breaks, or as bytes where there is no encoding."""
    opener: Any = _PACKED.get(path.suffix.lower(), open)
    return opener(path, "rb") if encoding is None else opener(path, "rt", encoding=encoding, newline="")


def _found_encoding(path: Path) -> str:
    with _opened(path, None) as file:
        start = file.read(4)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    if b"\0" in start:
        raise ValueError(f"{path} is no UTF-8 text. Give its encoding, such as utf-16-le.")
    return "utf-8"


@contextmanager
def _decoded(path: Path, encoding: str) -> Iterator[None]:
    """Names the line that is not in the encoding."""
    try:
        yield
    except UnicodeError as error:
        shown = "UTF-8" if encoding.startswith("utf-8") else encoding
        where = ""
        if shown == "UTF-8":
            with _opened(path, None) as file:
                for number, line in enumerate(file, 1):
                    try:
                        line.decode("utf-8")
                    except UnicodeDecodeError as wrong:
                        where = f" (line {number}, byte 0x{line[wrong.start]:02x})"
                        break
        else:
            where = f" ({error})"
        raise ValueError(f"{path} is not {shown}{where}. Give its encoding, such as cp1252 or latin-1.") from None


# ---------------------------------------------------------------------- CSV
@dataclass(frozen=True)
class _Survey:
    """One way to read a CSV file, which fits all its rows."""

    form: Form
    header: list[str]
    rows: int
    types: list[str]


def table_form(
    path: str | os.PathLike, separator: str | None = None, quoting: str | None = None, encoding: str | None = None
) -> Form:
    """How a CSV or TSV file is written, to write another one like it.

    Args:
        path: The file.
        separator: None finds it.
        quoting: None finds it.
        encoding: None takes UTF-8, or what a byte order mark says.

    Raises:
        ValueError: It does not read, or in two ways.
    """
    check_options(separator, quoting, encoding)
    with broken_named(Path(path)):
        return _surveyed(Path(path), separator, quoting, encoding).form


def check_options(separator: str | None, quoting: str | None, encoding: str | None) -> None:
    """Raises a ValueError that names the option of a CSV file that has no such value."""
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise ValueError(f"separator is {separator!r}, but it is one letter, such as ',' or ';'.")
    if quoting not in (None, *_QUOTING):
        raise ValueError(f"quoting is {quoting!r}. Choose one of {', '.join(map(repr, _QUOTING))}.")
    if encoding is not None:
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(f"There is no encoding {encoding!r}. Examples: utf-8, utf-16, cp1252, latin-1.") from None


def _surveyed(path: Path, separator: str | None, quoting: str | None, encoding: str | None) -> _Survey:
    """The one way to read a file.

    The separator of the ending is tried first, and quotes as quotes before quotes as letters. A way fits if every row
    has as many values as the header and every quote is closed where a value ends.
    """
    encoding = encoding or _found_encoding(path)
    own = "\t" if ".tsv" in map(str.lower, path.suffixes) else ","
    problem: ValueError | None = None
    narrow: list[_Survey] = []
    wide: list[_Survey] = []
    with _decoded(path, encoding):
        with _opened(path, encoding) as file:
            quoted = any('"' in part for part in iter(lambda: file.read(1 << 20), ""))
        for one in [separator] if separator else [own, *(other for other in _SEPARATORS if other != own)]:
            fits = []
            for way in [quoting] if quoting else ["minimal", "none"] if quoted else ["minimal"]:
                try:
                    fits.append(_survey(path, Form(one, way, encoding)))
                except csv.Error as error:
                    problem = problem or ValueError(f"{path}: {error}")
            if (
                len(fits) == 2
                and fits[0].rows != fits[1].rows
                and (separator or len(fits[0].header) > 1 or one == own)
            ):
                raise ValueError(
                    f"{path} reads in two ways: {fits[0].rows} rows if quotes enclose values, {fits[1].rows} rows if "
                    "they are letters. Give quoting: minimal for the first, none for the second."
                )
            if fits:
                (wide if len(fits[0].header) > 1 else narrow).append(fits[0])
            if wide and (one == own or separator):
                break
    if len(wide) > 1:
        names = " or ".join(_SEPARATORS[one.form.separator] for one in wide)
        raise ValueError(f"{path} reads in two ways, with {names} between values. Give its separator.")
    if not wide and (not narrow or narrow[0].form.separator not in (own, separator)):
        raise problem or ValueError(f"{path} is empty: there is nothing to read.")
    found = (wide or narrow)[0]
    if not found.rows:
        raise ValueError(f"{path} has a header and no rows: there is nothing to read.")
    if quoted and quoting is None and found.form.quoting == "none":
        logger.warning("%s: its quotes are read as letters, since they do not enclose values.", path)
    return found


def _records(path: Path, form: Form, ends: list[str] | None = None) -> Iterator[list[str]]:
    """The rows with their values, the header first; `ends` gets the last lines of the file."""
    before = csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)
    try:
        with _opened(path, form.encoding) as file:

            def lines() -> Iterator[str]:
                for line in file:
                    if ends is not None and line[-1] in "\r\n":
                        ends[:] = [line[-2:]]
                    yield line

            for record in csv.reader(
                lines(), delimiter=form.separator, quoting=_QUOTING[form.quoting], strict=form.quoting == "minimal"
            ):
                if record:  # an empty line is no row
                    yield record
    finally:
        csv.field_size_limit(before)


def _survey(path: Path, form: Form) -> _Survey:
    """Reads all of a file in one way; a `csv.Error` says where it does not fit."""
    ends: list[str] = []
    records = _records(path, form, ends)
    header = next(records, [])
    if not header:
        raise csv.Error("the file is empty: there is nothing to read.")
    twice = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if twice is not None:
        raise csv.Error(f"two columns are named {twice!r}. Rename one.")
    types = {column: list(_TYPES) for column in range(len(header))}
    rows = 0
    for rows, record in enumerate(records, 1):
        if len(record) != len(header):
            raise csv.Error(
                f"row {rows} has {len(record)} values, and the header has {len(header)} with "
                f"{_SEPARATORS.get(form.separator, form.separator)} between them. Put the row right, or give "
                "separator and quoting."
            )
        for column in list(types):
            value = record[column]
            types[column] = [name for name in types[column] if _is_exact(value, name)]
            if not types[column]:
                del types[column]
    line_end = next(end for end in ("\r\n", "\n", "\r") if (ends or ["\n"])[0].endswith(end))
    form = Form(form.separator, form.quoting, form.encoding, line_end)
    return _Survey(form, header, rows, [types.get(i, ["string"])[0] for i in range(len(header))])


_TYPES: dict[str, Callable[[str], Any]] = {
    "int64": int, "float64": float, "bool": {"True": True, "False": False}.__getitem__,
}  # fmt: skip


def _is_exact(value: str, name: str) -> bool:
    """Whether a value of this type is written as it stands here."""
    try:
        read = _TYPES[name](value)
    except (ValueError, KeyError):
        return False
    if name == "float64":
        return repr(read) == value and "n" not in value
    return str(read) == value and (name == "bool" or -(2**63) <= read < 2**63)


def _csv_rows(
    files: Sequence[Path], separator: str | None, quoting: str | None, encoding: str | None
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    import pyarrow as pa

    surveys = [_surveyed(file, separator, quoting, encoding) for file in files]
    header = surveys[0].header
    for file, survey in zip(files, surveys, strict=True):
        if survey.header != header:
            raise ValueError(f"{files[0]} and {file} have different columns, {header} and {survey.header}.")
    columns = zip(*(survey.types for survey in surveys), strict=True)
    types = [column[0] if len(set(column)) == 1 else "string" for column in columns]
    arrow = {"int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(), "string": pa.string()}
    schema = pa.schema([(name, arrow[kind]) for name, kind in zip(header, types, strict=True)])

    def batches() -> Iterator[pa.RecordBatch]:
        for file, survey in zip(files, surveys, strict=True):
            records = islice(_records(file, survey.form), 1, None)
            while part := list(islice(records, _ROWS)):
                values = [
                    list(map(_TYPES.get(kind, str), column))
                    for kind, column in zip(types, zip(*part, strict=True), strict=True)
                ]
                arrays = [pa.array(one, field.type) for one, field in zip(values, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return schema, batches()


def csv_table(path: Path) -> pa.Table:
    """A small CSV file in memory; no cache sees it."""
    import pyarrow as pa

    with broken_named(path):
        schema, batches = _csv_rows([path], None, None, None)
        return pa.Table.from_batches(batches, schema)


# ---------------------------------------------------------------------- JSON
def _json_rows(files: Sequence[Path], encoding: str | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Objects on lines of their own, or in one list. Types are those of all rows: the first ones may hold nulls."""
    import pyarrow as pa

    def tables() -> Iterator[tuple[Path, int, dict[str, list]]]:
        for file in files:
            objects, row = _objects(file, encoding or _found_encoding(file)), 0
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
    with _decoded(path, encoding), _opened(path, encoding) as file:
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
    with _opened(path, encoding) as file:
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
