"""What an order code is made of besides its carriers: sides, and where in a text its carriers go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice

import numpy as np

from hf_unlearnable.key import draws
from hf_unlearnable.text.insertion.words import Canonical

_APART = 12  # words, at most, from the first carrier of a code to its last


def sides(count: int, carriers: int) -> list[list[int]]:
    """So many sets of carriers that stand at the end; with half of them at the end, or as near to it as there are.

    Each set is followed by the one of all others, so that for two classes every carrier tells.
    """
    sizes = sorted(range(carriers + 1), key=lambda size: abs(2 * size - carriers))
    found: dict[tuple[int, ...], None] = {}
    for size in sizes:
        for late in combinations(range(carriers), size):
            found[late] = None
            found[tuple(i for i in range(carriers) if i not in late)] = None
    return [list(late) for late in islice(found, count)]


def by_side(code: list[str], late: list[int]) -> tuple[list[str], list[str]]:
    """The carriers at the start of the sentence, and those at its end."""
    return [carrier for i, carrier in enumerate(code) if i not in late], [code[i] for i in late]


def sizes_of(texts: Sequence[Canonical]) -> np.ndarray:
    """Words and characters of each of n texts, int64 [2, n]."""
    return np.array([(text.words, len(text.text)) for text in texts], np.int64).reshape(-1, 2).T


def offsets_of(words: np.ndarray, lengths: np.ndarray, doses: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Where the carriers of each code of each text go, int64 [sum of doses, k], ascending in a text.

    Each code has a stretch of its text, in which its carriers stand at most `_APART` words apart.

    Args:
        words: Of each of n texts, int64 [n].
        lengths: Of the texts, in characters, int64 [n].
        doses: how many codes each of them gets, int64 [n].
        drawn: where in its stretch a code starts, and each of its carriers; floats in [0, 1) [sum of doses, 1 + k].
    """
    span = np.repeat(np.minimum(1.0, _APART * doses / words), doses)[:, None]  # of a stretch, which is 1 here
    within = _numbers(doses)[:, None] + (1 - span) * drawn[:, :1] + span * np.sort(drawn[:, 1:], axis=1)
    return (within * np.repeat(lengths / doses, doses)[:, None]).astype(np.int64)


def _numbers(doses: np.ndarray) -> np.ndarray:
    """0, 1, ... for the codes of each text, int64 [sum of doses]."""
    return np.arange(doses.sum()) - np.repeat(np.cumsum(doses) - doses, doses)


def row_draws(doses: np.ndarray, streams: np.ndarray, parts: np.ndarray, width: int) -> np.ndarray:
    """`width` numbers in [0, 1) for each of the codes of each text, floats [sum of doses, width]."""
    index = (_numbers(doses) + np.repeat(parts << 32, doses))[:, None] * width + np.arange(width)
    bits = draws(np.repeat(streams, doses)[:, None], index.astype(np.uint64))
    return (bits >> np.uint64(11)) * 2.0**-53
