"""The versions of a dataset that an audit compares, made and checked from the data alone, without key or method.

A protected accuracy means nothing by itself. It is read beside what training on only the unprotected rows reaches
(`dropped`) and beside the same dose of a change that tells nothing (`random_dose`), and it is worth nothing when the
two versions do not hold the same rows (`check_pair`) or the test was trained on (`check_test`). The attacker's own
clean rows come from `set_aside`, so that they are not among the published ones.

Inputs are compared by what they show: a protection may store an image that it left alone in another encoding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.audit.inputs import changed_rows, check_length, column_of, identities, trained_on
from hf_unlearnable.audit.records import Version
from hf_unlearnable.registry import modality_of
from hf_unlearnable.rows import require_columns

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


# ---------------------------------------------------------------------- checks
def check_pair(clean: Dataset, protected: Dataset, input_column: str, label_column: str) -> int:
    """Whether two datasets are a clean and a protected version of the same rows.

    Args:
        clean: The rows before.
        protected: The rows after, in the same order.
        input_column, label_column: Columns of both.

    Returns:
        How many rows the protection left as they were.

    Raises:
        ValueError: A column is missing, the rows or their labels differ, they hold other kinds of inputs, or
            nothing was protected. The message names the first row that differs.
    """
    for data in (clean, protected):
        require_columns(data.column_names, [input_column, label_column])
    before, after = (trained_on(data, input_column) for data in (clean, protected))
    if before is not after:
        raise ValueError(
            f"Column {input_column!r} holds {before.plural} in the clean version, {after.plural} in the other."
        )
    check_names(clean, protected, label_column, "protected")
    labels = column_of(clean, label_column), column_of(protected, label_column)
    first = next((i for i, (one, two) in enumerate(zip(*labels, strict=False)) if one != two), None)
    if first is not None or len(clean) != len(protected):
        shorter = min(len(clean), len(protected))
        said = (
            f"Row {shorter} is in one of them only"
            if first is None
            else f"Row {first} has the label {labels[0][first]!r} in the clean and {labels[1][first]!r} in the "
            "protected version"
        )
        raise ValueError(
            f"The clean version has {len(clean)} rows, the protected one {len(protected)}. {said}. Both must hold the "
            "same rows in the same order: if they have an id column, sort both by it (dataset.sort), and leave out "
            "rows that only one of them holds."
        )
    unchanged = len(clean) - int(changed_rows(clean, protected, input_column).sum())
    if unchanged == len(clean):
        raise ValueError(
            f"All {len(clean)} rows are the same in both versions: the data was never protected. Give the file that "
            "the protection wrote."
        )
    return unchanged


def check_test(train: Dataset, test: Dataset, input_column: str, label_column: str) -> int:
    """Whether a test measures what was learned from training rows.

    A class that no test row has, and test rows that are training rows too, are warned of by logging.

    Args:
        train: The clean training rows.
        test: The clean test rows.
        input_column, label_column: Columns of both.

    Returns:
        How many test rows are training rows too: what they show is the same.

    Raises:
        ValueError: A column is missing, or the test has labels that no training row has.
    """
    for data in (train, test):
        require_columns(data.column_names, [input_column, label_column])
    check_names(train, test, label_column, "test")
    known, tested = set(column_of(train, label_column)), set(column_of(test, label_column))
    if tested - known:
        raise ValueError(
            f"The test has the labels {_listed(tested - known)}, which no training row has (those have "
            f"{_listed(known)}). Give the test of this dataset, or filter these rows out."
        )
    if known - tested:
        logger.warning("No test row has the labels %s: the accuracy says nothing about them.", _listed(known - tested))
    trained = set(identities(train, input_column))
    both = sum(identity in trained for identity in identities(test, input_column))
    if both:
        logger.warning(
            "%d of %d test rows are training rows too: what is only remembered counts as learned. Remove them from "
            "one of the two.", both, len(test),
        )  # fmt: skip
    return both


def check_names(one: Dataset, two: Dataset, label_column: str, what: str) -> None:
    """Numbers that stand for other classes in two datasets would be compared as if they were the same."""
    names = [getattr(data.features[label_column], "names", None) for data in (one, two)]
    for number, (first, second) in enumerate(zip(names[0] or (), names[1] or (), strict=False)):
        if first != second:
            raise ValueError(
                f"The label {number} is {first!r} in the training data and {second!r} in the {what} data. Number the "
                f"classes alike, for example with dataset.align_labels_with_mapping(..., {label_column!r})."
            )


def _listed(labels: Iterable[Any]) -> str:
    return ", ".join(sorted(map(repr, labels)))


# ---------------------------------------------------------------------- versions
def dropped(clean: Dataset, protected: Dataset, input_column: str) -> Dataset:
    """Only the rows that the protection left as they were: what is learned although the protected ones are ignored.

    Args:
        clean: The rows before.
        protected: The rows after, in the same order.
        input_column: Column of both.
    """
    return clean.select(np.flatnonzero(~changed_rows(clean, protected, input_column)))


def set_aside(
    clean: Dataset, protected: Dataset, share: float, seed: int, label_column: str
) -> tuple[Dataset, Dataset, Dataset]:
    """Splits the pairs, class by class, into those that are published and clean rows that an adversary has.

    Of a class with two rows or more at least one goes to either side, unless the share is 0.

    Args:
        clean: The rows before.
        protected: The rows after, in the same order.
        share: Of the rows that the adversary has, from 0 to below 1.
        seed: Of the draw.
        label_column: Column of `clean`.

    Returns:
        The clean and the protected version of the published rows, and the adversary's clean rows.

    Raises:
        ValueError: The share is out of its range, or the two versions differ in length.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}, but it is a share of the rows: give a number from 0 to below 1.")
    check_length(clean, protected)
    labels = np.array(column_of(clean, label_column))
    random = np.random.default_rng(seed)
    aside = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(share * len(rows))), len(rows) - 1) if share else 0
        aside[rows[:count]] = True
    published = np.flatnonzero(~aside)
    return clean.select(published), protected.select(published), clean.select(np.flatnonzero(aside))


def random_dose(clean: Dataset, protected: Dataset, input_column: str, *, seed: int) -> Dataset:
    """The clean rows with as much change as the protected ones have, but a change that does not follow the label.

    Of what kind it is, the modality says, see `Modality.random_dose`.

    What is drawn depends on the seed and on the clean rows, not on their order nor on their labels. Which rows change,
    and how many words of a text, is as the protection has it: if that differs by class, it still does.

    Args:
        clean: The rows before.
        protected: The rows after, in the same order.
        input_column: Column of both.
        seed: Whole number in [0, 2**64).

    Returns:
        `clean` with its inputs changed, the same features; changed files stored without loss.

    Raises:
        ValueError: The versions differ in length, or the two versions of a row cannot be compared.
    """
    check_length(clean, protected)
    return modality_of(clean.features, input_column).random_dose(clean, protected, input_column, seed)


def versions_of(clean: Dataset, protected: Dataset, column: str, shares: Sequence[float]) -> list[Version]:
    """What an attack trains on: clean, protected, dropped, random, and shares of the protected rows beside clean ones.

    Args:
        clean, protected: The rows before and after, in the same order.
        column: The protected one.
        shares: Of the protected rows, from 0 to 1; for data that is protected whole.
    """
    left = dropped(clean, protected, column)
    share = 1 - len(left) / len(clean)
    versions = [
        Version("clean", clean, "clean", share=0.0),
        Version("protected", protected, "protected", share=share),
        Version("protected rows dropped", left, "dropped", share=share),
        Version("random change, same dose", random_dose(clean, protected, column, seed=0), "random", share=share),
    ]
    order = np.random.default_rng(0).permutation(len(clean))
    for part in shares:
        there = np.zeros(len(clean), bool)
        there[order[: round(part * len(clean))]] = True
        if share == 1.0 and 0 < there.sum() < len(clean):
            name = f"{100 * part:.0f} % of the rows"
            versions += [
                Version(f"{name} protected", _mixed(clean, protected, there), "partly", share=part),
                Version(f"{name} dropped", clean.select(np.flatnonzero(~there)), "dropped", share=part),
            ]
    return versions


def _mixed(clean: Dataset, protected: Dataset, use_protected: np.ndarray) -> Dataset:
    """The rows in their order, each from one of two versions."""
    from datasets import concatenate_datasets

    both = concatenate_datasets([clean, protected.cast(clean.features)])
    return both.select(np.arange(len(clean)) + len(clean) * use_protected)
