"""Error-minimising edits: words give way to those that an untrained network takes for the label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable._words import counted, spelled
from hf_unlearnable.key import Key, draws, row_stream
from hf_unlearnable.mark import NoMarkError, Recovered
from hf_unlearnable.rows import Batch
from hf_unlearnable.text.base import TextTransform
from hf_unlearnable.text.counting.ranking import rare_words, unfit_to_draw
from hf_unlearnable.text.insertion.batch import BatchTexts
from hf_unlearnable.text.substitution.edits import Edit, Edits, LabelledRow, checksum, content, edited, labelled_rows
from hf_unlearnable.text.substitution.gradients import Surrogate
from hf_unlearnable.text.substitution.search import EditSearch, words_of_classes
from hf_unlearnable.text.substitution.vectors import WordVectors, drawn_vectors, model_vectors
from hf_unlearnable.validation import NotFittedError, check_labels, check_words

if TYPE_CHECKING:
    import polars as pl

_PAPER = {"rate": 1e-6, "words_per_class": None, "num_candidates": 1_000_000, "max_frequency": 1.0, "sensitive": True}
_ROWS = 1000  # of a dataset at a time


@dataclass(kw_only=True, repr=False, eq=False)
class ErrorMinTextTransform(TextTransform):
    """Error-minimising edits: replaces words by those that an untrained network takes for the label.

    Idea:
        The text counterpart of error-minimising noise (`ErrorMinTransform`). In every text the edits are looked for
        that lower a network's loss most. A victim then learns the few words that tell the label, and not the text.
        Clean texts do not hold them.

    Paper:
        X. Li, M. Liu, S. Gao, "Make Text Unlearnable: Exploiting Effective Patterns to Protect Personal Data",
        TrustNLP 2023, arXiv:2307.00456.

        With the loss L of a surrogate, e(w) the vector of word w, and p a place in the text, to first order:

            (p, w)  <-  arg min  (e(w) - e(word at p)) . dL / de(word at p)

        The published code then trains the surrogate and looks for new edits, in rounds. Its own results are best for
        the first round, on an untrained surrogate: later edits are words that mean the label.

    Ours:
        The first round, on an LSTM whose weights and word vectors are drawn with the key. So the edits of a text
        depend on its words, its label and the key alone, and every machine finds the same.

        `paper()` searches in each text by itself and makes one edit. It finds dozens of words per class, which hide
        little of six classes. By default each class gets one word: that which lowers the loss of its texts most on
        average. Where it goes is found for each text.

        The published score leaves out the word that goes; here it counts, so that places can be compared. Words to put
        in are rare and do not judge. Words that give way stand between spaces, and do not negate or quantify. No part
        of speech is checked. A text that would come out as another one gets its word inserted instead.

    Args:
        rate: Replaced words as a share of those of a text, in [0, 1]; at least one per text. 0 changes nothing.
        words_per_class: How many words each class gets; None leaves every text its best of all candidates.
        num_candidates: How many words, drawn with the key, are looked through.
        min_frequency: How often a candidate must stand in the data.
        max_frequency: Largest share of all words that a candidate may have; 30 times is always few enough.
        max_length: Words that the surrogate reads at a time. A longer text is read in stretches.
        surrogate: A model whose input layer gives the word vectors, by Hub id or folder. Only words that are one
            token of it are put in. None for vectors that are drawn with the key.
        min_similarity: Least cosine of a word and the one in its place, for a pretrained `surrogate`; -1 for any.

    Raises:
        ValueError: At `fit`: a column is missing, fewer than two classes, too few candidates, no word to replace.

    Secret:
        The seed, the words of each class, and which word stood where. The key holds that for every row of `fit`, and
        `restore` puts it back. A row that `fit` did not see is protected alike, and cannot be restored.

    Cost:
        A hundred reviews of IMDb per second of one core, at `fit`. The key grows by some 30 bytes per edit.

    Breaks:
        What breaks `RegTextTransform`: a filter of words by label undoes it, for SmolLM2 whole. Models of word counts
        are hardly hurt, and rows that are left clean teach as much as ever.

    Prefer:
        Where no word may be added, or a small language model is the attacker (SmolLM2: 62.3 of 84.5, two keys).
        `RegTextTransform` costs a hundredth of the time and keeps every word.

    Example:
        ds = load_dataset("stanfordnlp/imdb", split="train")
        cloak = ErrorMinTextTransform(text_column="text", label_column="label").fit(ds)
        protected = ds.map(cloak, batched=True)
        cloak.key.save("imdb.key")
    """

    words_per_class: int | None = 1
    num_candidates: int = 1000
    min_frequency: int = 2
    max_frequency: float = 2e-5
    max_length: int = 128
    surrogate: str | None = None
    min_similarity: float = -1.0

    method: ClassVar[str] = "error-min-text"
    learns_by_counting: ClassVar[bool] = False
    differs_by_row: ClassVar[bool] = False  # equal texts of a class get equal edits, whatever they are called
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("label-word-filter", "z-score-filter-robust", "word-dropout")

    @classmethod
    def paper(cls, **parameters: Any) -> ErrorMinTextTransform:
        """The paper's first round: one edit per text, the best of all words that stand twice."""
        return cls(**{**_PAPER, **parameters})

    # ------------------------------------------------------------------ choosing
    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}, but it is a share of the words: give a number from 0 to 1.")
        for name in ("words_per_class", "num_candidates", "max_length"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but it starts at 1. To change nothing, set rate=0."
                )
        if not -1 <= self.min_similarity < 1 or (self.min_similarity > -1 and self.surrogate is None):
            raise ValueError(
                f"min_similarity is {self.min_similarity}, but it is a cosine, from -1 to below 1, of vectors of a "
                "pretrained model; drawn vectors are not alike. Name a model with surrogate, or leave it out."
            )

    def _chosen_words(self, counts: pl.DataFrame, labels: list) -> dict[Any, int]:
        """The number of each label. The words that may be put in are drawn beside."""
        self._edits = self._made = None
        known = rare_words(counts, self.min_frequency, self.max_frequency, self._left_out())
        order = draws(np.full(len(known), self._resolved_seed(), np.uint64), np.arange(len(known), dtype=np.uint64))
        drawn = (known[i] for i in np.argsort(order, kind="stable").tolist())
        self._candidates = list(islice(filter(self._vectors().is_one, drawn), self.num_candidates))
        need = len(labels) * (self.words_per_class or 1)
        if len(self._candidates) < need:
            raise ValueError(
                f"The data has {counted(len(self._candidates), 'word')} to put in, and {len(labels)} classes take "
                f"{need}. Lower {spelled('min_frequency')}, raise {spelled('max_frequency')}, or allow names and "
                f"words that hurt, judge or negate with {spelled('sensitive')}."
            )
        return {label: number for number, label in enumerate(labels)}

    def _left_out(self) -> pl.Series:
        left_out = super()._left_out()
        return left_out if self.sensitive else left_out.explode().append(unfit_to_draw()).implode()

    # ------------------------------------------------------------------ learning
    def fit(self, dataset: Any) -> ErrorMinTextTransform:
        """Draws words, chooses those of each class, finds the edits of every row. Counts of shards are not enough.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        super().fit(dataset)
        if self.rate and self.words_per_class:
            self._choose_of_class(dataset, self.words_per_class)
        self._edits = Edits.of(self._found(dataset) if self.rate else {})
        if self.rate and not len(self._edits.places):
            raise ValueError(
                f"No text in {', '.join(map(repr, self._columns()))} holds a word that may be replaced: one between "
                "spaces, of letters alone, that does not negate or quantify. Scripts without spaces have none."
            )
        return self

    def _choose_of_class(self, dataset: Any, count: int) -> None:
        """Leaves each class the words that lower the loss of its texts most."""
        classes = len(self._choose())
        pulls = np.zeros((len(self._candidates), classes))
        for rows in self._rows_of(dataset):
            texts = [text or "" for row in rows for text in row.texts]
            pulls += self._search.pulls(texts, [row.number for row in rows for _ in row.texts], classes)
        self._candidates = [self._candidates[i] for i in words_of_classes(pulls, count)]
        self._made = None

    def _found(self, dataset: Any) -> dict[int, tuple[int, int, dict[int, list[Edit]]]]:
        """For every row what `Edits.of` takes; no row comes out as another one does, or as another one was."""
        taken = {row.identity for rows in self._rows_of(dataset) for row in rows}
        found: dict[int, tuple[int, int, dict[int, list[Edit]]]] = {}
        for rows in self._rows_of(dataset):
            new = list({row.identity: row for row in rows if row.identity not in found}.values())
            for row, choices in zip(new, self._choices(new), strict=True):
                for edits in row.ways(choices, self.rate):
                    after = row_stream(content(row.texts, row.label, edits), self._resolved_seed())
                    if self.id_column or after not in taken or not edits:
                        break
                taken.add(after)
                found[row.identity] = after, row.number, edits
        return found

    def _rows_of(self, dataset: Any) -> Iterator[list[LabelledRow]]:
        """The rows of a dataset that have a label and a text, a thousand at a time."""
        feature = (getattr(dataset, "features", None) or {}).get(self.label_column)
        numbers, start = self._choose(), 0
        for table in dataset.with_format("arrow").iter(batch_size=_ROWS):
            labelled = self._labelled(table, start, feature)
            batch = Batch(labelled, self._columns(), self._is_row)
            labels = batch.column(self.label_column)
            texts = BatchTexts({name: batch.column(name) for name in self._columns()}, self.role)
            found = labelled_rows(texts, labels, [numbers[label] for label in labels], partial(self._streams, batch))
            yield [row for row in found if row is not None]
            start += len(table)

    # ------------------------------------------------------------------ edits
    def _choices(self, rows: Sequence[LabelledRow]) -> list[list[list[Edit]]]:
        """For each text of each row the edits that lower the surrogate's loss, the best first, one per place."""
        texts = [text or "" for row in rows for text in row.texts]
        found = iter(self._search(texts, [row.number for row in rows for _ in row.texts]))
        return [list(islice(found, len(row.texts))) for row in rows]

    @property
    def _search(self) -> EditSearch:
        """Made when it is first needed, for a surrogate may be gone: rows that were there at `fit` need none."""
        if self._made is None:
            vectors, classes = self._vectors(), len(self._choose())
            network = Surrogate(vectors.width, classes, self._resolved_seed())
            owners = np.arange(len(self._candidates)) % classes if self.words_per_class else None
            self._made = EditSearch(vectors, network, self._candidates, owners, self.min_similarity, self.max_length)
        return self._made

    def _vectors(self) -> WordVectors:
        return drawn_vectors(self._resolved_seed()) if self.surrogate is None else model_vectors(self.surrogate)

    # ------------------------------------------------------------------ changing rows
    def _edited(self, rows: Batch, restore: bool) -> dict[str, list]:
        columns = {name: rows.column(name) for name in self._columns()}
        if self.rate == 0:
            return columns
        texts = BatchTexts(columns, self.role)
        numbers = self._chosen(rows, texts.num_rows)
        own = labelled_rows(texts, rows.column(self.label_column), numbers, partial(self._streams, rows))
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

    def _protecting(self, rows: Sequence[LabelledRow | None]) -> dict[int, dict[int, list[Edit]]]:
        """The edits of the rows of a batch: those that are kept, or for rows that `fit` did not see the best."""
        found, new = {}, {}
        for i, row in enumerate(rows):
            if row is None or not self._sampled(row.identity):
                continue
            known = self._fitted.row(row.identity)
            if known is not None:
                found[i] = self._fitted.of_row(known)
            elif self._fitted.protected_row(row.identity) is not None:
                raise ValueError(
                    f"Row {i} of this batch is protected with this key already. Protect the original data, which "
                    "restore gives back."
                )
            else:
                new[i] = row
        choices = self._choices(list(new.values())) if new else []
        ways = (row.ways(own, self.rate) for row, own in zip(new.values(), choices, strict=True))
        return found | dict(zip(new, map(next, ways), strict=True))

    def _undoing(self, rows: Sequence[LabelledRow | None]) -> dict[int, dict[int, list[Edit]]]:
        """What gives back the rows of a batch that were protected."""
        found = {}
        for i, row in enumerate(rows):
            if row is None:
                continue
            known = (self._fitted.row if self.id_column else self._fitted.protected_row)(row.identity)
            if known is None and (self._fitted.row(row.identity) is None or self._sampled(row.identity)):
                raise ValueError(
                    f"Row {i} of this batch was not there at fit, was not protected with this key, or was changed "
                    "since: the key holds no words to put back. Restore unchanged rows of the fitted data only."
                )
            if known is not None and self._sampled(int(self._fitted.ids[known])):
                found[i] = self._fitted.back(known)
        return found

    # ------------------------------------------------------------------ the key holder
    def inserted_words(self) -> dict[Any, list[str]]:
        """The words that stand for others in the rows of `fit`, by label, the most frequent first."""
        words = self._fitted.new_words()
        return {label: words.get(number, []) for label, number in self._choose().items()}

    def secrets(self) -> dict[str, Any]:
        """The seed and each class's words, if they are few."""
        return {**super().secrets(), "words": list(self.inserted_words().values()) if self.words_per_class else []}

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Recovered:  # type: ignore[override]
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
            found[i] = any(self._is_protected(own, label) for label in self._choose())  # its own may be gone
        return Recovered(found, shown, len(self._choose()) * len(self._fitted.ids) * 2.0**-64)

    def _is_protected(self, texts: Sequence[str | None], label: Any) -> bool:
        """Whether the texts turn into those of a row of `fit` when its edits are undone."""
        seed = self._resolved_seed()
        known = self._fitted.protected_row(row_stream(content(texts, label), seed))
        back = {} if known is None else self._fitted.back(known)
        return bool(back) and row_stream(content(texts, label, back), seed) == int(self._fitted.ids[known])

    # ------------------------------------------------------------------ contract
    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        words = np.frombuffer("\n".join(self._candidates).encode(), np.uint8)
        tensors = {**self._fitted.tensors(), "candidates": words}
        return {"labels": list(self._choose()), "checksum": checksum(tensors)}, tensors

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        kept = dict(tensors)
        self._candidates = kept.pop("candidates").tobytes().decode().split("\n")
        self._words = {label: number for number, label in enumerate(state["labels"])}
        self._edits, self._made = Edits(**kept), None

    def _check_state(self, key: Key) -> None:
        check_labels(key.state["labels"], least=2)
        check_words(self._candidates)
        if key.state["checksum"] != checksum(key.tensors):
            raise ValueError("its edits are not those that it was made with")
        self._fitted.check(classes := len(key.state["labels"]))
        if self.words_per_class and self.rate and len(self._candidates) != classes * self.words_per_class:
            raise ValueError("its labels do not have as many words as words_per_class says")

    @property
    def _fitted(self) -> Edits:
        if self._edits is None:
            raise NotFittedError(self)
        return self._edits

    _edits: Edits | None = field(default=None, init=False)
    _candidates: list[str] = field(default_factory=list, init=False)
    _made: EditSearch | None = field(default=None, init=False)
