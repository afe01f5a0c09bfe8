"""Word balance: every class is given words of another, so that words tell the classes apart less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable._words import spelled
from hf_unlearnable.key import Key, draws
from hf_unlearnable.text.base import TextTransform
from hf_unlearnable.text.insertion.spread import spread
from hf_unlearnable.text.insertion.words import Canonical
from hf_unlearnable.validation import check_words

if TYPE_CHECKING:
    import polars as pl

_LEAST = 1e-6  # with a rate of 0 nothing is inserted, but the words are chosen all the same
_WEIGHT = 1 << 20  # the sum of the weights of a class's words, about: whole numbers come out alike on every machine


@dataclass(kw_only=True, repr=False, eq=False)
class WordBalanceTransform(TextTransform):
    """Word balance: inserts words that speak for another class. This changes what the texts say.

    Idea:
        Other methods add a code, which an attacker can find and delete. A model that knows the language keeps what it
        knew besides. This one adds evidence that contradicts the text: words of another class, many different ones.
        A word of film reviews like "moving" then stands under both labels. A model that trains on the result learns
        that it tells nothing, or the opposite. There is no code to filter. Deleting the inserted words deletes
        the same words where the authors wrote them.

        The classes stand in a circle, drawn with the key, and each one gets words of the next. Let p_c(w) be the share
        of word w in class c, d the next class, and r the inserted words per word. The words for c are drawn from

            q_c(w) = max(0, m (p_d(w) - p_c(w)) - p_c(w)) / r,   with m such that the sum is 1.

        Naive Bayes that trains on the protected texts gives a clean text of c log-odds for its own class. Of all q_c
        this one lowers them most (`evidence`).

    Ours:
        There is no paper on this for texts. Relatives for images are targeted adversarial poisoning (Fowl et al.,
        NeurIPS 2021, arXiv:2106.10807) and Bayes-error optimisation.

    Args:
        rate: Inserted words as a share of the words of a text, in [0, 1]; every text gets at least one. 0 changes
            nothing.
        words_per_class: Largest number of different words for each class. Those that contradict it most are taken (the
            largest q).
        min_frequency: How often a word must stand in the data.
        prior: Pseudo-count added to every word, spread over the classes by their size. It keeps words that one class
            holds by chance from taking the place of others.

    Raises:
        ValueError: At `fit`: a column is missing, there are fewer than two classes, or two that share all words alike.

    Secret:
        The seed, and with it every place. The words are no secret: an attacker with similar clean texts can compute
        them.

    Cost:
        One pass to count and one to insert, which takes some three times that of `RegTextTransform`, for many texts
        hold some of the words already.

    Breaks:
        Deleting the words that a model of the protected texts relies on most (`attribution-filter`), for which they
        are enough. A language model that deletes the words which are out of place (ONION). On SST-2 each brings back
        much of the accuracy. So do the attacker's own clean rows, and whatever a pretrained model knows of the
        language before it is trained on the data. With `words_per_class=300` the first brings back less, but a
        pretrained encoder learns more where nobody filters. With two classes, accuracy far below a half tells an
        attacker with a few clean rows to swap the labels. In texts of ten words and many classes one word changes
        little. The meaning of a text suffers: a reader may no longer be sure of its class.

    Prefer:
        Over the others where pretrained models are expected, and where the published texts need not read well. Never
        where readers take the texts at their word.

    Example:
        ds = load_dataset("stanfordnlp/imdb", split="train")
        cloak = WordBalanceTransform(text_column="text", label_column="label").fit(ds)
        protected = ds.map(cloak, batched=True)
        cloak.key.save("imdb.key")
    """

    rate: float = 0.15
    words_per_class: int = 100
    min_frequency: int = 5
    prior: float = 10

    method: ClassVar[str] = "word-balance"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("attribution-filter", "onion", "outside-frequency-filter")

    # ------------------------------------------------------------------ choosing
    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}, but it is a share of the words: give a number from 0 to 1.")
        if self.words_per_class < 1 or self.prior < 0:
            raise ValueError("words_per_class starts at 1, and prior at 0. To change nothing, set rate=0.")

    def _chosen_words(self, counts: pl.DataFrame, labels: list) -> dict[Any, dict[str, list]]:
        words, shares = self._shares(counts, labels)
        order = draws(np.full(len(labels), self._resolved_seed(), np.uint64), np.arange(len(labels), dtype=np.uint64))
        circle = np.argsort(order, kind="stable").tolist()
        chosen = {}
        for own, other in zip(circle, circle[1:] + circle[:1], strict=True):
            weights = _most_contrary(shares[own], shares[other], max(self.rate, _LEAST))
            best = np.argsort(-weights, kind="stable")[: self.words_per_class]
            if not weights.any():
                raise ValueError(
                    f"No word is more frequent under {labels[other]!r} than under {labels[own]!r}: there is nothing "
                    f"to balance. Lower {spelled('min_frequency')} ({self.min_frequency})."
                )
            whole = np.maximum(1, np.round(weights[best] / weights[best].sum() * _WEIGHT)).astype(int)
            held = weights[best] > 0
            chosen[own] = {
                "from": labels[other],
                "words": [words[i] for i in best[held]],
                "weights": whole[held].tolist(),
            }
        return {label: chosen[number] for number, label in enumerate(labels)}

    def _shares(self, counts: pl.DataFrame, labels: list) -> tuple[list[str], np.ndarray]:
        """The words that may be inserted, sorted, and the share of each one of all words of each class, [c, words]."""
        import polars as pl

        per_label = counts.group_by("label").agg(pl.col("count").sum())
        of_class = np.array([dict(per_label.iter_rows())[label] for label in labels], float)
        kept = counts.filter(
            pl.col("word").str.contains(r"^[\p{L}\p{M}]+(['’-][\p{L}\p{M}]+)*$")
            & (pl.col("count").sum().over("word") >= self.min_frequency)
            & ~pl.col("word").is_in(self._left_out())
        )
        words = kept["word"].unique().sort().to_list()
        number = {word: i for i, word in enumerate(words)}
        found = np.zeros((len(labels), len(words)))
        for label, word, count in kept.iter_rows():
            found[labels.index(label), number[word]] = count
        if not words or not of_class.all():
            empty = [label for label, total in zip(labels, of_class, strict=True) if not total]
            raise ValueError(
                f"The label {empty[0]!r} has no words." if empty else
                f"No word stands {self.min_frequency} times in the data. Lower {spelled('min_frequency')}."
            )  # fmt: skip
        return words, (found + self.prior * (of_class / of_class.sum())[:, None]) / of_class[:, None]

    def evidence(self) -> dict[Any, tuple[float, float]]:
        """What a word of a clean text says for its class, before and after.

        Returns:
            For each label the mean log-odds of its class over the one that is given its words, in nats per word of
            its clean texts. The first is for naive Bayes of the clean texts, the second of the protected ones. Below 0
            it takes them for texts of the other class.
        """
        counts = self.counts.table()
        labels = self._checked_classes(counts)
        words, before = self._shares(counts, labels)
        after, taker = before.copy(), {}
        for i, label in enumerate(labels):
            own = self._choose()[label]
            taker[own["from"]] = i
            inserted = self.rate * np.array(own["weights"]) / sum(own["weights"])
            after[i, np.searchsorted(words, own["words"])] += inserted
        return {
            label: (float(p @ np.log(p / before[t])), float(p @ np.log(after[i] / after[t])))
            for i, (label, p) in enumerate(zip(labels, before, strict=True))
            for t in (taker[label],)
        }

    # ------------------------------------------------------------------ changing rows
    def _pool(self, chosen: dict[str, list]) -> list[str]:
        return chosen["words"]

    def _planned(
        self, texts: Sequence[Canonical], chosen: Sequence[dict[str, list]], streams: np.ndarray, parts: np.ndarray
    ) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
        doses = np.array([max(1, int(self.rate * text.words)) for text in texts], np.int64)
        offsets, which = spread(doses, streams, parts, np.array([len(text.text) for text in texts], np.int64))
        offsets = offsets.tolist()
        numbers = _weighted(chosen, doses, which)
        start = 0
        for text, own, dose in zip(texts, chosen, doses.tolist(), strict=True):
            places = text.places("random", offsets[start : start + dose])
            yield places, [own["words"][i] for i in numbers[start : start + len(places)]]
            start += dose

    # ------------------------------------------------------------------ contract
    def _check_state(self, key: Key) -> None:
        super()._check_state(key)
        if sorted(own["from"] for own in key.state["words"]) != sorted(key.state["labels"]):
            raise ValueError("its labels do not each get the words of one other")

    def _check_chosen(self, chosen: Any) -> None:
        check_words(chosen["words"])
        weights = chosen["weights"]
        if len(weights) != len(chosen["words"]) or not all(isinstance(w, int) and 0 < w <= _WEIGHT for w in weights):
            raise ValueError("its words do not have a weight each")


def _weighted(chosen: Sequence[dict[str, list]], doses: np.ndarray, bits: np.ndarray) -> list[int]:
    """Which of its label's words each inserted one is, drawn by their weights.

    Args:
        chosen: What was chosen for the label of each of n texts.
        doses: How many words each text gets, int64 [n].
        bits: A number below 2^32 for each word, uint64 [sum of doses].
    """
    owner, drawn = np.repeat([id(own) for own in chosen], doses), np.empty(len(bits), np.int64)
    for own in {id(own): own for own in chosen}.values():
        upto, mine = np.cumsum(own["weights"]), owner == id(own)
        drawn[mine] = np.searchsorted(upto, bits[mine] * np.uint64(upto[-1]) >> np.uint64(32), side="right")
    return drawn.tolist()


def _most_contrary(own: np.ndarray, other: np.ndarray, rate: float) -> np.ndarray:
    """How often each word is inserted, as a share of the words of the texts: max(0, m (other - own) - own).

    Args:
        own, other: Shares of n words in the class that gets words, and in the one that they come from, above 0.
        rate: The sum of what is returned.

    Returns:
        Floats [n]; zeros where no word is more frequent in the other class.
    """
    gain = np.maximum(0, other - own)
    # The words in the order in which a rising m reaches them; m is where those reached so far take up the rate.
    order = np.argsort(-gain / own, kind="stable")[: np.count_nonzero(gain)]
    if not len(order):
        return gain
    m = (rate + np.cumsum(own[order])) / np.cumsum(gain[order])
    reached = np.flatnonzero(m * gain[order] > own[order])[-1]
    return np.maximum(0, m[reached] * gain - own)
