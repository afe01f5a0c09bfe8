"""Wrong labels, found before a dataset is protected: afterwards the protection agrees with every label."""

from __future__ import annotations

from typing import Any

from hf_unlearnable._extras import require
from hf_unlearnable.rows import has_label, require_columns

_FOLDS = 5


def suspicious_labels(dataset: Any, text_column: str = "text", label_column: str = "label") -> list[int]:
    """Rows whose label does not go with their text, the most suspicious first.

    Each row is judged by a model of word counts (TF-IDF with logistic regression) that did not see it; cleanlab tells
    which labels it disbelieves. Look at them before `fit`: a protected text agrees with its label, wrong or not, so
    that nobody finds the wrong ones afterwards.

    Args:
        dataset: A `Dataset` with texts and labels; rows without either are not judged.
        text_column: Column of texts.
        label_column: Column of labels.

    Returns:
        Numbers of rows.

    Raises:
        ImportError: cleanlab or scikit-learn is missing; the message has the line that installs them.
        ValueError: A column is missing, there are fewer than two classes, or one with fewer than five rows.
    """
    require("labels", "cleanlab", "sklearn")
    import numpy as np
    from cleanlab.filter import find_label_issues
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    require_columns(dataset.column_names, [text_column, label_column])
    feature = dataset.features.get(label_column)
    texts, labels = dataset[text_column][:], dataset[label_column][:]
    rows = [i for i, (text, label) in enumerate(zip(texts, labels, strict=True)) if text and has_label(label, feature)]
    classes, numbers = np.unique(np.array([labels[i] for i in rows]), return_inverse=True)
    if len(classes) < 2 or np.bincount(numbers).min() < _FOLDS:
        raise ValueError(
            f"Column {label_column!r} needs two classes or more with {_FOLDS} texts each, so that every text is "
            "judged by a model that did not see it. Leave rarer classes out, for example with dataset.filter."
        )
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), LogisticRegression(C=10))
    chances = cross_val_predict(model, [texts[i] for i in rows], numbers, cv=_FOLDS, method="predict_proba")
    found = find_label_issues(numbers, chances, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [rows[i] for i in found]
