"""What the closed-form protections do to samples."""

import numpy as np
import pytest
import soundfile
from datasets import Audio

from hf_unlearnable import (
    AudioConvolutionTransform,
    AudioNoiseTransform,
    EqualizerTransform,
    PositionConvolutionTransform,
)
from hf_unlearnable.audio.codec import BLOCK, decode, encode
from hf_unlearnable.audio.methods.noise import uniform
from tests.examples import recordings, sound_file, waves

ALL = [EqualizerTransform, PositionConvolutionTransform, AudioConvolutionTransform, AudioNoiseTransform]
NOISE = np.rint(np.random.default_rng(0).normal(0, 3000, (80_000, 1))).astype(np.int16)


def protected(cls, samples, rate=8000, label=0, subtype="PCM_16", kind="WAV", **parameters):
    """A recording's samples after protection, as the stored bytes hold them."""
    cloak = cls(seed=7, **parameters).fit(recordings())
    data = sound_file(samples, rate, kind, subtype)
    after = cloak({"audio": {"bytes": data, "path": "george_3.wav"}, "label": label})["audio"]
    assert after["path"] is None
    return decode(after["bytes"])


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(8000, 1, "PCM_U8"), (11_025, 2, "PCM_16"), (44_100, 8, "PCM_24"), (48_000, 2, "PCM_32"), (192_000, 1, "FLOAT")],
)
def test_rate_channels_width_and_length_stay(cls, rate, channels, subtype):
    samples = np.random.default_rng(1).normal(0, 0.1, (3001, channels))
    after, form = protected(cls, samples, rate, subtype=subtype)
    before, same = decode(sound_file(samples, rate, "WAV", subtype))
    assert form == same and after.shape == before.shape and not np.array_equal(after, before)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("frames", [1, 2, 7, 100])
def test_shortest_recordings_are_protected_to_the_same_length(cls, frames):
    assert len(protected(cls, NOISE[:frames])[0]) == frames


@pytest.mark.parametrize("cls", ALL)
def test_silence_stays_silence_and_clipped_samples_stay_in_range(cls):
    assert not protected(cls, np.zeros((2000, 1), np.int16))[0].any()
    square = np.where(np.arange(4000)[:, None] // 40 % 2, 32767, -32768).astype(np.int16)
    after, _ = protected(cls, square)
    assert after.dtype == np.int16 and np.sign(after[1000]) == np.sign(square[1000])


def test_equalizer_refuses_a_class_that_was_not_there():
    cloak = EqualizerTransform(seed=7).fit(recordings())
    with pytest.raises(ValueError, match="The class 9 was not there when the key was made"):
        cloak({"audio": {"bytes": sound_file(NOISE[:500]), "path": None}, "label": 9})


def test_position_convolution_changes_one_patch_and_nothing_else():
    after, _ = protected(PositionConvolutionTransform, NOISE[:16_000])
    changed = np.flatnonzero(after[:, 0] != NOISE[:16_000, 0])
    assert 700 < len(changed) <= 800 and changed[-1] - changed[0] < 800 and changed[-1] < 8000


@pytest.mark.parametrize("frames", [400, 1100, 3000])
def test_position_convolution_finds_room_in_short_recordings(frames):
    places = set()
    for label in range(4):
        after, _ = protected(PositionConvolutionTransform, NOISE[:frames], label=label)
        changed = np.flatnonzero(after[:, 0] != NOISE[:frames, 0])
        assert 0 < changed[-1] - changed[0] <= frames // 4
        places.add(int(changed[0]))
    assert len(places) == 4


def test_position_convolution_fades_its_patch_in_and_out():
    after, _ = protected(PositionConvolutionTransform, NOISE[:8000], blur=1.0)
    change = np.abs(after - NOISE[:8000].astype(int))[:, 0]
    first, last = np.flatnonzero(change)[[0, -1]]
    edges = np.concatenate([change[first : first + 8], change[last - 8 : last]])
    assert edges.mean() < 0.3 * change[first + 200 : last - 200].mean()


@pytest.mark.parametrize(("rate", "kind"), [(8000, "sum"), (16_000, "sum"), (44_100, "sum")])
def test_audio_convolution_keeps_what_does_not_move(rate, kind):
    still = np.full((3 * rate, 1), 5000, np.int16)
    after, _ = protected(AudioConvolutionTransform, still, rate)
    assert (after[rate : 2 * rate] == 5000).all()


@pytest.mark.parametrize("level", [0.003, 0.03, 0.3])
def test_noise_is_as_loud_as_it_says(level):
    after, _ = protected(AudioNoiseTransform, NOISE, noise_level=level)
    noise = after.astype(float) - NOISE
    most = level * np.sqrt(3 * np.square(NOISE, dtype=float).mean())
    assert np.abs(noise).max() <= most + 0.5
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(np.hypot(level * NOISE.std(), 12**-0.5), rel=0.03)


@pytest.mark.parametrize("cls", ALL)
def test_a_file_is_protected_to_a_file_as_in_map(cls, tmp_path):
    samples = np.concatenate([NOISE, NOISE])[: 2 * BLOCK + 500]
    soundfile.write(tmp_path / "in.wav", samples, 8000, subtype="PCM_16")
    cloak = cls(seed=7).fit(recordings())
    cloak.protect_file(tmp_path / "in.wav", tmp_path / "out.flac", label=1)
    row = {"audio": {"bytes": (tmp_path / "in.wav").read_bytes(), "path": None}, "label": 1}
    assert (tmp_path / "out.flac").read_bytes() == cloak(row)["audio"]["bytes"]
    with pytest.raises(FileExistsError):
        cloak.protect_file(tmp_path / "in.wav", tmp_path / "out.flac", label=1)


def test_a_file_that_breaks_half_way_leaves_nothing_behind(tmp_path):
    values = np.zeros(BLOCK + 900)
    values[-3] = np.nan
    (tmp_path / "in.wav").write_bytes(sound_file(values, subtype="FLOAT"))
    with pytest.raises(ValueError, match="in.wav: the recording holds NaN or an infinite value in frame 66433"):
        EqualizerTransform(seed=7).fit(recordings()).protect_file(tmp_path / "in.wav", tmp_path / "out", label=1)
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_decoded_column_stays_decoded(cls, channels):
    wave = waves(1, channels=channels)[0].astype(np.float32) / 32768
    array = wave[:, 0] if channels == 1 else wave.T
    after = cls(seed=7).fit(recordings())({"audio": {"array": array, "sampling_rate": 8000}, "label": 2})["audio"]
    assert set(after) == {"array", "sampling_rate"} and after["sampling_rate"] == 8000
    assert after["array"].shape == array.shape and after["array"].dtype == np.float32
    assert 0 < np.abs(after["array"] - array).max() < 1


def test_the_audio_feature_is_put_back():
    rows = recordings(8).cast_column("audio", Audio(sampling_rate=16_000))
    after = rows.map(EqualizerTransform(seed=7).fit(rows), batched=True)
    assert after.features == rows.features and after.features["audio"].sampling_rate == 16_000
    stored = after.cast_column("audio", Audio(decode=False))["audio"][:]
    assert {decode(value)[1].rate for value in stored} == {8000} and all(value["path"] is None for value in stored)


@pytest.mark.parametrize("cls", ALL)
def test_rates_and_channels_may_be_mixed(cls):
    files = [sound_file(waves(1, seed, rate, count)[0], rate) for seed, rate, count in
             ((0, 8000, 1), (1, 44_100, 2), (2, 16_000, 1), (3, 22_050, 4))]  # fmt: skip
    rows = recordings(files=files)
    after = rows.map(cls(seed=7).fit(rows), batched=True)["audio"][:]
    for before, value in zip(rows["audio"][:], after, strict=True):
        assert decode(value)[1] == decode(before)[1] and value["bytes"] != before["bytes"]


def test_short_and_long_recordings_of_a_batch_come_out_as_each_alone():
    lengths = [300, BLOCK + 9, 40_000, *[60_000] * 9, BLOCK, 1]  # more short ones than are kept for later
    files = [sound_file(NOISE[:frames] + np.int16(i)) for i, frames in enumerate(lengths)]
    rows = recordings(files=files)
    cloak = EqualizerTransform(seed=7).fit(rows)
    batch = {"audio": rows["audio"][:], "label": rows["label"][:]}
    alone = [cloak({"audio": value, "label": label})["audio"] for value, label in zip(*batch.values())]
    assert cloak(batch)["audio"] == alone


def test_files_are_at_most_a_few_hundredths_larger_than_with_the_default_of_flac():
    after, form = protected(AudioConvolutionTransform, NOISE)
    file = sound_file(NOISE)
    made = AudioConvolutionTransform(seed=7).fit(recordings())({"audio": file, "label": 0})["audio"]
    assert len(encode(form, [after])) <= len(made) <= 1.03 * len(encode(form, [after]))


@pytest.mark.parametrize(("start", "count"), [(0, 10), (1, 5), (3, 1), (2, 20_000), (8191, 9000), (40_000, 7)])
def test_noise_goes_on_from_any_place_of_its_stream(start, count):
    whole = uniform(12_345, 0, (50_001,))
    assert np.array_equal(uniform(12_345, start, (count,)), whole[start : start + count])
    assert abs(whole.mean()) < 0.01 and abs(np.sqrt(3) * whole.std() - 1) < 0.01 and abs(whole).max() < 1


def test_a_bad_recording_is_named_by_row_and_column():
    files = [sound_file(one) for one in waves(6)]
    files[4] = b"this is no sound at all"
    rows = recordings(files=files)
    with pytest.raises(ValueError, match="Row 4 of this batch, column 'audio': the recording does not open"):
        rows.map(EqualizerTransform(seed=7).fit(rows), batched=True)
    fine = rows.map(EqualizerTransform(seed=7, classes=[1, 2, 3]).fit(rows), batched=True)["audio"][:]
    assert fine[4]["bytes"] == files[4] and fine[0]["bytes"] == files[0] and fine[1]["bytes"] != files[1]


def test_files_that_are_gone_are_named(tmp_path):
    rows = recordings(4).to_dict()
    for i, value in enumerate(rows["audio"]):
        (tmp_path / f"{i}.wav").write_bytes(value["bytes"])
        value.update(bytes=None, path=str(tmp_path / f"{i}.wav"))
    (tmp_path / "2.wav").unlink()
    cloak = EqualizerTransform(seed=7).fit(recordings())
    with pytest.raises(
        ValueError, match=r"Row 2 of this batch \(.*2.wav\), column 'audio': the recording is a path to"
    ):
        cloak(rows)
    rows = {name: values[:2] for name, values in rows.items()}
    assert all(value["bytes"][:4] == b"fLaC" and value["path"] is None for value in cloak(rows)["audio"])


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"depth": -1.0}, "depth is -1"), ({"depth": 100.0}, "depth is 100"), ({"ripple": 30.0}, "ripple is 30"),
        ({"label_column": "audio"}, "label_column and audio_column are both 'audio'"),
        ({"label_column": "speaker"}, "needs labels, and there is no column 'speaker'.*audio-noise"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(parameters, why):
    with pytest.raises(ValueError, match=why):
        EqualizerTransform(seed=7, **parameters).fit(recordings(8))
