"""Was this data made with my key? A p-value for a dataset that someone else holds.

Idea. What a key draws, nobody else would draw. So ask the same question of the key and of decoys, keys that differ in
nothing but the secret seed: does this row carry what you would have drawn for it? On data that was made without the
key, the key is one more decoy: of the B + 1, every one is as likely as any other to be the one that a row agrees with.
If t of them agree with a row, the key is among them with probability t / (B + 1), and rows are independent of each
other, since each has a random stream of its own. The number of rows that agree with the key then is a sum of
independent coins of known chances, and its upper tail is the p-value (Chernoff's bound of it, never too small).
Nothing is assumed of the data: texts may hold the words, and the clean originals count as made without the key.

What carries the mark, the method tells (`Transform.ownership_scores`). A text has each word at a place that is drawn
for its row: taking them out again succeeds with the key, and hardly ever with a decoy. A row that was edited no longer
counts, the others do. Of images see `hf_unlearnable.image.trace`. Where the pattern is a class's, its rows are one
question, so a few classes say less than many rows, and without labels all classes are one question. Rows may be
shuffled, left out or mixed with others, and labels missing, wrong or renamed: texts, and noise of each image, are
looked at without them.

What it shows. That rows were made with this key. Not by whom: a key holder can make such data at will, so it
proves something to others only if they know that it is older than the dispute. Nor that a model was trained on the
data. Deleting the words, or re-encoding the images strongly, removes the mark: no sign of a key is no proof that the
data is another's.

    found = verify("my.key", load_dataset("someone/their-data", split="train"))
    print(found)  # 920 of 920 rows carry this key's mark; by chance one would expect 2: p = 2.5e-1186. ...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.mark import ClassMarks, Marks, NoMarkError, Recovered, RowMarks
from hf_unlearnable.registry import MODALITIES, load_transform
from hf_unlearnable.rows import require_columns
from hf_unlearnable.transform import Transform

if TYPE_CHECKING:
    import os

    from hf_unlearnable.key import Key

SIGNIFICANT = -3.0  # log10 of the p-value from which on a sentence says that the data was protected


@dataclass(frozen=True)
class Ownership:
    """Whether data carries a key's mark.

    Args:
        rows: How many were looked at.
        marked: How many of them carry the mark.
        expected: How many would by chance, by the mean of the decoys.
        log10_p: Logarithm to the base 10 of the p-value: the probability of at least so strong a sign on data that
            was made without the key.
        log10_least: The least that so many rows could have given.
    """

    rows: int
    marked: int
    expected: float
    log10_p: float
    log10_least: float

    @property
    def p_value(self) -> float:
        """The p-value; 0.0 where it is below 1e-323."""
        return 10.0**self.log10_p

    @property
    def shown(self) -> bool:
        """Whether rows were protected with the key, beyond a chance of one in a thousand."""
        return self.log10_p <= SIGNIFICANT

    def __str__(self) -> str:
        counted = (
            f"{self.marked:,} of {self.rows:,} rows carry this key's mark; by chance one would expect "
            f"{self.expected:.3g}: p {_power(self.log10_p)}."
        )
        if self.shown:
            return f"{counted} Rows of this data were protected with this key."
        if self.log10_least > SIGNIFICANT:
            return f"{counted} So little data cannot tell: p could not have been less than {10**self.log10_least:.1g}."
        return f"{counted} There is no sign of this key."


def verify(
    key: Key | str | os.PathLike | Transform, dataset: Any, *, column: str | None = None, max_rows: int = 1000
) -> Ownership:
    """Tells whether data, or a part of it, was protected with a key.

    Args:
        key: The `Key`, the directory that holds it, or the fitted transform.
        dataset: A `Dataset` or `IterableDataset` that may or may not be made of the protected one.
        column: The protected column, where it is not called as it was.
        max_rows: How many rows to look at: spread over a `Dataset`, the first of an `IterableDataset`.

    Returns:
        How many rows carry the mark, and the p-value.

    Raises:
        NoMarkError: The key leaves no mark that could be told from chance; the message says why.
        ValueError: A column is missing or holds something else, or there are no rows; the message says which.
    """
    cloak = key if isinstance(key, Transform) else load_transform(key)
    # Which rows were protected is for the data to tell; columns that said so may be gone.
    changes: dict[str, Any] = {"classes": None, "mask_column": None, "fraction": 1.0}
    if column is not None:
        changes[cloak.column_parameter] = column
    key = cloak.key
    cloak = cloak._of_key(replace(key, parameters={**key.parameters, **changes}))
    if getattr(cloak, cloak.strength_parameter) == 0:
        raise NoMarkError(f"This key changes nothing ({cloak.strength_parameter}=0), so it leaves no mark.")
    return _judged(cloak.ownership_scores(_looked_at(dataset, cloak, max_rows)))


def _looked_at(dataset: Any, cloak: Transform, max_rows: int) -> list[dict[str, Any]]:
    """Rows as they are stored, with the columns that the key needs."""
    if isinstance(dataset, dict):
        first = next(iter(dataset), "train")
        raise TypeError(f"This is a dictionary of splits. Give one of them: dataset[{first!r}].")
    if max_rows < 1:
        raise ValueError(f"max_rows is {max_rows}. Give at least 1.")
    needed = cloak._columns() + ([cloak.id_column] if cloak.id_column else [])
    if dataset.column_names:
        require_columns(dataset.column_names, needed)
    features = dataset.features or {}
    for name in set(features).intersection(cloak._columns()):
        for _, modality in MODALITIES.items():
            if modality.accepts(features[name]):
                dataset = modality.undecoded(dataset, name)
    if hasattr(dataset, "select") and len(dataset) > max_rows:
        dataset = dataset.select(np.linspace(0, len(dataset) - 1, max_rows).astype(int))
    rows = list(dataset.with_format(None).take(max_rows))
    if rows:
        require_columns(list(rows[0]), needed)
    rows = [row for row in rows if any(row[name] is not None for name in cloak._columns())]
    if not rows:
        raise ValueError("The dataset has no rows, or none that holds anything: there is nothing to look at.")
    return rows


# ------------------------------------------------------------------ chance
def _judged(marks: Marks) -> Ownership:
    match marks:
        case RowMarks():
            return _by_row(marks)
        case ClassMarks():
            return _by_class(marks)
        case Recovered():
            return _by_original(marks)


def _by_row(marks: RowMarks) -> Ownership:
    agree = marks.agree
    index = {unit: i for i, unit in enumerate(dict.fromkeys(marks.units))}
    seeds = agree.shape[1]
    each = np.zeros((len(index), seeds), bool)
    np.logical_or.at(each, [index[unit] for unit in marks.units], agree)
    log10_p = _tail(each.mean(axis=1), int(each[:, 0].sum()))
    expected = agree[:, 1:].sum() / (seeds - 1)
    return Ownership(len(agree), int(agree[:, 0].sum()), float(expected), log10_p, -len(each) * math.log10(seeds))


def _by_class(marks: ClassMarks) -> Ownership:
    """The independent questions are the classes, if labels are to be had."""
    scores, given = marks.scores, marks.given
    best = scores.max(axis=1)
    own = np.array([row[label] if label >= 0 else most for row, label, most in zip(scores, given, best, strict=True)])
    most = own[:, :100].max(axis=1, keepdims=True)
    shown = own[:, :100] >= most * (1 - 1e-4) if marks.drawn else own
    # Without labels: one question, whether the key's patterns are more like the rows than a decoy's.
    log10_p, log10_least = math.log10(_rank(best)), -math.log10(best.shape[1])
    known = sorted(set(given) - {-1})
    if known:
        ranks = [_rank(scores[np.array(given) == label, label]) for label in known]
        labelled, least = _fisher(ranks), _fisher([1 / best.shape[1]] * len(known))
        # Two looks at the data: the better one counts half.
        log10_p = min(0.0, math.log10(2) + min(log10_p, labelled))
        log10_least = math.log10(2) + min(log10_least, least)
    expected = float(shown[:, 1:].sum() / (shown.shape[1] - 1))
    return Ownership(len(best), int(shown[:, 0].sum()), expected, log10_p, log10_least)


def _by_original(marks: Recovered) -> Ownership:
    rows, marked = len(marks.found), int(marks.found.sum())
    different = {unit for unit, found in zip(marks.units, marks.found, strict=True) if found}
    chances = np.full(len(set(marks.units)), marks.chance)
    log10_p, log10_least = (_tail(chances, count) for count in (len(different), len(chances)))
    return Ownership(rows, marked, rows * marks.chance, log10_p, log10_least)


def _rank(scores: np.ndarray) -> float:
    """The share of the seeds, the key's own among them, that do at least as well as that one over all rows."""
    totals = scores.sum(axis=0, dtype=np.float64)
    return float((totals >= totals[0] - 1e-6 * abs(totals[0])).mean())


def _fisher(ranks: Sequence[float]) -> float:
    """Fisher's combination of independent p-values, as log10: the tail of chi squared with 2n degrees of freedom.

    `scipy.stats.chi2.logsf` is -inf where the tail is below the least float.
    """
    half = -sum(map(math.log, ranks))
    terms = [i * math.log(max(half, 1e-300)) - math.lgamma(i + 1) for i in range(len(ranks))]
    return float(min(0.0, np.logaddexp.reduce(terms) - half) / math.log(10))


def _tail(chances: np.ndarray, count: int) -> float:
    """Chernoff's bound of the probability that of independent coins at least `count` fall on heads, as log10.

    Args:
        chances: Of each coin.
        count: How many.
    """
    if count <= chances.sum():
        return 0.0
    low, high = 0.0, 200.0
    for _ in range(60):
        tilt = (low + high) / 2
        tilted = float((chances / (chances + (1 - chances) * math.exp(-tilt))).sum())
        low, high = (tilt, high) if tilted < count else (low, tilt)
    moment = float(np.log1p(chances * math.expm1(high)).sum())
    return min(0.0, moment - high * count) / math.log(10)


def _power(log10: float) -> str:
    """A power of ten for people: `= 0.31`, `= 2.4e-17`."""
    if log10 > -3:
        return f"= {10**log10:.2g}"
    exponent = math.floor(log10)
    return f"= {10 ** (log10 - exponent):.1f}e{exponent}"
