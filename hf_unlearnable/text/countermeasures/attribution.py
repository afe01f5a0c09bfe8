"""Filters by what a model takes from the words: those it relies on most, those that do not carry over, odd rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures.words import Words, only

_PER_CLASS = 100  # words that are deleted, for each class,
_TENTH = 0.1  # and this share of the distinct words at most
_LOOKED_AT = 2  # times as many, where some of them are spared
_KEPT = 0.7  # of the rows of a label
_FOLDS = 5


def attribution_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes the words that a model of the published rows relies on most: a hundred for each class.

    Idea: a protection changes what a model takes from the words, so its words weigh most. They are those of a code, or
    those that were balanced until they speak for another class. A word's attribution is its weight in a logistic
    regression on the words of a text, times the number of texts that hold it. Words that say something go too, and
    the many that were left alone still say it. Spurious tokens are found like this by Wang et al. (NAACL 2022
    Findings, arXiv:2110.07736), who need a second dataset to tell them from others. At most a tenth of the distinct
    words is deleted.
    Costs, on clean data, seven points of 75 (SST-2, TF-IDF on 3,000 rows). Breaks `word-balance` with a hundred words
    per class, and RegText.
    """
    return _without_relied_on(rows, lambda words, classes, weights, best: best)


def attribution_transfer_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes the words that a model of the published rows relies on, and a model of the attacker's own rows does not.

    Idea: of twice as many words as in `attribution_filter` those are spared whose weights point the same way in both
    models. Words that the attacker's clean rows do not hold are deleted. Paper: Wang et al., NAACL 2022 Findings,
    arXiv:2110.07736, whose second dataset is these clean rows. Costs, on clean data, two points of 75 with 600 rows.
    Breaks what `attribution_filter` breaks, and `word-balance` of more words in part.
    """
    if attacker.clean is None:
        raise ValueError("There is nothing to compare attributions with. Give Attacker(clean=Rows(...)).")
    own, own_labels = Words.of(attacker.clean.inputs), np.asarray(attacker.clean.labels)

    def not_shared(words: Words, classes: np.ndarray, weights: np.ndarray, best: np.ndarray) -> np.ndarray:
        theirs = np.zeros_like(weights)
        if own is not None and len(set(own_labels.tolist())) > 1:
            known, told = _weights(own, own_labels)
            _, here, there = np.intersect1d(words.names, own.names, return_indices=True)
            _, ours, mine = np.intersect1d(classes, known, return_indices=True)
            theirs[np.ix_(ours, here)] = told[np.ix_(mine, there)]
        return best[(weights * theirs).sum(0)[best] <= 0]

    return _without_relied_on(rows, not_shared, _LOOKED_AT)


def lexicon_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes the words of a text that speak for another class in the attacker's own rows.

    Idea: an attacker who knows the words of each class takes out those that contradict the label. The lexicon is made
    of the attacker's clean rows, of this data or of other data of the same task. A word belongs to another class when
    1.5 times as large a share of that class's rows holds it, and two rows at least.
    Costs, on clean data, what authors say against their own verdict: eight points of 75 with 600 rows of SST-2. Breaks
    `word-balance` as far as the lexicon goes: 600 rows give TF-IDF less than they teach alone.
    """
    if attacker.clean is None:
        raise ValueError("There is nothing to make a lexicon of. Give Attacker(clean=Rows(...)).")
    words, own = Words.of(rows.inputs), Words.of(attacker.clean.inputs)
    if words is None or own is None:
        return rows
    known, label = np.unique(np.asarray(attacker.clean.labels), return_inverse=True)
    row, word = _once(own)
    held = np.zeros((len(known), len(own.names)))
    np.add.at(held, (label[row], word), 1)
    share = (held + 0.5) / (np.bincount(label)[:, None] + 1)
    _, here, there = np.intersect1d(words.names, own.names, return_indices=True)
    of_own = np.full(len(words.names), -1)
    of_own[here] = there
    gone = []
    for number, one in enumerate(known):
        others = np.delete(share, number, 0)
        if not len(others):
            break
        contrary = (others.max(0) >= 1.5 * share[number]) & (held.sum(0) >= 2)
        of_label = np.asarray(rows.labels)[words.row] == one
        gone.append(np.flatnonzero(of_label & (of_own[words.id] >= 0) & contrary[of_own[words.id]]))
    return Rows(words.without(np.concatenate(gone)) if gone else rows.inputs, rows.labels)


def small_loss_selection(rows: Rows, attacker: Attacker) -> Rows:
    """Keeps the seven tenths of each label's rows that a model finds likeliest under their label.

    Idea: a model learns what is regular first, and what is wrong last, so rows of high loss are left out. The loss of
    a row is that of a model that did not see it: logistic regression on TF-IDF, in five folds. Paper: co-teaching (Han
    et al., NeurIPS 2018, arXiv:1804.06872), whose selection is made once here, before training. Costs, on clean data,
    hard rows. Breaks wrong labels on a part of the rows. Where all rows are protected alike it keeps those that are
    most so.
    """
    labels = np.asarray(rows.labels)
    counts = np.unique(labels, return_counts=True)[1] if len(rows) else np.zeros(0, int)
    if len(counts) < 2 or counts.min() < _FOLDS or Words.of(rows.inputs) is None:
        return rows
    require("attack", "sklearn")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from threadpoolctl import threadpool_limits

    features = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+").fit_transform(rows.inputs)
    model = LogisticRegression(C=10, max_iter=1000)
    classes, label = np.unique(labels, return_inverse=True)
    with threadpool_limits(1, "blas"):
        shares = cross_val_predict(model, features, label, cv=_FOLDS, method="predict_proba")
    likely = shares[np.arange(len(label)), label]
    kept: list[int] = []
    for one in range(len(classes)):
        own = np.flatnonzero(label == one)
        kept += own[np.argsort(-likely[own], kind="stable")[: round(_KEPT * len(own))]].tolist()
    return only(rows, sorted(kept))


def disagreement_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Drops rows to which the attacker's own model gives another label.

    Idea: a model that never saw the published rows labels them, such as a language model that is asked as it is. A row
    that contradicts it was tampered with, or is hard. A label of which no row would be left keeps all of them. Costs,
    on clean data, the rows that the model gets wrong. Breaks contradicting words where the model is good: compare with
    it alone.
    """
    own = _own_labels(rows, attacker)
    agrees = own == np.asarray(rows.labels)
    left = set(np.asarray(rows.labels)[agrees].tolist())
    return only(rows, [i for i, label in enumerate(rows.labels) if agrees[i] or label not in left])


def relabel(rows: Rows, attacker: Attacker) -> Rows:
    """Gives the rows the labels of the attacker's own model.

    Idea: as `disagreement_filter`, but no row is lost. The published rows lend their texts only, and a victim learns
    what that model says of them. Costs, on clean data, its errors. Breaks protections that do not deceive it: compare
    with it alone.
    """
    return Rows(rows.inputs, _own_labels(rows, attacker).tolist())


def _own_labels(rows: Rows, attacker: Attacker) -> np.ndarray:
    if attacker.label is None:
        raise ValueError("There is no model of its own to label with. Give Attacker(label=...).")
    labels = np.asarray(attacker.label(list(rows.inputs)), int)
    if labels.shape != (len(rows),):
        raise ValueError(f"label got {len(rows)} texts and returned labels of shape {labels.shape}. Return one each.")
    return labels


def _without_relied_on(rows: Rows, chosen: Callable[..., np.ndarray], factor: int = 1) -> Rows:
    """The rows without those of the words of highest attribution that are chosen."""
    words = Words.of(rows.inputs)
    if words is None or len(set(rows.labels)) < 2:
        return rows
    classes, weights = _weights(words, np.asarray(rows.labels))
    frequency = np.bincount(_once(words)[1], minlength=len(words.names))
    attribution = (weights.max(0) - weights.min(0)) * frequency
    count = min(factor * _PER_CLASS * len(classes), int(_TENTH * len(words.names)))
    best = np.argsort(-attribution, kind="stable")[:count]
    gone = np.isin(words.id, chosen(words, classes, weights, best))
    return Rows(words.without(np.flatnonzero(gone)), rows.labels)


def _weights(words: Words, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes [k], and the weight of each word for each, floats [k, words], of a logistic regression on words."""
    require("attack", "sklearn")
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    row, word = _once(words)
    held = csr_matrix((np.ones(len(row), np.float32), (row, word)), (len(words.pieces), len(words.names)))
    with threadpool_limits(1, "blas"):  # threads that wait for each other take many times as long
        model = LogisticRegression(max_iter=1000).fit(held, labels)
    weights = model.coef_
    return model.classes_, np.concatenate([-weights, weights]) / 2 if len(weights) == 1 else weights


def _once(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Row and word of each word that a row holds, once however often it stands there."""
    pairs = np.unique(words.row * len(words.names) + words.id)
    return pairs // len(words.names), pairs % len(words.names)
