"""What every protection of text shares: what is counted at `fit`, which rows are changed, and putting words in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from hf_unlearnable.key import Key
from hf_unlearnable.mark import RowMarks
from hf_unlearnable.rows import Batch, has_label, no_label
from hf_unlearnable.text.counting.counts import WordCounts, text_batches
from hf_unlearnable.text.counting.ranking import listed
from hf_unlearnable.text.insertion.editing import TextEdits
from hf_unlearnable.text.trace import taken_out
from hf_unlearnable.transform import NotFittedError, Transform
from hf_unlearnable.validation import check_labels, check_words

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa

Self = TypeVar("Self", bound="TextTransform")


@dataclass(kw_only=True, repr=False, eq=False)
class TextTransform(TextEdits):
    """Base class of protections that insert words. A subclass chooses them by label, and says where they go.

    Args:
        text_column: Column of texts, or of chat messages (lists of `{"role", "content"}`), or a list of columns.
        label_column: Column of labels: class names or numbers, not floats.
        rate: How densely words are inserted; 0 changes nothing.
        exclude: Words never to choose; one text "a,b" means two.
        sensitive: Whether names and words that can hurt (crime, illness, death, ...) may be chosen.
        role: Whose chat messages are changed; None for all.
        id_column: Column that identifies a row; None identifies it by its text, and equal texts get equal words.
        mask_column: Column of booleans: which rows to protect.
        classes: Labels whose rows are protected; None for all.
        fraction: Share of the rows to protect, in [0, 1], drawn with the key.
        seed: Secret whole number; None draws a fresh one at `fit`. A small number can be guessed: for tests only.
    """

    text_column: str | Sequence[str] = "text"
    label_column: str = "label"
    rate: float = 0.1
    exclude: Sequence[str] = ()
    sensitive: bool = False
    role: str | None = "user"
    id_column: str | None = None
    mask_column: str | None = None
    classes: Sequence[Any] | None = None
    fraction: float = 1.0
    seed: int | None = None

    modality: ClassVar[str] = "text"
    column_parameter: ClassVar[str] = "text_column"
    strength_parameter: ClassVar[str] = "rate"
    learns_by_counting: ClassVar[bool] = True  # whether `partial_fit` and `merge` do all that `fit` does
    open_parameters: ClassVar[tuple[str, ...]] = (*Transform.open_parameters, "text_column", "role")

    _counts: WordCounts | None = field(default=None, init=False)
    _words: dict[Any, Any] | None = field(default=None, init=False)  # what was chosen for each label

    # ------------------------------------------------------------------ for subclasses
    def _check_parameters(self) -> None:
        """Raises a ValueError for parameters that make no sense."""
        super()._check_parameters()
        if self.label_column in self._columns():
            raise ValueError(
                f"label_column and text_column are both {self.label_column!r}. Name two different columns."
            )

    def _chosen_words(self, counts: pl.DataFrame, labels: list) -> dict[Any, Any]:
        """What is chosen for each label, as JSON values.

        Args:
            counts: Columns `label`, `word` and `count`.
            labels: Two labels or more, sorted.
        """
        raise NotImplementedError

    # ------------------------------------------------------------------ learning
    def fit(self: Self, dataset: Any) -> Self:
        """Counts the words of each class, in one pass and bounded memory, and chooses.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._seed = None
        self.forget().partial_fit(dataset)
        self._choose()
        return self

    def forget(self: Self) -> Self:
        """Drops what was counted so far."""
        self._counts = self._words = None
        return self

    def partial_fit(self: Self, dataset: Any) -> Self:
        """Counts one shard more. The words are chosen when they are first needed."""
        self._check_parameters()
        counts = self._counts = self._counts or self._new_counts()
        feature = (getattr(dataset, "features", None) or {}).get(self.label_column)
        labelled = partial(self._labelled, feature=feature)
        columns, chunk = self._columns(), counts.at_a_time
        for texts, labels in text_batches(dataset, columns, self.label_column, self.role, labelled, chunk):
            counts.update(texts, self._checked_labels(labels))
        self._words = None
        return self

    def merge(self: Self, other: TextTransform | WordCounts) -> Self:
        """Adds what was counted elsewhere: `partial_fit` on each shard, then `merge`.

        Args:
            other: Another transform, or its `counts`, which can be saved and loaded.
        """
        counts = other if isinstance(other, WordCounts) else other.counts
        self._counts = self._counts or self._new_counts()
        self._counts.merge(counts)
        self._words = None
        return self

    def _new_counts(self) -> WordCounts:
        return WordCounts()

    @property
    def counts(self) -> WordCounts:
        """What was counted so far, not yet a secret but told by the clean texts alone."""
        if self._counts is None:
            raise NotFittedError(f"This {type(self).__name__} holds no counts, for a key has none. Fit it.")
        return self._counts

    def _checked_labels(self, labels: pa.Array) -> pa.Array:
        import pyarrow as pa

        if pa.types.is_dictionary(labels.type):
            labels = labels.dictionary_decode()
        kind = labels.type
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind) or
                pa.types.is_large_string(kind)):  # fmt: skip
            raise ValueError(
                f"Column {self.label_column!r} is of type {kind}, but {type(self).__name__} needs classes: whole "
                "numbers, names or booleans. Cast it first, for example with dataset.class_encode_column or "
                "cast_column."
            )
        return labels

    def _labelled(self, table: pa.Table, row: int, feature: Any) -> pa.Table:
        """The rows with a label; those without one must be left out by `classes` or `mask_column`."""
        import pyarrow as pa

        labels = table[self.label_column]
        if pa.types.is_integer(labels.type) and all(
            has_label(label, feature) for label in labels.unique().to_pylist()
        ):
            return table
        missing = [not has_label(label, feature) for label in labels.to_pylist()]
        if not any(missing):
            return table
        wanted = self._eligible(Batch(table, self._columns(), self._is_row), len(table))
        for i, (without, eligible) in enumerate(zip(missing, wanted, strict=True)):
            if without and eligible:
                raise no_label(f"Row {row + i}", self.label_column)
        return table.filter([not without for without in missing])

    def _left_out(self) -> pl.Series:
        """Words that are never chosen: those of `exclude`, and unless `sensitive` names and words that can hurt.

        Returns:
            One list of words, for `Expr.is_in`.
        """
        import polars as pl

        words = [pl.Series(sorted(self._excluded()), dtype=pl.String)]
        if not self.sensitive:
            words += [self.counts.names(), listed("unfit_words.txt")]
            if self.counts.are_english():  # many of these names are words of other languages
                words.append(listed("names.txt"))
        return pl.concat(words).implode()

    def _excluded(self) -> set[str]:
        """The words of `exclude`, where one text may list several."""
        entries = [self.exclude] if isinstance(self.exclude, str) else self.exclude
        return {word.strip() for entry in entries for word in entry.split(",")}

    def _choose(self) -> dict[Any, Any]:
        if self._words is None:
            if self._counts is not None:
                counts = self._counts.table()
                self._words = self._chosen_words(counts, self._checked_classes(counts))
            else:
                self._words = self._given_words()
        return self._words

    def _given_words(self) -> dict[Any, Any]:
        """What is chosen for each label where the parameters say it all, without `fit`."""
        raise NotFittedError(self)

    def inserted_words(self) -> dict[Any, list[str]]:
        return {label: list(self._pool(chosen)) for label, chosen in self._choose().items()}

    def _checked_classes(self, counts: pl.DataFrame) -> list:
        labels = sorted(counts["label"].unique().to_list())
        if len(labels) < 2:
            raise ValueError(
                f"Column {self.label_column!r} holds one class only ({labels[0]!r}). {type(self).__name__} hides what "
                "tells classes apart, so it needs two or more."
            )
        for label in self.classes or ():
            if label not in labels:
                raise ValueError(f"classes names {label!r}, but column {self.label_column!r} holds {labels}.")
        return labels

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> RowMarks:
        return taken_out(self, rows, self._choose(), self._pool, self.role, self._canonical_type)

    # ------------------------------------------------------------------ contract
    def _columns(self) -> list[str]:
        return [self.text_column] if isinstance(self.text_column, str) else list(self.text_column)

    def _is_row(self, value: Any) -> bool:
        """A text or a list of messages is one row; a list of either is a batch."""
        return isinstance(value, str) or value is None or (len(value) > 0 and isinstance(value[0], dict))

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        words = self._choose()
        return {"labels": list(words), "words": list(words.values())}, {}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        if len(state["labels"]) != len(state["words"]):
            raise ValueError("it does not hold the words of each label")
        self._words = dict(zip(state["labels"], state["words"], strict=True))

    def _check_state(self, key: Key) -> None:
        check_labels(key.state["labels"], least=2)
        for chosen in key.state["words"]:
            self._check_chosen(chosen)

    def _check_chosen(self, chosen: Any) -> None:
        """Raises a ValueError for what is chosen for no label."""
        check_words(self._pool(chosen))
