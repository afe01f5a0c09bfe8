"""Runs the grid: every version of a data set, every victim, every seed, always tested on the same clean rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.attack.statistics import Interval, accuracy_interval

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """What one victim learned from one version.

    Args:
        version: Name of the version it was trained on.
        victim: Name of the victim.
        accuracy: On the clean test rows, with its interval over seeds and rows.
        by_seed: Accuracy of each seed.
        train_rows: How many rows it was trained on.
        seconds: What training and testing took, all seeds together.
    """

    version: str
    victim: str
    accuracy: Interval
    by_seed: list[float]
    train_rows: int
    seconds: float


def audit(
    versions: Mapping[str, Dataset | Callable[[int], Dataset]],
    test: Dataset,
    victims: Mapping[str, Callable[..., np.ndarray]],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    input_column: str = "text",
    label_column: str = "label",
    on_cell: Callable[[Cell], Any] = lambda cell: None,
) -> list[Cell]:
    """Trains every victim on every version and tests it on clean rows.

    Args:
        versions: Data sets to train on, by name, or functions from a seed to one: every training then meets a key of
            its own, and the interval tells how much keys differ. One that holds fewer than two classes teaches
            nothing: the victim guesses the label that is most frequent in the test, the best a guess can do.
        test: Clean held-out rows.
        victims: Functions `(train_inputs, train_labels, test_inputs, *, seed) -> predicted labels`, by name.
        seeds: One training each.
        input_column, label_column: Columns of all of them, texts or images and their labels.
        on_cell: Called with each result as it comes.

    Returns:
        One cell for each version and victim, versions varying fastest.
    """
    truth = np.array(test[label_column])
    values, counts = np.unique(truth, return_counts=True)
    guess = np.full(len(truth), values[counts.argmax()])
    cells = []
    for victim_name, victim in victims.items():
        for version_name, rows in versions.items():
            start = time.perf_counter()
            predicted = []
            for seed in seeds:
                train = rows(seed) if callable(rows) else rows
                inputs, labels = train[input_column][:], train[label_column][:]
                learned = len(set(labels)) > 1
                predicted.append(victim(inputs, labels, test[input_column][:], seed=seed) if learned else guess)
            correct = np.array(predicted) == truth
            cell = Cell(
                version_name,
                victim_name,
                accuracy_interval(correct),
                correct.mean(axis=1).round(4).tolist(),
                len(labels),
                round(time.perf_counter() - start, 1),
            )
            logger.info("%s, %s: %s in %s s", cell.version, cell.victim, cell.accuracy, cell.seconds)
            on_cell(cell)
            cells.append(cell)
    return cells
