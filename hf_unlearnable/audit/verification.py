"""Face verification: do two pictures show one person? A network answers by how near their features are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hf_unlearnable._extras import require


@dataclass(frozen=True)
class Verification:
    """How well scores tell pairs of one person from pairs of two.

    Args:
        equal_error: Equal error rate, from 0 to 1: the share of errors where false matches are as frequent as missed
            ones. A half is a guess.
        area: Area under the ROC curve, from 0 to 1. A half is a guess.
        false_matches: Share of the pairs of two people that are taken for one, per threshold, floats [thresholds].
        matches: Share of the pairs of one person that are found, floats [thresholds].
    """

    equal_error: float
    area: float
    false_matches: np.ndarray = field(repr=False)
    matches: np.ndarray = field(repr=False)


def verification(scores: Sequence[float] | np.ndarray, same: Sequence[bool] | np.ndarray) -> Verification:
    """What a threshold on scores would do, over all thresholds.

    Args:
        scores: Of each pair, higher for likelier one person, floats [pairs].
        same: Whether each pair is one person, booleans [pairs].

    Raises:
        ValueError: There are no pairs of one person, or none of two: no threshold can be judged.
    """
    require("attack", "sklearn")
    from sklearn.metrics import auc, roc_curve

    truth = np.asarray(same, bool)
    for kind, count in (("one person", truth.sum()), ("two people", (~truth).sum())):
        if count == 0:
            raise ValueError(f"The pair list has no pairs of {kind}: give both kinds, or let `face_pairs` draw them.")
    false, found, _ = roc_curve(truth, np.asarray(scores, float), drop_intermediate=False)
    missed = 1 - found
    place = int(np.flatnonzero(false >= missed)[0])  # the first threshold past the crossing; `false` rises
    before = max(place - 1, 0)
    gap = (missed - false)[[before, place]]
    step = 0.0 if gap[0] == gap[1] else gap[0] / (gap[0] - gap[1])
    equal = false[before] + step * (false[place] - false[before])
    return Verification(float(equal), float(auc(false, found)), false, found)


def face_pairs(people: Sequence[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of pictures of one person, and as many drawn ones of two people.

    Args:
        people: Who is in each picture, [pictures].
        seed: Of the draw.

    Returns:
        Places of the two pictures, int [pairs, 2], and whether they show one person, bool [pairs].

    Raises:
        ValueError: A person has one picture, which is no pair, or there is one person only.
    """
    who = np.asarray(people)
    names, counts = np.unique(who, return_counts=True)
    if (counts < 2).any():
        raise ValueError(
            f"Person {names[counts < 2][0]} has one picture, and a pair takes two: add one, or leave the person out."
        )
    if len(names) < 2:
        raise ValueError("All pictures are of one person: there is no pair of two people. Give several people.")
    first, second = np.triu_indices(len(who), 1)
    one = who[first] == who[second]
    others = np.flatnonzero(~one)
    count = min(int(one.sum()), len(others))
    drawn = np.sort(np.random.default_rng(seed).choice(others, count, replace=False))
    kept = np.concatenate([np.flatnonzero(one), drawn])
    return np.stack([first[kept], second[kept]], 1), one[kept]


def likeness(features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The cosine of the features of each pair.

    Args:
        features: Floats [pictures, size].
        pairs: Places, int [pairs, 2].

    Returns:
        Floats [pairs].
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(1)
