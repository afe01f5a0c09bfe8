"""Recordings from strangers: which are taken, which refused, and what leaves the process that reads them."""

import io
import struct
import zipfile

import numpy as np
import pytest
import soundfile

from hf_unlearnable.audio.codec import decode
from hf_unlearnable.space import reading, recordings
from hf_unlearnable.space.limits import RefusedError
from hf_unlearnable.space.recordings import read_recordings
from tests.examples import sound_file, waves
from tests.space.files import archive

VOICE = waves(1)[0]


def wave_header(frames: int, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    """The header of a WAV file that claims so much, without a sample."""
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, min(rate * frame, 2**32 - 1), frame, bits)
    size = min(frames * frame, 2**32 - 100)
    return b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", size)


def tagged(data: bytes, size: int = 20) -> bytes:
    """A file behind an ID3 tag."""
    return (
        b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + bytes(size) + data
    )


def read(folder, data, name="a.wav"):
    (folder / name).write_bytes(data)
    return read_recordings([folder / name], "x")


# ---------------------------------------------------------------------- what is taken
@pytest.mark.parametrize(
    ("format", "subtype", "rate", "channels", "bits"),
    [
        ("WAV", "PCM_16", 8000, 1, 16), ("WAV", "PCM_24", 44_100, 2, 24), ("WAV", "PCM_U8", 8000, 1, 8),
        ("WAV", "FLOAT", 192_000, 1, 32), ("RF64", "PCM_16", 8000, 8, 16), ("FLAC", "PCM_24", 96_000, 3, 24),
        ("AIFF", "PCM_16", 16_000, 2, 16), ("OGG", "VORBIS", 16_000, 1, 16), ("OGG", "OPUS", 48_000, 2, 16),
        ("MP3", "MPEG_LAYER_III", 16_000, 1, 16),
    ],
)  # fmt: skip
def test_a_listed_format_is_taken_under_any_name_with_every_sample(tmp_path, format, subtype, rate, channels, bits):
    data = sound_file(np.repeat(VOICE, channels, axis=1), rate, format, subtype)
    (row,) = read(tmp_path, data, "a.xyz")
    samples, form = decode(row["bytes"])
    expected, _ = decode(data)
    assert (form.rate, form.channels, form.bits) == (rate, channels, bits)
    assert (samples == expected).all() and samples.dtype == expected.dtype
    assert row["bytes"][:4] == (b"RIFF" if subtype == "FLOAT" else b"fLaC")


def test_tags_are_told_and_do_not_leave_the_reader(tmp_path):
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8000, 1, "PCM_16", format="WAV") as sound:
        sound.title = "A secret title"
        sound.write(VOICE)
    (row,) = read(tmp_path, file.getvalue())
    assert b"A secret title" in file.getvalue() and b"A secret title" not in row["bytes"]
    assert len(row["left_out"]) == 1


def test_folders_of_an_archive_are_classes_and_other_files_are_passed_over(tmp_path):
    data = sound_file(VOICE)
    files = {
        "set/bees/a.wav": data, "set/owls/b.FLAC": sound_file(VOICE, format="FLAC"), "top.wav": data,
        "notes.txt": b"no sound", "__MACOSX/set/bees/._a.wav": b"junk", ".hidden/c.wav": b"junk",
    }  # fmt: skip
    rows = read_recordings([archive(tmp_path / "a.zip", files)], " mine ")
    assert [(row["name"], row["label"]) for row in rows] == [
        ("set/bees/a.wav", "bees"), ("set/owls/b.FLAC", "owls"), ("top.wav", "mine"),
    ]  # fmt: skip


def test_the_reader_process_gives_the_rows_back_and_refuses_in_words(tmp_path):
    (tmp_path / "a.wav").write_bytes(sound_file(VOICE))
    (row,) = reading.read_recordings([tmp_path / "a.wav"], "")
    assert (row["name"], row["label"], row["left_out"]) == ("a.wav", "mine", [])
    assert (decode(row["bytes"])[0] == VOICE).all()
    (tmp_path / "b.wav").write_bytes(b"words " * 99)
    with pytest.raises(RefusedError, match=r"^b\.wav is no recording that opens: WAV, FLAC, Ogg, AIFF and MP3 do"):
        reading.read_recordings([tmp_path / "a.wav", tmp_path / "b.wav"], "")


# ---------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    "data",
    [
        b"words and more words", b"", b"R", b"RIFF", b"RIFF\0\0\0\0AVI LIST", b"FORM\0\0\0\x008SVXVHDR",
        b"\0\0\0 ftypM4A " + bytes(99), b"\x1a\x45\xdf\xa3" + bytes(99), b"MThd\0\0\0\6", b"caff\0\1\0\0", b".snd" + bytes(60),
        b"Creative Voice File\x1a" + bytes(20), tagged(b"caff\0\1\0\0" + bytes(80)), tagged(tagged(b"words")), b"ID3\x03",
    ],
)  # fmt: skip
def test_what_does_not_begin_like_a_listed_format_reaches_no_decoder(tmp_path, monkeypatch, data):
    monkeypatch.setattr(recordings, "opened", lambda value: pytest.fail("It was opened."))
    with pytest.raises(RefusedError, match=r"^a\.wav is no recording that opens: .* Convert it first"):
        read(tmp_path, data)


def test_a_format_that_soundfile_reads_and_that_is_not_listed_is_refused(tmp_path):
    for kind in ("CAF", "AU", "W64", "VOC", "SVX", "IRCAM", "PAF", "NIST"):
        with pytest.raises(RefusedError, match=r"^a\.wav is no recording that opens"):
            read(tmp_path, sound_file(VOICE, format=kind, subtype="PCM_16"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (sound_file(VOICE)[:-100], "is cut off"),
        (sound_file(VOICE, format="FLAC")[:-200], "cut off|does not decode"),
        (b"fLaC" + bytes(500), "does not open"),
        (b"OggS" + bytes(500), "does not open"),
        (b"\xff\xfb" + bytes(500), "does not open|holds no samples"),
        (b"\xff\xf1" + bytes(500), "is raw AAC"),
        (sound_file(VOICE[:0]), "holds no samples"),
        (sound_file(np.array([[0.1], [np.nan]], np.float32), subtype="FLOAT"), "NaN or an infinite value in frame 1"),
        (sound_file(VOICE, 4000), "1 channels at 4,000 Hz. This page takes at most 8 channels"),
        (sound_file(VOICE, 400_000), "at 400,000 Hz"),
        (sound_file(np.repeat(VOICE[:9], 9, axis=1)), "has 9 channels"),
    ],
    ids=range(11),
)
def test_a_broken_or_odd_recording_is_refused_by_its_name_and_reason(tmp_path, data, said):
    files = {"b/good.wav": sound_file(VOICE), "b/odd.wav": data}
    with pytest.raises(RefusedError, match=rf"^b/odd\.wav.*({said})"):
        read_recordings([archive(tmp_path / "a.zip", files)], "x")


@pytest.mark.parametrize("claim", [{"frames": 2**29}, {"frames": 2**28, "bits": 32}, {"frames": 2**30, "bits": 8}])
def test_a_header_that_claims_more_than_is_there_is_refused(tmp_path, claim):
    with pytest.raises(RefusedError, match=r"^a\.wav: the recording |more than 10 minutes"):
        read(tmp_path, wave_header(**claim) + bytes(2000))


def test_a_header_written_before_the_length_was_known_is_taken_for_what_is_there(tmp_path):
    (row,) = read(tmp_path, wave_header(2**31) + VOICE.tobytes())
    assert (decode(row["bytes"])[0] == VOICE).all()


@pytest.mark.parametrize("claim", [{"channels": 1024}, {"rate": 2**31 - 1}, {"channels": 20_000, "rate": 2}])
def test_a_header_of_many_channels_or_a_high_rate_is_refused_before_a_sample_is_read(tmp_path, monkeypatch, claim):
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("Samples were read."))
    with pytest.raises(RefusedError, match=r"^a\.wav"):
        read(tmp_path, wave_header(4, **claim) + bytes(2**20))


# ---------------------------------------------------------------------- how much
def silence(seconds: float, rate: int = 8000, channels: int = 1) -> bytes:
    """A FLAC file of a few kilobytes."""
    return sound_file(np.zeros((round(seconds * rate), channels), np.int16), rate, "FLAC")


def test_what_all_recordings_take_is_summed_before_one_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_SECONDS", 60)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("Samples were read."))
    files = {f"{i}.flac": silence(21) for i in range(3)}
    assert all(len(data) < 20_000 for data in files.values())
    with pytest.raises(RefusedError, match="^All recordings together have more than 1 minutes"):
        read_recordings([archive(tmp_path / "a.zip", files)], "x")


def test_channels_count_as_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_SAMPLES", 3_000_000)
    assert len(read(tmp_path, silence(90, 8000, 4))) == 1
    with pytest.raises(RefusedError, match="or 3 million samples"):
        read(tmp_path, silence(90, 8000, 5))


def test_a_length_that_the_header_does_not_tell_is_counted_while_it_is_decoded(tmp_path, monkeypatch):
    data = bytearray(silence(90))
    data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])  # total samples of a FLAC file: 0 is unknown
    monkeypatch.setattr(recordings, "MAX_SAMPLES", 200_000)
    blocks = []
    read_blocks = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda self, *args, **options: (blocks.append(1), read_blocks(self, *args, **options))[1]
    )  # fmt: skip
    with pytest.raises(RefusedError, match="All recordings together have more than"):
        read(tmp_path, bytes(data))
    assert len(blocks) == 4  # of 65,536 frames, where 11 are there


def test_a_bomb_is_read_no_further_than_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_unlearnable.space.limits.MAX_UNPACKED", 1_000_000)
    bomb = archive(tmp_path / "bomb.zip", {"a.wav": b"\0" * 30_000_000}, zipfile.ZIP_DEFLATED)
    with pytest.raises(RefusedError, match=r"^bomb\.zip unpacks to more than"):
        read_recordings([bomb], "x")


def test_too_many_recordings_or_none_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_RECORDINGS", 3)
    files = {f"{i}.wav": sound_file(VOICE[:9]) for i in range(4)}
    with pytest.raises(RefusedError, match="^These are more than 3 recordings"):
        read_recordings([archive(tmp_path / "a.zip", files)], "x")
    for paths in ([], [archive(tmp_path / "b.zip", {"notes.txt": b"none"})]):
        with pytest.raises(RefusedError, match="^There is no recording yet"):
            read_recordings(paths, "x")
