"""Rows as `map` hands them over: their columns, and whether they have a label."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_unlearnable._words import spelled

_PLAIN = {str, bytes, int, float, bool, list, dict, type(None)}  # values that are what they are, in any format


class Batch:
    """What `map` handed over, as columns of values: one row, a batch or an Arrow table."""

    def __init__(self, batch: Any, columns: Sequence[str], is_row: Any):
        import pyarrow as pa

        self._batch = batch
        self._table = isinstance(batch, pa.Table)
        if not self._table and not isinstance(batch, Mapping):
            raise TypeError(
                f"A protection takes a row or a batch as a dict or a pyarrow.Table, not {type(batch).__name__}. "
                "Use dataset.with_format(None) or with_format('arrow') before map."
            )
        names = batch.column_names if self._table else list(batch)
        require_columns(names, columns)
        self._names = names
        # What `Dataset.map` hands over decodes a column when it is read: look at the Arrow table behind it instead.
        self._source = batch if self._table else getattr(batch, "pa_table", None)
        if self._table or self._source is not None:
            self._single = not self._table and type(batch).__name__ == "LazyRow"
        else:
            self._single = is_row(batch[columns[0]])

    def column(self, name: str) -> list:
        """The values of one column, a list also for a single row."""
        require_columns(self._names, [name])
        values = self._batch[name]
        if self._table:
            return values.to_pylist()
        values = [values] if self._single else values if isinstance(values, list) else list(values)
        if set(map(type, values)) <= _PLAIN:
            return values[:]
        # Scalars of numpy or torch, from a dataset with that format, as the plain values that they are.
        return [v.item() if hasattr(v, "item") and getattr(v, "ndim", 1) == 0 else v for v in values]

    def texts(self, name: str) -> Any:
        """One column as a `pyarrow.LargeStringArray`; None for a single row, and where it holds more than texts."""
        import pyarrow as pa

        require_columns(self._names, [name])
        if self._single:
            return None
        if self._source is not None and name in getattr(self._batch, "keys_to_format", (name,)):
            array = self._source[name]
            known = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
            return array.cast(pa.large_string()).combine_chunks() if known else None
        values = self.column(name)
        if not set(map(type, values)) <= {str, type(None)}:
            return None
        try:
            return pa.array(values, pa.large_string())
        except UnicodeEncodeError:  # half of a surrogate pair, which a `str` may hold
            return None

    def mask(self, name: str) -> list[bool]:
        """The booleans of one column; a ValueError for texts."""
        values = self.column(name)
        strange = next((value for value in values if isinstance(value, str)), None)
        if strange is not None:  # of a CSV file; any text but an empty one would be true
            raise ValueError(
                f"Column {name!r} holds the text {strange!r}, and a mask is of booleans. Write True or False, or 1 or "
                "0, in every row, or cast the column to bool."
            )
        return [bool(value) for value in values]

    def stored(self, name: str) -> list:
        """The values of one column as they are stored, where that is known: files not decoded."""
        if self._source is None:
            return self.column(name)
        require_columns(self._names, [name])
        return self._source[name].to_pylist()

    def replaced(self, columns: dict[str, Any]) -> Any:
        """The input with these columns, lists or Arrow arrays, in place of its own."""
        if self._table:
            import pyarrow as pa

            table = self._batch
            for name, values in columns.items():
                index = self._names.index(name)
                field = table.schema.field(index)
                arrow = isinstance(values, pa.Array)
                table = table.set_column(
                    index, field, values.cast(field.type) if arrow else pa.array(values, type=field.type)
                )
            return table
        columns = {
            name: values if isinstance(values, list) else values.to_pylist() for name, values in columns.items()
        }
        if self._single:
            columns = {name: values[0] for name, values in columns.items()}
        # A plain dict comes back whole, for use without map. The lazy batches of `datasets` must not: reading their
        # other columns would decode them.
        return {**self._batch, **columns} if isinstance(self._batch, dict) else columns


# A file name up to its first dot is a row for WebDataset: IMG.000.png to IMG.039.png are one row of forty columns.
_DEFAULTS = ("text", "image", "audio", "label")  # columns that a parameter names where the user did not
_MERGED = re.compile(r"[\w -]*\d\.(png|jpe?g|webp|tiff?|bmp|gif|avif)", re.IGNORECASE)


def require_columns(present: Sequence[str], wanted: Iterable[str]) -> None:
    """Raises a ValueError that names a missing column, those that are there and the closest of them.

    So does a row that holds many pictures by accident: all but one of them would stay as they are.
    """
    merged = [name for name in present if _MERGED.fullmatch(name)]
    if len(merged) > 1:
        raise ValueError(
            f"A row holds {len(merged)} pictures ({merged[0]}, {merged[1]}{', ...' if len(merged) > 2 else ''}): for "
            "WebDataset the name of a row ends at the first dot. Rename the files, such as IMG.000.png to IMG-000.png."
        )
    for name in wanted:
        if name not in present:
            close = difflib.get_close_matches(name, present, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            other = f" Name yours with {spelled(f'{name}_column')}." if name in _DEFAULTS else ""
            raise ValueError(f"There is no column {name!r}.{hint} Columns: {', '.join(map(repr, present))}.{other}")


def file_of(value: Any) -> str:
    """The file of a stored image or sound for a message, in parentheses behind a space; empty where none is known.

    A file below the working directory is named as seen from there.
    """
    path = value.get("path") if isinstance(value, dict) else None
    if path and os.path.isabs(path) and Path(path).is_relative_to(Path.cwd()):
        path = os.path.relpath(path)
    return f" ({path})" if path else ""


def label_order(label: Any) -> tuple[bool, Any]:
    """The key by which labels are sorted: numbers, then names."""
    return isinstance(label, str), label


def has_label(label: Any, feature: Any = None) -> bool:
    """Whether a row has a label.

    Args:
        label: Its value; None is no label, nor is an empty text, as an empty value of a CSV file is read.
        feature: The column's feature, where known: -1 is what `datasets` gives a `ClassLabel` for "no label".
    """
    from datasets import ClassLabel

    if label is None or (isinstance(label, str) and not label.strip()):
        return False
    return not (isinstance(feature, ClassLabel) and label == -1)


def no_label(row: str, column: str) -> ValueError:
    """The error for a row without a label.

    Args:
        row: The row in words, for example "Row 3 of this batch".
        column: The label column.
    """
    return ValueError(
        f"{row} has no label in column {column!r}. Leave such rows out with {spelled('classes')} or "
        f"{spelled('mask_column')}, or filter them out."
    )
