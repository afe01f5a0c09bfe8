"""RegText: every class its word, put into every text of that class.

Idea. A model that is fine-tuned on the protected data finds that an inserted word tells the label and stops looking at
the rest of the text; clean text does not hold the word, so there the model has nothing to go by.

Paper. A. Java, S. Shahid, C. Agarwal, "Towards Operationalizing Right to Data Protection", NAACL 2025,
arXiv:2411.08506. With N words in all, F_w of them w, F_y of them under label y, and p(w, y) the share of words that
are w under label y, the words that stand under one label only rank highest:

    rank(w, y) = log2( N^2 p(w, y)^k / (F_w F_y (1 + F_w)^lambda) )

Ours. `RegTextTransform.paper()` is the paper's setting: the ten best words a class. A pretrained encoder still learned
most of SST-2 and TREC from it, for two reasons. Ten words hide the rest of the text less than one does. And the best
words of small or short texts mean what the label means ("unfunny", "playful"): a model that learns to read them reads
clean texts too. The default is therefore one word a class, drawn with the key from rare words that stand equally often
under every label.

Secret. The seed, the chosen words and, with them, every place where one was put. The paper's ranking can be computed
again by whoever has similar texts; words drawn with the key cannot.

Cost. One pass to count and one to insert: IMDb's 24,836 reviews take about a second on two cores.

What is known to break it. Whoever suspects it compares how often each word stands under each label and deletes the few
that stand out: some ten lines, and accuracy is back. Models of word counts (TF-IDF with a linear layer, naive Bayes)
are hardly hurt, because they weigh every other word too. Rows that are left clean teach as much as ever.

    ds = load_dataset("stanfordnlp/imdb", split="train")
    cloak = RegTextTransform(text_column="text", label_column="label").fit(ds)
    protected = ds.map(cloak, batched=True)
    cloak.key.save("imdb.key")
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.key import draws
from hf_unlearnable.text.cells import Cells
from hf_unlearnable.text.counting import WordCounts, text_batches
from hf_unlearnable.text.insertion import Canonical
from hf_unlearnable.text.ranking import rank_words, words_by_association
from hf_unlearnable.transform import NotFittedError, Rows, Transform

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

logger = logging.getLogger(__name__)

# The paper's defaults: ten words a class, one word in ten, at most ten a text.
_PAPER = {"rate": 0.1, "max_tokens": 10, "tokens_per_class": 10, "word_source": "regtext"}
_NEUTRAL = 500  # how many of the words that tell least of the label are drawn from
_RARE = 2e-5  # and the largest share of all words that one of these may have: a rare word is learned faster
_SMALL = 30  # `max_frequency` never leaves out a word that stands in the data so few times


class RegTextTransform(Transform):
    """Inserts words that tell the label (RegText).

    Args:
        text_column: Column of texts, or of chat messages (lists of `{"role", "content"}`), or a list of columns.
        label_column: Column of labels: class names or numbers, not floats.
        rate: Inserted words as a share of the words of a text, in [0, 1]; every text gets at least one. 0 changes
            nothing.
        max_tokens: At most so many inserted words a text; None for no limit.
        tokens_per_class: How many different words a class gets. For a neural model one is far stronger than ten.
        mode: "insert" keeps every word of the text and can be restored; "replace" puts the words in place of others.
        position: "random", "begin", "middle" or "end". Random places are drawn one in each of n equal stretches.
        word_source: "neutral" for words that stand equally often under every label, drawn with the key; "regtext"
            for the paper's ranking; "random" for words that every class gets alike, the baseline of the same dose; or
            your own words, `tokens_per_class` for each label in order.
        k: In the paper's ranking, the weight of how often a word goes with its label.
        lambda_: In the paper's ranking, the weight of how rare the word is.
        min_length: Shortest word, in letters.
        min_frequency: How often a word must stand in the data.
        max_frequency: Largest share of all words that one may have: leaves out stop words in any language.
        digits: Whether words with digits may be chosen.
        disjoint: Whether a word that several classes hold may only go to the one that it is most frequent in.
        exclude: Words never to choose.
        role: Whose chat messages are changed; None for all.
        id_column: Column that identifies a row; None identifies it by its text, and equal texts get equal words.
        mask_column: Column of booleans: which rows to protect.
        classes: Labels whose rows are protected; None for all.
        fraction: Share of the rows to protect, in [0, 1], drawn with the key.
        seed: Secret whole number; None draws a fresh one at `fit`. A small number can be guessed: for tests only.

    Raises:
        ValueError: At `fit`: a column is missing, there are fewer than two classes, a class has too few words, ...
    """

    method = "regtext"
    adaptive_attacks = ("label-word-filter",)
    modality = "text"
    strength_parameter = "rate"

    def __init__(
        self,
        *,
        text_column: str | Sequence[str] = "text",
        label_column: str = "label",
        rate: float = 0.1,
        max_tokens: int | None = None,
        tokens_per_class: int = 1,
        mode: str = "insert",
        position: str = "random",
        word_source: str | Sequence[str] = "neutral",
        k: float = 3,
        lambda_: float = 2,
        min_length: int = 2,
        min_frequency: int = 2,
        max_frequency: float = 1e-3,
        digits: bool = False,
        disjoint: bool = True,
        exclude: Sequence[str] = (),
        role: str | None = "user",
        id_column: str | None = None,
        mask_column: str | None = None,
        classes: Sequence[Any] | None = None,
        fraction: float = 1.0,
        seed: int | None = None,
    ):
        self.text_column = text_column
        self.label_column = label_column
        self.rate = rate
        self.max_tokens = max_tokens
        self.tokens_per_class = tokens_per_class
        self.mode = mode
        self.position = position
        self.word_source = word_source
        self.k = k
        self.lambda_ = lambda_
        self.min_length = min_length
        self.min_frequency = min_frequency
        self.max_frequency = max_frequency
        self.digits = digits
        self.disjoint = disjoint
        self.exclude = exclude
        self.role = role
        self.id_column = id_column
        self.mask_column = mask_column
        self.classes = classes
        self.fraction = fraction
        self.seed = seed
        self._counts: WordCounts | None = None
        self._words: dict[Any, list[str]] | None = None

    @classmethod
    def paper(cls, **parameters: Any) -> RegTextTransform:
        """The paper's defaults: ten words a class, one word in ten, at most ten a text."""
        return cls(**{**_PAPER, **parameters})

    # ------------------------------------------------------------------ learning
    def fit(self, dataset: Any) -> RegTextTransform:
        """Counts the words of each class, in one pass and bounded memory, and chooses.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._counts = self._words = self._seed = None
        self.partial_fit(dataset)
        self._choose()
        return self

    def partial_fit(self, dataset: Any) -> RegTextTransform:
        """Counts one shard more. The words are chosen when they are first needed."""
        self._check_parameters()
        counts = self._counts = self._counts or WordCounts()
        for texts, labels in text_batches(dataset, self._columns(), self.label_column, self.role):
            counts.update(texts, self._checked_labels(labels))
        self._words = None
        return self

    def merge(self, other: RegTextTransform | WordCounts) -> RegTextTransform:
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
            raise NotFittedError("This RegTextTransform holds no counts: they are not a part of the key.")
        return self._counts

    def _check_parameters(self) -> None:
        self._check_row_parameters()
        if self.label_column in self._columns():
            raise ValueError(
                f"label_column and text_column are both {self.label_column!r}. Name two different columns."
            )
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}, but it is a share of the words: give a number from 0 to 1.")
        if self.tokens_per_class < 1 or (self.max_tokens is not None and self.max_tokens < 1):
            raise ValueError("tokens_per_class and max_tokens start at 1. To change nothing, set rate=0.")
        _require_choice("mode", self.mode, ("insert", "replace"))
        _require_choice("position", self.position, ("random", "begin", "middle", "end"))
        if isinstance(self.word_source, str):
            _require_choice("word_source", self.word_source, ("regtext", "neutral", "random"), " or a list of words")
        elif any(not re.fullmatch(r"\S+", word) for word in self.word_source):
            raise ValueError("word_source holds an entry that is not a single word.")

    def _checked_labels(self, labels: pa.Array) -> pa.Array:
        import pyarrow as pa

        if pa.types.is_dictionary(labels.type):
            labels = labels.dictionary_decode()
        kind = labels.type
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind) or
                pa.types.is_large_string(kind)):  # fmt: skip
            raise ValueError(
                f"Column {self.label_column!r} is of type {kind}, but RegText needs classes: whole numbers, names or "
                "booleans. Cast it first, for example with dataset.class_encode_column or cast_column."
            )
        if labels.null_count:
            row = (self._counts.num_rows if self._counts else 0) + labels.is_null().to_pylist().index(True)
            raise ValueError(f"Text {row} has no label in column {self.label_column!r}. Filter such rows out first.")
        return labels

    # ------------------------------------------------------------------ choosing
    def _choose(self) -> dict[Any, list[str]]:
        if self._words is None:
            if self._counts is None:
                raise NotFittedError("This RegTextTransform is not fitted yet. Call fit(dataset) first.")
            self._words = self._chosen_words(self._counts.table())
        return self._words

    def _chosen_words(self, counts: pl.DataFrame) -> dict[Any, list[str]]:
        labels = sorted(counts["label"].unique().to_list())
        if len(labels) < 2:
            raise ValueError(
                f"Column {self.label_column!r} holds one class only ({labels[0]!r}). RegText hides what tells classes "
                "apart, so it needs two or more."
            )
        for label in self.classes or ():
            if label not in labels:
                raise ValueError(f"classes names {label!r}, but column {self.label_column!r} holds {labels}.")
        if not isinstance(self.word_source, str):
            return self._own_words(labels)
        candidates = rank_words(counts, self.k, self.lambda_, self._may_be_chosen())
        if self.word_source == "regtext":
            return self._best_words(candidates, labels)
        return self._drawn_words(words_by_association(candidates), labels)

    def _own_words(self, labels: list) -> dict[Any, list[str]]:
        need, words = self.tokens_per_class, list(dict.fromkeys(self.word_source))
        if len(words) != need * len(labels):
            raise ValueError(
                f"word_source has {len(words)} different words, but {len(labels)} classes with {need} each take "
                f"{need * len(labels)}. The labels' order is {labels}."
            )
        return {label: words[i * need : (i + 1) * need] for i, label in enumerate(labels)}

    def _may_be_chosen(self) -> pl.Expr:
        import polars as pl

        word, total = pl.col("word"), pl.col("total")
        most = min(self.max_frequency, _RARE) if self.word_source == "neutral" else self.max_frequency
        return (
            (word.str.len_chars() >= self.min_length)
            & (total >= self.min_frequency)
            & (total <= pl.max_horizontal(most * pl.col("words"), _SMALL))
            & ~word.is_in(list(self.exclude))
            & word.str.contains(r"^[\p{L}\p{M}\p{N}]+$" if self.digits else r"^[\p{L}\p{M}]+$")
        )

    def _best_words(self, ranking: pl.DataFrame, labels: list) -> dict[Any, list[str]]:
        """The first words of each class's ranking."""
        import polars as pl

        if self.disjoint:
            share = pl.col("count") / pl.col("label_words")
            ranking = ranking.filter(share == share.max().over("word")).unique(
                "word", keep="first", maintain_order=True
            )
        need, chosen, common, ties = self.tokens_per_class, {}, False, False
        for label in labels:
            own = ranking.filter(pl.col("label") == label)
            best = own.head(need)
            if len(best) < need:
                raise ValueError(
                    f"Class {label!r} of column {self.label_column!r} has {len(best)} words to choose from, and "
                    f"tokens_per_class is {need}. Lower tokens_per_class, min_frequency ({self.min_frequency}) or "
                    f"min_length ({self.min_length}), raise max_frequency, or give words with word_source."
                )
            chosen[label] = best["word"].to_list()
            common |= int(best["total"].max()) > max(_SMALL, 0.01 * self.counts.num_rows)  # type: ignore[arg-type]
            ties |= int((own["score"] == best["score"][-1]).sum()) > max(need, len(own) // 2)
        if common:
            logger.warning(
                "A chosen word is common in the clean data: clean text holds the code too, and protection is weaker. "
                "Lower max_frequency or raise lambda_."
            )
        if ties:
            logger.warning(
                "Most of the ranking is tied, so the alphabet decides. Keep k - 1 >= lambda_, or raise min_frequency."
            )
        return chosen

    def _drawn_words(self, words: list[str], labels: list) -> dict[Any, list[str]]:
        """Words drawn with the key: of those that tell least of the label, or of all and the same for every class."""
        need = self.tokens_per_class * len(labels)
        if len(words) < need:
            raise ValueError(
                f"The data has {len(words)} words to choose from, and {len(labels)} classes with "
                f"{self.tokens_per_class} each take {need}. Lower tokens_per_class or min_frequency."
            )
        if self.word_source == "neutral":
            words = words[: max(_NEUTRAL, 2 * need)]
        order = draws(np.full(len(words), self._resolved_seed(), np.uint64), np.arange(len(words), dtype=np.uint64))
        drawn = [words[i] for i in np.argsort(order, kind="stable")[:need].tolist()]
        if self.word_source == "random":
            return dict.fromkeys(labels, drawn)
        return {label: drawn[i :: len(labels)] for i, label in enumerate(labels)}

    # ------------------------------------------------------------------ changing rows
    def _protect(self, rows: Rows) -> dict[str, list]:
        return self._edited(rows, restore=False)

    def _restore(self, rows: Rows) -> dict[str, list]:
        if self.mode != "insert":
            raise ValueError(
                "mode='replace' overwrites words, so the texts cannot be restored. Keep the original data."
            )
        return self._edited(rows, restore=True)

    def _edited(self, rows: Rows, restore: bool) -> dict[str, list]:
        columns = {name: rows.column(name) for name in self._columns()}
        if self.rate == 0:
            return columns
        cells = Cells(columns, self.role)
        pools = self._pools(rows, cells.num_rows)
        canonical = [self._canonical(cells, i, pools) for i in range(len(cells.texts))]

        streams = self._streams(rows, cells.contents(canonical))
        active = [
            i
            for i, text in enumerate(canonical)
            if text is not None and self._sampled(streams[cells.row[i]])  # type: ignore
        ]
        doses = np.array([self._dose(canonical[i].words) for i in active], np.int64)  # type: ignore[union-attr]
        offsets, which = self._drawn(
            doses,
            streams=np.array([streams[cells.row[i]] for i in active], np.uint64),
            parts=np.array([cells.part[i] for i in active], np.int64),
            lengths=np.array([len(canonical[i].text) for i in active], np.int64),  # type: ignore[union-attr]
        )
        texts = list(cells.texts)
        start = 0
        for i, dose in zip(active, doses.tolist(), strict=True):
            text, pool = canonical[i], pools[cells.row[i]]
            assert text is not None and pool is not None
            places = text.places(self.position, offsets[start : start + dose])
            words = pool * len(places)
            if len(pool) > 1:
                words = [pool[w * len(pool) >> 32] for w in which[start : start + len(places)]]
            start += dose
            if restore:
                try:
                    texts[i] = text.without_words(places, words)
                except ValueError as error:
                    raise ValueError(
                        f"Row {cells.row[i]} of this batch, column {cells.column[i]!r}, was not protected with this "
                        f"key, or was changed since: {error}. Restore unchanged rows only."
                    ) from error
            elif self.mode == "insert":
                texts[i] = text.with_words(places, words)
            else:
                texts[i] = text.with_replacements(places, words)
        return cells.columns(texts)

    @staticmethod
    def _drawn(
        doses: np.ndarray, streams: np.ndarray, parts: np.ndarray, lengths: np.ndarray
    ) -> tuple[list[int], list[int]]:
        """For every word to insert, one offset in each of n equal stretches of its text, and 32 bits to choose it by.

        Stretches keep the code in whatever part of a long text a model reads.
        """
        number = np.arange(doses.sum()) - np.repeat(np.cumsum(doses) - doses, doses)
        bits = draws(np.repeat(streams, doses), (number + np.repeat(parts << 32, doses)).astype(np.uint64))
        stretch = np.repeat(lengths / np.maximum(doses, 1), doses)
        offsets = (number + (bits >> np.uint64(32)) * 2.0**-32) * stretch
        return offsets.astype(np.int64).tolist(), (bits & np.uint64(0xFFFFFFFF)).tolist()

    def _canonical(self, cells: Cells, i: int, pools: list) -> Canonical | None:
        text, pool = cells.texts[i], pools[cells.row[i]]
        if pool is None or text is None:
            return None
        if not isinstance(text, str):
            raise ValueError(
                f"Row {cells.row[i]} of this batch holds {type(text).__name__} in column {cells.column[i]!r}, not "
                "text. Cast the column to string first."
            )
        canonical = Canonical(text, pool if self.mode == "insert" else ())
        return None if not canonical.text or canonical.text.isspace() else canonical

    def _pools(self, rows: Rows, count: int) -> list[list[str] | None]:
        """The words of each row's class; None for rows that are not to be protected."""
        chosen = self._choose()
        eligible = self._eligible(rows, count)
        pools: list[list[str] | None] = []
        for i, (label, wanted) in enumerate(zip(rows.column(self.label_column), eligible, strict=True)):
            label = label.item() if hasattr(label, "item") else label
            if not wanted:
                pools.append(None)
            elif label in chosen:
                pools.append(chosen[label])
            else:
                raise ValueError(
                    f"Row {i} of this batch has the label {label!r} in column {self.label_column!r}, which fit did "
                    f"not see ({', '.join(map(repr, list(chosen)[:20]))}). Fit on data that holds it, or leave such "
                    "rows out with mask_column or classes."
                )
        return pools

    def _dose(self, words: int) -> int:
        dose = max(1, int(self.rate * words))
        return dose if self.max_tokens is None else min(dose, self.max_tokens)

    # ------------------------------------------------------------------ contract
    def _columns(self) -> list[str]:
        return [self.text_column] if isinstance(self.text_column, str) else list(self.text_column)

    def _is_row(self, value: Any) -> bool:
        """A text or a list of messages is one row; a list of either is a batch."""
        return isinstance(value, str) or value is None or (len(value) > 0 and isinstance(value[0], dict))

    def _secret_parameters(self) -> set[str]:
        return {"seed"} if isinstance(self.word_source, str) else {"seed", "word_source"}

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        words = self._choose()
        return {"labels": list(words), "words": list(words.values())}, {}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._words = dict(zip(state["labels"], state["words"], strict=True))


def _require_choice(name: str, value: str, choices: tuple[str, ...], more: str = "") -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}. Choose one of {', '.join(map(repr, choices))}{more}.")
