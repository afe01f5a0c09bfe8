"""What a method tells of the mark that its key leaves in rows; `hf_unlearnable.ownership` makes a p-value of it.

A method compares its key with decoys, keys that differ in nothing but the seed (`Transform.decoys`). It returns one of
the records below, whichever fits what its rows share.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

ROW_DECOYS = 19  # where rows are the questions: one that agrees with the key alone counts 1 in 20
_CLASS_DECOYS = 999  # where classes are, of which there are few


def class_decoys(classes: int) -> int:
    """How many decoys the patterns of so many classes are compared with."""
    return max(99, min(_CLASS_DECOYS, 10_000 // classes))


class NoMarkError(ValueError):
    """A key leaves no mark that could be told from chance; the message says why, and what could be shown instead."""


@dataclass(frozen=True)
class RowMarks:
    """Where every row has a random stream of its own.

    Args:
        agree: boolean [rows, 1 + decoys]: which seeds agree with a row; the key's own is the first.
        units: What each row's random stream comes from: rows of one stream are one question.
    """

    agree: np.ndarray
    units: Sequence[Hashable]


@dataclass(frozen=True)
class ClassMarks:
    """Where all rows of a class have one pattern.

    Args:
        scores: float or boolean [rows, classes, 1 + decoys]; the key's own is the first.
        given: Which class each row is said to be of, -1 for none.
        drawn: Whether the scores tell how like a pattern is, so that the mark is to be the most alike of a hundred;
            else they tell whether it is there.
    """

    scores: np.ndarray
    given: Sequence[int]
    drawn: bool


@dataclass(frozen=True)
class Recovered:
    """Where the key gives the original back, and holds what that is known by.

    Args:
        found: boolean [rows]: whether an original came out.
        units: What each row shows: equal rows are one question.
        chance: That one comes out of a row of other origin.
    """

    found: np.ndarray
    units: Sequence[Hashable]
    chance: float


Marks: TypeAlias = RowMarks | ClassMarks | Recovered
