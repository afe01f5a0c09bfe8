"""Spectrograms show levels in decibels, times and frequencies where they are, and what changed."""

import io

import numpy as np
import pytest

from hf_unlearnable.audio.spectrogram import decibels, spectrograms
from tests.audio.tones import ODD, clip, noise, tone

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
pytest.importorskip("scipy", reason="pictures need scipy")


@pytest.mark.parametrize(("pitch", "level", "rate"), [(1000, 1.0, 8000), (1000, 0.1, 16_000), (5000, 0.01, 44_100)])
def test_a_tone_has_its_level_at_its_frequency(pitch, level, rate):
    shown = decibels(clip(tone(pitch, rate, rate, level), rate))[:, 5:-5]
    loudest = shown.mean(axis=1).argmax() / (len(shown) - 1) * rate / 2
    assert abs(loudest - pitch) < 35
    assert abs(shown.max() - 20 * np.log10(level)) < 1.5


def test_silence_is_at_the_floor_and_long_recordings_are_cut():
    assert np.allclose(decibels(clip(np.zeros(500))), -120)
    assert decibels(clip(noise(160_000))).shape == decibels(clip(noise(80_000))).shape


def test_the_picture_holds_before_after_and_the_difference_with_units():
    before = [clip(noise(8000, 1)), clip(noise(30_000, 2, 2), 44_100)]
    after = [clip(before[0].samples * 0.5), before[1]]
    figure = spectrograms(before, after, ["one.wav", "two.wav"])
    panels = [axes for axes in figure.axes if axes.images][:6]
    assert [axes.get_title() for axes in panels[:3]] == ["before", "after", "after less before"]
    assert np.allclose(np.median(np.asarray(panels[2].images[0].get_array())), -20 * np.log10(2), atol=0.01)
    assert not np.any(panels[5].images[0].get_array())
    assert panels[3].images[0].get_extent() == [0, pytest.approx(30_000 / 44_100), 0, pytest.approx(22.05)]
    said = {axes.get_xlabel() for axes in figure.axes} | {axes.get_ylabel() for axes in figure.axes}
    assert {"time (s)", "one.wav\nfrequency (kHz)", "level (dB)", "change (dB)"} <= said
    file = io.BytesIO()
    figure.savefig(file, dpi=50)
    assert file.getvalue()[:4] == b"\x89PNG"


@pytest.mark.parametrize("one", ODD, ids=lambda one: f"{one.samples.shape}-{one.rate}")
def test_any_recording_can_be_drawn(one):
    figure = spectrograms([one], [one], ["it"])
    assert all(np.isfinite(axes.images[0].get_array()).all() for axes in figure.axes if axes.images)


@pytest.mark.parametrize("after", [clip(noise(900)), clip(noise(1000), 16_000), clip(noise(1000, 0, 2))])
def test_versions_that_do_not_belong_together_are_refused(after):
    with pytest.raises(ValueError, match=r"^two: the recording has another length, rate or number of channels"):
        spectrograms([clip(noise(1000))] * 2, [clip(noise(1000)), after], ["one", "two"])
