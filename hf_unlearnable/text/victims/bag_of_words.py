"""Victims that count words and do not see their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Training, class_indices, victim


@victim("text", hooks=("on_epoch",))
def tfidf_logistic_regression(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: Training,
    *,
    C: float = 10.0,  # noqa: N803, scikit-learn's name
    ngram_range: tuple[int, int] = (1, 2),
) -> np.ndarray:
    """Logistic regression on TF-IDF weighted words and word pairs: seconds, and strong when words give the label away.

    Nothing here is random: all seeds give the same answer.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: seed and `on_epoch`, which is called once.
        C: inverse strength of the L2 penalty, above 0.
        ngram_range: shortest and longest n-gram counted, in words.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: no test texts, or train_labels that are not one integer per text from at least two classes.
    """
    require("attack", "sklearn")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(C=C, max_iter=1000, random_state=training.seed)
    return _fit_and_predict(
        TfidfVectorizer(ngram_range=ngram_range), classifier, train_texts, train_labels, test_texts, training
    )


@victim("text", hooks=("on_epoch",))
def naive_bayes(
    train_texts: Sequence[str], train_labels: Sequence[int], test_texts: Sequence[str], training: Training
) -> np.ndarray:
    """Multinomial naive Bayes on word counts: every word weighs by itself, so an inserted one hides no other.

    Data, result and errors are those of `tfidf_logistic_regression`, and nothing here is random either.
    """
    require("attack", "sklearn")
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    return _fit_and_predict(CountVectorizer(), MultinomialNB(), train_texts, train_labels, test_texts, training)


def _fit_and_predict(
    vectorizer: Any,
    classifier: Any,
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: Training,
) -> np.ndarray:
    """What the two victims that count words share, with scikit-learn's vectorizer and classifier."""
    classes, targets = class_indices(train_texts, train_labels, test_texts)
    words = vectorizer.build_analyzer()
    if not any(words(text) for text in train_texts):  # such as where only empty texts were left unprotected
        guess = np.bincount(targets).argmax()
        predicted = np.full(len(test_texts), classes[guess])
        if training.on_epoch is not None:
            training.on_epoch(float((targets == guess).mean()), predicted.copy())
        return predicted
    from threadpoolctl import threadpool_limits

    counts = vectorizer.fit_transform(train_texts)
    with threadpool_limits(1, "blas"):  # on a busy machine, threads that wait for each other take 3.5 times as long
        classifier.fit(counts, targets)
    predicted = classes[classifier.predict(vectorizer.transform(test_texts))]
    if training.on_epoch is not None:
        training.on_epoch(float((classifier.predict(counts) == targets).mean()), predicted.copy())
    return predicted
