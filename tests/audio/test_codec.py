"""Recordings are read and written without losing a sample."""

import io
import time

import numpy as np
import pytest
import soundfile

from hf_unlearnable.audio.codec import (
    BLOCK,
    Format,
    RecordingError,
    _plain_wave,
    container,
    decode,
    encode,
    opened,
    write,
)
from tests.examples import sound_file

RANDOM = np.random.default_rng(0)


def integers(bits, frames=3000, channels=2):
    """Random integers of so many bits, from the least to the largest."""
    values = RANDOM.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (frames, channels))
    values[0], values[1] = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return values


def shifted(values, bits):
    return (values << (32 - bits)).astype(np.int32)


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(
    ("kind", "subtype", "bits"),
    [
        ("WAV", "PCM_U8", 8), ("WAV", "PCM_16", 16), ("WAV", "PCM_24", 24), ("WAV", "PCM_32", 32),
        ("FLAC", "PCM_S8", 8), ("FLAC", "PCM_16", 16), ("FLAC", "PCM_24", 24), ("AIFF", "PCM_16", 16),
        ("CAF", "PCM_24", 24), ("W64", "PCM_16", 16), ("AU", "PCM_32", 32),
    ],
)  # fmt: skip
def test_integers_come_out_as_they_are_stored(kind, subtype, bits, channels):
    values = integers(bits, channels=channels)
    samples, form = decode(sound_file(shifted(values, bits), 44_100, kind, subtype))
    assert form == Format(44_100, channels, bits) and np.array_equal(samples, values)
    data = encode(form, [samples])
    assert data[:4] == (b"fLaC" if bits <= 24 else b"RIFF")
    again, same = decode(data)
    assert same == form and np.array_equal(again, values)


@pytest.mark.parametrize(("subtype", "bits"), [("FLOAT", 32), ("DOUBLE", 64)])
def test_floats_come_out_as_they_are_stored_beyond_full_scale_too(subtype, bits):
    values = RANDOM.normal(0, 0.7, (2000, 3)).astype(f"float{bits}")
    assert np.abs(values).max() > 1
    samples, form = decode(sound_file(values, 96_000, "WAV", subtype))
    assert form == Format(96_000, 3, bits, real=True) and samples.dtype == values.dtype
    again, same = decode(encode(form, [samples]))
    assert same == form and np.array_equal(again, values)


@pytest.mark.parametrize(("bits", "kind"), [(32, ""), (64, ""), (32, "RF64")])
def test_a_file_of_floats_does_not_tell_when_it_was_written(tmp_path, monkeypatch, bits, kind):
    monkeypatch.setattr("hf_unlearnable.audio.codec._WAVE_BYTES", -1 if kind else 2**40)
    values = RANDOM.normal(0, 0.3, (500, 2)).astype(f"float{bits}")
    form = Format(8000, 2, bits, real=True)
    first = encode(form, [values])
    time.sleep(1.1)
    assert encode(form, [values]) == first
    write(tmp_path / "a.wav", form, [values])
    assert (tmp_path / "a.wav").read_bytes() == first and np.array_equal(decode(first)[0], values)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_rate_and_length_stay(rate):
    values = integers(16, 1237, 1)
    samples, form = decode(encode(Format(rate, 1), [values.astype(np.int16)]))
    assert form.rate == rate and len(samples) == 1237


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Format(8000, 8, 16), ("FLAC", "PCM_16")),
        (Format(8000, 9, 16), ("WAV", "PCM_16")),
        (Format(8000, 9, 8), ("WAV", "PCM_U8")),
        (Format(700_000, 1, 24), ("WAV", "PCM_24")),
        (Format(8000, 1, 8), ("FLAC", "PCM_S8")),
        (Format(8000, 1, 32), ("WAV", "PCM_32")),
        (Format(8000, 1, 32, real=True), ("WAV", "FLOAT")),
    ],
)
def test_container_is_flac_where_it_holds_the_samples(form, expected):
    assert container(form) == expected


def test_beyond_four_gigabytes_a_wav_is_rf64():
    form = Format(48_000, 2, 64, real=True)
    assert container(form, 2**27) == ("WAV", "DOUBLE") and container(form, 2**28) == ("RF64", "DOUBLE")


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_a_lossy_file_is_decoded_to_16_bits_and_stored_as_flac(kind, subtype):
    wave = 0.4 * np.sin(np.arange(16_000) / 9)[:, None]
    data = sound_file(wave, 16_000, kind, subtype)
    with opened(data) as recording:
        samples = recording.samples()
        assert recording.lossy == subtype and recording.format == Format(16_000, 1)
    floats = soundfile.read(io.BytesIO(data), always_2d=True)[0]
    assert len(samples) == len(floats) and np.abs(samples - floats * 32768).max() <= 0.5
    assert encode(Format(16_000, 1), [samples])[:4] == b"fLaC"


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_a_compressed_wav_has_the_16_bits_that_it_decodes_to(subtype):
    data = sound_file(0.3 * np.sin(np.arange(8000) / 9), 8000, "WAV", subtype)
    samples, form = decode(data)
    assert form == Format(8000, 1)
    assert np.array_equal(samples[:, 0], soundfile.read(io.BytesIO(data), dtype="int16")[0])


def test_content_is_that_of_the_samples_whatever_holds_them():
    values = shifted(integers(16, 5000, 2), 16)
    contents = set()
    for kind, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("AIFF", "PCM_32"), ("WAV", "DOUBLE")):
        data = sound_file(values / 2**31 if subtype == "DOUBLE" else values, 8000, kind, subtype)
        with opened(data) as recording:
            contents.add(recording.content())
    assert len(contents) == 1
    for other in (sound_file(values, 8001), sound_file(values[:-1], 8000), sound_file(values.reshape(-1, 1), 8000)):
        with opened(other) as recording:
            assert recording.content() not in contents


def test_a_stream_is_that_of_the_samples_whatever_holds_them():
    values = integers(16, frames=BLOCK + 10)

    def stream(file, seed=5):
        with opened(file) as recording:
            return recording.stream(seed)

    whole = sound_file(values.astype(np.int16))
    same = [sound_file(shifted(values, 16), 8000, "FLAC", "PCM_24"), sound_file(values / 2**15, 8000, "WAV", "FLOAT"),
            {"array": values.T / 2**15, "sampling_rate": 8000}]  # fmt: skip
    assert {stream(one) for one in same} == {stream(whole)}
    last = values.copy()
    last[-1, 1] ^= 1
    others = [sound_file(values.astype(np.int16), 8001), sound_file(values.astype(np.int16).reshape(-1, 1)),
              sound_file(last.astype(np.int16))]  # fmt: skip
    assert len({stream(one) for one in others} | {stream(whole), stream(whole, 6)}) == 5


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_a_plain_wav_is_read_as_soundfile_reads_it_and_others_are_left_to_it(channels, monkeypatch):
    values = integers(16, channels=channels).astype(np.int16)
    file = sound_file(values, 44_100)
    samples, form = decode({"bytes": file, "path": None})
    read, rate = soundfile.read(io.BytesIO(file), dtype="int16", always_2d=True)
    assert np.array_equal(samples, read) and form == Format(rate, channels)
    # With a chunk behind the samples, a byte too few, another codec, a frame of another size.
    told = file + b"LIST\x04\0\0\0INFO"
    broken = [told, file[:-1], file[:20] + b"\x07" + file[21:], file[:32] + b"\x05" + file[33:], file[:43], b""]
    assert [_plain_wave(one) for one in broken] == [None] * 6
    monkeypatch.setattr(soundfile, "SoundFile", None)
    assert np.array_equal(decode(file)[0], values)


def test_blocks_are_the_recording_and_may_be_read_again(tmp_path):
    values = integers(16, 2 * BLOCK + 5, 1).astype(np.int16)
    write(tmp_path / "long.flac", Format(8000, 1), [values])
    with opened(tmp_path / "long.flac") as recording:
        for _ in range(2):
            blocks = list(recording.blocks())
            assert [len(block) for block in blocks] == [BLOCK, BLOCK, 5]
            assert np.array_equal(np.concatenate(blocks), values)


@pytest.mark.parametrize("shape", [(1500,), (2, 1500)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, list])
def test_a_decoded_recording_is_read_in_channels_first(shape, kind):
    array = RANDOM.normal(0, 0.2, shape).astype(np.float32 if kind is np.float32 else np.float64)
    given = array.tolist() if kind is list else array
    samples, form = decode({"array": given, "sampling_rate": 16_000})
    assert form == Format(16_000, len(shape), 32 if kind is np.float32 else 64, real=True)
    assert np.array_equal(samples, array[:, None] if array.ndim == 1 else array.T)


@pytest.mark.parametrize(
    ("value", "stored"),
    [(0.5, 0), (1.5, 2), (-0.5, 0), (-1.6, -2), (40_000.0, 32_767), (-40_000.0, -32_768), (32_767.4, 32_767)],
)
def test_integers_are_rounded_to_the_nearest_and_kept_in_range(value, stored):
    assert Format(8000, 1).stored(np.array([[value]])).tolist() == [[stored]]


WORD = (3000 * np.sin(np.arange(4000) / 9)).astype(np.int16)
REFUSED = {
    "no file": (42, "is int, no file: cast the column with datasets.Audio"),
    "none": ({"bytes": None, "path": None}, "is empty: leave such rows out with mask_column"),
    "no bytes": ({"bytes": b"", "path": None}, "is empty"),
    "gone": ({"bytes": None, "path": "/nowhere/a.wav"}, "is a path to a file that is not there"),
    "text": (b"Never gonna give you up. " * 9, "does not open .*: the file is broken, or no recording"),
    "RIFF alone": (b"RIFF", "does not open"),
    "MP4": (b"\0\0\0\x20ftypisom" + bytes(500), "is an MP4 file, a video or AAC, which soundfile does not read: convert"),
    "WebM": (b"\x1a\x45\xdf\xa3" + bytes(500), "is a Matroska or WebM file"),
    "AVI": (b"RIFF\x10\0\0\0AVI LIST" + bytes(200), "is an AVI video"),
    "AAC": (b"\xff\xf1\x50\x80" + bytes(200), "is raw AAC"),
    "no samples": (sound_file(WORD[:0]), "holds no samples: leave such rows out"),
    "WAV cut": (sound_file(WORD)[:5000], "is cut off: its header announces 8,000 bytes of samples, 4,956 are there"),
    "AIFF cut": (sound_file(WORD, format="AIFF")[:5000], "is cut off"),
    "AU cut": (sound_file(WORD, format="AU")[:5000], "is cut off"),
    "FLAC cut": (sound_file(integers(16).astype(np.int16), format="FLAC")[:6000], "is cut off|does not decode|does not open"),
    "NaN": (sound_file(np.where(np.arange(90) == 7, np.nan, 0.1), subtype="FLOAT"), "holds NaN or an infinite value in frame 7"),
    "infinite": (sound_file(np.where(np.arange(90) == 80, -np.inf, 0.1), subtype="DOUBLE"), "infinite value in frame 80"),
    "integers": ({"array": np.arange(9), "sampling_rate": 8000}, "is an array of int64: give floats"),
    "no rate": ({"array": np.zeros(9), "sampling_rate": None}, "with the rate None: give"),
    "empty array": ({"array": [], "sampling_rate": 8000}, "holds no samples"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_whole_recording_is_refused_with_advice(case):
    value, why = REFUSED[case]
    with pytest.raises(RecordingError, match=why), opened(value) as recording:
        list(recording.blocks())


def test_a_stream_whose_header_does_not_know_its_length_is_whole():
    data = bytearray(sound_file(WORD))
    data[4:8] = data[40:44] = b"\xff" * 4
    assert np.array_equal(decode(bytes(data))[0][:, 0], WORD)


@pytest.mark.parametrize("samples", [[[5]], [[0]] * 3, [[32767]] * 50 + [[-32768]] * 50])
def test_one_sample_silence_and_a_clipped_recording_are_kept(samples):
    values = np.array(samples, np.int16)
    assert np.array_equal(decode(encode(Format(8000, 1), [values]))[0], values)
