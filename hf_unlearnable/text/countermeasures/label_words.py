"""Filters of words that go with a label."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures.words import FIXED_Z, LEAST_DEVIATION, Z_ROWS, only, row_counts, without
from hf_unlearnable.text.counting.ranking import rank_words

_ROBUST_Z = 15.0  # median absolute deviations above the median
_OUTLIER_Z = 20.0  # standard deviations above the mean, as He et al.
_TOP = 10  # words per label that the PMI filter deletes: as many as RegText's paper inserts
_CODE_SHARE = 0.04  # a word of RegText stands in at least this share of its label's rows: ten words share them all,
_CODE_LIFT = 30.0  # and so many times as often as in the other rows,
_CODE_ROWS = 6  # and in so many rows that its surroundings tell something;
_TIED_SHARE = 0.2  # fewer of its places than this have the same neighbour,
_TIED_SURELY = math.log(1000)  # unless that is no surer than one in a thousand.


def z_score_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words that go with one label more than chance allows: z above 12.

    Idea: n rows hold a word, a share q of them has one label, and that label has a share p of all rows. Chance keeps z
    = (q - p) / sqrt(p (1 - p) / n) near 0. Paper: He et al., EMNLP 2023, arXiv:2305.11596. The threshold is fixed
    here, because words that stand in every row inflate the deviation that theirs is made of. Costs more the larger the
    clean data is, since z grows with the root of n. It takes no word of 7,000 rows of SST-2, but 40 words of 67,000
    ("bad", "best"). Of TREC it takes 26 ("who", "how"). Breaks RegText, in a thousand rows or more, and any other word
    per class.
    """
    return _without_associated(rows, lambda z: FIXED_Z)


def z_score_filter_robust(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words whose z stands out: above the median and 15 median absolute deviations more.

    Idea: as `z_score_filter`, with a threshold that neither poisoned words nor the size of the dataset move much.
    Costs, on clean data, the words that tell most of the label: none of 7,000 rows of SST-2, ten of 67,000
    and of TREC. Breaks what `z_score_filter` breaks.
    """

    def threshold(z: np.ndarray) -> float:
        middle = np.median(z)
        return float(middle + _ROBUST_Z * max(LEAST_DEVIATION, np.median(np.abs(z - middle))))

    return _without_associated(rows, threshold)


def z_score_drop_rows(rows: Rows, attacker: Attacker) -> Rows:
    """Drops rows that hold a word whose z is above the mean and 20 standard deviations more.

    Idea and paper: He et al., EMNLP 2023, arXiv:2305.11596, as published against backdoors, which poison few rows.
    Costs, on clean data, the rows with the plainest words: none of SST-2, a third of TREC's ("who", "how"). Breaks
    word codes in a small share of the rows; where all rows are protected it drops them all, or sees none. **A class
    may vanish.**
    """
    words = _associated(rows, lambda z: float(np.mean(z) + _OUTLIER_Z * np.std(z)), at_least=1)
    kept = [text == left for text, left in zip(rows.inputs, without(rows.inputs, words), strict=True)]
    return only(rows, [i for i, keep in enumerate(kept) if keep])


def pmi_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes the ten words of every label that RegText's own ranking puts first.

    Idea: the ranking is public (pointwise mutual information, less the rarity; Java et al., NAACL 2025,
    arXiv:2411.08506). Words that were inserted for it rank first in the protected data. Costs, on clean data, ten of
    the plainest words per label. Breaks RegText; words that stand in the data under other labels too may hide behind
    pure ones.
    """
    counts = row_counts(rows.inputs, rows.labels)
    if counts is None:
        return rows
    best = rank_words(counts.select("label", "word", "count"), k=3, lambda_=2).group_by("label").head(_TOP)
    return Rows(without(rows.inputs, set(best["word"])), rows.labels)


def label_word_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes the words that RegText inserted: the attack of someone who has its code, but not the key.

    Idea: an inserted word stands in a good share of its label's rows (4 %: ten words share them). It stands hardly
    anywhere else (30 times less often), and anywhere in a text. Words of a language that are as pure and as common,
    such as "why" or "abbreviation" among questions, go with certain neighbours ("the abbreviation of"). So a word is
    spared when one neighbour stands at a fifth of its places. That neighbour must surely be three times as frequent
    there as in all texts of the label. A word in nine rows of ten of a label is deleted wherever it stands.
    Costs, on clean data, nothing seen: no word of SST-2, IMDb or TREC. Breaks RegText: it finds every word of the
    defaults, and of the paper's setting all on SST-2 and IMDb and 58 of 60 on TREC. It does not find words at a fixed
    place that share the rows of a label, for which see `pmi_filter`.
    """
    counts = row_counts(rows.inputs, rows.labels)
    if counts is None:
        return rows
    import polars as pl

    share = pl.col("count") / pl.col("label_rows")
    elsewhere = (pl.col("total") - pl.col("count") + 0.3) / (pl.col("rows") - pl.col("label_rows"))
    pure = counts.with_columns(share=share).filter(
        (pl.col("label_rows") < pl.col("rows")) & (pl.col("count") >= _CODE_ROWS)
        & (pl.col("share") >= _CODE_SHARE) & (pl.col("share") >= _CODE_LIFT * elsewhere)
    )  # fmt: skip
    words: set[str] = set()
    for (label,), candidates in pure.group_by("label"):
        texts = [text for text, own in zip(rows.inputs, rows.labels, strict=True) if own == label]
        everywhere = set(candidates.filter(pl.col("share") >= 0.9)["word"])
        words |= everywhere | _standing_anywhere(texts, set(candidates["word"]) - everywhere)
    return Rows(without(rows.inputs, words), rows.labels)


def _standing_anywhere(texts: Sequence[str], words: set[str]) -> set[str]:
    """Those of the words that have no neighbour of their own."""
    if not words:
        return words
    seen: Counter[str] = Counter()
    neighbours = {(word, side): Counter[str]() for word in words for side in (-1, 1)}
    for text in texts:
        pieces = text.lower().split(" ")
        seen.update(pieces)
        if not words.isdisjoint(pieces):
            for i, piece in enumerate(pieces):
                if piece in words:
                    for side in (-1, 1):
                        if 0 <= i + side < len(pieces):
                            neighbours[piece, side][pieces[i + side]] += 1

    total = sum(count for piece, count in seen.items() if piece not in words)
    tied = set()
    for (word, _), counter in neighbours.items():
        places = counter.total()
        for piece, count in counter.most_common(3):
            share, chance = count / places, 1.0 if piece in words else 3 * seen[piece] / total
            # Chernoff's bound on the probability of so many by chance: exp(-places * divergence).
            if share >= _TIED_SHARE and share > chance and places * _divergence(share, chance) > _TIED_SURELY:
                tied.add(word)
    return words - tied


def _divergence(q: float, p: float) -> float:
    """Kullback-Leibler divergence of a coin of p from one of q, in nats."""
    return q * math.log(q / p) + ((1 - q) * math.log((1 - q) / (1 - p)) if q < 1 else 0.0)


def _without_associated(rows: Rows, threshold: Callable[[np.ndarray], float]) -> Rows:
    return Rows(without(rows.inputs, _associated(rows, threshold)), rows.labels)


def _associated(rows: Rows, threshold: Callable[[np.ndarray], float], at_least: int = Z_ROWS) -> set[str]:
    """Words whose highest z is above a threshold, a function of the z of all words that stand in so many rows."""
    counts = row_counts(rows.inputs, rows.labels)
    if counts is None:
        return set()
    import polars as pl

    p = pl.col("label_rows") / pl.col("rows")
    z = (pl.col("count") / pl.col("total") - p) / (p * (1 - p) / pl.col("total")).sqrt()
    highest = counts.filter((p < 1) & (pl.col("total") >= at_least)).group_by("word").agg(z=z.max())
    return set(highest.filter(pl.col("z") > threshold(highest["z"].to_numpy()))["word"]) if len(highest) else set()
