"""Victims hear recordings of any rate alike, as the library that the filter bank is from does."""

import numpy as np
import pytest

from hf_unlearnable.audio.features import (
    SILENT,
    cepstral_statistics,
    fitted,
    log_mel,
    resampled,
    waves,
)
from tests.audio.tones import clip, decibels, level_at, noise, tone

torch = pytest.importorskip("torch", reason="audio victims need torch")
pytest.importorskip("soxr", reason="audio victims need soxr")


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000])
def test_a_tone_resampled_keeps_pitch_level_and_duration(rate):
    made = resampled(tone(440, rate // 2, rate).astype(np.float32), rate, 16_000)
    assert len(made) == round(rate // 2 * 16_000 / rate) and made.dtype == np.float32
    assert abs(decibels(level_at(made, 440, 16_000) / 0.3)) < 0.05


@pytest.mark.parametrize(("frames", "rate", "new", "expected"), [(1, 8000, 44_100, 6), (1, 44_100, 8000, 1), (0, 8000, 16_000, 0), (7, 8000, 8000, 7)])  # fmt: skip
def test_few_samples_resampled_stay_some(frames, rate, new, expected):
    samples = np.full((frames, 2), 0.5, np.float32)
    assert resampled(samples, rate, new).shape == (expected, 2)


def test_silence_resampled_is_silence():
    assert not resampled(np.zeros((999, 1), np.float32), 8000, 44_100).any()


def test_samples_fitted_are_cut_or_followed_by_silence():
    assert fitted(np.array([1, 2, 3]), 2).tolist() == [1, 2]
    assert fitted(np.array([[1, 2]]), 3).tolist() == [[1, 2], [0, 0], [0, 0]]


def test_waves_are_the_mean_of_the_channels_from_the_beginning_on():
    stereo = np.stack([np.full(50, 0.5), np.full(50, 0.1)], axis=1)
    made = waves([clip(stereo), clip(np.full(10, 0.25)), clip(np.zeros((0, 1)))], 8000, 20).numpy()
    assert made.shape == (3, 20)
    assert np.allclose(made[0], 0.3) and np.allclose(made[1], [0.25] * 10 + [0] * 10) and not made[2].any()


def test_a_long_recording_is_heard_as_its_beginning_is():
    samples = noise(60_000, 3).astype(np.float32)
    short, long = (waves([clip(samples[:n], 44_100)], 8000, 4000) for n in (24_000, 60_000))
    assert torch.allclose(short[:, :3900], long[:, :3900], atol=1e-3)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050])
def test_log_mel_is_that_of_transformers(rate):
    audio_utils = pytest.importorskip("transformers.audio_utils")
    wave = noise(rate // 2, 5)[:, 0] + tone(1000, rate // 2, rate)
    window, hop = round(0.025 * rate), round(0.01 * rate)
    bins = 2 ** int(np.ceil(np.log2(window)))
    bank = audio_utils.mel_filter_bank(bins // 2 + 1, 40, 20, rate / 2, rate)
    made = log_mel(rate)(torch.tensor(wave[None], dtype=torch.float32))[0].numpy()
    theirs = audio_utils.spectrogram(
        wave, audio_utils.window_function(window), window, hop, bins, power=2.0, mel_filters=bank, log_mel="log",
        mel_floor=SILENT, pad_mode="constant",
    )  # fmt: skip
    # The same but for the last time, where torch needs as much silence as its whole transform is long.
    assert made.shape[0] == theirs.shape[0] == 40 and abs(made.shape[1] - theirs.shape[1]) <= 1
    both = min(made.shape[1], theirs.shape[1]) - 1
    assert np.abs(made[:, :both] - theirs[:, :both]).max() < 0.03  # a window of odd length lies half a sample off


def test_a_pitch_is_loudest_in_its_own_band():
    mel = log_mel(8000, 20)(torch.tensor(np.stack([tone(p) for p in (300, 1000, 3000)]), dtype=torch.float32))
    assert mel.mean(2).argmax(1).diff().min() > 0


@pytest.mark.parametrize("gain", [0.5, 2.0, 0.1])
def test_normalised_spectrograms_do_not_hear_a_gain_or_a_filter(gain):
    from scipy.signal import lfilter

    speech = noise(6000, 7)[:, 0] * (1.2 + np.sin(np.arange(6000) / 300))
    filtered = gain * lfilter([1, -0.7], [1], speech)
    plain, normal = (log_mel(8000, normalised=flag) for flag in (False, True))
    given = torch.tensor(np.stack([speech, filtered]), dtype=torch.float32)
    before, after = (front(given)[:, :, 5:-5] for front in (plain, normal))
    assert (before[0] - before[1]).abs().mean() > 0.5
    assert (after[0] - after[1]).abs().mean() < 0.12
    assert normal(given).mean(2).abs().max() < 1e-4


def test_silence_is_heard_as_a_finite_constant():
    for normalised in (False, True):
        mel = log_mel(8000, normalised=normalised)(torch.zeros(2, 900))
        assert mel.isfinite().all() and mel.std() < 1e-5


@pytest.mark.parametrize("times", [1, 2, 3, 50])
def test_cepstral_statistics_are_finite_for_any_length(times):
    mel = np.random.default_rng(0).normal(0, 1, (4, 40, times))
    made = cepstral_statistics(mel)
    assert made.shape == (4, 160) and np.isfinite(made).all()
    assert np.isfinite(cepstral_statistics(mel, normalised=True)).all()


def test_normalised_statistics_do_not_change_under_a_constant_of_each_band():
    random = np.random.default_rng(0)
    mel = random.normal(0, 1, (4, 40, 50))
    moved = mel + random.normal(0, 0.3, (1, 40, 1))
    heard = [cepstral_statistics(one, normalised=True) for one in (mel, moved)]
    assert np.allclose(*heard) and not np.allclose(cepstral_statistics(mel), cepstral_statistics(moved))


def test_cepstral_statistics_leave_pauses_out():
    mel = np.random.default_rng(0).normal(0, 1, (3, 40, 30))
    padded = np.concatenate([mel, np.full((3, 40, 25), np.log(SILENT))], axis=2)
    assert np.allclose(cepstral_statistics(mel), cepstral_statistics(padded))
