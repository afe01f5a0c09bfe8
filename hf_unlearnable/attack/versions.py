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
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.image.codec import ImageError, Picture, decode, like
from hf_unlearnable.image.transform import add_levels
from hf_unlearnable.key import draws, row_stream
from hf_unlearnable.text.counting import WordCounts
from hf_unlearnable.text.insertion import _SPACELESS
from hf_unlearnable.transform import require_columns

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

_PROTECTED = "protected input"  # column of the protected inputs beside the clean ones
# A character of white space, a letter of a script that is written without spaces, or a run of anything else.
_TOKEN = re.compile(rf"\s|[{_SPACELESS}]|[^\s{_SPACELESS}]+")
_WORD_DRAWS, _ORDER_DRAWS, _PLACE_DRAWS = 0, 1 << 32, 2 << 32  # where in a row's stream they start


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
    kinds = _kind(clean, input_column), _kind(protected, input_column)
    if kinds[0] != kinds[1]:
        raise ValueError(f"Column {input_column!r} holds {kinds[0]}s in the clean version, {kinds[1]}s in the other.")
    _check_names(clean, protected, label_column, "protected")
    labels = _column(clean, label_column), _column(protected, label_column)
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
    unchanged = len(clean) - int(_changed(clean, protected, input_column).sum())
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
    _check_names(train, test, label_column, "test")
    known, tested = set(_column(train, label_column)), set(_column(test, label_column))
    if tested - known:
        raise ValueError(
            f"The test has the labels {_listed(tested - known)}, which no training row has (those have "
            f"{_listed(known)}). Give the test of this data set, or filter these rows out."
        )
    if known - tested:
        logger.warning("No test row has the labels %s: the accuracy says nothing about them.", _listed(known - tested))
    trained = set(_identities(train, input_column))
    both = sum(identity in trained for identity in _identities(test, input_column))
    if both:
        logger.warning(
            "%d of %d test rows are training rows too: what is only remembered counts as learned. Remove them from "
            "one of the two.", both, len(test),
        )  # fmt: skip
    return both


def _check_names(one: Dataset, two: Dataset, label_column: str, what: str) -> None:
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
    return clean.select(np.flatnonzero(~_changed(clean, protected, input_column)))


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
    _check_length(clean, protected)
    labels = np.array(_column(clean, label_column))
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
    change of white space only is not imitated.

    Images. The row's own change of levels, its pixels in a random order (the channels of a pixel stay together). Its
    histogram and largest value are the same. A level that would leave [0, 255] stays at the edge, and what is cut off
    is not made up for elsewhere: some rows change a little less than the protected ones.

    What is drawn depends on the seed and the clean row, so equal rows change alike in any order. How much a row
    changes, and which colours an image's change has, is the protection's own doing: if that differs by class, it still
    does.

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

    _check_length(clean, protected)
    options = {"column": input_column, "seed": seed}
    if _kind(clean, input_column) == "image":
        change = partial(_random_pixels, **options)
    else:
        change = partial(_random_words, **options, vocabulary=_vocabulary(clean, input_column))
    after = _stored(protected, input_column).select_columns([input_column]).rename_column(input_column, _PROTECTED)
    return concatenate_datasets([_stored(clean, input_column), after], axis=1).map(
        change, input_columns=[input_column, _PROTECTED], with_indices=True, batched=True, batch_size=100,
        remove_columns=[_PROTECTED], features=clean.features, desc="Random change of the same dose",
    )  # fmt: skip


# ---------------------------------------------------------------------- texts
def _random_words(
    befores: Sequence[str | None],
    afters: Sequence[str | None],
    rows: Sequence[int],
    *,
    column: str,
    seed: int,
    vocabulary: Sequence[str],
) -> dict[str, list]:
    changed = []
    for before, after, row in zip(befores, afters, rows, strict=True):
        if before == after or before is None or after is None:
            changed.append(before)
            continue
        if not vocabulary:
            raise ValueError(f"Column {column!r} holds no words, so there are none to put into row {row}.")
        stream = row_stream(before.encode(), seed)
        clean, protected = _TOKEN.findall(before), _TOKEN.findall(after)
        is_new = _is_new(clean, protected)
        if is_new is None:
            changed.append(_edited(clean, protected, stream, vocabulary))
        else:
            words = iter(_drawn(stream, sum(is_new), vocabulary))
            changed.append("".join(_with_other_words(protected, is_new, words)))
    return {column: changed}


def _is_new(before: list[str], after: list[str]) -> list[bool] | None:
    """Which tokens of `after` were put in; None if more than that was done to `before`."""
    is_new, i = [], 0
    for token in after:
        kept = i < len(before) and token == before[i]
        is_new.append(not kept)
        i += kept
    return is_new if i == len(before) else None


def _with_other_words(tokens: list[str], is_new: list[bool], words: Iterator[str]) -> Iterator[str]:
    """The tokens, with every new word replaced by the next one of `words`."""
    for new, group in groupby(range(len(tokens)), key=is_new.__getitem__):
        piece = "".join([tokens[i] for i in group])
        if not new:
            yield piece
        elif not piece.isspace():
            yield re.sub(r"\S+", lambda match: next(words), piece)


def _edited(before: list[str], after: list[str], stream: int, vocabulary: Sequence[str]) -> str:
    """A text with as many words replaced, put in and taken out at random as two texts differ in.

    The words that differ are counted regardless of their places: an alignment takes quadratic time, minutes for a
    book, and only their number is needed. A change of the order of words counts as none.
    """
    places = [i for i, token in enumerate(before) if not token.isspace()]
    old, new = (Counter(token for token in tokens if not token.isspace()) for tokens in (before, after))
    removed, added = (old - new).total(), (new - old).total()
    tokens, replaced = list(before), min(removed, added)
    words = _drawn(stream, added, vocabulary)
    order = np.argsort(_bits(stream, _ORDER_DRAWS, len(places)), kind="stable").tolist()
    for k, word in zip(order, words[:replaced], strict=False):
        tokens[places[k]] = word
    for k in order[replaced:removed]:
        place = places[k]
        tokens[place : place + 2] = [
            "",
            *("" if token.isspace() else token for token in tokens[place + 1 : place + 2]),
        ]
    for word, bits in zip(words[replaced:], _bits(stream, _PLACE_DRAWS, added - replaced).tolist(), strict=True):
        k = bits % (len(places) + 1)
        if k < len(places):
            tokens[places[k]] = f"{word} {tokens[places[k]]}"
        else:
            tokens.append(f" {word}")
    return "".join(tokens)


def _vocabulary(clean: Dataset, column: str) -> list[str]:
    """All different words of the texts, sorted."""
    import pyarrow as pa

    counts = WordCounts()
    for table in clean.select_columns([column]).with_format("arrow").iter(batch_size=10_000):
        texts = table[column].combine_chunks()
        counts.update(texts, pa.array(np.zeros(len(texts), np.int8)))
    return counts.table()["word"].drop_nulls().sort().to_list()


def _drawn(stream: int, count: int, vocabulary: Sequence[str]) -> list[str]:
    return [vocabulary[bits % len(vocabulary)] for bits in _bits(stream, _WORD_DRAWS, count).tolist()]


def _bits(stream: int, start: int, count: int) -> np.ndarray:
    """Draws of a row's stream, from number `start` on: uint64 [count]."""
    return draws(np.full(count, stream, np.uint64), np.arange(start, start + count, dtype=np.uint64))


# ---------------------------------------------------------------------- images
def _random_pixels(
    befores: Sequence[dict], afters: Sequence[dict], rows: Sequence[int], *, column: str, seed: int
) -> dict[str, list]:
    changed = []
    for before, after, row in zip(befores, afters, rows, strict=True):
        if _same(before, after, row, column):
            changed.append(before)
            continue
        one, two = _opened(before, row, column), _opened(after, row, column)
        height, width, channels = one.levels.shape
        if two.levels.shape != one.levels.shape:
            raise ValueError(
                f"Row {row}, column {column!r}: {one.levels.shape} levels before and {two.levels.shape} after. The "
                "change can be measured only where size and channels are the same: protect the images before they are "
                "resized or converted."
            )
        noise = (two.levels.astype(np.int16) - one.levels).reshape(height * width, channels)
        order = np.argsort(_bits(row_stream(one.content, seed), _ORDER_DRAWS, len(noise)), kind="stable")
        levels = add_levels(one.levels, noise[order].reshape(one.levels.shape))
        changed.append(like(before, Picture(levels, one.alpha, one.icc_profile), "png"))
    return {column: changed}


# ---------------------------------------------------------------------- reading
def _check_length(clean: Dataset, protected: Dataset) -> None:
    if len(clean) != len(protected):
        raise ValueError(
            f"The clean version has {len(clean)} rows, the protected one {len(protected)}: they do not hold the same "
            "rows. check_pair names the first one that differs."
        )


def _kind(dataset: Dataset, column: str) -> str:
    from datasets import Image, Value

    require_columns(dataset.column_names, [column])
    feature = dataset.features[column]
    if isinstance(feature, Image):
        return "image"
    if isinstance(feature, Value) and feature.dtype in ("string", "large_string"):
        return "text"
    raise ValueError(
        f"Column {column!r} is of type {feature}, neither text nor image. Name the column of inputs, or cast it with "
        "dataset.cast_column to datasets.Value('string') or datasets.Image()."
    )


def _column(dataset: Dataset, column: str) -> list:
    return dataset.with_format(None)[column][:]


def _stored(dataset: Dataset, column: str) -> Dataset:
    """The data set with images as they are stored, not decoded."""
    from datasets import Image

    dataset = dataset.with_format(None)
    return dataset if _kind(dataset, column) == "text" else dataset.cast_column(column, Image(decode=False))


def _inputs(dataset: Dataset, column: str) -> Iterator[Any]:
    for batch in _stored(dataset.select_columns([column]), column).iter(batch_size=100):
        yield from batch[column]


def _changed(clean: Dataset, protected: Dataset, column: str) -> np.ndarray:
    """Which rows differ, bool [n]."""
    _check_length(clean, protected)
    pairs = zip(_inputs(clean, column), _inputs(protected, column), strict=True)
    return np.array([not _same(before, after, row, column) for row, (before, after) in enumerate(pairs)], bool)


def _same(before: Any, after: Any, row: int, column: str) -> bool:
    """Whether two inputs are the same text, or images of the same pixels."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return before == after
    if before["bytes"] is not None and before["bytes"] == after["bytes"]:
        return True
    return _opened(before, row, column).content == _opened(after, row, column).content


def _identities(dataset: Dataset, column: str) -> Iterator[int]:
    """Of each row 64 bits that depend on its text, or on its pixels."""
    for row, value in enumerate(_inputs(dataset, column)):
        content = _opened(value, row, column).content if isinstance(value, dict) else (value or "").encode()
        yield row_stream(content, 0)


def _opened(value: Any, row: int, column: str) -> Picture:
    try:
        return decode(value)
    except ImageError as error:
        raise ValueError(f"Row {row}, column {column!r}: the image {error}.") from None
