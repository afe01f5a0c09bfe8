"""A sample of texts that order, shards and streams choose alike.

Its bytes and a seed give every text a level: 0 to every second one, 1 to every fourth, and so on. The sample is all
texts from some level on, the highest one that leaves words enough. That level follows from sums, so samples of shards
add up to the sample of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.key import draws, row_streams

if TYPE_CHECKING:
    import pyarrow as pa

LEVELS = 65
_LEVEL_DRAW = 2**63 + 1  # of a text's stream; apart from the draws of methods, and of `fraction`
_LETTERS = 8  # to a word, at least, where no spaces part words


def levels_of(texts: pa.Array, seed: int) -> np.ndarray:
    """The level of each text, int64 [n], from 0 to 64.

    Args:
        texts: strings [n]; None is an empty text.
        seed: Of the key.
    """
    import pyarrow as pa

    streams = row_streams(texts.cast(pa.large_binary()).fill_null(b"").to_pylist(), seed)
    bits = draws(streams, np.full(len(streams), _LEVEL_DRAW, np.uint64))
    return np.clip(64 - np.frexp(bits.astype(np.float64))[1], 0, LEVELS - 1).astype(np.int64)


def words_at(texts: pa.Array, levels: np.ndarray) -> np.ndarray:
    """About how many words the texts of each level have, int64 [65]."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = texts.cast(pa.large_string()).fill_null("")
    words = pc.add(pc.count_substring(texts, " "), 1).to_numpy()
    words = np.maximum(words, pc.utf8_length(texts).to_numpy() // _LETTERS)
    return np.bincount(levels, words, LEVELS).astype(np.int64)


def sampled_level(words: np.ndarray, least: int | None) -> int:
    """The highest level such that the texts from it on have so many words; 0, for all texts, if none does.

    Args:
        words: Of the texts of each level, int64 [65].
        least: How many words there have to be; None for all.
    """
    from_level = np.cumsum(words[::-1])[::-1]
    return 0 if least is None else max(0, int(np.count_nonzero(from_level >= least)) - 1)


def from_level(least: int, texts: pa.Array, labels: pa.Array, levels: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """The texts from a level on, with their labels and levels."""
    import pyarrow as pa

    kept = pa.array(levels >= least)
    return texts.filter(kept), labels.filter(kept), levels[levels >= least]


def joined(held: Sequence[tuple[pa.Array, pa.Array, np.ndarray]]) -> tuple[Any, Any, np.ndarray]:
    """Texts, labels and levels of several batches as one."""
    import pyarrow as pa

    texts, labels, levels = zip(*held, strict=True)
    return pa.concat_arrays(texts), pa.concat_arrays(labels), np.concatenate(levels)
