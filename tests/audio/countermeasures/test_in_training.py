"""Augmentation of waves draws from its generator alone, and changes each recording as it says."""

import random

import numpy as np
import pytest

from hf_unlearnable.adversary import composed
from hf_unlearnable.audio.countermeasures import (
    AUDIO_COUNTERMEASURES,
    additive_noise,
    random_crop,
    random_equaliser,
    random_notches,
    spec_augment,
    time_shift,
)

torch = pytest.importorskip("torch", reason="audio victims need torch")

IN_TRAINING = [name for name, measure in AUDIO_COUNTERMEASURES.items() if measure.in_training]


def batch(n: int = 12, frames: int = 3000) -> tuple:
    """Noises followed by silence, the first one silent throughout."""
    waves = 0.1 * torch.randn(n, frames, generator=torch.Generator().manual_seed(4))
    waves *= torch.arange(frames) < torch.linspace(0, frames, n)[:, None]
    return waves, torch.arange(n) % 3


def drawn_by(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", IN_TRAINING)
def test_in_training_gives_waves_drawn_from_the_generator_only(name):
    hook, (waves, targets) = AUDIO_COUNTERMEASURES[name].in_training, batch()
    kept = waves.clone()
    state = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    first, wanted = hook(waves, targets, None, drawn_by(0))
    again, _ = hook(waves, targets, None, drawn_by(0))
    other, _ = hook(waves, targets, None, drawn_by(1))
    assert (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()) == state
    assert wanted is targets and torch.equal(waves, kept), "the batch itself is left as it was"
    assert first.shape == waves.shape and first.dtype == waves.dtype and first.isfinite().all()
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, waves)
    assert not first[0].any(), "silence stays silence"


@pytest.mark.parametrize("name", IN_TRAINING)
@pytest.mark.parametrize("frames", [1, 2, 37, 300])
def test_in_training_takes_recordings_of_any_length(name, frames):
    waves, targets = batch(3, frames)
    made, _ = AUDIO_COUNTERMEASURES[name].in_training(waves, targets, None, drawn_by(0))
    assert made.shape == (3, frames) and made.isfinite().all()


@pytest.mark.parametrize("seed", range(3))
def test_a_shift_moves_by_at_most_a_fifth_and_loses_nothing(seed):
    waves = torch.arange(1.0, 101.0).expand(40, -1)
    made, _ = time_shift(waves, torch.zeros(40), None, drawn_by(seed))
    moved = (1 - made[:, 0].int() + 50) % 100 - 50
    assert moved.abs().max() <= 20 and len(moved.unique()) > 10
    assert all(torch.equal(one.roll(-int(by)), waves[0]) for one, by in zip(made, moved, strict=True))


@pytest.mark.parametrize("length", [10, 60, 100])
def test_a_crop_is_a_part_of_the_sound_at_the_beginning(length):
    waves = (torch.arange(1.0, 101.0) * (torch.arange(100) < length)).expand(40, -1)
    made, _ = random_crop(waves, torch.zeros(40), None, drawn_by(0))
    for one in made:
        kept = int((one != 0).sum())
        assert 0.7 * length <= kept <= length and not one[kept:].any()
        assert torch.equal(one[:kept], torch.arange(one[0], one[0] + kept))
        assert one[0] >= 1 and one[kept - 1] <= length
    assert len({float(one[0]) for one in made}) > 1


def test_noise_is_10_to_30_decibels_below_the_sound():
    waves, targets = batch(200, 2000)
    made, _ = additive_noise(waves, targets, None, drawn_by(0))
    lengths = (waves != 0).sum(1)
    rows = lengths > 500
    power = (waves.square().sum(1) / lengths.clamp(min=1))[rows]
    ratio = 10 * torch.log10(power / (made - waves)[rows].square().mean(1))
    assert ratio.min() > 9.5 and ratio.max() < 30.5 and ratio.std() > 4


def test_spec_augment_silences_bands_and_times():
    waves = 0.1 * torch.randn(30, 8000, generator=drawn_by(1))
    made, _ = spec_augment(waves, torch.zeros(30), None, drawn_by(0))
    before, after = (
        torch.stft(x, 256, 64, window=torch.hann_window(256), return_complex=True).abs() for x in (waves, made)
    )
    bands, times = (((after / before).median(axis).values < 0.1).float().mean(1) for axis in (2, 1))
    for silent in (bands, times):
        assert 0.1 < silent.mean() < 0.3 and silent.max() <= 0.42
    kept = (after / before - 1).abs() < 0.05
    assert 0.4 < kept.float().mean() < 0.85, "what is not silenced stays as it was"


def response(change, n: int = 40, frames: int = 4096) -> torch.Tensor:
    """Gains in decibels [n, frequencies] of what a change does to a click in the middle."""
    click = torch.zeros(n, frames)
    click[:, frames // 2] = 1
    made, _ = change(click, torch.zeros(n), None, drawn_by(0))
    return 20 * torch.log10(torch.fft.rfft(made).abs() + 1e-9)


def test_an_equaliser_is_smooth_within_12_decibels_and_other_for_each():
    gains = response(random_equaliser)
    assert gains.abs().max() < 12.5 and gains.std(0).mean() > 4
    assert gains.diff(dim=1).abs().max() < 0.5


def test_notches_take_three_narrow_bands_and_leave_the_rest():
    gains = response(random_notches)
    taken = (gains < -30).float().mean(1)
    assert 0.03 < taken.mean() < 0.2 and taken.max() < 0.3
    assert ((gains.abs() < 1) | (gains < -3)).float().mean() > 0.9
    assert gains.median(1).values.abs().max() < 0.5


def test_compositions_do_one_thing_after_the_other():
    waves, targets = batch()
    both = composed("time-shift+random-notches", AUDIO_COUNTERMEASURES).in_training
    generator = drawn_by(3)
    shifted, _ = time_shift(waves, targets, None, generator)
    expected, _ = random_notches(shifted, targets, None, generator)
    assert torch.equal(both(waves, targets, None, drawn_by(3))[0], expected)


def test_every_countermeasure_composes_with_every_other():
    for one in AUDIO_COUNTERMEASURES:
        for other in AUDIO_COUNTERMEASURES:
            made = composed(f"{one}+{other}", AUDIO_COUNTERMEASURES)
            assert made.on_rows or made.in_training
