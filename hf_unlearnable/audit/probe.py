"""How long a training will take, from two small ones."""

from __future__ import annotations

import time

import numpy as np

from hf_unlearnable.adversary import Rows, Victim


def whole_training(victim: Victim, rows: Rows, test: Rows) -> float | None:
    """Trains on a few rows and on twice as many; the first training also pays for what is done once in a process.

    Args:
        victim: What is trained.
        rows: All training rows.
        test: All test rows.

    Returns:
        Seconds that a training on all rows will take; None where a few of them are of one class.

    Raises:
        OSError: Its model is not to be had.
        ImportError: Its framework is not installed.
    """
    count = min(max(len(rows) // 16, 32), len(rows) // 2)
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    took = []
    for few in (order[:count], order[: 2 * count]):
        labels = [rows.labels[i] for i in few]
        if len(set(labels)) < 2:
            return None
        asked = test.labels if victim.generates else test.inputs
        tests = asked[: max(len(test) * len(few) // len(rows), 1)]
        start = time.perf_counter()
        victim([rows.inputs[i] for i in few], labels, tests, seed=0)
        took.append(time.perf_counter() - start)
    slope = max(took[1] - took[0], took[1] / 2) / count
    return took[1] + slope * (len(rows) - 2 * count)
