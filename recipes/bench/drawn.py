"""Which rows a study is of: a sample, the rows that a key learns from, those of an attacker, and mixtures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_unlearnable.adversary import Rows
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.store import digest
from hf_unlearnable.registry import modality_of

NUMBER = "number"  # the column by which a key knows rows that it has learned from in gray


def sample(rows: Dataset, count: int, max_words: int | None = None) -> Dataset:
    """`count` rows, always the same ones, in their order; of texts those with at most `max_words` words."""
    if max_words:
        rows = rows.select([i for i, text in enumerate(rows["text"]) if text.count(" ") < max_words])
    if count >= len(rows):
        return rows
    return rows.select(sorted(np.random.default_rng(0).choice(len(rows), count, replace=False).tolist()))


def further(train: Dataset, published: Dataset, column: str, count: int, max_words: int | None = None) -> Dataset:
    """At most `count` rows of the training split, none of which was published, in an order of their own."""
    read = modality_of(train.features, column).read
    taken = {digest(value) for value in read(published, column)}
    pool = max(2 * len(published), count + len(published))  # enough, even if all that was published is among them
    more = sample(train, min(pool, len(train)), max_words).shuffle(seed=0)
    free = [place for place, value in enumerate(read(more, column)) if digest(value) not in taken]
    return more.select(free[:count])


def own_rows(train: Dataset, published: Dataset, columns: tuple[str, str], max_words: int | None) -> Rows:
    """The attacker's own: a fifth as many clean rows as were published, none of which was."""
    return rows_of(further(train, published, columns[0], len(published) // 5, max_words), columns)


def of_classes(rows: Dataset, classes: Any) -> Dataset:
    """The rows of these labels."""
    return rows.select(np.flatnonzero(np.isin(rows["label"][:], list(classes))))


def learned_from(parameters: Any, rows: Dataset, split: Dataset, otherwise: Dataset, column: str) -> Dataset:
    """The rows that the key of a version is made on.

    Args:
        parameters: The version. Its `fit_on` may hold `rows`, how many further rows of the split, `classes`, the
            labels of all of them, `own`, whether the study's own rows of these classes count as well, and `gray`.
        rows: Those of the study.
        split: The training split with all of its classes.
        otherwise: What versions learn from that do not say.
        column: Of the inputs.

    Returns:
        The rows; in gray they have a column `NUMBER`, which is the place of the study's own rows.

    Raises:
        ValueError: The split does not have as many further rows.
    """
    asked = parameters.get("fit_on") if isinstance(parameters, Mapping) else None
    if asked is None:
        return otherwise
    count, classes = asked.get("rows", 0), asked.get("classes") or sorted(set(rows["label"][:]))
    parts = [of_classes(numbered(rows), classes)] if asked.get("own", not count) else []
    if count:
        others = further(of_classes(split, classes), rows, column, count)
        if len(others) < count:
            raise ValueError(f"`fit_on` asks for {count} further rows of classes {classes}. There are {len(others)}.")
        parts.append(numbered(others, len(rows)))
    found = concatenate_datasets(parts)
    if not asked.get("gray"):
        return found.remove_columns(NUMBER)
    return found.map(lambda row: {column: row[column].convert("L").convert("RGB")})


def numbered(rows: Dataset, first: int = 0) -> Dataset:
    """Rows with the column `NUMBER`, which counts from `first`."""
    return rows.add_column(NUMBER, np.arange(first, first + len(rows)))


def mixed(rows: Dataset, protected: Dataset, seed: int, share: float, drop: bool) -> Dataset:
    """Rows of which a share is protected, or the clean others alone.

    Args:
        rows, protected: The same rows, before and after.
        seed: Draws which are protected: the same ones for every method.
        share: Of the rows.
        drop: Whether to leave the protected ones out.
    """
    if share == 1:
        return protected
    order = np.random.default_rng(seed).permutation(len(rows))
    count = round(share * len(rows))
    chosen, kept = sorted(order[:count].tolist()), sorted(order[count:].tolist())
    if drop:
        return rows.select(kept)
    places = np.empty(len(rows), int)
    places[[*chosen, *kept]] = np.arange(len(rows))
    return concatenate_datasets([protected.select(chosen), rows.select(kept)]).select(places)
