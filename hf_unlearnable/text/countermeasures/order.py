"""Filters of the order and place of words, and of what carries codes of either."""

from __future__ import annotations

import re
from itertools import chain

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.carriers import PHRASES
from hf_unlearnable.text.countermeasures.words import (
    FIXED_Z,
    LEAST_DEVIATION,
    Z_ROWS,
    Words,
    row_counts,
    telling,
    without,
)

_ORDER_ROUNDS = 4
_ORDER_WORDS = 150  # words, by how many rows hold them, whose order in a text is looked at
_FREQUENT_ROWS = 0.1  # of the rows
_PROBE_WORDS, _PROBE_ROWS, _PROBE_ROUNDS = 64, 4000, 8
_PROBE_GAIN = 0.08  # accuracy that order must add, for the probe to take words out


def bigram_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes neighbouring words that go, as a pair, with one label more than chance allows: z above 12.

    Idea: `z_score_filter` on pairs of neighbours; where words stand under all labels alike, their pairs may not. They
    are deleted where they stand side by side only, and what then stands side by side is looked at again, four times.
    Costs, on clean data, the pairs that tell most of the label. These are none of 7,000 rows of SST-2 nor of 1,000 of
    IMDb, but one word in ten of TREC ("how many"). Breaks order codes of carriers side by side.
    """
    texts = list(rows.inputs)
    for _ in range(_ORDER_ROUNDS):
        words = Words.of(texts)
        if words is None:
            break
        first, second = words.neighbours()
        pairs = words.id[first] * len(words.names) + words.id[second]
        told = np.isin(pairs, telling(pairs, words.row[first], rows.labels))
        if not told.any():
            break
        texts = words.without(np.union1d(first[told], second[told]))
    return Rows(texts, rows.labels)


def skip_gram_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes both words of pairs whose order in a text tells the label: z above 12 and half the highest.

    Idea: of the texts that hold two words, a share p has the one in front of the other. If order tells nothing, p is
    the same under any label. What counts is the order and not whether the words are there, so that words which mean a
    label are spared. So are those that only stand before or behind a carrier, by the half. The 150 words in the most
    rows are looked at, each where it first stands in a text, and again without those found, four times.
    Costs, on clean data, nothing seen: no word of SST-2, IMDb or TREC, for the order of frequent words tells little of
    topics or sentiment. Breaks order codes, side by side or apart, in short texts. In long ones it breaks those that
    repeat one order, and not those that begin it anywhere. Words of the carriers go wherever else they stand, too.
    """
    texts = list(rows.inputs)
    for _ in range(_ORDER_ROUNDS):
        words = Words.of(texts)
        told = set() if words is None else _ordered_by_label(words, np.asarray(rows.labels))
        if not told:
            break
        texts = without(texts, told)
    return Rows(texts, rows.labels)


def _ordered_by_label(words: Words, label: np.ndarray) -> set[str]:
    frequent = words.most_frequent(_ORDER_WORDS)
    places = words.first_places(frequent)
    highest = np.zeros((len(frequent), len(frequent)))
    for i in range(len(frequent)):
        both = np.isfinite(places[:, [i]]) & np.isfinite(places)
        before = both & (places[:, [i]] < places)
        n, p = both.sum(0), before.sum(0) / np.maximum(1, both.sum(0))
        for one in np.unique(label):
            own = both[label == one].sum(0)
            spread = np.sqrt(own * p * (1 - p) * (1 - own / np.maximum(1, n)))
            z = np.abs(before[label == one].sum(0) - own * p) / np.maximum(LEAST_DEVIATION, spread)
            highest[i] = np.maximum(highest[i], z)
    told = (highest > max(FIXED_Z, highest.max(initial=0) / 2)).any(0)
    return {words.names[i] for i in frequent[told]}


def position_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words whose place tells the label: earlier or later in the text or sentence, z above 12.

    Idea: a word has a mean place, from 0 for the first to 1 for the last of the text and of the sentence. If place
    tells nothing, it is the same under every label.
    Costs, on clean data, no word of SST-2 and IMDb, and one of TREC ("who"). Breaks codes of place, and those orders
    in which a carrier is more often the first under one label than under another.
    """
    words = Words.of(rows.inputs)
    if words is None:
        return rows
    label = np.unique(np.asarray(rows.labels), return_inverse=True)[1]
    pair, number, times = np.unique(
        words.row * len(words.names) + words.id, return_inverse=True, return_counts=True
    )  # one place a row, the mean of its places
    row, word = pair // len(words.names), pair % len(words.names)
    entry = label[row] * len(words.names) + word
    told: set[str] = set()
    for place in words.relative_places():
        place = np.bincount(number, place) / times
        n, total, squares = (np.bincount(word, weights, len(words.names)) for weights in (None, place, place**2))
        mean = total / np.maximum(1, n)
        deviation = np.sqrt(np.maximum(squares / np.maximum(1, n) - mean**2, 1e-4))
        own, own_total = (
            np.bincount(entry, weights, len(words.names) * (label.max() + 1)).reshape(-1, len(words.names))
            for weights in (None, place)
        )
        spread = deviation * np.sqrt(np.maximum(0, 1 / np.maximum(1, own) - 1 / np.maximum(1, n)))
        z = np.abs(own_total / np.maximum(1, own) - mean) / np.where(spread > 0, spread, np.inf)
        told |= {words.names[i] for i in np.flatnonzero((np.where(own >= Z_ROWS, z, 0) > FIXED_Z).any(0))}
    return Rows(without(rows.inputs, told), rows.labels)


def order_probe(rows: Rows, attacker: Attacker) -> Rows:
    """Learns labels from which of two frequent words comes first, and deletes the words that it learned most from.

    Idea: what a filter of single pairs misses, a linear model of all pairs adds up. On rows that it did not learn from
    it is compared with a model that knows which words are there, and not their order. As long as order adds 8 points,
    the two words of the largest weights go, in up to eight rounds. Needs scikit-learn.
    Costs, on clean data, nothing seen: no word of SST-2, IMDb or TREC. Breaks order codes of one or two sets of
    carriers, and of more in part.
    """
    require("attack", "sklearn")
    from sklearn.linear_model import LogisticRegression

    label = np.asarray(rows.labels)
    random = np.random.default_rng(attacker.seed)
    seen = random.permutation(len(label))[:_PROBE_ROWS]
    learned, judged = seen[::2], seen[1::2]
    deleted: set[str] = set()
    for _ in range(_PROBE_ROUNDS):
        words = Words.of(without([rows.inputs[i] for i in seen], deleted))
        if words is None or len(np.unique(label[learned])) < 2 or not len(judged):
            break
        frequent = words.most_frequent(_PROBE_WORDS)
        places = words.first_places(frequent)
        one, other = np.triu_indices(len(frequent), 1)
        both = (np.isfinite(places[:, one]) & np.isfinite(places[:, other])).astype(np.float32)
        order = np.where(places[:, one] < places[:, other], both, -both)
        if not len(one):
            break
        accuracy = []
        for features in (both, np.hstack([order, both])):
            model = LogisticRegression(C=0.01, max_iter=200).fit(features[::2], label[learned])
            accuracy.append(float((model.predict(features[1::2]) == label[judged]).mean()))
        if accuracy[1] - accuracy[0] < _PROBE_GAIN:
            break
        weight = np.abs(model.coef_[:, : len(one)]).sum(0) * order.std(0)
        strength = np.bincount(one, weight, len(frequent)) + np.bincount(other, weight, len(frequent))
        deleted |= {words.names[frequent[i]] for i in np.argsort(-strength, kind="stable")[:2]}
    return Rows(without(rows.inputs, deleted), rows.labels)


def connective_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes phrases that say nothing, "of course" and "in the end": the public lists that order codes draw from.

    Costs, on clean data, those that were there: one word in 250 of IMDb, fewer of SST-2. Breaks order codes and place
    codes of such phrases, whatever the labels; not those of words or of the owner's own phrases.
    """
    return Rows([_CONNECTIVE.sub("", text) for text in rows.inputs], rows.labels)


_PHRASES = "|".join(sorted(map(re.escape, {*chain(*PHRASES.values())}), key=len, reverse=True))

_CONNECTIVE = re.compile(rf"(?<!\S)(?:{_PHRASES})(?: |(?![\w'’-]))| (?:{_PHRASES})$", re.IGNORECASE)


def frequent_word_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words that stand in a tenth of the rows or more, whatever the labels.

    Idea: a code that every row carries is made of words that every row holds. Costs, on clean data, the function words
    ("the", "of"). In short texts that is one word in five (SST-2), in long ones more than half of the words (IMDb).
    Breaks codes of few carriers.
    """
    counts = row_counts(rows.inputs)
    if counts is None:
        return rows
    import polars as pl

    frequent = counts.filter(pl.col("count") >= _FREQUENT_ROWS * pl.col("rows"))
    return Rows(without(rows.inputs, set(frequent["word"])), rows.labels)


def sentence_shuffle(rows: Rows, attacker: Attacker) -> Rows:
    """Puts the sentences of every text in random order; of a single sentence, the clauses.

    Idea: order across sentences carries no code any more, and within them all stays readable. Costs, on clean data,
    little. Breaks orders whose carriers stand in several sentences; not those within one, nor places in a sentence.
    """
    random = np.random.default_rng(attacker.seed)

    def shuffled(text: str) -> str:
        parts = _SENTENCE_END.split(text)
        parts = parts if len(parts) > 1 else _CLAUSE_END.split(text)
        return " ".join(parts[i] for i in random.permutation(len(parts)).tolist())

    return Rows([shuffled(text) for text in rows.inputs], rows.labels)


_SENTENCE_END = re.compile(r"(?<=[.!?…]) (?=\S)")

_CLAUSE_END = re.compile(r"(?<=[,;:—–]) (?=\S)|(?<=--) (?=\S)")
