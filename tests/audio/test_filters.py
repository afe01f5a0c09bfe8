"""Filters that are laid on a recording block by block, and the band of its lower frequencies."""

import numpy as np
import pytest

from hf_unlearnable.audio.filters import Filter, LowBand, padded

BLOCKS = np.random.default_rng(0).normal(size=(4, 5000, 2))


@pytest.mark.parametrize("half", [0, 2, 200, 300])
def test_blocks_are_filtered_as_the_whole_would_be(half):
    side = np.random.default_rng(1).normal(size=half)
    taps = np.concatenate([side[::-1], [1.0], side])
    one, several = Filter(taps), Filter(np.stack([taps, -taps]))
    made = [one(window).reshape(2, -1)[:, :n].T for n, window in padded(iter(BLOCKS), one.half, one.step)]
    both = [several(window).reshape(2, 2, -1)[..., :n] for n, window in padded(iter(BLOCKS), one.half, one.step)]
    whole = np.stack([np.convolve(channel, taps, "same") for channel in BLOCKS.reshape(-1, 2).T], axis=1)
    assert np.allclose(np.concatenate(made), whole)
    assert np.allclose(np.concatenate(both, axis=2), np.stack([whole.T, -whole.T]))


def test_what_a_block_gives_depends_on_its_neighbours_alone():
    others = [np.ones_like(BLOCKS[0]), *BLOCKS[:3], np.ones((7, 2))]
    first, second = ([window for _, window in padded(iter(blocks), 300, 64)] for blocks in (BLOCKS, others))
    assert np.array_equal(first[1], second[2]) and not np.array_equal(first[0], second[1])
    assert [window.shape for window in second] == [(2, 5056 + 600)] * 4 + [(2, 64 + 600)]
    assert np.array_equal(second[3][:, 300 + 5000 :], np.pad(np.ones((2, 7)), [(0, 0), (0, 349)]))


@pytest.mark.parametrize("step", [2, 4, 16])
def test_the_low_band_keeps_what_lies_in_it_and_nothing_else(step):
    band, rows = LowBand(step), 60
    frames = np.arange(rows * band.unit)
    for share, kept in [(0.0, 1), (0.1, 1), (0.365, 1), (0.635, 0), (0.9, 0)]:  # of the low rate
        if share > step / 2:
            continue
        wave = np.cos(2 * np.pi * share / step * frames + 0.3)[None]
        low = band.down(wave, 1, 0)
        assert low.shape == (1, (rows - 1) * 16)
        times = np.arange(low.shape[1]) + band.EDGE
        assert abs(low - kept * np.cos(2 * np.pi * share * times + 0.3)).max() < 1e-3
        again, cut = band.up(low, (rows - 2) * band.unit - 5), 2 * band.EDGE * step
        assert abs(again - kept * wave[:, cut : cut + again.shape[1]]).max() < 2e-3
