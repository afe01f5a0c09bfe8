"""Reading the rows of datasets as they are stored or as victims take them; which of two versions differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.adversary import Rows
from hf_unlearnable.key import row_stream
from hf_unlearnable.modality import Modality
from hf_unlearnable.registry import modality_of
from hf_unlearnable.rows import has_label, require_columns

if TYPE_CHECKING:
    from datasets import Dataset


def check_length(clean: Dataset, protected: Dataset) -> None:
    """Raises a ValueError for two versions that cannot hold the same rows."""
    if len(clean) != len(protected):
        raise ValueError(
            f"The clean version has {len(clean)} rows, the protected one {len(protected)}: they do not hold the same "
            "rows. Give both versions of the same data."
        )


def trained_on(dataset: Dataset, column: str) -> Modality:
    """What a column of inputs holds; a ValueError says that victims cannot train on it."""
    modality = modality_of(dataset.features, column)
    if not modality.trains_on(dataset.features[column]):
        raise ValueError(
            f"Column {column!r} is of type {dataset.features[column]}, which the victims do not read. Cast it to "
            f"{modality.cast} first."
        )
    return modality


def column_of(dataset: Dataset, column: str) -> list:
    """The values of a column as Python values, whatever the format of the dataset."""
    return dataset.with_format(None)[column][:]


def inputs(dataset: Dataset, column: str) -> Iterator[Any]:
    """The values of a column one by one, as they are stored."""
    stored = modality_of(dataset.features, column).undecoded(dataset.with_format(None), column)
    for batch in stored.select_columns([column]).iter(batch_size=100):
        yield from batch[column]


def changed_rows(clean: Dataset, protected: Dataset, column: str) -> np.ndarray:
    """Which rows differ, bool [n]."""
    check_length(clean, protected)
    modality = modality_of(clean.features, column)
    changed = np.zeros(len(clean), bool)
    for row, (before, after) in enumerate(zip(inputs(clean, column), inputs(protected, column), strict=True)):
        with modality.naming(row, column, before):
            changed[row] = not modality.same(before, after)
    return changed


def identities(dataset: Dataset, column: str) -> Iterator[int]:
    """Of each row 64 bits that depend on what its input shows."""
    modality = modality_of(dataset.features, column)
    for row, value in enumerate(inputs(dataset, column)):
        with modality.naming(row, column, value):
            yield row_stream(modality.content(value), 0)


def rows_of(dataset: Dataset, columns: tuple[str, str]) -> Rows:
    """Inputs, as victims take them, and labels of a dataset."""
    modality = modality_of(dataset.features, columns[0])
    return Rows(modality.read(dataset, columns[0]), dataset[columns[1]][:])


def prepared(given: Mapping[str, Dataset | None], column: str, label_column: str) -> list[Dataset]:
    """The two columns of each part, with labels as whole numbers that stand for the same in all of them."""
    parts = []
    for what, part in given.items():
        if part is None:
            continue
        require_columns(part.column_names, [column, label_column])
        parts.append(part.with_format(None).select_columns([column, label_column]))
        for row, label in enumerate(column_of(part, label_column)):
            if not has_label(label, part.features[label_column]):
                raise ValueError(f"Row {row} of the {what} data has no label. Leave such rows out.")
    return _numbered(parts, label_column)


def _numbered(parts: Sequence[Dataset], label_column: str) -> list[Dataset]:
    """Labels as whole numbers, the same ones in all parts: names are numbered in the order of the alphabet."""
    from datasets import ClassLabel

    if all(_is_number(part.features[label_column]) for part in parts):
        return list(parts)
    names = sorted({_label_name(part, label_column, value) for part in parts for value in part.unique(label_column)})
    number = {name: i for i, name in enumerate(names)}
    return [
        part.remove_columns(label_column).add_column(
            label_column,
            [number[_label_name(part, label_column, value)] for value in part[label_column]],
            feature=ClassLabel(names=names),
        )
        for part in parts
    ]


def _is_number(feature: Any) -> bool:
    return getattr(feature, "dtype", "").startswith(("int", "uint"))


def _label_name(part: Dataset, label_column: str, value: Any) -> str:
    feature = part.features[label_column]
    return feature.int2str(value) if hasattr(feature, "int2str") else str(value)
