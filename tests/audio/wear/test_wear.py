"""Wear keeps what it says of a recording, and codecs come near their bit rates."""

import io

import numpy as np
import pytest

from hf_unlearnable.audio.wear import AUDIO_WEAR, CODECS, Codec, even_loudness, on_every, trimmed
from hf_unlearnable.audio.wear.codecs import MU_LAW
from tests.audio.tones import ODD, clip, decibels, level_at, noise, tone

pytest.importorskip("soxr", reason="audio wear needs soxr")
soundfile = pytest.importorskip("soundfile", reason="audio wear needs soundfile")
pytest.importorskip("scipy", reason="audio wear needs scipy")


@pytest.mark.parametrize("name", AUDIO_WEAR)
def test_wear_is_pure_and_keeps_channels_rate_and_length(name):
    kept = [one.samples.copy() for one in ODD]
    made, again = (AUDIO_WEAR[name].change(ODD) for _ in range(2))
    assert all(np.array_equal(one.samples, was) for one, was in zip(ODD, kept))
    assert all(np.array_equal(one.samples, two.samples) for one, two in zip(made, again, strict=True))
    for before, after in zip(ODD, made, strict=True):
        assert after.samples.shape[1] == before.samples.shape[1] and after.samples.dtype == np.float32
        assert np.isfinite(after.samples).all() and (len(after.samples) > 0) == (len(before.samples) > 0)
        if name.startswith("resample-"):
            assert after.rate == int(name.split("-")[1])
            assert abs(len(after.samples) / after.rate - len(before.samples) / before.rate) < 1 / 8000
        elif name != "trimmed":
            assert (after.rate, len(after.samples)) == (before.rate, len(before.samples))


@pytest.mark.parametrize("name", AUDIO_WEAR)
def test_wear_leaves_what_a_listener_hears(name):
    pulsed = tone(700, 8000) * (np.arange(8000) % 2000 < 1000) + noise(8000, level=1e-4)[:, 0]
    after = AUDIO_WEAR[name].change([clip(pulsed)])[0]
    heard = level_at(after.samples, 700, after.rate) / level_at(pulsed, 700)
    assert abs(decibels(heard)) < (10 if name == "even-loudness" else 1.5)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("name", CODECS)
def test_codecs_lose_no_place_of_a_recording(name, rate):
    seconds = np.arange(rate) / rate
    samples = 0.3 * np.sin(2 * np.pi * (300 + 500 * seconds) * seconds) * (seconds > 0.5)  # up to 1,300 Hz
    made = CODECS[name].through(clip(samples, rate)).samples[:, 0]
    part = rate // 2 + np.arange(rate // 4)
    lags = np.arange(-rate // 200, rate // 200 + 1)
    lag = lags[np.argmax([made[part + lag] @ samples[part] for lag in lags])]
    assert len(made) == rate and abs(lag) <= 1 + rate / 16_000
    assert not np.array_equal(made, samples.astype(np.float32))


@pytest.mark.parametrize(
    ("codec", "rate", "expected"),
    [
        (CODECS["mp3-64"], 8000, 8000), (CODECS["mp3-128"], 8000, 16_000), (CODECS["mp3-128"], 12_000, 16_000),
        (CODECS["mp3-64"], 16_000, 16_000), (CODECS["mp3-128"], 44_100, 44_100), (CODECS["mp3-64"], 96_000, 48_000),
        (CODECS["mp3-64"], 10_000, 11_025), (CODECS["opus-16"], 8000, 8000), (CODECS["opus-16"], 44_100, 48_000),
        (CODECS["opus-32"], 22_050, 24_000), (CODECS["opus-32"], 192_000, 48_000), (CODECS["vorbis"], 96_000, 96_000),
        (MU_LAW, 11_025, 11_025),
    ],
)  # fmt: skip
def test_a_codec_takes_the_next_rate_that_it_can(codec, rate, expected):
    assert codec.rate_for(rate) == expected


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@pytest.mark.parametrize("name", ["mp3-64", "mp3-128", "opus-16", "opus-32"])
def test_codecs_keep_their_bit_rate(name, rate):
    codec: Codec = CODECS[name]
    at, file = codec.rate_for(rate), io.BytesIO()
    soundfile.write(file, noise(5 * at, 1), at, **codec._options(at))
    assert abs(len(file.getvalue()) * 8 / 5000 / codec.bit_rate - 1) < 0.15


def test_mu_law_keeps_loud_samples_from_wrapping():
    given = clip([[1.2], [-3.0], [0.5], [0.0]])
    assert np.allclose(MU_LAW.through(given).samples, [[1], [-1], [0.5], [0]], atol=0.03)


@pytest.mark.parametrize(("level", "expected"), [(0.01, 0.1), (0.1, 0.1), (0.001, 0.01), (0.3, 0.1)])
def test_loudness_is_brought_to_20_decibels_below_full_scale(level, expected):
    made = even_loudness(clip(level * np.sign(tone(100)))).samples
    assert abs(np.sqrt(np.mean(made**2)) - expected) < 0.002


def test_loudness_clips_no_peak():
    click = np.zeros(4000)
    click[7] = 0.5
    assert np.abs(even_loudness(clip(click)).samples).max() == pytest.approx(1)


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (5, 0), (0, 30), (100, 7)])
def test_silence_at_the_ends_is_trimmed_and_pauses_stay(before, behind):
    sound = np.r_[0.5, np.zeros(50), -0.2, 0.4]
    padded = np.r_[np.full(before, 0.004), sound, np.zeros(behind)]
    assert np.array_equal(trimmed(clip(padded)).samples[:, 0], sound.astype(np.float32))


def test_what_cannot_be_changed_is_named_by_its_row():
    def refuse(one):
        raise ValueError("too short")

    with pytest.raises(ValueError, match=r"^Row 0: too short$"):
        on_every(refuse, ODD)
