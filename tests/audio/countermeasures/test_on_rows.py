"""Countermeasures on rows are pure, bear any recording, and do to it what they say."""

import numpy as np
import pytest

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.audio.clip import Clip
from hf_unlearnable.audio.countermeasures import (
    AUDIO_COUNTERMEASURES,
    class_spectrum_inversion,
    gap_repair,
    half_rate,
    high_pass,
    low_pass,
    notch_repair,
    patch_cut,
    pitch_shift,
    spectral_gating,
    spectral_whitening,
    speed_perturbation,
)
from tests.audio.tones import ODD, clip, decibels, level_at, noise, tone

pytest.importorskip("soxr", reason="audio countermeasures need soxr")
pytest.importorskip("soundfile", reason="audio countermeasures need soundfile")
pytest.importorskip("scipy", reason="audio countermeasures need scipy")

ON_ROWS = [name for name, one in AUDIO_COUNTERMEASURES.items() if one.on_rows and not one.needs]
LONGER = {"speed-perturbation", "patch-cut"}


def rows_of(clips) -> Rows:
    return Rows(list(clips), [i % 3 for i in range(len(clips))])


def notched(samples: np.ndarray, low: float, high: float, rate: int = 8000) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    return sosfiltfilt(butter(2, [low, high], "bandstop", fs=rate, output="sos"), samples, axis=0)


@pytest.mark.parametrize("name", ON_ROWS)
def test_on_rows_is_pure_and_keeps_rate_channels_and_length(name):
    if name == "patch-cut":
        pytest.importorskip("transformers", reason="patch-cut needs a filter bank")
    change, rows = AUDIO_COUNTERMEASURES[name].on_rows, rows_of(ODD)
    kept = [one.samples.copy() for one in ODD]
    made, again = change(rows, Attacker(seed=3)), change(rows, Attacker(seed=3))
    assert all(np.array_equal(one.samples, was) for one, was in zip(ODD, kept)), "its input is left as it was"
    assert all(np.array_equal(one.samples, two.samples) for one, two in zip(made.inputs, again.inputs, strict=True))
    times = 3 if name == "speed-perturbation" else 1
    assert list(made.labels) == [label for label in rows.labels for _ in range(times)]
    for before, after in zip([one for one in ODD for _ in range(times)], made.inputs, strict=True):
        assert isinstance(after, Clip) and after.rate == before.rate
        assert after.samples.dtype == np.float32 and np.isfinite(after.samples).all()
        assert after.samples.shape[1] == before.samples.shape[1]
        assert len(after.samples) == len(before.samples) or name in LONGER
        assert len(after.samples) > 0 or len(before.samples) == 0
    assert any(not np.array_equal(one.samples, two.samples) for one, two in zip(ODD, made.inputs))


@pytest.mark.parametrize("name", [name for name in ON_ROWS if name not in {*LONGER, "mu-law"}])
def test_on_rows_silence_stays_silence(name):
    rows = rows_of([clip(np.zeros((900, 2)), 16_000), clip(noise(900)), clip(noise(900, 1))])
    made = AUDIO_COUNTERMEASURES[name].on_rows(rows, Attacker())
    assert np.abs(made.inputs[0].samples).max() < 1e-4


@pytest.mark.parametrize(
    ("change", "rate", "kept", "gone"),
    [
        (half_rate, 8000, (200, 1700), (2300, 3500)),
        (half_rate, 44_100, (200, 9000), (12_500, 20_000)),
        (low_pass, 8000, (200, 2500), (3600,)),
        (low_pass, 16_000, (200, 5000), (7200,)),
        (high_pass, 8000, (500, 3000), (100,)),
        (high_pass, 48_000, (500, 20_000), (100,)),
    ],
)
def test_filters_keep_and_remove_the_pitches_that_they_say(change, rate, kept, gone):
    for pitch in kept:
        made = change(clip(tone(pitch, rate // 2, rate), rate)).samples
        assert abs(decibels(level_at(made, pitch, rate) / 0.3)) < 0.5
    for pitch in gone:
        assert decibels(level_at(change(clip(tone(pitch, rate // 2, rate), rate)).samples, pitch, rate) / 0.3) < -15


def test_filters_change_no_channel_by_another():
    both = clip(np.stack([tone(500), np.zeros(4000)], axis=1))
    for change in (half_rate, low_pass, high_pass, spectral_gating):
        made = change(both).samples
        assert np.abs(made[:, 0]).max() > 0.1 and np.abs(made[:, 1]).max() < 1e-6


def test_gating_takes_the_noise_and_keeps_the_tone():
    loud = np.r_[tone(800, 4000), np.zeros(4000)]
    given = loud[:, None] + noise(8000, 2, level=0.003)
    made = spectral_gating(clip(given)).samples
    assert abs(decibels(level_at(made[:4000], 800) / 0.3)) < 0.5
    assert decibels(np.std(made[5000:7500]) / np.std(given[5000:7500])) < -12


@pytest.mark.parametrize("seed", range(4))
def test_a_pitch_is_moved_by_at_most_two_semitones_and_the_length_kept(seed):
    made = pitch_shift(Rows([clip(tone(1000, 8000))] * 3, [0, 1, 2]), Attacker(seed=seed)).inputs
    for one in made:
        middle = one.samples[2000:6000, 0] * np.hanning(4000)
        pitch = np.abs(np.fft.rfft(middle, 64_000)).argmax() * 8000 / 64_000
        assert 1000 * 2 ** (-2 / 12) - 10 < pitch < 1000 * 2 ** (2 / 12) + 10
        assert len(one.samples) == 8000 and 0.5 < np.std(middle) / np.std(0.3 * np.hanning(4000) / 2**0.5) < 2
    assert len({one.samples.tobytes() for one in made}) == 3


def test_speeds_are_a_tenth_apart_and_move_pitch_and_length():
    made = speed_perturbation(Rows([clip(tone(1000, 9000))], [4]), Attacker())
    assert list(made.labels) == [4, 4, 4]
    assert [len(one.samples) for one in made.inputs] == [10_000, 9000, 8182]
    for one, pitch in zip(made.inputs, (900, 1000, 1100)):
        assert abs(decibels(level_at(one.samples, pitch) / 0.3)) < 0.5


NOTCHES = {0: (700, 950), 1: (1500, 1750), 2: (2400, 2650)}


def depth(clips, label: int) -> float:
    """How much weaker the class's notch is in its recordings than in those of the other classes, in decibels."""
    low, high = NOTCHES[label]
    spectra = [np.abs(np.fft.rfft(one.samples[:, 0], 8000)[low + 50 : high - 50]).mean() for one in clips]
    own = [value for i, value in enumerate(spectra) if i % 3 == label]
    return decibels(np.mean(own) / np.mean([value for i, value in enumerate(spectra) if i % 3 != label]))


@pytest.mark.parametrize("change", [spectral_whitening, class_spectrum_inversion, notch_repair])
@pytest.mark.parametrize("label", NOTCHES)
def test_a_notch_of_a_class_is_filled_up(change, label):
    given = Rows([clip(notched(noise(4000, i), *NOTCHES[i % 3])) for i in range(30)], [i % 3 for i in range(30)])
    made = change(given, Attacker())
    assert depth(given.inputs, label) < -10
    assert abs(depth(made.inputs, label)) < 3


@pytest.mark.parametrize(("gap", "filled"), [(0.06, 0.045), (0.2, 0.15)])
def test_a_gap_as_long_as_it_says_is_filled_and_a_longer_one_stays(gap, filled):
    def middle(seconds: float, after: bool) -> float:
        """How loud noise is in the middle of its gap, as a share of what it is elsewhere."""
        samples = noise(8000, 1)
        samples[round(4000 - 4000 * seconds) : round(4000 + 4000 * seconds)] *= 0.01
        made = gap_repair(clip(samples), gap).samples if after else samples
        half = max(40, round(1000 * seconds))
        return float(np.std(made[4000 - half : 4000 + half]) / np.std(made[500:3000]))

    assert middle(filled, after=False) < 0.02 and middle(filled, after=True) > 0.2
    assert middle(2 * gap, after=True) < 0.05


def test_notch_repair_leaves_what_a_class_sounds_like():
    from scipy.signal import lfilter

    given = []
    for i in range(30):  # each class as a hill in the spectrum, 700 Hz or more wide
        pole = 0.8 * np.exp(2j * np.pi * (1000, 2000, 3000)[i % 3] / 8000)
        given.append(clip(lfilter([1], np.real(np.poly([pole, pole.conj()])), noise(4000, i)[:, 0])))
    made = notch_repair(rows_of(given), Attacker())
    for before, after in zip(given, made.inputs):
        assert decibels(np.std(before.samples - after.samples) / np.std(before.samples)) < -8


@pytest.mark.parametrize("change", [class_spectrum_inversion, notch_repair])
def test_inversion_leaves_what_all_classes_share(change):
    given = Rows([clip(notched(noise(4000, i), 1000, 1250)) for i in range(30)], [i % 3 for i in range(30)])
    made = change(given, Attacker())
    for before, after in zip(given.inputs, made.inputs):
        assert decibels(np.std(before.samples - after.samples) / np.std(before.samples)) < -8


@pytest.mark.parametrize("lengths", ["equal", "any, by the second", "any, by the share"])
@pytest.mark.parametrize("place", [0.1, 0.4, 0.7])
def test_the_patch_of_a_class_is_found_and_cut_out(place, lengths):
    pytest.importorskip("transformers", reason="patch-cut needs a filter bank")
    random, given, starts = np.random.default_rng(0), [], []
    for i in range(45):
        frames = 4400 if lengths == "equal" else int(random.integers(4400, 8000))
        start = round(place * (frames if "share" in lengths else 4400))
        samples = noise(frames, i)
        if i % 3 == 1:  # a low-pass of one class in one place
            samples[start : start + 800] = notched(samples[start : start + 800], 1000, 3900)
        given.append(clip(samples))
        starts.append(start)
    made = patch_cut(rows_of(given), Attacker())
    for before, after, start in list(zip(given, made.inputs, starts))[1::3]:
        one, two = before.samples[:, 0], after.samples[:, 0]
        assert len(two) == len(one) - 960
        first = next(i for i in range(len(two) + 1) if i == len(two) or one[i] != two[i])
        assert np.array_equal(two[first:], one[first + 960 :])
        assert first <= start + 250 and first + 960 >= start + 550, "two thirds of the patch are gone"
