"""Changing the texts of a batch: which of them, with which words, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from hf_unlearnable.rows import Batch, has_label, no_label
from hf_unlearnable.text.insertion.batch import BatchTexts
from hf_unlearnable.text.insertion.words import Canonical
from hf_unlearnable.transform import Transform

if TYPE_CHECKING:
    import numpy as np

_MARKED_WORDS = 4  # in their places by chance in one text of some thousands of millions
_MARKED_TEXTS = 8


class Edit(NamedTuple):
    """One text to change.

    Args:
        i: Its number in the batch.
        text: Its canonical form.
        chosen: What was chosen for the label of its row.
        stream: The random stream of its row.
    """

    i: int
    text: Any
    chosen: Any
    stream: int


class TextEdits(Transform):
    """How words get into texts and out again, text by text; `TextTransform` says what is chosen."""

    role: str | None
    _canonical_type: ClassVar[type[Canonical]] = Canonical

    # ------------------------------------------------------------------ for subclasses
    def _choose(self) -> dict[Any, Any]:
        """What is chosen for each label."""
        raise NotImplementedError

    def _pool(self, chosen: Any) -> Sequence[str]:
        """The words that may be inserted where this was chosen."""
        return chosen

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

    # ------------------------------------------------------------------ changing rows
    def _protect(self, rows: Batch) -> dict[str, Any]:
        return self._edited(rows, restore=False)

    def _restore(self, rows: Batch) -> dict[str, Any]:
        return self._edited(rows, restore=True)

    def _edited(self, rows: Batch, restore: bool) -> dict[str, Any]:
        columns = {name: rows.column(name) for name in self._columns()}
        if getattr(self, self.strength_parameter) == 0:
            return columns
        batch = BatchTexts(columns, self.role)
        chosen = self._chosen(rows, batch.num_rows)
        canonical = [self._canonical(batch, i, chosen) for i in range(len(batch.texts))]
        streams = self._streams(rows, batch.contents(canonical))
        edits = [
            Edit(i, text, chosen[batch.row[i]], stream)
            for i, text in enumerate(canonical)
            if text is not None and (stream := streams[batch.row[i]]) is not None and self._sampled(stream)
        ]
        texts = list(batch.texts)
        for i, text in self._edits_made(edits, batch, restore, len(edits)):
            texts[i] = text
        return batch.columns(texts)

    def _edits_made(
        self, edits: Sequence[Edit], batch: BatchTexts, restore: bool, active: int
    ) -> Iterable[tuple[int, str]]:
        """The number of each text, and the text with its words or without.

        Args:
            edits: Texts to change.
            batch: Where they are from.
            restore: Whether words are taken out.
            active: How many texts of the batch are changed.
        """
        import numpy as np

        planned = self._planned(
            [edit.text for edit in edits],
            [edit.chosen for edit in edits],
            streams=np.array([edit.stream for edit in edits], np.uint64),
            parts=np.array([batch.part[edit.i] for edit in edits], np.int64),
        )
        marked: list[int] = []
        for (i, text, *_), (places, words) in zip(edits, planned, strict=True):
            if not restore:
                yield i, self._changed(text, places, words)
                if text.held and places and text.holds(places, words):
                    marked.append(i)
                    self._refuse_again(batch, marked, active, len(places))
                continue
            try:
                yield i, text.without_words(places, words)
            except ValueError as error:
                raise ValueError(
                    f"Row {batch.row[i]} of this batch, column {batch.column[i]!r}, was not protected with this "
                    f"key, or was changed since: {error}. Restore unchanged rows only."
                ) from error

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

    def _canonical(self, batch: BatchTexts, i: int, chosen: Sequence[Any]) -> Canonical | None:
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
        labels = rows.column(self.label_column)
        if all(eligible) and None not in (own := list(map(chosen.get, labels))):
            return own
        own = []
        for i, (label, wanted) in enumerate(zip(labels, eligible, strict=True)):
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
