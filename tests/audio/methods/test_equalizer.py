"""What the equaliser does to which frequencies, and when."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import fftconvolve

from hf_unlearnable import EqualizerTransform, load_transform
from hf_unlearnable.audio.codec import BLOCK, decode, opened
from hf_unlearnable.audio.filters import frequencies, symmetric_filter
from hf_unlearnable.audio.methods.equalizer import Rhythm, slots_of
from hf_unlearnable.key import draw
from tests.examples import recordings, sound_file

NOISE = np.rint(np.random.default_rng(0).normal(0, 3000, (160_000, 1))).astype(np.int16)


def protected(cloak, samples, rate=8000, label=0):
    """A recording's samples after protection, as the stored bytes hold them."""
    return decode(cloak({"audio": {"bytes": sound_file(samples, rate), "path": None}, "label": label})["audio"])[0]


def response(samples, after, hertz, rate=8000, frames=4000):
    """What happened to frequencies in frames [n * 4000], in decibels."""
    power = [np.abs(np.fft.rfft(x.reshape(-1, frames).astype(float), axis=1)) ** 2 for x in (samples, after)]
    ratio = 10 * np.log10(power[1].mean(axis=0) / power[0].mean(axis=0))
    return np.interp(hertz, np.arange(frames // 2 + 1) * rate / frames, ratio)


def runs(mask):
    """How many stretches of true values there are."""
    return int(mask[0]) + int((np.diff(mask.astype(int)) == 1).sum())


def test_a_slot_that_stays_is_turned_down_and_the_rest_is_left():
    cloak = EqualizerTransform(seed=7, depth=18.0, ripple=0.0, hops=1).fit(recordings())
    levels = response(NOISE, protected(cloak, NOISE), np.arange(50, 3990, 10.0))
    assert -19 < levels.min() < -16.5 and abs(np.median(levels)) < 0.1
    low = levels < -9
    assert runs(low) == 1 and 5 <= low.sum() <= 60


@pytest.mark.parametrize("width", [0.3, 0.6, 1.0])
def test_a_slot_is_as_wide_as_it_is_told(width):
    hertz = np.arange(0, 4000, 1.0)
    down = EqualizerTransform(seed=7, width=width, ripple=0.0).fit(recordings())._states(2, hertz, 8000) < 0
    low, high = 2595 * np.log10(1 + hertz[np.flatnonzero(down[0])[[0, -1]]] / 700)
    assert high - low == pytest.approx(width * 198.4, abs=2)


@pytest.mark.parametrize("hops", [2, 3])
def test_slots_take_turns(hops):
    dwell, rate = 0.25, 8000
    cloak = EqualizerTransform(seed=7, depth=30.0, ripple=0.0, hops=hops, dwell=dwell).fit(recordings())
    after, turn = protected(cloak, NOISE), round(dwell * rate)
    hertz = np.arange(0, 4000, 10.0)
    states = cloak._states(0, hertz, rate) < 0
    assert states.any(axis=1).all() and (states.sum(axis=0) <= 1).all()
    # Power of each state's slots in steps of a twentieth of a turn: one of them is down at any time.
    step = turn // 20
    power = [np.abs(np.fft.rfft(x[:, 0].reshape(-1, step).astype(float) * np.hanning(step))) ** 2
             for x in (NOISE, after)]  # fmt: skip
    bins = np.arange(step // 2 + 1) * rate / step
    middles = [hertz[state].mean() for state in states]
    near = [np.abs(bins - middle).argmin() for middle in middles]
    level = np.stack([power[1][:, i] / power[0][:, i] for i in near]) < 0.1
    assert ((level.sum(axis=0) == 1).mean() > 0.6) and np.allclose(level.mean(axis=1), 1 / hops, atol=0.1)


@pytest.mark.parametrize(("hops", "dwell", "rate"), [(1, 0.03, 8000), (2, 0.03, 11_025), (3, 0.02, 8000), (5, 1, 11)])
def test_weights_add_up_to_one_and_each_state_has_its_turn(hops, dwell, rate):
    rhythm = Rhythm(hops, dwell, rate)
    turn, weights = round(dwell * rate), rhythm.weights
    assert weights.shape == (hops, rhythm.round) == (hops, hops * turn)
    assert np.allclose(weights.sum(axis=0), 1) and (weights >= 0).all()
    turns = np.arange(rhythm.round) / turn  # a state's turn has its middle at a whole number
    alone = abs(turns - np.rint(turns)) <= 0.49 - 0.005 / dwell
    assert (
        np.array_equal(weights.argmax(axis=0)[alone], np.rint(turns[alone]) % hops)
        and (weights.max(axis=0)[alone] == 1).all()
    )
    between = abs(turns % 1 - 0.5) < 1e-9
    assert np.allclose(weights[:, between].max(axis=0), 0.5 if hops > 1 else 1)


def test_states_are_mixed_as_the_rhythm_says_from_any_time_on():
    rhythm = Rhythm(3, 0.02, 1000)
    states = np.random.default_rng(0).normal(size=(3, 2, 5, 40))
    for first in (0, 17, -8, 59, 10**9):
        shares = rhythm.weights[:, (first + np.arange(200)) % 60]
        mixed = sum(state.reshape(2, -1) * share for state, share in zip(states, shares))
        assert np.allclose(rhythm.mixed(states, first), mixed, rtol=0, atol=1e-12)


def test_the_mean_over_a_recording_of_a_moving_slot_shows_no_deep_notch():
    moving, still = (EqualizerTransform(seed=7, ripple=0.0, hops=hops).fit(recordings()) for hops in (2, 1))
    hertz = np.arange(150, 3900, 10.0)
    shown = {cloak.hops: response(NOISE, protected(cloak, NOISE), hertz).min() for cloak in (moving, still)}
    assert -8 < shown[2] < -2 and shown[1] < -25


def test_recordings_begin_at_different_times_of_the_rhythm():
    cloak = EqualizerTransform(seed=7, dwell=0.5).fit(recordings())
    changes = [protected(cloak, part) - part.astype(int) for part in NOISE.reshape(10, -1, 1)]
    again = protected(cloak, NOISE[:16_000]) - NOISE[:16_000].astype(int)
    assert np.array_equal(again, changes[0])
    loud = np.stack([np.square(one.reshape(40, -1)).sum(axis=1) for one in changes])
    assert np.corrcoef(loud)[np.triu_indices(10, 1)].min() < 0.5


def test_the_rhythm_goes_on_from_block_to_block():
    cloak = EqualizerTransform(seed=7, dwell=0.03, ripple=0.0).fit(recordings())
    samples = np.rint(8000 * np.sin(2 * np.pi * 1000 * np.arange(BLOCK + 9000) / 8000))[:, None].astype(np.int16)
    for label in range(4):
        after = protected(cloak, samples, label=label)[:, 0].astype(float)
        period = 480  # frames of both turns
        level = np.sqrt(np.square(after[: len(after) // period * period]).reshape(-1, period).mean(axis=1))
        assert np.allclose(level[3:-3], level[5], rtol=0.02)  # also across the border of the blocks


def test_a_key_of_the_version_before_gives_the_bytes_that_it_gave():
    cloak = EqualizerTransform(seed=7, dwell=0.03).fit(recordings(8))
    older = load_transform(replace(cloak.key, method_version=3))
    assert older.dwell == 0.03 and np.array_equal(protected(older, NOISE), protected(cloak, NOISE))
    with pytest.raises(ValueError, match="of version 2 of 'equalizer', here is version 4"):
        load_transform(replace(cloak.key, method_version=2))


def test_each_class_has_slots_of_its_own():
    cloak = EqualizerTransform(seed=7, ripple=0.0).fit(recordings())
    down = np.stack([cloak._states(label, np.arange(0, 4000, 5.0), 8000) < 0 for label in range(4)])
    assert down.any(axis=2).all() and (down.sum(axis=(0, 1)) <= 1).all()


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_the_same_frequencies_are_turned_down_at_any_rate(rate):
    cloak = EqualizerTransform(seed=7, ripple=0.0).fit(recordings())
    hertz = np.arange(0, 3900, 5.0)
    assert np.array_equal(cloak._states(1, hertz, rate), cloak._states(1, hertz, 96_000))


@pytest.mark.parametrize("rate", [11_000, 22_050, 44_100, 48_000, 192_000])
def test_at_any_rate_recordings_get_what_the_states_say_in_their_turns(rate):
    cloak = EqualizerTransform(seed=7, dwell=0.5).fit(recordings())
    samples = np.rint(np.random.default_rng(1).normal(0, 3000, (2 * rate + 1234, 2))).astype(np.int16)
    with opened({"array": samples.T / 1.0, "sampling_rate": rate}) as recording:
        made = np.concatenate(list(cloak._cloak(recording, 1, 5)))
    assert made.shape == samples.shape
    half = 8 * round(0.032 * rate / 8)
    levels = cloak._states(1, frequencies(rate, half), rate)
    whole = [
        fftconvolve(samples, symmetric_filter(10 ** (state / 20), half)[:, None], "same", axes=0) for state in levels
    ]
    first = draw(5, 1 << 33) * 2.0**-64 * rate  # both turns are a second
    away = np.abs((first + np.arange(len(samples))) / (rate / 2) % 2 - 1)[:, None]  # 1 in the first one's middle
    told = np.where(away > 0.5, *whole)
    alone = abs(away[:, 0] - 0.5) > 0.02
    alone[:1000] = alone[-1000:] = False
    # A filter that was made at a lower rate rounds its corners otherwise: 40 dB below the sound.
    assert np.sqrt(np.square(made - told)[alone].mean()) < 0.01 * 3000


@pytest.mark.parametrize("rate", [1000, 2000, 6000])
def test_a_recording_of_a_low_rate_has_its_cue(rate):
    cloak = EqualizerTransform(seed=7, ripple=0.0).fit(recordings())
    down = np.stack([cloak._states(label, np.arange(0, rate / 2, 1.0), rate) < 0 for label in range(4)])
    assert (down.sum(axis=2) > 5).all() and (down.sum(axis=(0, 1)) <= 1).all()


@pytest.mark.parametrize(
    ("classes", "hops", "slots", "each"),
    [(2, 1, 10, 1), (10, 1, 10, 1), (11, 1, 10, 2), (46, 1, 10, 3), (253, 1, 11, 4), (2, 2, 10, 1), (45, 2, 10, 1),
     (46, 2, 10, 2), (211, 2, 11, 2), (10, 3, 10, 1), (121, 3, 10, 2), (252, 5, 10, 1), (253, 5, 11, 1)],
)  # fmt: skip
def test_no_two_classes_have_the_same_slots(classes, hops, slots, each):
    count, own = slots_of(classes, hops, seed=3)
    assert count == slots and {len(state) for states in own for state in states} == {each}
    sets = [frozenset(slot for state in states for slot in state) for states in own]
    assert len(set(sets)) == len(own) == classes and all(len(one) == hops * each for one in sets)
    assert all(0 <= slot < slots for one in sets for slot in one)
    assert slots_of(classes, hops, seed=4)[1] != own


@pytest.mark.parametrize(("classes", "hops"), [(10, 2), (5, 2), (20, 2), (10, 3), (60, 2)])
def test_no_slot_is_used_much_more_than_the_others(classes, hops):
    slots, own = slots_of(classes, hops, seed=11)
    used = np.bincount([slot for states in own for state in states for slot in state], minlength=slots)
    assert used.max() - used.min() <= 2


@pytest.mark.parametrize(
    ("parameters", "why"),
    [({"hops": 0}, "hops is 0"), ({"hops": 6}, "hops is 6"), ({"dwell": 0.01}, "dwell is 0.01.*from 0.02 to 10"),
     ({"dwell": 20.0}, "dwell is 20"), ({"width": 0.0}, "width is 0"), ({"width": 1.5}, "width is 1.5.*a share")],
)  # fmt: skip
def test_rhythms_that_make_no_sense_are_refused(parameters, why):
    with pytest.raises(ValueError, match=why):
        EqualizerTransform(seed=7, **parameters).fit(recordings(8))
