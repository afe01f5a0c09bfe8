"""The versions of a data set that an audit compares, made and checked from the data alone, without key or method.

A protected accuracy means nothing by itself. It is read beside what training on only the unprotected rows reaches
(`dropped`) and beside the same dose of a change that tells nothing (`random_dose`), and it is worth nothing when the
two versions do not hold the same rows (`check_pair`) or the test was trained on (`check_test`). Whoever attacks with
clean rows of its own takes them from `set_aside`, so that they are not among the published ones.

Inputs are texts (a column of strings) or images (a column of `datasets.Image`). Images are compared by their decoded
pixels: a protection may store a row that it left alone in another encoding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.audit.inputs import (
    changed_rows,
    check_length,
    column_of,
    identities,
    inputs,
    kind,
    naming,
    same,
    stored,
)
from hf_unlearnable.image.codec import Picture, decode, like
from hf_unlearnable.image.dose import random_pixels
from hf_unlearnable.key import draws, row_stream
from hf_unlearnable.text.counting import WordCounts
from hf_unlearnable.text.dose import random_words
from hf_unlearnable.transform import require_columns

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


# ---------------------------------------------------------------------- checks
def check_pair(clean: Dataset, protected: Dataset, input_column: str, label_column: str) -> int:
    """Whether two data sets are a clean and a protected version of the same rows.

    Args:
        clean: The rows before.
        protected: The rows after, in the same order.
        input_column, label_column: Columns of both.

    Returns:
        How many rows the protection left as they were.

    Raises:
        ValueError: A column is missing, the rows or their labels differ, one holds texts and the other images, or
            nothing was protected. The message names the first row that differs.
    """
    for data in (clean, protected):
        require_columns(data.column_names, [input_column, label_column])
    kinds = kind(clean, input_column), kind(protected, input_column)
    if kinds[0] != kinds[1]:
        raise ValueError(f"Column {input_column!r} holds {kinds[0]}s in the clean version, {kinds[1]}s in the other.")
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
        How many test rows are training rows too: the same text, or the same pixels.

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
            f"{_listed(known)}). Give the test of this data set, or filter these rows out."
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
    """Numbers that stand for other classes in two data sets would be compared as if they were the same."""
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

    Texts. Where the protection only put words in, other words stand at the same places, each drawn from all different
    words of the clean texts. Where it did more, as many words as differ between the two texts are replaced, put in or
    taken out at places drawn at random: at their own places they might be the very words that tell the label. A
    change of white space alone, or of the order of words, is not imitated.

    Images. Each protected row gets the change of levels of another protected row, drawn at random, with the pixels in
    a random order (the channels of a pixel stay together). The change of every row is used once, so that over all rows
    its histogram and its bound are the same. A row's own change will not do, in whatever order: its mean and its
    spread name the class (of 3,000 CIFAR-10 images protected by textures, a linear model read it right in 99.8 % of
    the rows). A level that would leave [0, 255] stays at the edge, and what is cut off is not made up for elsewhere.

    What is drawn depends on the seed and on the clean rows, not on their order nor on their labels. Which rows change,
    and how many words of a text, is as the protection has it: if that differs by class, it still does.

    Args:
        clean: The rows before.
        protected: The rows after, in the same order.
        input_column: Column of both.
        seed: Whole number in [0, 2**64).

    Returns:
        `clean` with its inputs changed, the same features; changed images as PNG.

    Raises:
        ValueError: The versions differ in length, or an image has another size or another number of channels after.
    """
    from datasets import concatenate_datasets

    check_length(clean, protected)
    before, after = (stored(data.select_columns([input_column]), input_column) for data in (clean, protected))
    change: Callable[..., dict[str, list]]
    if kind(clean, input_column) == "image":
        donors = _donors(before, after, input_column, seed)
        change = partial(_random_pixels, column=input_column, seed=seed)
        given = [before.select(donors), after.select(donors)]
    else:
        vocabulary = _vocabulary(clean, input_column)
        change, given = partial(_random_words, column=input_column, seed=seed, vocabulary=vocabulary), [after]
    names = [f"{input_column}, given {i}" for i in range(len(given))]
    given = [data.rename_column(input_column, name) for data, name in zip(given, names, strict=True)]
    return concatenate_datasets([stored(clean, input_column), *given], axis=1).map(
        change, input_columns=[input_column, *names], batched=True, batch_size=100, remove_columns=names,
        features=clean.features, desc="Random change of the same dose",
    )  # fmt: skip


def _random_words(
    befores: Sequence[str | None], afters: Sequence[str | None], *, column: str, seed: int, vocabulary: Sequence[str]
) -> dict[str, list]:
    return {
        column: [
            before
            if before == after or before is None or after is None
            else random_words(before, after, row_stream(before.encode(), seed), vocabulary)
            for before, after in zip(befores, afters, strict=True)
        ]
    }


def _random_pixels(
    values: Sequence[dict], befores: Sequence[dict], afters: Sequence[dict], *, column: str, seed: int
) -> dict[str, list]:
    """Images with the changes of their donors; an image without a change is its own."""
    changed = []
    for value, before, after in zip(values, befores, afters, strict=True):
        if same(before, after):
            changed.append(value)
            continue
        picture = decode(value)
        change = decode(after).levels.astype(np.int16) - decode(before).levels
        levels = random_pixels(picture.levels, change, row_stream(picture.content, seed))
        changed.append(like(value, Picture(levels, picture.alpha, picture.icc_profile), "png"))
    return {column: changed}


def _donors(clean: Dataset, protected: Dataset, column: str, seed: int) -> np.ndarray:
    """Of each row the one whose change it gets, int64 [n]: a permutation of the changed rows of as many channels.

    The rows are ordered twice, by what is drawn for their content. A row's donor has its place in the other order.
    """
    donors = np.arange(len(clean))
    streams = np.zeros(len(clean), np.uint64)
    channels = np.zeros(len(clean), np.int8)  # 0 for rows without a change
    for row, (before, after) in enumerate(zip(inputs(clean, column), inputs(protected, column), strict=True)):
        with naming(row, column):
            if same(before, after):
                continue
            one, two = decode(before), decode(after)
        if two.levels.shape != one.levels.shape:
            raise ValueError(
                f"Row {row}, column {column!r}: the image has {one.levels.shape} levels before and {two.levels.shape} "
                "after, and their difference cannot be taken. Give versions of the same size and channels."
            )
        streams[row], channels[row] = row_stream(one.content, seed), one.levels.shape[2]
    for rows in (np.flatnonzero(channels == 1), np.flatnonzero(channels == 3)):
        orders = [draws(streams[rows], np.full(len(rows), i, np.uint64)) for i in (0, 1)]
        takers, givers = (rows[np.argsort(order, kind="stable")] for order in orders)
        donors[takers] = givers
    return donors


def _vocabulary(clean: Dataset, column: str) -> list[str]:
    """All different words of the texts, sorted."""
    import pyarrow as pa

    counts = WordCounts()
    for table in clean.select_columns([column]).with_format("arrow").iter(batch_size=10_000):
        texts = table[column].combine_chunks()
        counts.update(texts, pa.array(np.zeros(len(texts), np.int8)))
    words = counts.table()["word"].drop_nulls().sort().to_list()
    if not words:
        raise ValueError(f"Column {column!r} of the clean version holds no words, so there are none to put in.")
    return words
