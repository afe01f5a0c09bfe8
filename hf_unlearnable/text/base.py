"""What every protection of text shares: what is counted at `fit`, which rows are changed, and putting words in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from hf_unlearnable.key import Key
from hf_unlearnable.mark import RowMarks
from hf_unlearnable.rows import Batch, has_label, no_label
from hf_unlearnable.text.batch import BatchTexts
from hf_unlearnable.text.counting import WordCounts, text_batches
from hf_unlearnable.text.insertion import Canonical
from hf_unlearnable.text.ranking import listed
from hf_unlearnable.text.trace import taken_out
from hf_unlearnable.transform import NotFittedError, Transform
from hf_unlearnable.validation import check_labels, check_words

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa

_MARKED_WORDS = 4  # in their places by chance in one text of some thousands of millions
_MARKED_TEXTS = 8

Self = TypeVar("Self", bound="TextTransform")


@dataclass(kw_only=True, repr=False, eq=False)
class TextTransform(Transform):
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

    def _pool(self, chosen: Any) -> Sequence[str]:
        """The words that may be inserted where this was chosen."""
        return chosen

    _canonical_type: ClassVar[type[Canonical]] = Canonical

    def _planned(
        self, texts: Sequence[Any], chosen: Sequence[Any], streams: np.ndarray, parts: np.ndarray
    ) -> Iterable[tuple[Sequence[int], Sequence[str]]]:
        """For each text the places, ascending, and the words to insert there.

        Args:
            texts: n texts to change, of `_canonical_type`.
            chosen: what was chosen for the label of each.
            streams: the random stream of each one's row, uint64 [n].
            parts: which text of its row each one is, int64 [n].
        """
        raise NotImplementedError

    def _changed(self, text: Canonical, places: Sequence[int], words: Sequence[str]) -> str:
        """The full text with these words at these places."""
        return text.with_words(places, words)

    # ------------------------------------------------------------------ learning
    def fit(self: Self, dataset: Any) -> Self:
        """Counts the words of each class, in one pass and bounded memory, and chooses.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._counts = self._words = self._seed = None
        self.partial_fit(dataset)
        self._choose()
        return self

    def partial_fit(self: Self, dataset: Any) -> Self:
        """Counts one shard more. The words are chosen when they are first needed."""
        self._check_parameters()
        counts = self._counts = self._counts or WordCounts()
        feature = (getattr(dataset, "features", None) or {}).get(self.label_column)
        labelled = partial(self._labelled, feature=feature)
        for texts, labels in text_batches(dataset, self._columns(), self.label_column, self.role, labelled):
            counts.update(texts, self._checked_labels(labels))
        self._words = None
        return self

    def merge(self: Self, other: TextTransform | WordCounts) -> Self:
        """Adds what was counted elsewhere: `partial_fit` on each shard, then `merge`.

        Args:
            other: Another transform, or its `counts`, which can be saved and loaded.
        """
        counts = other if isinstance(other, WordCounts) else other.counts
        self._counts = self._counts or WordCounts()
        self._counts.merge(counts)
        self._words = None
        return self

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
        missing = [not has_label(label, feature) for label in table[self.label_column].to_pylist()]
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

    # ------------------------------------------------------------------ changing rows
    def _protect(self, rows: Batch) -> dict[str, list]:
        return self._edited(rows, restore=False)

    def _restore(self, rows: Batch) -> dict[str, list]:
        return self._edited(rows, restore=True)

    def _edited(self, rows: Batch, restore: bool) -> dict[str, list]:
        import numpy as np

        columns = {name: rows.column(name) for name in self._columns()}
        if self.rate == 0:
            return columns
        batch = BatchTexts(columns, self.role)
        chosen = self._chosen(rows, batch.num_rows)
        canonical = [self._canonical(batch, i, chosen) for i in range(len(batch.texts))]

        streams = self._streams(rows, batch.contents(canonical))
        active = [
            i
            for i, text in enumerate(canonical)
            if text is not None and self._sampled(streams[batch.row[i]])  # type: ignore
        ]
        planned = self._planned(
            [canonical[i] for i in active],
            [chosen[batch.row[i]] for i in active],
            streams=np.array([streams[batch.row[i]] for i in active], np.uint64),
            parts=np.array([batch.part[i] for i in active], np.int64),
        )
        texts = list(batch.texts)
        marked: list[int] = []
        for i, (places, words) in zip(active, planned, strict=True):
            text = canonical[i]
            assert text is not None
            if not restore:
                texts[i] = self._changed(text, places, words)
                if text.held and places and text.holds(places, words):
                    marked.append(i)
                    self._refuse_again(batch, marked, len(active), len(places))
                continue
            try:
                texts[i] = text.without_words(places, words)
            except ValueError as error:
                raise ValueError(
                    f"Row {batch.row[i]} of this batch, column {batch.column[i]!r}, was not protected with this "
                    f"key, or was changed since: {error}. Restore unchanged rows only."
                ) from error
        return batch.columns(texts)

    @staticmethod
    def _refuse_again(batch: BatchTexts, marked: list[int], active: int, words: int) -> None:
        """Raises where texts are protected already: one with many words in their places, or most of a batch with few.

        A clean text may hold the one word that it is to get, and a short one even where it is to get it.
        """
        if words >= _MARKED_WORDS or (len(marked) >= _MARKED_TEXTS and 2 * len(marked) > active):
            raise ValueError(
                f"Row {batch.row[marked[-1]]} of this batch, column {batch.column[marked[-1]]!r}, is protected with "
                "this key already. Protect the original data, which restore gives back."
            )

    def _canonical(self, batch: BatchTexts, i: int, chosen: list) -> Canonical | None:
        text, own = batch.texts[i], chosen[batch.row[i]]
        if own is None or text is None:
            return None
        if not isinstance(text, str):
            raise ValueError(
                f"Row {batch.row[i]} of this batch holds {type(text).__name__} in column {batch.column[i]!r}, not "
                "text. Cast the column to string first."
            )
        canonical = self._canonical_type(text, self._pool(own))
        return None if not canonical.text or canonical.text.isspace() else canonical

    def _chosen(self, rows: Batch, count: int) -> list[Any]:
        """What was chosen for the label of each row; None for rows that are not to be protected."""
        chosen = self._choose()
        eligible = self._eligible(rows, count)
        own: list[Any] = []
        for i, (label, wanted) in enumerate(zip(rows.column(self.label_column), eligible, strict=True)):
            label = label.item() if hasattr(label, "item") else label
            if not wanted:
                own.append(None)
            elif label in chosen:
                own.append(chosen[label])
            elif not has_label(label) or label == -1:
                raise no_label(f"Row {i} of this batch", self.label_column)
            else:
                raise ValueError(
                    f"Row {i} of this batch has the label {label!r} in column {self.label_column!r}, and there are "
                    f"words for {', '.join(map(repr, list(chosen)[:20]))} only. Fit on data that holds it, or "
                    "leave such rows out with mask_column or classes."
                )
        return own

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
