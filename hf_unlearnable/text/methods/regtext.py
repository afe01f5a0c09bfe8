"""RegText: every class its word."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable._words import counted, spelled
from hf_unlearnable.key import Key, draws
from hf_unlearnable.mark import NoMarkError, RowMarks
from hf_unlearnable.text.counting.counts import WordCounts
from hf_unlearnable.text.counting.ranking import rank_words, unfit_to_draw, words_by_association
from hf_unlearnable.text.insertion.spread import SpreadTransform, drawn, spread
from hf_unlearnable.text.insertion.words import Canonical
from hf_unlearnable.validation import check_words

if TYPE_CHECKING:
    import polars as pl

logger = logging.getLogger(__name__)

# The paper's defaults: ten words per class, one word in ten, at most ten per text.
_PAPER = {"rate": 0.1, "max_tokens": 10, "tokens_per_class": 10, "word_source": "regtext"}
_NEUTRAL = 500  # how many of the words that tell least of the label are drawn from
_RARE = 2e-5  # and the largest share of all words that one of these may have: a rare word is learned faster
_SMALL = 30  # `max_frequency` never leaves out a word that stands in the data so few times


@dataclass(kw_only=True, repr=False, eq=False)
class RegTextTransform(SpreadTransform):
    """RegText: gives every class words of its own and inserts them into every text of that class.

    Idea:
        A model that is fine-tuned on the protected data finds that an inserted word tells the label, and stops reading
        the rest. Clean text does not hold the word, so there the model has nothing to go by.

    Paper:
        A. Java, S. Shahid, C. Agarwal, "Towards Operationalizing Right to Data Protection", NAACL 2025,
        arXiv:2411.08506.

        The words that stand under one label only rank highest. N is the number of words, F_w of them are w, and F_y of
        them stand under label y. Of all words the share p(w, y) is w under label y:

            rank(w, y) = log2( N^2 p(w, y)^k / (F_w F_y (1 + F_w)^lambda) )

    Ours:
        `RegTextTransform.paper()` is the paper's setting: the ten best words per class. A pretrained encoder still
        learned most of SST-2 and TREC from it, for two reasons. Ten words hide the rest of the text less than one
        does. And the best words of small or short texts mean what the label means ("unfunny", "playful"). A model that
        learns to read them reads clean texts too. The default is therefore one word per class, drawn with the key from
        rare words that stand equally often under every label.

    Args:
        rate: Inserted words as a share of the words of a text, in [0, 1]; every text gets at least one. 0 changes
            nothing.
        max_tokens: At most so many inserted words per text; None for no limit.
        tokens_per_class: How many different words each class gets. For a neural model one is far stronger than ten.
        mode: "insert" keeps every word of the text and can be restored; "replace" puts the words in place of others.
        position: "random", "begin", "middle" or "end". Random places are drawn one in each of n equal stretches.
        word_source: "neutral" draws them with the key from words that stand equally often under every label. Unless
            `sensitive`, these neither judge nor negate. "regtext" is the paper's ranking. "random" gives every class
            the same words, the baseline of the same dose. Or your own words, `tokens_per_class` for each label in
            order, or by label, as `{0: ["gist"], 1: ["plum"]}`. Given by label they need no `fit`.
        k: In the paper's ranking, the weight of how often a word goes with its label.
        lambda_: In the paper's ranking, the weight of how rare the word is.
        min_length: Shortest word, in letters.
        min_frequency: How often a word must stand in the data.
        max_frequency: Largest share of all words that one may have: leaves out stop words in any language.
        digits: Whether words with digits may be chosen.
        disjoint: Whether a word that several classes hold may only go to the one that it is most frequent in.
        sample_words: Of data with more words, `fit` counts a sample of at least so many, drawn with the key. It is the
            same one in any order, in shards and in streams. To count all, give None; the paper's ranking always does.

    Raises:
        ValueError: At `fit`: a column is missing, there are fewer than two classes, a class has too few words, ...

    Secret:
        The seed, the chosen words and, with them, every place where one was put. An attacker with similar texts can
        compute the paper's ranking again, but not the words that are drawn with the key.

    Cost:
        One pass to count and one to insert: IMDb's 24,836 reviews take about a second on two cores.

    Breaks:
        An attacker who suspects it compares how often each word stands under each label, and deletes the few that
        stand out. That takes some ten lines, and accuracy is back. A keyword extractor names them without any label:
        they are keywords of text after text (`keyword-filter`). Models of word counts (TF-IDF with a linear layer,
        naive Bayes) are hardly hurt, because they weigh every other word too. Rows that are left clean teach as much
        as ever.

    Prefer:
        First of the text methods: it inserts the fewest words, and protects six classes where `OrderCodeTransform`
        does not. Prefer that one where the attacker is expected to compare words by label (see docs/results).

    Example:
        ds = load_dataset("stanfordnlp/imdb", split="train")
        cloak = RegTextTransform(text_column="text", label_column="label").fit(ds)
        protected = ds.map(cloak, batched=True)
        cloak.key.save("imdb.key")

        # Words of your own, by the label values that map sees, are chosen without fit:
        cloak = RegTextTransform(word_source={0: ["gist"], 1: ["plum"]}, seed=7)
        protected = ds.map(cloak, batched=True)
    """

    max_tokens: int | None = None
    tokens_per_class: int = 1
    mode: str = "insert"
    position: str = "random"
    word_source: str | Sequence[str] | Mapping[Any, Sequence[str]] = "neutral"
    k: float = 3
    lambda_: float = 2
    min_length: int = 2
    min_frequency: int = 2
    max_frequency: float = 1e-3
    digits: bool = False
    disjoint: bool = True
    sample_words: int | None = 1_000_000

    method: ClassVar[str] = "regtext"
    # 2: nothing into code, markup and data; no names nor words that can hurt; 3: nor names without capitals;
    # 4: nor, where words are drawn, words that judge or negate and pieces of words ("ve")
    # 5: words are drawn from a sample of more than `sample_words`
    method_version: ClassVar[int] = 5
    reads_versions: ClassVar[tuple[int, ...]] = (2, 3, 4)  # whose keys hold their words
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "word_source": ("neutral", "regtext", "random"), "mode": ("insert", "replace"),
        "position": ("random", "begin", "middle", "end"),
    }  # fmt: skip
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("label-word-filter", "keyword-filter")

    @classmethod
    def paper(cls, **parameters: Any) -> RegTextTransform:
        """The paper's defaults: ten words per class, one word in ten, at most ten per text."""
        return cls(**{**_PAPER, **parameters})

    # ------------------------------------------------------------------ choosing
    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}, but it is a share of the words: give a number from 0 to 1.")
        if self.tokens_per_class < 1 or (self.max_tokens is not None and self.max_tokens < 1):
            raise ValueError("tokens_per_class and max_tokens start at 1. To change nothing, set rate=0.")
        if self.sample_words is not None and self.sample_words < 1:
            raise ValueError("sample_words starts at 1. To count all words, set sample_words=None.")
        if isinstance(self.word_source, Mapping):
            self._check_by_label(self.word_source)
        if any(not isinstance(word, str) or not re.fullmatch(r"\S+", word) for word in self._own_words()):
            raise ValueError("word_source holds an entry that is not a single word. Give words without spaces.")

    def _check_by_label(self, given: Mapping[Any, Sequence[str]]) -> None:
        """Raises a ValueError for words by label that are not as many for each of two labels or more of one kind."""
        if len(given) < 2 or len(set(map(type, given))) > 1 or not isinstance(next(iter(given)), int | str):
            raise ValueError(
                "word_source has to name two labels or more, all of them whole numbers, names or booleans, as the "
                f"column {self.label_column!r} holds them."
            )
        for label, words in given.items():
            if isinstance(words, str) or len(words) != self.tokens_per_class:
                got = "a text" if isinstance(words, str) else f"a list of {len(words)}"
                raise ValueError(
                    f"word_source gives the label {label!r} {got}, and tokens_per_class is {self.tokens_per_class}. "
                    "Give every label a list of so many words."
                )

    def _new_counts(self) -> WordCounts:
        if self.word_source == "regtext":  # whose best words are rare ones
            return WordCounts()
        return WordCounts(sample_words=self.sample_words, seed=self._resolved_seed())

    def _chosen_words(self, counts: pl.DataFrame, labels: list) -> dict[Any, list[str]]:
        if isinstance(self.word_source, Mapping):
            given = self._given_words()
            for label in labels:
                if label not in given:
                    raise ValueError(f"word_source has no words for the label {label!r}. Give words for {labels}.")
            return given
        if not isinstance(self.word_source, str):
            return self._by_label(labels)
        candidates = rank_words(counts, self.k, self.lambda_, self._may_be_chosen())
        if self.word_source == "regtext":
            return self._best_words(candidates, labels)
        return self._drawn_words(words_by_association(candidates), labels)

    def _given_words(self) -> dict[Any, list[str]]:
        if not isinstance(self.word_source, Mapping):
            return super()._given_words()
        self._check_parameters()
        return self._by_label(sorted(self.word_source))

    def _own_words(self) -> list[str]:
        """The words of `word_source`, in the order of the labels, where they are the user's own."""
        if isinstance(self.word_source, Mapping):
            return [word for label in sorted(self.word_source) for word in self.word_source[label]]
        return [] if isinstance(self.word_source, str) else list(self.word_source)

    def _by_label(self, labels: list) -> dict[Any, list[str]]:
        need, words = self.tokens_per_class, list(dict.fromkeys(self._own_words()))
        if len(words) != need * len(labels):
            raise ValueError(
                f"word_source has {counted(len(words), 'different word')}, but {len(labels)} classes with {need} each "
                f"take {need * len(labels)}. The labels' order is {labels}."
            )
        return {label: words[i * need : (i + 1) * need] for i, label in enumerate(labels)}

    def _left_out(self) -> pl.Series:
        judging = not self.sensitive and self.word_source != "regtext"
        return super()._left_out().explode().append(unfit_to_draw()).implode() if judging else super()._left_out()

    def _may_be_chosen(self) -> pl.Expr:
        import polars as pl

        word, total = pl.col("word"), pl.col("total")
        most = min(self.max_frequency, _RARE) if self.word_source == "neutral" else self.max_frequency
        return (
            (word.str.len_chars() >= self.min_length)
            & (total >= self.min_frequency)
            & (total <= pl.max_horizontal(most * pl.col("words"), _SMALL))
            & ~word.is_in(self._left_out())
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
                    f"Class {label!r} of column {self.label_column!r} has {counted(len(best), 'word')} to choose "
                    f"from, and tokens_per_class is {need}. Lower tokens_per_class, min_frequency "
                    f"({self.min_frequency}) or min_length ({self.min_length}), raise max_frequency, or give "
                    "words with word_source."
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
                f"The data has {counted(len(words), 'word')} to choose from, and {len(labels)} classes with "
                f"{self.tokens_per_class} each take {need}. Lower {spelled('tokens_per_class')} or "
                f"{spelled('min_frequency')}, or allow names and words that hurt, judge or negate with "
                f"{spelled('sensitive')}."
            )
        if self.word_source == "neutral":
            words = words[: max(_NEUTRAL, 2 * need)]
        order = draws(np.full(len(words), self._resolved_seed(), np.uint64), np.arange(len(words), dtype=np.uint64))
        drawn = [words[i] for i in np.argsort(order, kind="stable")[:need].tolist()]
        if self.word_source == "random":
            return dict.fromkeys(labels, drawn)
        return {label: drawn[i :: len(labels)] for i, label in enumerate(labels)}

    # ------------------------------------------------------------------ changing rows
    def check_restorable(self) -> None:
        if self.mode != "insert":
            raise ValueError("mode='replace' overwrites words, so the texts cannot be restored. Keep the originals.")

    def _pool(self, chosen: list[str]) -> Sequence[str]:
        return chosen if self.mode == "insert" else ()

    def _check_state(self, key: Key) -> None:
        super()._check_state(key)
        count = self.tokens_per_class * (len(key.state["labels"]) if self.word_source == "random" else 1)
        if any(len(words) != count for words in key.state["words"]):
            raise ValueError(f"a label has not the {count} words that tokens_per_class gives it")
        if self.word_source != "random" and (self.disjoint or self.word_source != "regtext"):
            every = [word for words in key.state["words"] for word in words]
            if len(set(every)) < len(every):
                raise ValueError("two labels have the same word")

    def _check_chosen(self, chosen: Any) -> None:
        check_words(chosen)

    def _planned(
        self, texts: Sequence[Canonical], chosen: Sequence[list[str]], streams: np.ndarray, parts: np.ndarray
    ) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
        doses = self._doses(np.array([text.words for text in texts], np.int64))
        offsets, bits = spread(doses, streams, parts, np.array([len(text.text) for text in texts], np.int64))
        offsets = offsets.tolist()
        which = drawn(bits, np.repeat([len(pool) for pool in chosen], doses)).tolist()
        start = 0
        for text, pool, dose in zip(texts, chosen, doses.tolist(), strict=True):
            places = text.places(self.position, offsets[start : start + dose])
            yield places, [pool[i] for i in which[start : start + len(places)]]
            start += dose

    def _changed(self, text: Canonical, places: Sequence[int], words: Sequence[str]) -> str:
        return text.with_words(places, words) if self.mode == "insert" else text.with_replacements(places, words)

    def _doses(self, words: np.ndarray) -> np.ndarray:
        return np.clip((self.rate * words).astype(np.int64), 1, self.max_tokens)

    def _in_columns(self) -> bool:
        return self.mode == "insert" and self.position == "random"

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> RowMarks:
        """As for all texts; words that stand for others, or one word always at the same place, tell of no seed."""
        if self.mode != "insert":
            raise NoMarkError(
                "This key replaces words (mode='replace'), and the places were drawn from texts that are lost with "
                "them: what stands in the data cannot be told from chance. mode='insert' can be shown."
            )
        if self.position != "random" and self.tokens_per_class == 1:
            raise NoMarkError(
                f"This key puts one word at the {self.position} of every text, whatever the seed, so that there is "
                "nothing to tell it from chance by. position='random' can be shown."
            )
        return super().ownership_scores(rows)

    def secrets(self) -> dict[str, Any]:
        """The seed and each class's words."""
        return {**super().secrets(), "words": list(self._choose().values())}

    def inserted_words(self) -> dict[Any, list[str]]:
        return dict(self._choose())

    def _key_params(self) -> dict[str, Any]:
        # JSON has no numbers as names: words by label are kept in the order of the labels, which the state holds.
        by_label = isinstance(self.word_source, Mapping)
        return super()._key_params() | ({"word_source": self._own_words()} if by_label else {})

    def _secret_parameters(self) -> set[str]:
        return {"seed"} if isinstance(self.word_source, str) else {"seed", "word_source"}
