"""Where in its text every inserted word goes, and what it is chosen by."""

from __future__ import annotations

import numpy as np

from hf_unlearnable.key import draws


def spread(
    doses: np.ndarray, streams: np.ndarray, parts: np.ndarray, lengths: np.ndarray
) -> tuple[list[int], list[int]]:
    """For every word to insert one offset, each in a stretch of its text of its own, and 32 bits to choose it by.

    Stretches keep the words in whatever part of a long text a model reads.

    Args:
        doses: How many words each of n texts gets, int64 [n].
        streams: The random stream of each text's row, uint64 [n].
        parts: Which text of its row each one is, int64 [n].
        lengths: Of the texts, in characters, int64 [n].

    Returns:
        Offsets in the texts, ascending in each, and numbers below 2^32, both as long as the sum of doses.
    """
    number = np.arange(doses.sum()) - np.repeat(np.cumsum(doses) - doses, doses)
    bits = draws(np.repeat(streams, doses), (number + np.repeat(parts << 32, doses)).astype(np.uint64))
    stretch = np.repeat(lengths / np.maximum(doses, 1), doses)
    offsets = (number + (bits >> np.uint64(32)) * 2.0**-32) * stretch
    return offsets.astype(np.int64).tolist(), (bits & np.uint64(0xFFFFFFFF)).tolist()
