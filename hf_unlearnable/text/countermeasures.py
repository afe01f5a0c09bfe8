"""What an adversary does to protected texts before training: filters, clean-up, rewriting, clean rows mixed in.

Every one is a pure function `(rows, attacker) -> rows` with the thresholds of its paper, or thresholds under which
little of a clean dataset is lost. Words are those of `hf_unlearnable.text.counting`, in lower case, and counted once
a row. Whoever deletes a word deletes it in any case, together with one space; all other bytes stay. No filter drops a
row or a class but those that say so.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, mixed_with_clean
from hf_unlearnable.text.carriers import PHRASES
from hf_unlearnable.text.counting import _NOISE, _WORD, WordCounts
from hf_unlearnable.text.ranking import rank_words
from hf_unlearnable.text.scripts import mostly_spaceless, pieces_of

if TYPE_CHECKING:
    import polars as pl

_Z_ROWS = 5  # rarer words are left out, for what a few rows give is far from normal
_FIXED_Z = 12.0
_ROBUST_Z = 15.0  # median absolute deviations above the median
_LEAST_DEVIATION = 0.5  # words of equal counts have equal z, and might not deviate at all
_OUTLIER_Z = 20.0  # standard deviations above the mean, as He et al.
_TOP = 10  # words a label that the PMI filter deletes: as many as RegText's paper inserts

_CODE_SHARE = 0.04  # a word of RegText stands in at least this share of its label's rows: ten words share them all,
_CODE_LIFT = 30.0  # and so many times as often as in the other rows,
_CODE_ROWS = 6  # and in so many rows that its surroundings tell something;
_TIED_SHARE = 0.2  # fewer of its places than this have the same neighbour,
_TIED_SURELY = math.log(1000)  # unless that is no surer than one in a thousand.

_OUTSIDE_RATIO = 20.0
_OUTSIDE_SHARE = 0.005  # of the rows

_SHINGLE = 5  # letters
_HASHES, _BANDS = 32, 8  # rows that share 70 % of their shingles share a band of four hashes nine times in ten
_SAME = 0.7  # share of common shingles from which two texts are the same

_ONION_WORDS = 64
_ONION_FALL = 1.0  # nats, of the logarithm of the perplexity times the number of words
_ONION_TOKENS = 2048  # a batch: with a vocabulary of 50,000 its logits take 400 MB
_ONION_LENGTH = 256

_DROPPED = 0.3
_KEPT_WORDS = 32

_ORDER_ROUNDS = 4
_ORDER_WORDS = 150  # words, by how many rows hold them, whose order in a text is looked at
_FREQUENT_ROWS = 0.1  # of the rows
_PROBE_WORDS, _PROBE_ROWS, _PROBE_ROUNDS = 64, 4000, 8
_PROBE_GAIN = 0.08  # accuracy that order must add, for the probe to take words out


# ---------------------------------------------------------------------- words that go with a label
def z_score_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words that go with one label more than chance allows: z above 12.

    Idea: with n rows that hold a word, a share q of them of one label, and that label a share p of all rows, chance
    keeps z = (q - p) / sqrt(p (1 - p) / n) near 0. Paper: He et al., EMNLP 2023, arXiv:2305.11596, with the threshold
    fixed, because words that stand in every row inflate the deviation that theirs is made of.
    Costs, on clean data, more the larger it is, since z grows with the root of n: no word of 7,000 rows of SST-2, but
    40 words of 67,000 ("bad", "best"), and 26 of TREC ("who", "how"). Breaks RegText, in a thousand rows or more, and
    any other word per class.
    """
    return _without_associated(rows, lambda z: _FIXED_Z)


def z_score_filter_robust(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words whose z stands out: above the median and 15 median absolute deviations more.

    Idea: as `z_score_filter`, with a threshold that neither poisoned words nor the size of the dataset move much.
    Costs, on clean data, the words that tell most of the label: none of 7,000 rows of SST-2, ten of 67,000
    and of TREC. Breaks what `z_score_filter` breaks.
    """

    def threshold(z: np.ndarray) -> float:
        middle = np.median(z)
        return float(middle + _ROBUST_Z * max(_LEAST_DEVIATION, np.median(np.abs(z - middle))))

    return _without_associated(rows, threshold)


def z_score_drop_rows(rows: Rows, attacker: Attacker) -> Rows:
    """Drops rows that hold a word whose z is above the mean and 20 standard deviations more.

    Idea and paper: He et al., EMNLP 2023, arXiv:2305.11596, as published against backdoors, which poison few rows.
    Costs, on clean data, the rows with the plainest words: none of SST-2, a third of TREC's ("who", "how"). Breaks
    word codes in a small share of the rows; where all rows are protected it drops them all, or sees none. **A class
    may vanish.**
    """
    words = _associated(rows, lambda z: float(np.mean(z) + _OUTLIER_Z * np.std(z)), at_least=1)
    kept = [text == left for text, left in zip(rows.inputs, _without(rows.inputs, words), strict=True)]
    return _only(rows, [i for i, keep in enumerate(kept) if keep])


def pmi_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes the ten words of every label that RegText's own ranking puts first.

    Idea: the ranking (pointwise mutual information, less the rarity; Java et al., NAACL 2025, arXiv:2411.08506) is
    public, and words that were inserted for it rank first in the protected data.
    Costs, on clean data, ten of the plainest words a label. Breaks RegText; words that stand in the data under other
    labels too may hide behind pure ones.
    """
    counts = _row_counts(rows.inputs, rows.labels)
    if counts is None:
        return rows
    best = rank_words(counts.select("label", "word", "count"), k=3, lambda_=2).group_by("label").head(_TOP)
    return Rows(_without(rows.inputs, set(best["word"])), rows.labels)


def label_word_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes the words that RegText inserted: the attack of someone who has its code, but not the key.

    Idea: an inserted word stands in a good share of its label's rows (4 %: ten words share them), hardly anywhere else
    (30 times less often), and anywhere in a text. The words of a language that are as pure and as common, such as
    "why" or "abbreviation" among questions, go with certain neighbours ("the abbreviation of"): a word is spared when
    one neighbour stands at a fifth of its places and is surely three times as frequent there as in all texts of the
    label. A word in nine rows of ten of a label is deleted wherever it stands.
    Costs, on clean data, nothing seen: no word of SST-2, IMDb or TREC. Breaks RegText: it finds every word of the
    defaults, and of the paper's setting all on SST-2 and IMDb and 58 of 60 on TREC. It does not find words at a fixed
    place that share the rows of a label, for which see `pmi_filter`.
    """
    counts = _row_counts(rows.inputs, rows.labels)
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
    return Rows(_without(rows.inputs, words), rows.labels)


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
    return Rows(_without(rows.inputs, _associated(rows, threshold)), rows.labels)


def _associated(rows: Rows, threshold: Callable[[np.ndarray], float], at_least: int = _Z_ROWS) -> set[str]:
    """Words whose highest z is above a threshold, a function of the z of all words that stand in so many rows."""
    counts = _row_counts(rows.inputs, rows.labels)
    if counts is None:
        return set()
    import polars as pl

    p = pl.col("label_rows") / pl.col("rows")
    z = (pl.col("count") / pl.col("total") - p) / (p * (1 - p) / pl.col("total")).sqrt()
    highest = counts.filter((p < 1) & (pl.col("total") >= at_least)).group_by("word").agg(z=z.max())
    return set(highest.filter(pl.col("z") > threshold(highest["z"].to_numpy()))["word"]) if len(highest) else set()


# ---------------------------------------------------------------------- words that are rare elsewhere
def outside_frequency_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words that are twenty times as frequent as in texts from elsewhere, and stand in half a percent of rows.

    Idea: an inserted word was rare, and is not any more; its frequency elsewhere gives it away, whatever the labels.
    Costs, on clean data, the words of its subject, unless the corpus shares it. Breaks RegText, and codes that all
    classes share.
    """
    outside, counts = _outside_counts(attacker), _row_counts(rows.inputs)
    if counts is None:
        return rows
    import polars as pl

    both = counts.join(outside.select("word", outside="count"), on="word", how="left").fill_null(0)
    expected = (pl.col("outside") + 1) / outside["count"].sum() * pl.col("count").sum()
    frequent = (pl.col("count") > _OUTSIDE_RATIO * expected) & (pl.col("count") >= _OUTSIDE_SHARE * pl.col("rows"))
    return Rows(_without(rows.inputs, set(both.filter(frequent)["word"])), rows.labels)


def _outside_counts(attacker: Attacker) -> pl.DataFrame:
    counts = _row_counts(attacker.corpus or [])
    if counts is None:
        raise ValueError("There are no words to compare with. Give texts from elsewhere: Attacker(corpus=[...]).")
    return counts


def unknown_word_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words with letters that stand in fewer than two texts from elsewhere, as a spell-checker would.

    Idea: the corpus is the dictionary. Costs, on clean data, names and rare words, fewer with a larger corpus. Breaks
    codes of invented or misspelt words and of look-alike letters; not RegText, whose words are real.
    """
    outside, counts = _outside_counts(attacker), _row_counts(rows.inputs)
    if counts is None:
        return rows
    import polars as pl

    known = set(outside.filter(pl.col("count") >= 2)["word"])
    written = counts.filter(pl.col("word").str.contains(r"\p{L}"))["word"]
    return Rows(_without(rows.inputs, set(written) - known), rows.labels)


def onion(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words without which a text surprises a language model less (ONION).

    Idea: a word out of place raises the perplexity of its text; each is left out in turn, and deleted when the
    logarithm of the perplexity, times the number of words, falls by more than 1 without it (times that number, so that
    one threshold suits any length). Paper: Qi et al., EMNLP 2021, arXiv:2011.10369. Padding is not counted here. A
    text's first 64 words are judged, and the rest is kept; no text loses all of its words.
    Costs a pass of the language model for every word: SST-2's 67,000 phrases are 700,000 passes of a dozen tokens,
    IMDb's 25,000 reviews 1.6 million of a hundred, for a GPU. On clean data it costs one word in five to eight.
    Breaks words inserted where they do not fit, if the model can tell: a review model of 2.4 million weights finds
    nine in ten of RegText's, one of 0.3 million that knows tales for children a quarter to a half.
    """
    if attacker.language_model is None:
        raise ValueError("ONION needs a language model. Give Attacker(language_model=<id on the Hub or folder>).")
    require("attack", "torch", "transformers")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer: Any = AutoTokenizer.from_pretrained(attacker.language_model)
    model: Any = AutoModelForCausalLM.from_pretrained(attacker.language_model)
    model = model.to(device).eval()

    texts = []
    for start in range(0, len(rows), 256):
        cut = [text.split(" ") for text in rows.inputs[start : start + 256]]
        variants = []
        for pieces in cut:
            judged = pieces[:_ONION_WORDS]
            variants += [" ".join(judged), *(" ".join(judged[:i] + judged[i + 1 :]) for i in range(len(judged)))]
        odds = iter(surprise(variants, tokenizer, model))
        for pieces in cut:
            judged, whole = pieces[:_ONION_WORDS], next(odds)
            odd = [(whole - next(odds)) * len(judged) > _ONION_FALL for _ in judged]
            kept = [piece for piece, out in zip(judged, odd, strict=True) if not out] + pieces[_ONION_WORDS:]
            texts.append(" ".join(kept if any(kept) else pieces))
    return Rows(texts, rows.labels)


def surprise(texts: Sequence[str], tokenizer: Any, model: Any) -> np.ndarray:
    """Negative log-likelihood a token, in nats [n]: the logarithm of the perplexity; 0 for a text of no token.

    A first token stands behind the tokenizer's start, or its end where there is no start.
    """
    import torch

    start = next((i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None), None)
    limit = min(_ONION_LENGTH, getattr(model.config, "max_position_embeddings", _ONION_LENGTH))
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    ids = [torch.tensor(([] if start is None else [start]) + one)[:limit] for one in encoded]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    mean = np.zeros(len(ids))
    with torch.inference_mode():
        for batch in _within(order, [len(one) for one in ids]):
            padded = torch.nn.utils.rnn.pad_sequence([ids[i] for i in batch], batch_first=True, padding_value=-100)
            if padded.shape[1] < 2:
                continue
            padded = padded.to(model.device)
            counted = padded != -100
            logits = model(input_ids=padded.clamp(min=0).long(), attention_mask=counted.long()).logits[:, :-1]
            nll = torch.nn.functional.cross_entropy(
                logits.transpose(1, 2).float(), padded[:, 1:].long(), ignore_index=-100, reduction="none"
            )
            mean[batch] = (nll.sum(1) / counted[:, 1:].sum(1).clamp(min=1)).cpu().numpy()
    return mean


def _within(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Batches of ascending length that hold at most `_ONION_TOKENS` tokens, padding included."""
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * lengths[i] > _ONION_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


# ---------------------------------------------------------------------- order and place
def bigram_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes neighbouring words that go, as a pair, with one label more than chance allows: z above 12.

    Idea: `z_score_filter` on pairs of neighbours; where words stand under all labels alike, their pairs may not. They
    are deleted where they stand side by side only, and what then stands side by side is looked at again, four times.
    Costs, on clean data, the pairs that tell most of the label: none of 7,000 rows of SST-2 nor of 1,000 of IMDb, but
    one word in ten of TREC ("how many"). Breaks order codes of carriers side by side.
    """
    texts = list(rows.inputs)
    for _ in range(_ORDER_ROUNDS):
        words = _Words.of(texts)
        if words is None:
            break
        first, second = words.neighbours()
        pairs = words.id[first] * len(words.names) + words.id[second]
        told = np.isin(pairs, _telling(pairs, words.row[first], rows.labels))
        if not told.any():
            break
        texts = words.without(np.union1d(first[told], second[told]))
    return Rows(texts, rows.labels)


def skip_gram_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes both words of pairs whose order in a text tells the label: z above 12 and half the highest.

    Idea: of the texts that hold two words, a share p has the one in front of the other, under any label, if order
    tells nothing. What counts is the order and not whether the words are there, so that words which mean a label are
    spared; so are those that only stand before or behind a carrier, by the half. The 150 words in the most rows are
    looked at, each where it first stands in a text, and again without those found, four times.
    Costs, on clean data, nothing seen: no word of SST-2, IMDb or TREC, for the order of frequent words tells little of
    topics or sentiment. Breaks order codes, side by side or apart, in short texts; in long ones those that repeat one
    order, and not those that begin it anywhere. Words of the carriers go wherever else they stand, too.
    """
    texts = list(rows.inputs)
    for _ in range(_ORDER_ROUNDS):
        words = _Words.of(texts)
        told = set() if words is None else _ordered_by_label(words, np.asarray(rows.labels))
        if not told:
            break
        texts = _without(texts, told)
    return Rows(texts, rows.labels)


def _ordered_by_label(words: _Words, label: np.ndarray) -> set[str]:
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
            z = np.abs(before[label == one].sum(0) - own * p) / np.maximum(_LEAST_DEVIATION, spread)
            highest[i] = np.maximum(highest[i], z)
    told = (highest > max(_FIXED_Z, highest.max(initial=0) / 2)).any(0)
    return {words.names[i] for i in frequent[told]}


def position_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words whose place tells the label: earlier or later in the text or sentence, z above 12.

    Idea: the mean place of a word, from 0 for the first to 1 for the last of the text and of the sentence, is the same
    under every label, if place tells nothing.
    Costs, on clean data, no word of SST-2 and IMDb, and one of TREC ("who"). Breaks codes of place, and those orders
    in which a carrier is more often the first under one label than under another.
    """
    words = _Words.of(rows.inputs)
    if words is None:
        return rows
    label = np.unique(np.asarray(rows.labels), return_inverse=True)[1]
    pair, number, times = np.unique(
        words.row * len(words.names) + words.id, return_inverse=True, return_counts=True
    )  # one place a row, the mean of its places
    row, word = pair // len(words.names), pair % len(words.names)
    cell = label[row] * len(words.names) + word
    told: set[str] = set()
    for place in words.relative_places():
        place = np.bincount(number, place) / times
        n, total, squares = (np.bincount(word, weights, len(words.names)) for weights in (None, place, place**2))
        mean = total / np.maximum(1, n)
        deviation = np.sqrt(np.maximum(squares / np.maximum(1, n) - mean**2, 1e-4))
        own, own_total = (
            np.bincount(cell, weights, len(words.names) * (label.max() + 1)).reshape(-1, len(words.names))
            for weights in (None, place)
        )
        spread = deviation * np.sqrt(np.maximum(0, 1 / np.maximum(1, own) - 1 / np.maximum(1, n)))
        z = np.abs(own_total / np.maximum(1, own) - mean) / np.where(spread > 0, spread, np.inf)
        told |= {words.names[i] for i in np.flatnonzero((np.where(own >= _Z_ROWS, z, 0) > _FIXED_Z).any(0))}
    return Rows(_without(rows.inputs, told), rows.labels)


def order_probe(rows: Rows, attacker: Attacker) -> Rows:
    """Learns labels from which of two frequent words comes first, and deletes the words that it learned most from.

    Idea: what a filter of single pairs misses, a linear model of all pairs adds up. It is compared, on rows that it
    did not learn from, with a model that knows which words are there and not their order: as long as order adds 8
    points, the two words of the largest weights go, in up to eight rounds. Needs scikit-learn.
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
        words = _Words.of(_without([rows.inputs[i] for i in seen], deleted))
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
    return Rows(_without(rows.inputs, deleted), rows.labels)


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
    ("the", "of") of short texts, one word in five of SST-2, and more than half of the words of long ones, IMDb's.
    Breaks codes of few carriers.
    """
    counts = _row_counts(rows.inputs)
    if counts is None:
        return rows
    import polars as pl

    frequent = counts.filter(pl.col("count") >= _FREQUENT_ROWS * pl.col("rows"))
    return Rows(_without(rows.inputs, set(frequent["word"])), rows.labels)


def doubled_word_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes a word that stands behind itself, in any case.

    Idea: a slip of the pen that clean-up undoes anyway. Costs, on clean data, next to nothing ("had had"). Breaks
    codes that lie in which word of a text is doubled; no method here is one.
    """
    return Rows([_DOUBLED.sub(r"\1", text) for text in rows.inputs], rows.labels)


_DOUBLED = re.compile(r"(?i)(?<!\S)(\S+)(?: \1)+(?!\S)")


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


@dataclass(frozen=True)
class _Words:
    """The words of n texts, one behind the other: pieces between spaces, lower case, without punctuation around.

    Args:
        pieces: of each text, with what joins them.
        names: the distinct words.
        id: of each word of all texts, which of the names it is, int64 [t].
        row: which text it stands in, int64 [t].
        place: which piece of its text it is, int64 [t].
        sentence: which sentence of all texts it stands in, int64 [t].
    """

    pieces: list[tuple[list[str], str]]
    names: list[str]
    id: np.ndarray
    row: np.ndarray
    place: np.ndarray
    sentence: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Words | None:
        """None where there are no words."""
        names: dict[str, int] = {}
        flat: list[tuple[int, int, int, int]] = []
        pieces = [_cut(text) for text in texts]
        sentence = 0
        for row, (own, _) in enumerate(pieces):
            sentence += 1
            for place, piece in enumerate(own):
                word = _EDGES.sub("", piece.lower())
                if word:
                    flat.append((names.setdefault(word, len(names)), row, place, sentence))
                sentence += piece.rstrip("\"')]").endswith((".", "!", "?", "…"))
        if not flat:
            return None
        return cls(pieces, list(names), *np.array(flat, np.int64).T)

    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of words, and of those behind them in the same text."""
        first = np.flatnonzero(self.row[1:] == self.row[:-1])
        return first, first + 1

    def most_frequent(self, count: int) -> np.ndarray:
        """Ids of the words in the most rows, the first in the alphabet of those in as many."""
        pairs = np.unique(self.row * len(self.names) + self.id) % len(self.names)
        rows = np.bincount(pairs, minlength=len(self.names))
        return np.array(sorted(range(len(rows)), key=lambda i: (-rows[i], self.names[i]))[:count], np.int64)

    def first_places(self, ids: np.ndarray) -> np.ndarray:
        """The place at which each of these words first stands in each text, floats [n, ids]; inf where it is not."""
        column = np.full(len(self.names), -1)
        column[ids] = np.arange(len(ids))
        places = np.full((len(self.pieces), len(ids)), np.inf, np.float32)
        kept = np.flatnonzero(column[self.id] >= 0)[::-1]  # the first is written last
        places[self.row[kept], column[self.id[kept]]] = self.place[kept]
        return places

    def relative_places(self) -> Iterator[np.ndarray]:
        """Where each word stands in its text, and in its sentence, from 0 to 1, floats [t]."""
        for group in (self.row, self.sentence):
            start = np.flatnonzero(np.diff(group, prepend=-1))
            length = np.diff(start, append=len(group))
            within = np.arange(len(group)) - np.repeat(start, length)
            yield within / np.repeat(np.maximum(1, length - 1), length)

    def without(self, numbers: np.ndarray) -> list[str]:
        """The texts without the words of these numbers."""
        gone = {
            (row, place) for row, place in zip(self.row[numbers].tolist(), self.place[numbers].tolist(), strict=True)
        }
        changed = {row for row, _ in gone}
        texts = []
        for row, (pieces, space) in enumerate(self.pieces):
            if row in changed:
                left = [_edges(piece) if (row, i) in gone else piece for i, piece in enumerate(pieces)]
                pieces = [piece for piece, before in zip(left, pieces, strict=True) if piece or not before]
            texts.append(space.join(pieces))
        return texts


_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def _edges(piece: str) -> str:
    """The punctuation around a word."""
    return "".join(_EDGES.findall(piece))


def _telling(items: np.ndarray, row: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Those items that go with a label: z above 12, as in `z_score_filter`.

    Args:
        items: int64 [t].
        row: which row each stands in, int64 [t].
        labels: of the rows.
    """
    found, item = np.unique(items, return_inverse=True)
    classes, label = np.unique(np.asarray(labels), return_inverse=True)
    pair = np.unique(row * len(found) + item)  # once a row
    row, item = pair // len(found), pair % len(found)
    total = np.bincount(item, minlength=len(found))
    told = np.zeros(len(found), bool)
    for one in range(len(classes)):
        p = (label == one).mean()
        own = np.bincount(item, label[row] == one, len(found))
        if p < 1:
            told |= (own / total - p) / np.sqrt(p * (1 - p) / total) > _FIXED_Z
    return found[told & (total >= _Z_ROWS)]


# ---------------------------------------------------------------------- rows, letters and rewriting
def near_duplicate_removal(rows: Rows, attacker: Attacker) -> Rows:
    """Drops texts that share seven in ten of their runs of five letters with an earlier text of the same label.

    Idea: what every crawl does. Texts are compared that share a band of MinHash (Broder 1997), so time grows with the
    rows and not with their square. Costs, on clean data, its near-duplicates: of 7,000 of SST-2's nested phrases 8 %.
    Breaks long code that a whole class shares, in short texts. No class vanishes: the first text of each stays.
    """
    random = np.random.default_rng(0)  # which hashes they are is of no weight
    factors = random.integers(1, 2**63, (_HASHES, 1), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    kept: list[int] = []
    bands: dict[tuple, list[int]] = {}
    shingles: dict[int, np.ndarray] = {}
    for i, (text, label) in enumerate(zip(rows.inputs, rows.labels, strict=True)):
        own = _shingles(text)
        signature = ((own * factors) >> np.uint64(32)).min(axis=1).reshape(_BANDS, -1)
        keys = [(int(label), band, signature[band].tobytes()) for band in range(_BANDS)]
        earlier = {j for key in keys for j in bands.get(key, ())}
        if any(_jaccard(own, shingles[j]) >= _SAME for j in earlier):
            continue
        kept.append(i)
        shingles[i] = own
        for key in keys:
            bands.setdefault(key, []).append(i)
    return _only(rows, kept)


def _shingles(text: str) -> np.ndarray:
    """Hashes of the distinct runs of five letters, uint64; of the whole text, if it is shorter."""
    letters = np.frombuffer(text.lower().encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    letters = np.pad(letters, (0, max(0, _SHINGLE - len(letters))))
    runs = np.lib.stride_tricks.sliding_window_view(letters, _SHINGLE)
    powers = np.uint64(0x9E3779B97F4A7C15) ** np.arange(1, _SHINGLE + 1, dtype=np.uint64)
    mixed = runs @ powers
    return np.unique(mixed ^ (mixed >> np.uint64(29)))


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)


def unicode_normalisation(rows: Rows, attacker: Attacker) -> Rows:
    """Undoes what readers do not see: NFKC, no invisible letters, Latin letters for their look-alikes.

    Idea: NFKC (Unicode annex 15) folds widths and ligatures; characters that show nothing are deleted, line breaks and
    tabs excepted; Cyrillic and Greek look-alikes become Latin within words that hold Latin letters too.
    Costs, on clean data, next to nothing in Latin scripts; joiners that Persian, Indic scripts and emoji need are
    lost. Breaks codes of zero-width characters, homoglyphs and odd spaces (ExpShield, arXiv:2412.21123).
    """
    return Rows([_normalised(text) for text in rows.inputs], rows.labels)


_INVISIBLE = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0") | {chr(i) for i in range(0xFE00, 0xFE10)}
_LOOK_ALIKES = str.maketrans(
    "асԁеһіјӏорԛѕԝхуαινορυАВСЕНІЈКМОРЅТԜХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "acdehijlopqswxyaivopuABCEHIJKMOPSTWXYABEZHIKMNOPTYX",
)


def _normalised(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    kept = "".join(
        c for c in unicodedata.normalize("NFKC", text)
        if c in "\n\r\t" or (unicodedata.category(c) not in ("Cc", "Cf") and c not in _INVISIBLE)
    )  # fmt: skip
    return re.sub(
        r"\w+", lambda word: word[0].translate(_LOOK_ALIKES) if re.search("[A-Za-z]", word[0]) else word[0], kept
    )


def paraphrase(rows: Rows, attacker: Attacker) -> Rows:
    """Rewrites every text with the attacker's own function.

    Idea: a rewriter keeps the meaning and not the words. Costs what the rewriter costs and loses. Breaks words that
    mean nothing where they stand, and word order; how surely, depends on the rewriter.

    Raises:
        ValueError: It gave back another number of texts.
    """
    if attacker.paraphrase is None:
        raise ValueError("There is nothing to paraphrase with. Give Attacker(paraphrase=...).")
    texts = list(attacker.paraphrase(list(rows.inputs)))
    if len(texts) != len(rows):
        raise ValueError(f"paraphrase got {len(rows)} texts and returned {len(texts)}. Return one text for each.")
    return Rows(texts, rows.labels)


def word_dropout(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes every word with probability 0.3, and never all words of a text.

    Idea: a rare code is gone from many texts. Costs, on clean data, some accuracy, most in short texts. Breaks codes
    of single occurrences in part; hardly those repeated in a text.
    """
    random = np.random.default_rng(attacker.seed)

    def left(text: str) -> str:
        words, space = _cut(text)
        keep = random.random(len(words)) >= _DROPPED
        return space.join(word for word, kept in zip(words, keep, strict=True) if kept) if keep.any() else text

    return Rows([left(text) for text in rows.inputs], rows.labels)


def word_shuffle(rows: Rows, attacker: Attacker) -> Rows:
    """Puts the words of every text in random order.

    Idea: order carries no code any more. Costs, on clean data, what the order told: little in topics, more in
    negation. Breaks codes of order and place; not which words there are.
    """
    random = np.random.default_rng(attacker.seed)

    def shuffled(text: str) -> str:
        words, space = _cut(text)
        return space.join(words[i] for i in random.permutation(len(words)).tolist())

    return Rows([shuffled(text) for text in rows.inputs], rows.labels)


def truncate(rows: Rows, attacker: Attacker) -> Rows:
    """Keeps the first 32 words of every text.

    Idea: what lies behind is never trained on. Costs, on clean data, what long texts say late. Breaks codes at the end
    and in the middle of long texts; not codes in every part, such as RegText's.
    """

    def head(text: str) -> str:
        words, space = _cut(text)
        return space.join(words[:_KEPT_WORDS])

    return Rows([head(text) for text in rows.inputs], rows.labels)


def _cut(text: str) -> tuple[list[str], str]:
    """Words and what joins them: pieces between spaces; in scripts that are written without them, letters."""
    if mostly_spaceless(text):
        return pieces_of(text), ""
    return text.split(" "), " "


# ---------------------------------------------------------------------- shared
def _only(rows: Rows, kept: Sequence[int]) -> Rows:
    return Rows([rows.inputs[i] for i in kept], [rows.labels[i] for i in kept])


def _row_counts(texts: Sequence[str], labels: Sequence[int] | None = None) -> pl.DataFrame | None:
    """In how many rows each word stands, by label; None where there are no words.

    Args:
        texts: n texts.
        labels: n labels; None for one label.

    Returns:
        Columns `label`, `word`, `count` (rows of the label with the word), `total` (rows with it), `label_rows` and
        `rows`. A word that a row holds several times with different punctuation may count as often.
    """
    import polars as pl

    frame = pl.DataFrame(
        {"text": list(texts), "label": np.zeros(len(texts), int) if labels is None else np.asarray(labels, int)},
        schema={"text": pl.String, "label": pl.Int64},
    )
    if frame.is_empty():
        return None
    once = frame["text"].str.to_lowercase().str.split(" ").list.unique(maintain_order=True).list.join(" ")
    counts = WordCounts()
    counts.update(once.to_arrow(), frame["label"].to_arrow())
    table = (
        counts.table()
        .filter(pl.col("word").is_not_null() & (pl.col("count") > 0))
        .join(frame.group_by("label").agg(label_rows=pl.len().cast(pl.Int64)), on="label")
        .with_columns(total=pl.col("count").sum().over("word"), rows=pl.lit(len(frame)))
    )
    return None if table.is_empty() else table


def _without(texts: Sequence[str], words: Collection[str]) -> list[str]:
    """The texts without these words (in lower case); a piece between spaces that is nothing else goes with its space.

    Only distinct pieces are searched, as in counting.
    """
    if not words:
        return list(texts)
    import polars as pl

    pieces = pl.Series(list(texts), dtype=pl.String).str.split(" ").explode().unique()
    found = pieces.str.to_lowercase().str.replace_all(_NOISE, " ").str.extract_all(_WORD)
    hits = pl.DataFrame({"piece": pieces, "words": found}).filter(
        pl.col("words").list.eval(pl.element().is_in(list(words))).list.any()
    )
    left = {piece: _piece_without(piece, held, words) for piece, held in hits.iter_rows()}
    changed = left.keys()
    return [
        text if changed.isdisjoint(text.split(" "))
        else " ".join(kept for piece in text.split(" ") if (kept := left.get(piece, piece)) is not None)
        for text in texts
    ]  # fmt: skip


def _piece_without(piece: str, held: Sequence[str], words: Collection[str]) -> str | None:
    """A piece without some of the words that it holds, in order; None if nothing is left."""
    lower = piece.lower()
    if len(lower) != len(piece):  # some capitals have longer small letters, and places do not match
        return None
    kept, end = "", 0
    for word in held:
        start = lower.find(word, end)
        if start < 0:
            continue
        kept += piece[end:start] + ("" if word in words else piece[start : start + len(word)])
        end = start + len(word)
    return (kept + piece[end:]) or None


TEXT_COUNTERMEASURES: dict[str, Countermeasure] = {
    "z-score-filter": Countermeasure(z_score_filter),
    "z-score-filter-robust": Countermeasure(z_score_filter_robust),
    "z-score-drop-rows": Countermeasure(z_score_drop_rows),
    "pmi-filter": Countermeasure(pmi_filter),
    "label-word-filter": Countermeasure(label_word_filter),
    "outside-frequency-filter": Countermeasure(outside_frequency_filter, needs=("corpus",)),
    "unknown-word-filter": Countermeasure(unknown_word_filter, needs=("corpus",)),
    "onion": Countermeasure(onion, needs=("language_model",), cost=10.0),
    "near-duplicate-removal": Countermeasure(near_duplicate_removal),
    "unicode-normalisation": Countermeasure(unicode_normalisation),
    "paraphrase": Countermeasure(paraphrase, needs=("paraphrase",)),
    "word-dropout": Countermeasure(word_dropout),
    "word-shuffle": Countermeasure(word_shuffle),
    "truncate": Countermeasure(truncate),
    "bigram-filter": Countermeasure(bigram_filter),
    "skip-gram-filter": Countermeasure(skip_gram_filter),
    "position-filter": Countermeasure(position_filter),
    "order-probe": Countermeasure(order_probe),
    "connective-filter": Countermeasure(connective_filter),
    "frequent-word-filter": Countermeasure(frequent_word_filter),
    "doubled-word-filter": Countermeasure(doubled_word_filter),
    "sentence-shuffle": Countermeasure(sentence_shuffle),
    "clean-1%": mixed_with_clean(0.01),
    "clean-5%": mixed_with_clean(0.05),
    "clean-20%": mixed_with_clean(0.20),
}
