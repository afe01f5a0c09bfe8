"""What protections of files share, images and recordings: columns, labels, and which rows are asked for.

A text may be split into parts and its labels counted; a file is one value under one label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.key import row_stream
from hf_unlearnable.rows import Batch, has_label, label_order, no_label, require_columns
from hf_unlearnable.transform import NotFittedError, Transform


class LabelledFiles(Transform):
    """Base class of protections of a column of files beside a column of labels.

    One that learns from the data has `fit`, `_state` and `_set_state` of its own; for the others the key is all.

    Attributes:
        without_labels: What remains for data without labels, in a sentence's end.
    """

    without_labels: ClassVar[str]

    @property
    def _column(self) -> str:
        return getattr(self, self.column_parameter)

    def fit(self, dataset: Any) -> LabelledFiles:
        """Draws the key, and looks whether the columns are there.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._check_parameters()
        next(self._raw_rows(dataset))
        self._seed = None
        self._resolved_seed()
        return self

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        self._fitted(self._seed)
        return {}, {}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        """There is none."""

    def _columns(self) -> list[str]:
        return [self._column]

    def _fitted(self, value: Any) -> Any:
        if value is None:
            raise NotFittedError(self)
        return value

    def _named(self, rows: Batch, i: int) -> str:
        return "" if self.id_column is None else f" ({self.id_column}={rows.column(self.id_column)[i]!r})"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.label_column == self._column:
            raise ValueError(f"label_column and {self.column_parameter} are both {self._column!r}. Name two columns.")

    def _classes_of(self, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[int]]:
        """The classes that the key knows, or else those that the rows name, and which of them each row is said to be.

        Raises:
            ValueError: Neither knows any.
        """
        given = [plain(row.get(self.label_column)) for row in rows]
        labels = self._state()[0].get("labels") or sorted({x for x in given if x is not None}, key=label_order)
        if not labels:
            raise ValueError(f"This key draws a pattern for each label, and there is no column {self.label_column!r}.")
        return labels, [labels.index(x) if x in labels else -1 for x in given]

    # ------------------------------------------------------------------ reading for fit
    def _labels(self, dataset: Any) -> list:
        """The classes that the labels name, sorted; the files stay unread.

        Raises:
            ValueError: A row that `classes` and `mask_column` do not leave out has no label, or there are not two
                classes.
        """
        self._check_dataset(dataset)
        labels: set[Any] = set()
        row = 0
        columns = [self.label_column, *([self.mask_column] if self.mask_column else [])]
        feature = (dataset.features or {}).get(self.label_column)
        for batch in dataset.select_columns(columns).with_format(None).iter(batch_size=1000):
            found = Batch(batch, columns, self._is_row)
            eligible = self._eligible(found, len(batch[self.label_column]))
            for label, wanted in zip(found.column(self.label_column), eligible, strict=True):
                if wanted or has_label(label, feature):
                    check_label(label, f"Row {row}", self.label_column, feature)
                    labels.add(plain(label))
                row += 1
        if not row:
            raise ValueError("The dataset has no rows: there is nothing to learn from.")
        if len(labels) < 2:
            named = f"one class only ({labels.pop()!r})" if labels else "no class"
            raise ValueError(f"The labels name {named}: a model has nothing to learn.")
        return sorted(labels, key=lambda label: (isinstance(label, str), label))

    def _check_dataset(self, dataset: Any) -> list[str]:
        """The columns that are needed; raises for what is no dataset, and for missing columns."""
        if isinstance(dataset, dict):
            first = next(iter(dataset), "train")
            raise TypeError(f"This is a dictionary of splits. Give one of them: dataset[{first!r}].")
        if not hasattr(dataset, "cast_column"):
            raise TypeError(f"fit takes a datasets.Dataset or IterableDataset, not {type(dataset).__name__}.")
        wanted = [self._column, *([self.label_column] if self.needs_labels else [])]
        wanted += [name for name in (self.id_column, self.mask_column) if name]
        if dataset.column_names:
            self._require(dataset.column_names, wanted)
        names = getattr((dataset.features or {}).get(self.label_column), "names", None) or []
        strange = [label for label in self.classes or () if names and label not in range(len(names))]
        if strange:
            raise ValueError(
                f"classes names {strange[0]!r}, but the labels are whole numbers below {len(names)}: give those, as "
                f"dataset.features[{self.label_column!r}].str2int does."
            )
        return wanted

    def _raw_rows(self, dataset: Any) -> Iterator[tuple[Any, Any, Any, bool]]:
        """File, label, identity, and whether the row is one to protect."""
        from hf_unlearnable.registry import MODALITIES

        wanted = self._check_dataset(dataset)
        empty = True
        for batch in MODALITIES[self.modality].undecoded(dataset, self._column).with_format(None).iter(batch_size=100):
            self._require(list(batch), wanted)
            count = len(batch[self._column])
            empty = empty and count == 0
            labels = batch[self.label_column] if self.needs_labels else [None] * count
            identities = batch[self.id_column] if self.id_column else [None] * count
            eligible = self._eligible(Batch(batch, self._columns(), self._is_row), count)
            yield from zip(batch[self._column], labels, identities, eligible, strict=True)
        if empty:
            raise ValueError("The dataset has no rows: there is nothing to learn from.")

    def _require(self, present: Sequence[str], wanted: Sequence[str]) -> None:
        if self.needs_labels and self.label_column not in present and self._column in present:
            raise ValueError(
                f"{type(self).__name__} needs labels, and there is no column {self.label_column!r} "
                f"(columns: {', '.join(map(repr, present))}). Name it with label_column; without labels, "
                f"{self.without_labels}."
            )
        require_columns(present, wanted)


def plain(label: Any) -> Any:
    """A label as a Python value."""
    return label.item() if hasattr(label, "item") else label


def check_label(label: Any, row: str, column: str, feature: Any = None) -> None:
    """Raises a ValueError for a row without a label, or with one that is no class.

    Args:
        label: The label.
        row: The row in words, for example "Row 3 of this batch".
        column: The label column.
        feature: The column's feature, where known.
    """
    if not has_label(label, feature):
        raise no_label(row, column)
    if not isinstance(label, (bool, int, str, np.integer, np.bool_)):
        raise ValueError(
            f"{row} has {type(label).__name__} in column {column!r}, not a class: give whole numbers, names or "
            "booleans, for example with dataset.class_encode_column."
        )


def feature_of(rows: Batch, column: str) -> Any:
    """The feature of a column in what `map` handed over, where that tells: a lazy batch, or an Arrow table."""
    from datasets import Features

    features = getattr(getattr(rows._batch, "formatter", None), "features", None)
    if features is None and hasattr(rows._batch, "schema"):
        features = Features.from_arrow_schema(rows._batch.schema)
    return (features or {}).get(column)


def class_stream(label: Any, seed: int) -> int:
    """A class's own random stream."""
    return row_stream(b"class " + repr(label).encode(), seed)
