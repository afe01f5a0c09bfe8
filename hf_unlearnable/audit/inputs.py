"""Reading the inputs of a data set as they are stored, and telling whether two are the same.

Images are compared by their decoded pixels: the same picture may be stored in another encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.image.codec import ImageError, decode
from hf_unlearnable.key import row_stream
from hf_unlearnable.transform import require_columns

if TYPE_CHECKING:
    from datasets import Dataset


def check_length(clean: Dataset, protected: Dataset) -> None:
    """Raises a ValueError for two versions that cannot hold the same rows."""
    if len(clean) != len(protected):
        raise ValueError(
            f"The clean version has {len(clean)} rows, the protected one {len(protected)}: they do not hold the same "
            "rows. check_pair names the first one that differs."
        )


def kind(dataset: Dataset, column: str) -> str:
    """What a column holds, "text" or "image"; raises a ValueError for anything else."""
    from datasets import Image, Value

    require_columns(dataset.column_names, [column])
    feature = dataset.features[column]
    if isinstance(feature, Image):
        return "image"
    if isinstance(feature, Value) and feature.dtype in ("string", "large_string"):
        return "text"
    raise ValueError(
        f"Column {column!r} is of type {feature}, neither text nor image. Name the column of inputs, or cast it with "
        "dataset.cast_column to datasets.Value('string') or datasets.Image()."
    )


def column_of(dataset: Dataset, column: str) -> list:
    """The values of a column as Python values, whatever the format of the data set."""
    return dataset.with_format(None)[column][:]


def stored(dataset: Dataset, column: str) -> Dataset:
    """The data set with images as they are stored, not decoded."""
    from datasets import Image

    dataset = dataset.with_format(None)
    return dataset if kind(dataset, column) == "text" else dataset.cast_column(column, Image(decode=False))


def inputs(dataset: Dataset, column: str) -> Iterator[Any]:
    """The inputs one by one: texts, or images as `{"bytes", "path"}`."""
    for batch in stored(dataset.select_columns([column]), column).iter(batch_size=100):
        yield from batch[column]


def changed_rows(clean: Dataset, protected: Dataset, column: str) -> np.ndarray:
    """Which rows differ, bool [n]."""
    check_length(clean, protected)
    changed = np.zeros(len(clean), bool)
    for row, (before, after) in enumerate(zip(inputs(clean, column), inputs(protected, column), strict=True)):
        with naming(row, column):
            changed[row] = not same(before, after)
    return changed


def same(before: Any, after: Any) -> bool:
    """Whether two inputs are the same text, or images of the same pixels."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return before == after
    if before["bytes"] is not None and before["bytes"] == after["bytes"]:
        return True
    return decode(before).content == decode(after).content


def identities(dataset: Dataset, column: str) -> Iterator[int]:
    """Of each row 64 bits that depend on its text, or on its pixels."""
    for row, value in enumerate(inputs(dataset, column)):
        with naming(row, column):
            yield row_stream(decode(value).content if isinstance(value, dict) else (value or "").encode(), 0)


@contextmanager
def naming(row: int, column: str) -> Iterator[None]:
    """Adds row and column to what is said of an image that does not open."""
    try:
        yield
    except ImageError as error:
        raise ValueError(f"Row {row}, column {column!r}: the image {error}.") from None
