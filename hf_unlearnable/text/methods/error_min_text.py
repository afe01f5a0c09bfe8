"""Error-minimising edits: words give way to those that an untrained network takes for the label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable._words import counted, spelled
from hf_unlearnable.key import Key, draws, row_stream
from hf_unlearnable.mark import NoMarkError, Recovered
from hf_unlearnable.rows import Batch
from hf_unlearnable.text.base import TextTransform
from hf_unlearnable.text.batch import BatchTexts
from hf_unlearnable.text.edit_search import EditSearch
from hf_unlearnable.text.edits import Edit, Edits, edited, undone
from hf_unlearnable.text.gradients import Surrogate
from hf_unlearnable.text.ranking import unfit_to_draw
from hf_unlearnable.text.scripts import SPACELESS
from hf_unlearnable.text.vectors import WordVectors, drawn_vectors, model_vectors
from hf_unlearnable.validation import check_labels, check_words

if TYPE_CHECKING:
    import polars as pl

_SMALL = 30  # `max_frequency` never leaves out a word that stands in the data so few times
_ROWS = 1000  # of a dataset at a time


@dataclass(frozen=True)
class _Row:
    """The texts of a row that has a label; some may be None or blank."""

    texts: list[str | None]
    label: Any
    number: int  # of the label
    identity: int


def _content(texts: Sequence[str | None], label: Any, edits: Mapping[int, Sequence[Edit]] | None = None) -> bytes:
    """What identifies a row, after these edits of its texts: the texts and the label."""
    changed = [edited(text or "", (edits or {}).get(part, ())) for part, text in enumerate(texts)]
    return "\0".join([*changed, repr(label)]).encode("utf-8", "surrogatepass")


@dataclass(kw_only=True, repr=False, eq=False)
class ErrorMinTextTransform(TextTransform):
    """TODO."""

    num_candidates: int = 1000
    min_frequency: int = 2
    max_frequency: float = 2e-5
    max_length: int = 128
    surrogate: str | None = None
    min_similarity: float = -1.0

    method: ClassVar[str] = "error-min-text"
    differs_by_row: ClassVar[bool] = False  # equal texts of a class get equal edits, whatever they are called
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("label-word-filter", "z-score-filter-robust", "word-dropout")

    # ------------------------------------------------------------------ choosing
    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}, but it is a share of the words: give a number from 0 to 1.")
        for name in ("num_candidates", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but it starts at 1. To change nothing, set rate=0."
                )
        if not -1 <= self.min_similarity < 1:
            raise ValueError(f"min_similarity is {self.min_similarity}, but it is a cosine: give -1 or more, below 1.")
        if self.min_similarity > -1 and self.surrogate is None:
            raise ValueError(
                "min_similarity compares word vectors, and of those that are drawn no two are alike. Name a "
                "pretrained model with surrogate, or leave min_similarity out."
            )

    def _chosen_words(self, counts: pl.DataFrame, labels: list) -> dict[Any, int]:
        """The number of each label. The words that may be put in are drawn beside."""
        import polars as pl

        total, words = pl.col("count").sum().over("word"), pl.col("count").sum()
        fits = (
            pl.col("word").str.contains(rf"^[\p{{L}}\p{{M}}--{SPACELESS}]{{2,}}$")
            & (total >= self.min_frequency)
            & (total <= pl.max_horizontal(self.max_frequency * words, _SMALL))
            & ~pl.col("word").is_in(self._left_out())
        )
        known = counts.filter(fits)["word"].unique().sort().to_list()
        order = draws(np.full(len(known), self._resolved_seed(), np.uint64), np.arange(len(known), dtype=np.uint64))
        drawn = (known[i] for i in np.argsort(order, kind="stable").tolist())
        self._candidates = list(islice(filter(self._vectors().is_one, drawn), self.num_candidates))
        if len(self._candidates) < len(labels):
            raise ValueError(
                f"The data has {counted(len(self._candidates), 'word')} to put in, and {len(labels)} classes. Lower "
                f"{spelled('min_frequency')}, raise {spelled('max_frequency')}, or allow names and words that hurt, "
                f"judge or negate with {spelled('sensitive')}."
            )
        return {label: number for number, label in enumerate(labels)}

    def _left_out(self) -> pl.Series:
        left_out = super()._left_out()
        return left_out if self.sensitive else left_out.explode().append(unfit_to_draw()).implode()

    # ------------------------------------------------------------------ learning
    def fit(self, dataset: Any) -> ErrorMinTextTransform:
        """Draws the words, then finds the edits of every row and keeps them: three passes, in bounded memory.

        `partial_fit` and `merge` keep none: what is protected after these cannot be restored.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._edits, self._made = Edits.of({}), None
        super().fit(dataset)
        if self.rate == 0:
            return self
        self._edits = Edits.of(self._found(dataset))
        if not len(self._edits.places):
            raise ValueError(
                f"No text in {', '.join(map(repr, self._columns()))} holds a word that may be replaced: one between "
                "spaces, of letters alone, that does not negate or quantify. Scripts without spaces have none."
            )
        return self

    def _found(self, dataset: Any) -> dict[int, tuple[int, int, dict[int, list[Edit]]]]:
        """For every row what `Edits.of` takes; no row comes out as another one does, or as another one was."""
        taken = {row.identity for rows in self._rows_of(dataset) for row in rows}
        found: dict[int, tuple[int, int, dict[int, list[Edit]]]] = {}
        for rows in self._rows_of(dataset):
            new = list({row.identity: row for row in rows if row.identity not in found}.values())
            for row, choices in zip(new, self._choices(new), strict=True):
                found[row.identity] = row.identity, row.number, {}
                for skipped in range(max(map(len, choices), default=0)):
                    edits = self._first(row, choices, skipped)
                    after = (
                        row.identity
                        if self.id_column
                        else row_stream(_content(row.texts, row.label, edits), self._resolved_seed())
                    )
                    if self.id_column or after not in taken:
                        taken.add(after)
                        found[row.identity] = after, row.number, edits
                        break
        return found

    def _rows_of(self, dataset: Any) -> Iterator[list[_Row]]:
        """The rows of a dataset that have a label and a text, a thousand at a time."""
        feature = (getattr(dataset, "features", None) or {}).get(self.label_column)
        numbers, start = self._choose(), 0
        for table in dataset.with_format("arrow").iter(batch_size=_ROWS):
            labelled = self._labelled(table, start, feature)
            batch = Batch(labelled, self._columns(), self._is_row)
            classes = [numbers[label] for label in batch.column(self.label_column)]
            texts = BatchTexts({name: batch.column(name) for name in self._columns()}, self.role)
            yield [row for row in self._read(batch, texts, classes) if row is not None]
            start += len(table)

    def _read(self, batch: Batch, texts: BatchTexts, numbers: Sequence[int | None]) -> list[_Row | None]:
        """The rows of a batch; None for one without a number or a text."""
        parts: list[list[str | None]] = [[] for _ in numbers]
        for i, (row, text) in enumerate(zip(texts.row, texts.texts, strict=True)):
            if text is not None and not isinstance(text, str) and numbers[row] is not None:
                raise ValueError(
                    f"Row {row} of this batch holds {type(text).__name__} in column {texts.column[i]!r}, not text. "
                    "Cast the column to string first."
                )
            parts[row].append(text)
        labels = batch.column(self.label_column)
        contents = [
            None if number is None or not any(text and not text.isspace() for text in own) else _content(own, label)
            for own, label, number in zip(parts, labels, numbers, strict=True)
        ]
        return [
            None if identity is None or number is None else _Row(own, label, number, identity)
            for own, label, number, identity in zip(
                parts, labels, numbers, self._streams(batch, contents), strict=True
            )
        ]

    # ------------------------------------------------------------------ edits
    def _first(self, row: _Row, choices: Sequence[Sequence[Edit]], skipped: int = 0) -> dict[int, list[Edit]]:
        """The best edits of each text of a row, as many as it gets, some left out; ascending by place."""
        found = {}
        for part, (text, ranked) in enumerate(zip(row.texts, choices, strict=True)):
            dose, best = max(1, int(self.rate * ((text or "").count(" ") + 1))), {}
            for edit in ranked[skipped:]:
                best.setdefault(edit[0], edit)
                if len(best) == dose:
                    break
            if best:
                found[part] = sorted(best.values())
        return found

    def _choices(self, rows: Sequence[_Row]) -> list[list[list[Edit]]]:
        """For each text of each row the edits that lower the surrogate's loss, the best first."""
        texts = [text or "" for row in rows for text in row.texts]
        found = iter(self._search(texts, [row.number for row in rows for _ in row.texts]))
        return [list(islice(found, len(row.texts))) for row in rows]

    @property
    def _search(self) -> EditSearch:
        """Made when it is first needed, for a surrogate may be gone: rows that were there at `fit` need none."""
        if self._made is None:
            seed, vectors = self._resolved_seed(), self._vectors()
            network = Surrogate(vectors.width, len(self._choose()), seed)
            self._made = EditSearch(vectors, self._candidates, network, self.min_similarity, self.max_length)
        return self._made

    def _vectors(self) -> WordVectors:
        return drawn_vectors(self._resolved_seed()) if self.surrogate is None else model_vectors(self.surrogate)

    # ------------------------------------------------------------------ changing rows
    def _edited(self, rows: Batch, restore: bool) -> dict[str, list]:
        columns = {name: rows.column(name) for name in self._columns()}
        if self.rate == 0:
            return columns
        texts = BatchTexts(columns, self.role)
        own = self._read(rows, texts, self._chosen(rows, texts.num_rows))
        edits = self._undoing(own) if restore else self._protecting(own)
        changed = list(texts.texts)
        for i, (row, part) in enumerate(zip(texts.row, texts.part, strict=True)):
            if these := edits.get(row, {}).get(part):
                try:
                    changed[i] = edited(changed[i] or "", these)
                except ValueError as error:  # id_column names a row whose text has changed
                    raise ValueError(
                        f"Row {row} of this batch, column {texts.column[i]!r}, has another text than the row of that "
                        f"{self.id_column!r} had at fit. Fit on this data."
                    ) from error
        return texts.columns(changed)

    def _protecting(self, rows: Sequence[_Row | None]) -> dict[int, dict[int, list[Edit]]]:
        """The edits of the rows of a batch: those that are kept, or for rows that `fit` did not see the best."""
        found, new = {}, []
        for i, row in enumerate(rows):
            if row is None or not self._sampled(row.identity):
                continue
            known = self._edits.row(row.identity)
            if known is not None:
                found[i] = self._edits.of_row(known)
            elif self._edits.protected_row(row.identity) is not None:
                raise ValueError(
                    f"Row {i} of this batch is protected with this key already. Protect the original data, which "
                    "restore gives back."
                )
            else:
                new.append(i)
        choices = self._choices([rows[i] for i in new])
        return found | {i: self._first(rows[i], own) for i, own in zip(new, choices, strict=True)}

    def _undoing(self, rows: Sequence[_Row | None]) -> dict[int, dict[int, list[Edit]]]:
        """What gives back the rows of a batch that were protected."""
        found = {}
        for i, row in enumerate(rows):
            if row is None:
                continue
            place = self._edits.row if self.id_column else self._edits.protected_row
            known = place(row.identity)
            if known is None and (self._edits.row(row.identity) is None or self._sampled(row.identity)):
                raise ValueError(
                    f"Row {i} of this batch was not there at fit, was not protected with this key, or was changed "
                    "since: the key holds no words to put back. Restore unchanged rows of the fitted data only."
                )
            if known is not None and self._sampled(int(self._edits.ids[known])):
                found[i] = {part: undone(edits) for part, edits in self._edits.of_row(known).items()}
        return found

    # ------------------------------------------------------------------ the key holder
    def inserted_words(self) -> dict[Any, list[str]]:
        """The words that stand for others in the rows of `fit`, by label, the most frequent first."""
        words = self._edits.new_words()
        return {label: words.get(number, []) for label, number in self._choose().items()}

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Recovered:
        """Which rows turn into an original of `fit` when the key's edits are undone."""
        if self.id_column:
            raise NoMarkError(
                f"This key knows its rows by column {self.id_column!r} and not by their texts, so that nothing tells "
                "whether words that are put back leave an original. A key without id_column can be shown."
            )
        found, shown = np.zeros(len(rows), bool), []
        for i, row in enumerate(rows):
            own = BatchTexts({name: [row[name]] for name in self._columns()}, self.role).texts
            if not all(isinstance(text, str | None) for text in own):
                raise ValueError(f"Row {i} holds something else than text, and this is a key for texts.")
            shown.append("\0".join(text or "" for text in own))
            found[i] = any(self._is_protected(own, label) for label in self._choose())  # labels may be gone
        return Recovered(found, shown, len(self._choose()) * len(self._edits.ids) * 2.0**-64)

    def _is_protected(self, texts: Sequence[str | None], label: Any) -> bool:
        """Whether the texts turn into those of a row of `fit` when its edits are undone."""
        seed = self._resolved_seed()
        known = self._edits.protected_row(row_stream(_content(texts, label), seed))
        back = {} if known is None else {part: undone(edits) for part, edits in self._edits.of_row(known).items()}
        return bool(back) and row_stream(_content(texts, label, back), seed) == int(self._edits.ids[known])

    # ------------------------------------------------------------------ contract
    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        labels = list(self._choose())
        words = np.frombuffer("\n".join(self._candidates).encode(), np.uint8)
        return {"labels": labels}, {**self._edits.tensors(), "candidates": words}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        kept = dict(tensors)
        self._candidates = kept.pop("candidates").tobytes().decode().split("\n")
        self._words = {label: number for number, label in enumerate(state["labels"])}
        self._edits, self._made = Edits(**kept), None

    def _check_state(self, key: Key) -> None:
        check_labels(key.state["labels"], least=2)
        check_words(self._candidates)
        self._edits.check(len(key.state["labels"]))

    _edits: Edits = field(default_factory=lambda: Edits.of({}), init=False)
    _candidates: list[str] = field(default_factory=list, init=False)
    _made: EditSearch | None = field(default=None, init=False)
