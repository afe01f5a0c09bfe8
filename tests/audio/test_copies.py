"""A clean copy of a recording is found, whatever was done to it."""

import numpy as np
import pytest
import soxr
from datasets import Audio

from hf_unlearnable import EqualizerTransform
from hf_unlearnable.audio.copies import AudioCopies
from tests.examples import real, recordings, sound_file, waves

WORDS = [np.concatenate(waves(3, seed)) for seed in range(8)]  # a second or more each
COPIES = AudioCopies()


def resampled(x, rate):
    return sound_file(soxr.resample(x / 32768, 8000, rate), rate)


MADE = {
    "FLAC": lambda x: sound_file(x, format="FLAC"),
    "MP3": lambda x: sound_file(x, format="MP3", subtype="MPEG_LAYER_III"),
    "Opus": lambda x: sound_file(x, format="OGG", subtype="OPUS"),
    "floats": lambda x: sound_file(x / 32768, subtype="FLOAT"),
    "twice the rate": lambda x: resampled(x, 16_000),
    "44.1 kHz": lambda x: resampled(x, 44_100),
    "three quarters of the rate": lambda x: resampled(x, 6000),
    "trimmed": lambda x: sound_file(x[777:-900]),
    "a third as loud": lambda x: sound_file(np.rint(x * 0.3).astype(np.int16)),
    "silence around it": lambda x: sound_file(np.pad(x, ((4000, 3000), (0, 0)))),
    "stereo": lambda x: sound_file(np.repeat(x, 2, axis=1)),
}


@pytest.fixture(scope="module")
def shielded():
    cloak = EqualizerTransform(seed=7).fit(recordings())
    values = [{"bytes": sound_file(x), "path": None} for x in WORDS]
    return [value["bytes"] for value in cloak({"audio": values, "label": [i % 4 for i in range(8)]})["audio"]]


@pytest.mark.parametrize("how", MADE)
def test_a_copy_is_alike(shielded, how):
    likeness = [COPIES.likeness(one, MADE[how](x)) for one, x in zip(shielded, WORDS, strict=True)]
    assert min(likeness) > 0.95 and COPIES.stand_out(np.array(likeness)).all()


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_copies_of_real_digits_stand_out_among_other_takes_of_the_word(seed):
    data = real("fsdd", "test").cast_column("audio", Audio(decode=False))
    cloak = EqualizerTransform(seed=seed).fit(data)
    clean = [value["bytes"] for value in data["audio"]]
    protected = [value["bytes"] for value in cloak(data[:])["audio"]]
    takes: dict[tuple, list[int]] = {}
    for row, take in enumerate(zip(data["label"], data["speaker"], strict=True)):
        takes.setdefault(take, []).append(row)
    following = {row: rows[i - 1] for rows in takes.values() for i, row in enumerate(rows)}
    copies = np.array([COPIES.likeness(*pair) for pair in zip(protected, clean, strict=True)])
    strangers = np.array([COPIES.likeness(one, clean[following[i]]) for i, one in enumerate(protected)])
    assert COPIES.stand_out(copies).mean() > 0.99 and not COPIES.stand_out(strangers).any()
    few = np.where(np.arange(len(copies)) % 20, strangers, copies)
    np.testing.assert_array_equal(np.flatnonzero(COPIES.stand_out(few)), np.arange(0, len(copies), 20))


def test_another_recording_is_not_alike(shielded):
    likeness = np.array([COPIES.likeness(one, sound_file(x)) for one, x in zip(shielded, [*WORDS[1:], WORDS[0]])])
    assert likeness.max() < 0.95 and not COPIES.stand_out(likeness).any()


def test_the_very_same_and_what_does_not_open_are_0(shielded):
    with_tags = shielded[0]
    assert COPIES.likeness(with_tags, with_tags) == 0
    assert COPIES.likeness(shielded[0], b"no sound") == 0 == COPIES.likeness(b"RIFF", shielded[0])


@pytest.mark.parametrize("samples", [np.zeros((4000, 1)), np.full((9, 1), 0.5), np.zeros((1, 1))])
def test_silence_and_a_few_samples_are_like_nothing(shielded, samples):
    assert COPIES.likeness(shielded[0], sound_file(samples)) < 0.5


@pytest.mark.parametrize("text", ["plain words", "a", "\u0161est"])
def test_a_text_in_utf_16_is_no_mp3(text):
    assert not COPIES.knows(text.encode("utf-16")) and not COPIES.knows(b"\xff\xfe")
    assert COPIES.knows(MADE["MP3"](WORDS[0]))
