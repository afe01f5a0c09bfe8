"""What every image protection shares: which rows, which bytes in, which bytes out."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.codec import ENCODINGS, ImageError, Picture, decode, like
from hf_unlearnable.image.trace import Bank, drawn_scores
from hf_unlearnable.mark import ClassMarks, Marks, class_decoys
from hf_unlearnable.rows import Batch, file_of, has_label, label_order, no_label, require_columns
from hf_unlearnable.transform import NotFittedError, Transform

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, repr=False, eq=False)
class ImageTransform(Transform):
    """Base class of the image protections. A subclass changes one image's levels in `_cloak`.

    One that learns from the data has `fit`, `_state` and `_set_state` of its own; for the others the key is all.

    Args:
        image_column: Column of images.
        label_column: Column of labels: class names or numbers, not floats. Rows without one (None, or -1 of a
            `ClassLabel`) are an error unless `classes` or `mask_column` leaves them out.
        encoding: How a protected image is stored. "png"; "png-fast", which writes photos in a third of the time, as
            larger files; or "webp" for lossless WebP. A later `map` that opens WebP images stores them lossily again.
        id_column: Column that identifies a row; None identifies it by its pixels, and equal images get equal noise.
        mask_column: Column of booleans: which rows to protect.
        classes: Labels whose rows are protected; None for all.
        fraction: Share of the rows to protect, in [0, 1], drawn with the key.
        seed: Secret whole number; None draws a fresh one at `fit`. A small number can be guessed: for tests only.
    """

    image_column: str = "image"
    label_column: str = "label"
    encoding: str = "png"
    id_column: str | None = None
    mask_column: str | None = None
    classes: Sequence[Any] | None = None
    fraction: float = 1.0
    seed: int | None = None

    modality: ClassVar[str] = "image"
    column_parameter: ClassVar[str] = "image_column"
    open_parameters: ClassVar[tuple[str, ...]] = (*Transform.open_parameters, "image_column", "encoding")
    additive: ClassVar[bool] = True  # whether `epsilon` bounds the change of every level
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"encoding": ENCODINGS}

    # ------------------------------------------------------------------ for subclasses
    def fit(self, dataset: Any) -> ImageTransform:
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

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        """One image's protected levels.

        Args:
            levels: uint8 [height, width, channels], with 1 or 3 channels.
            label: Of the row, None where the method needs none.
            stream: The row's random stream, see `key.draws`.

        Returns:
            The same shape and type.
        """
        raise NotImplementedError

    def _pattern_bank(self, labels: Sequence[Any], shape: tuple[int, ...]) -> Bank:
        """The patterns that the seed draws for these classes, by which `verify` knows the key.

        A method without such patterns leaves this as it is: `verify` says then that its key cannot be shown.

        Args:
            labels: The classes.
            shape: Of the images that are looked at: height, width and channels.

        Returns:
            `trace.stretched`, `trace.repeated` or `trace.filtered` of one pattern for each label, in their order.
        """
        raise NotImplementedError

    def _pattern_kind(self, shape: tuple[int, ...]) -> Hashable:
        """What `_pattern_bank` depends on of a shape: images of one kind are compared with the same patterns."""
        return shape[2]

    # ------------------------------------------------------------------ ownership
    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """How much each image is like the patterns that the seed draws, where the method tells of any."""
        if type(self)._pattern_bank is ImageTransform._pattern_bank:
            return super().ownership_scores(rows)
        levels = [picture.levels for picture in self._looked_at(rows)]
        labels, given = self._classes_of(rows)
        cloaks = [self, *self.decoys(class_decoys(len(labels)))]
        return ClassMarks(drawn_scores(cloaks, levels, labels), given, drawn=True)

    def _looked_at(self, rows: Sequence[Mapping[str, Any]]) -> list[Picture]:
        return [self._opened(row[self.image_column], f"Row {i}") for i, row in enumerate(rows)]

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

    # ------------------------------------------------------------------ contract
    def _columns(self) -> list[str]:
        return [self.image_column]

    def _is_row(self, value: Any) -> bool:
        return not isinstance(value, list) and not (isinstance(value, np.ndarray) and value.ndim == 4)

    def _protect(self, rows: Batch) -> dict[str, list]:
        values = rows.stored(self.image_column)
        if any(type(value).__module__ == "torch" for value in values):
            raise TypeError("The images are torch tensors. Use dataset.with_format(None) before map.")
        if getattr(self, self.strength_parameter) == 0 or self.fraction == 0:
            return {self.image_column: values}
        eligible = self._eligible(rows, len(values))
        labels = rows.column(self.label_column) if self.needs_labels else [None] * len(values)
        feature = _feature(rows, self.label_column)
        pictures = [
            self._opened(value, f"Row {i} of this batch") if wanted else None
            for i, (value, wanted) in enumerate(zip(values, eligible, strict=True))
        ]
        streams = self._streams(rows, [None if picture is None else picture.content for picture in pictures])
        changed = []
        for i, (value, picture, stream) in enumerate(zip(values, pictures, streams, strict=True)):
            if picture is None or stream is None or not self._sampled(stream):
                changed.append(value)
                continue
            if self.needs_labels:
                check_label(labels[i], f"Row {i} of this batch{file_of(value)}", self.label_column, feature)
            try:
                levels = self._cloak(picture.levels, plain(labels[i]), stream)
                changed.append(like(value, replace(picture, levels=levels), self.encoding))
            except ImageError as error:
                named = f"{file_of(value)}{self._named(rows, i)}"
                raise ValueError(f"Row {i} of this batch{named}: {error}.") from None
        return {self.image_column: changed}

    def _opened(self, value: Any, row: str) -> Picture:
        try:
            return decode(value)
        except ImageError as error:
            raise ValueError(f"{row}{file_of(value)}, column {self.image_column!r}: the image {error}.") from None

    def _named(self, rows: Batch, i: int) -> str:
        return "" if self.id_column is None else f" ({self.id_column}={rows.column(self.id_column)[i]!r})"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.encoding == "webp" and not self._used:
            logger.warning(
                "encoding='webp': a later map that opens protected images stores them as lossy WebP, which loses most "
                "of the protection. Use encoding='png', or dataset.cast_column(%r, Image(decode=False)) before it.",
                self.image_column,
            )
        if self.label_column == self.image_column:
            raise ValueError(f"label_column and image_column are both {self.image_column!r}. Name two columns.")

    def _fitted(self, value: Any) -> Any:
        if value is None:
            raise NotFittedError(self)
        return value

    # ------------------------------------------------------------------ reading for fit
    def _pictures(self, dataset: Any) -> Iterator[tuple[Picture, Any, bytes]]:
        """Every image of a `Dataset` or `IterableDataset` in order, with its label and what identifies it.

        Raises:
            ValueError: A column is missing, there are no rows, or a row that `classes` and `mask_column` do not leave
                out has no label or an image that cannot be protected: the message names it.
        """
        feature = (getattr(dataset, "features", None) or {}).get(self.label_column)
        for i, (value, label, identity, wanted) in enumerate(self._raw_rows(dataset)):
            try:
                if self.needs_labels:
                    check_label(label, f"Row {i}{file_of(value)}", self.label_column, feature)
                picture = self._opened(value, f"Row {i}")
            except ValueError:
                if wanted:
                    raise
                continue
            yield picture, label, picture.content if self.id_column is None else repr(identity).encode()

    def _labels(self, dataset: Any) -> list:
        """The classes that the labels name, sorted; the images stay unread.

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
        wanted = [self.image_column, *([self.label_column] if self.needs_labels else [])]
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
        """Image, label, identity, and whether the row is one to protect."""
        from datasets import Image

        wanted = self._check_dataset(dataset)
        if isinstance((dataset.features or {}).get(self.image_column), Image):
            dataset = dataset.cast_column(self.image_column, Image(decode=False))
        empty = True
        for batch in dataset.with_format(None).iter(batch_size=100):
            self._require(list(batch), wanted)
            count = len(batch[self.image_column])
            empty = empty and count == 0
            labels = batch[self.label_column] if self.needs_labels else [None] * count
            identities = batch[self.id_column] if self.id_column else [None] * count
            eligible = self._eligible(Batch(batch, self._columns(), self._is_row), count)
            yield from zip(batch[self.image_column], labels, identities, eligible, strict=True)
        if empty:
            raise ValueError("The dataset has no rows: there is nothing to learn from.")

    def _require(self, present: Sequence[str], wanted: Sequence[str]) -> None:
        if self.needs_labels and self.label_column not in present and self.image_column in present:
            raise ValueError(
                f"{type(self).__name__} needs labels, and there is no column {self.label_column!r} "
                f"(columns: {', '.join(map(repr, present))}). Name it with label_column; without labels, "
                "random-noise (RandomNoiseTransform) is what remains, a baseline that protects little."
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


def _feature(rows: Batch, column: str) -> Any:
    """The feature of a column in what `map` handed over, where that tells: a lazy batch, or an Arrow table."""
    from datasets import Features

    features = getattr(getattr(rows._batch, "formatter", None), "features", None)
    if features is None and hasattr(rows._batch, "schema"):
        features = Features.from_arrow_schema(rows._batch.schema)
    return (features or {}).get(column)
