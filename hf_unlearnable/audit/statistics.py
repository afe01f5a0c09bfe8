"""How sure is an accuracy? Intervals that count both sources of chance: the training seed and the test rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean and the interval around it, as fractions of 1. Prints as percent: `82.4 [79.9, 84.8]`."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        mean, low, high = (round(100 * x, 1) + 0.0 for x in (self.mean, self.low, self.high))  # + 0.0: no "-0.0"
        return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def accuracy_interval(
    correct: np.ndarray, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean accuracy of a victim, with an interval from a bootstrap over training seeds and test rows.

    Why two levels: the number would move if you trained again with another seed, and it would also move if you had
    drawn other test rows. All seeds answer the same rows, so 3 seeds on 1,000 rows are not 3,000 independent answers;
    treating them so gives an interval that is too narrow. Each resample therefore draws seeds with replacement and,
    apart from that, rows with replacement, and takes the mean of that table. The interval holds the middle
    `confidence` of these means. Drawing S of S seeds makes their spread come out too small by a factor (S - 1) / S,
    which matters when S is 3; drawing S - 1 of them puts that right.

    What it cannot do: from one seed nobody can tell how much seeds differ, so the interval then speaks of the test
    rows only. With two or three seeds it is rough. When every answer is right (or wrong) it has no width, however few
    the rows.

    Args:
        correct: boolean matrix [seeds, test rows]; `correct[s, i]` says whether the victim trained with seed s
            labelled test row i rightly. For one seed pass `correct[None, :]`.
        confidence: probability that the interval should cover, between 0 and 1.
        resamples: bootstrap draws, at least 1. 2,000 hold the ends of a 95 % interval still to about 2 % of its width.
        seed: of the bootstrap, so that the same input always gives the same interval.

    Returns:
        The mean over the whole matrix and its interval, as fractions of 1.

    Raises:
        ValueError: `correct` is not a non-empty boolean matrix, or `confidence` or `resamples` is out of range.
    """
    return _bootstrap([correct], lambda a: a, confidence, resamples, seed)


def paired_difference(
    correct_a: np.ndarray, correct_b: np.ndarray, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Accuracy of a minus accuracy of b on the same test rows, with the same bootstrap.

    Why paired: hard rows are hard for both versions. Each resample uses the same rows for a and for b, so that this
    shared part cancels, and the interval is narrower than two separate intervals suggest. Seeds are drawn apart for a
    and for b: seed 0 trained on a has nothing in common with seed 0 trained on b. An interval that leaves out 0 says
    that the two differ.

    Args:
        correct_a: boolean matrix [seeds of a, test rows].
        correct_b: boolean matrix [seeds of b, test rows], column i being the same test row as in `correct_a`. The
            numbers of seeds may differ.
        confidence: as in `accuracy_interval`.
        resamples: as in `accuracy_interval`.
        seed: as in `accuracy_interval`.

    Returns:
        The difference a - b and its interval, as fractions of 1 between -1 and 1.

    Raises:
        ValueError: as in `accuracy_interval`, or the two have different numbers of test rows.
    """
    return _bootstrap([correct_a, correct_b], lambda a, b: a - b, confidence, resamples, seed)


def recovered_share(
    attacked: np.ndarray,
    without: np.ndarray,
    clean: np.ndarray,
    nothing: np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """How much of what clean rows teach an attacker gets out of protected ones.

    `(attacked - without) / (clean - nothing)`, each an accuracy. 1 says that the protection was undone, 0 that the
    attacker could as well have thrown the protected rows away. The same bootstrap as in `accuracy_interval`, with the
    same test rows for all four.

    Args:
        attacked: boolean matrix [seeds, test rows] of the attacker who has the protected rows.
        without: the same attack with the protected rows dropped, which matters when it brings clean rows of its own.
        clean: training on the clean rows, without any attack.
        nothing: training with the protected rows dropped, without any attack.
        confidence: as in `accuracy_interval`.
        resamples: as in `accuracy_interval`.
        seed: as in `accuracy_interval`.

    Returns:
        The share and its interval. Below 0 where the protected rows do harm, above 1 where they teach more.

    Raises:
        ValueError: as in `paired_difference`, or the clean rows teach nothing, so that there is no share of it.
    """
    if np.mean(clean) <= np.mean(nothing):
        raise ValueError("The victim learned nothing from the clean rows, so there is nothing to recover.")

    def share(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
        # A resample in which the clean rows taught nothing says nothing: one answer is the least gain there can be.
        return (a - b) / np.maximum(c - d, 1 / np.shape(clean)[1])

    return _bootstrap([attacked, without, clean, nothing], share, confidence, resamples, seed)


def _bootstrap(
    tables: list[np.ndarray], statistic: Callable[..., np.ndarray], confidence: float, resamples: int, seed: int
) -> Interval:
    """Interval of a statistic of the tables' means; rows are drawn once for all tables, seeds apart for each."""
    tables = [np.asarray(table) for table in tables]
    for table in tables:
        if table.ndim != 2 or table.size == 0 or table.dtype != bool:
            raise ValueError(
                "correct must be a non-empty boolean matrix [seeds, test rows] "
                f"(one seed: correct[None, :]); got shape {table.shape}, dtype {table.dtype}"
            )
        if table.shape[1] != tables[0].shape[1]:
            raise ValueError(
                f"a has {tables[0].shape[1]} test rows and b has {table.shape[1]}; "
                "a paired difference needs the same test rows in the same order"
            )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")

    rng = np.random.default_rng(seed)
    # Rows that all seeds answered alike are interchangeable, and there are few kinds of them: at most 2 ** seeds. So
    # draw how often each kind comes up instead of every single row; the distribution is the same, the work is not.
    kinds, counts = np.unique(np.concatenate(tables), axis=1, return_counts=True)
    num_rows = counts.sum()
    row_weights = rng.multinomial(num_rows, counts / num_rows, size=resamples) / num_rows  # [resamples, kinds]

    draws, start = [], 0
    for table in tables:
        num_seeds = len(table)
        drawn = max(num_seeds - 1, 1)
        seed_weights = rng.multinomial(drawn, np.full(num_seeds, 1 / num_seeds), size=resamples) / drawn
        draws.append(((seed_weights @ kinds[start : start + num_seeds]) * row_weights).sum(axis=1))
        start += num_seeds
    low, high = np.quantile(statistic(*draws), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(statistic(*(table.mean() for table in tables))), float(low), float(high))
