"""CSV and TSV files, letter by letter: a column gets a type only if every value is written back as it stood there."""

from __future__ import annotations

import csv
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._words import counted, spelled
from hf_unlearnable.data.text_files import broken_named, decoded, found_encoding, opened

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_QUOTING: dict[str, Any] = {"minimal": csv.QUOTE_MINIMAL, "none": csv.QUOTE_NONE}
_ROWS = 1000  # in memory at a time


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

    @property
    def options(self) -> dict[str, Any]:
        """What `load_rows` takes to read such a file again."""
        return {"separator": self.separator, "quoting": self.quoting, "encoding": self.encoding}


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
    encoding = encoding or found_encoding(path)
    own = "\t" if ".tsv" in map(str.lower, path.suffixes) else ","
    problem: ValueError | None = None
    narrow: list[_Survey] = []
    wide: list[_Survey] = []
    with decoded(path, encoding):
        with opened(path, encoding) as file:
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
                    f"they are letters. Give {spelled('quoting')} minimal for the first, none for the second."
                )
            if fits:
                (wide if len(fits[0].header) > 1 else narrow).append(fits[0])
            if wide and (one == own or separator):
                break
    if len(wide) > 1:
        names = " or ".join(_SEPARATORS[one.form.separator] for one in wide)
        raise ValueError(f"{path} reads in two ways, with {names} between values. Give its {spelled('separator')}.")
    if not wide and (not narrow or narrow[0].form.separator not in (own, separator)):
        raise problem or ValueError(f"{path} is empty: there is nothing to read.")
    found = (wide or narrow)[0]
    if not found.rows:
        raise ValueError(f"{path} has a header and no rows: there is nothing to read.")
    return found


def _records(path: Path, form: Form, ends: list[str] | None = None) -> Iterator[list[str]]:
    """The rows with their values, the header first; `ends` gets the last lines of the file."""
    before = csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)
    try:
        with opened(path, form.encoding) as file:

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
                f"row {rows} has {counted(len(record), 'value')}, and the header has {len(header)} with "
                f"{_SEPARATORS.get(form.separator, form.separator)} between them. Put the row right, or give "
                f"{spelled('separator')} and {spelled('quoting')}."
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


def csv_rows(
    files: Sequence[Path], separator: str | None, quoting: str | None, encoding: str | None
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    import pyarrow as pa

    surveys = [_surveyed(file, separator, quoting, encoding) for file in files]
    for file, survey in zip(files, surveys, strict=True):
        if quoting is None and survey.form.quoting == "none":  # tried where there are quotes only
            logger.warning("%s: its quotes are read as letters, since they do not enclose values.", file)
    header = surveys[0].header
    for file, survey in zip(files, surveys, strict=True):
        if survey.header != header:
            raise ValueError(
                f"{files[0]} and {file} have different columns, {header} and {survey.header}. Give files of one table."
            )
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
