"""Which row after a protection belongs to which row before: by identity, not by where it happens to stand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hf_unlearnable._words import spelled
from hf_unlearnable.data.values import holds_files, stored_bytes
from hf_unlearnable.rows import require_columns

_ROWS = 256  # that are compared at a time


def paired(
    before: Any, after: Any, *, columns: Sequence[str], id_column: str | None = None, turned: bool = False
) -> Any:
    """The rows after in the order of the rows before.

    Rows are matched by `id_column` if there is one, files in folders by their names (endings may differ, as
    `write_images` changes them), and others by their place. The columns that a protection leaves alone must agree
    then; where they do not, they match the rows themselves if no two rows are alike in them.

    Args:
        before: A `Dataset`.
        after: A `Dataset` with as many rows.
        columns: The protected columns, which say nothing of identity.
        id_column: A column that identifies a row, in both.
        turned: Whether to give the rows before in the order of the rows after instead.

    Returns:
        `after`, or a view of it in another order; `before` so if `turned`.

    Raises:
        ValueError: There are more or fewer rows, or they are in another order and nothing says in which. The message
            names the first row that differs.
    """
    order = _order(before, after, columns, id_column)
    in_place = list(range(len(order)))
    if order == in_place:
        return before if turned else after
    return before.select(sorted(in_place, key=order.__getitem__)) if turned else after.select(order)


def _order(before: Any, after: Any, columns: Sequence[str], id_column: str | None) -> list[int]:
    """The place after of each row before."""
    if len(before) != len(after):
        raise ValueError(
            f"There are {len(before)} rows before and {len(after)} after: they do not correspond. Give all rows."
        )
    for dataset in (before, after):
        require_columns(dataset.column_names, [*columns, *([id_column] if id_column else [])])
    if id_column:
        return _matched(before, after, [id_column], f"column {id_column!r}")
    for column in columns:
        places = [_places(dataset, column) for dataset in (before, after)]
        if all(part and len(set(part)) == len(part) for part in places):
            return _by_name(*places)
    common = [name for name in before.column_names if name in after.column_names and name not in columns]
    differs = _different(before, after, common)
    if differs is None:
        return list(range(len(before)))
    row, name, one, two = differs
    try:
        return _matched(before, after, common, "the columns that are not protected")
    except ValueError as error:
        raise ValueError(
            f"The rows are in another order: row {row} has {_short(one)} in column {name!r} before and {_short(two)} "
            f"after. Give both in the same order, or the {spelled('key')}, which says what else is protected and "
            f"which column identifies a row. ({error})"
        ) from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# ---------------------------------------------------------------------- by columns
def _rows(dataset: Any, other: Any, columns: Sequence[str]) -> Iterator[tuple]:
    """The values of some columns by row; class names where the other dataset has names too, else as stored."""
    from datasets import ClassLabel, Value

    names = {}
    for name in columns:
        feature, there = dataset.features[name], other.features[name]
        text = isinstance(there, Value) and there.dtype.endswith("string")
        if isinstance(feature, ClassLabel) and (text or isinstance(there, ClassLabel)):
            names[name] = feature.names
    for table in dataset.select_columns(list(columns)).with_format("arrow").iter(batch_size=_ROWS):
        values = [table[name].to_pylist() for name in columns]
        for name, column in zip(columns, values, strict=True):
            if name in names:
                column[:] = [v if v is None or not 0 <= v < len(names[name]) else names[name][v] for v in column]
        yield from zip(*(map(stored_bytes, column) for column in values), strict=True)


def _different(before: Any, after: Any, columns: Sequence[str]) -> tuple[int, str, Any, Any] | None:
    """The first place where the columns differ: the row, the column and both values."""
    if not columns:
        return None
    tables = [data.select_columns(list(columns)).with_format("arrow") for data in (before, after)]
    same_types = tables[0].features == tables[1].features
    for start in range(0, len(before), _ROWS):
        part = range(start, min(start + _ROWS, len(before)))
        if same_types and tables[0][part].equals(tables[1][part]):
            continue  # values of equal bytes are equal; of others, some are all the same
        values = _rows(before.select(part), after, columns), _rows(after.select(part), before, columns)
        for row, one, two in zip(part, *values, strict=True):
            for name, first, second in zip(columns, one, two, strict=True):
                if first != second and not (first != first and second != second):  # "not a number" equals itself
                    return row, name, first, second
    return None


def _matched(before: Any, after: Any, columns: Sequence[str], what: str) -> list[int]:
    import xxhash

    places: dict[bytes, int] = {}
    for row, values in enumerate(_rows(after, before, columns)):
        if places.setdefault(xxhash.xxh3_128_digest(repr(values).encode()), row) != row:
            raise ValueError(f"{what} after the protection: row {row} repeats an earlier one")
    order = []
    for row, values in enumerate(_rows(before, after, columns)):
        place = places.pop(xxhash.xxh3_128_digest(repr(values).encode()), None)
        if place is None:
            raise ValueError(f"{what}: nothing after corresponds to row {row} before ({_short(values)})")
        order.append(place)
    return order


# ---------------------------------------------------------------------- by names of files
def _places(dataset: Any, column: str) -> list[Path]:
    """Where the files of a folder stand below it; nothing for those that are stored in a table."""
    import pyarrow.compute as pc

    if not holds_files(dataset.features.arrow_schema.field(column).type):
        return []
    paths: list[str] = []
    for table in dataset.select_columns([column]).with_format("arrow").iter(batch_size=256):
        values = pc.struct_field(table[column], "bytes"), pc.struct_field(table[column], "path").to_pylist()
        if values[0].null_count < len(table) or not all(path and os.path.isabs(path) for path in values[1]):
            return []
        paths += values[1]
    if not paths:
        return []
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [Path(path).relative_to(root) for path in paths]


def _by_name(before: Sequence[Path], after: Sequence[Path]) -> list[int]:
    """The place after of each file before, from the surest sign to the least.

    A changed `a.jpg` is `a.png`, or `a.jpg.png` where that name was taken; one that was left alone is still `a.jpg`.
    """
    own = {name.with_suffix("") for name in before}
    free = {name: row for row, name in enumerate(after)}
    order: dict[Path, int] = {}

    def match(stem: Callable[[Path], Path | None], names: Callable[[Path], Path]) -> None:
        found: dict[Path, list[Path]] = {}
        for name in free:
            found.setdefault(names(name), []).append(name)
        for name in before:
            candidates = found.get(stem(name) or Path(), []) if name not in order else []
            if len(candidates) == 1:
                order[name] = free.pop(candidates.pop())

    match(lambda name: None if name in own else name, lambda name: name.with_suffix(""))
    match(lambda name: name, lambda name: name)
    match(lambda name: name.with_suffix(""), lambda name: name.with_suffix(""))
    for name in before:
        if name not in order:
            raise ValueError(f"There is no one file after the protection for {name} before. Give both as they were.")
    return [order[name] for name in before]
