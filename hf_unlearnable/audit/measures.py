"""What an attack got out of protected rows, in numbers, from nothing but what models answered on clean test rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hf_unlearnable.audit.statistics import Interval, accuracy_interval, paired_difference, recovered_share


def measures(
    attacked: Mapping[str, np.ndarray], clean: np.ndarray, dropped: np.ndarray, *, confidence: float = 0.95
) -> dict[str, Any]:
    """The protection that is left against each attack and against the worst of them.

    The protection left is 1 where the attacked model knows no more than without the protected rows, and 0 where it
    knows as much as from the clean ones. It is 1 minus `recovered_share`, with the same interval. All matrices answer
    the same test rows in the same order.

    Args:
        attacked: By the name of each attack, which test rows the attacked model labelled rightly: boolean
            [seeds, test rows].
        clean: The same of the model that was trained on the clean rows, without any attack.
        dropped: The same of the model that was trained without the protected rows.
        confidence: Probability that the intervals should cover, between 0 and 1.

    Returns:
        Fractions of 1: "clean_accuracy", "dropped_accuracy"; then "worst_case_accuracy" and
        "worst_case_protection_left", each with "..._low" and "..._high"; "worst_case", the name of the attack; and
        "protection_left", the number by attack.

    Raises:
        ValueError: There is no attack, a matrix is not boolean [seeds, test rows], the numbers of test rows differ, or
            the clean rows taught nothing that could be protected.
    """
    if not attacked:
        raise ValueError("There is no attack to measure: give at least training on the protected rows.")
    if paired_difference(clean, dropped, confidence=confidence).low <= 0:
        raise ValueError(
            "The model did not surely learn more from the clean rows than without the protected ones, so there is "
            "nothing that a protection could keep from it. Take more test rows, or a model that learns."
        )
    left = {name: _left(recovered_share(correct, dropped, clean, dropped, confidence=confidence))
            for name, correct in attacked.items()}  # fmt: skip
    worst = min(left, key=lambda name: left[name].mean)
    return {
        "clean_accuracy": float(np.mean(clean)),
        "dropped_accuracy": float(np.mean(dropped)),
        "worst_case": worst,
        **_flat("worst_case_accuracy", accuracy_interval(attacked[worst], confidence=confidence)),
        **_flat("worst_case_protection_left", left[worst]),
        "protection_left": {name: one.mean for name, one in left.items()},
    }


def _left(share: Interval) -> Interval:
    return Interval(1 - share.mean, 1 - share.high, 1 - share.low)


def _flat(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
