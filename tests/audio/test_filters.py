"""A filter that is laid on a recording block by block."""

import numpy as np
import pytest

from hf_unlearnable.audio.filters import Filter

TAPS = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
BLOCKS = np.random.default_rng(0).normal(size=(4, 50, 2))


def test_blocks_are_filtered_as_the_whole_would_be():
    whole = np.stack([np.convolve(channel, TAPS, "same") for channel in BLOCKS.reshape(-1, 2).T], axis=1)
    assert np.allclose(np.concatenate(list(Filter(TAPS)(iter(BLOCKS)))), whole)


@pytest.mark.parametrize(("within", "touched"), [((0, 1), [0]), ((49, 51), [0, 1]), ((100, 150), [2]), ((199, 300), [3]),
                                                 ((200, 300), [])])  # fmt: skip
def test_only_blocks_that_hold_a_part_of_what_matters_are_filtered_and_these_alike(within, touched):
    every, some = list(Filter(TAPS)(iter(BLOCKS))), list(Filter(TAPS)(iter(BLOCKS), within=within))
    for i, (block, full, one) in enumerate(zip(BLOCKS, every, some, strict=True)):
        assert np.array_equal(one, full if i in touched else block)
