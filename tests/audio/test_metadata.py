"""What a recording's file tells beside its sound is named, and gone from what is written."""

import struct

import numpy as np
import pytest

from hf_unlearnable.audio.codec import encode, opened
from hf_unlearnable.audio.copies import AudioCopies
from hf_unlearnable.audio.metadata import notes, told
from tests.examples import sound_file

WORD = (3000 * np.sin(np.arange(3000) / 9)).astype(np.int16)
WAV, AIFF, FLAC = (sound_file(WORD, format=kind) for kind in ("WAV", "AIFF", "FLAC"))


def riff(name, data):
    """The WAV with one more chunk."""
    more = name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return WAV[:4] + struct.pack("<I", len(WAV) + len(more) - 8) + WAV[8:] + more


def aiff(name, data):
    more = name + struct.pack(">I", len(data)) + data + bytes(len(data) % 2)
    return AIFF[:4] + struct.pack(">I", len(AIFF) + len(more) - 8) + AIFF[8:] + more


def info(name, text):
    return riff(b"LIST", b"INFO" + name + struct.pack("<I", len(text)) + text)


def id3(*frames):
    body = b"".join(name + struct.pack(">I", len(data)) + b"\0\0" + data for name, data in frames)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


def comments(*texts):
    return b"\x06\0\0\0vendor" + struct.pack("<I", len(texts)) + b"".join(struct.pack("<I", len(t)) + t for t in texts)


def flac(kind, data):
    """The FLAC with one more block behind the first."""
    return FLAC[:42] + bytes([kind]) + len(data).to_bytes(3, "big") + data + FLAC[42:]


MP3 = sound_file(WORD, 16_000, "MP3", "MPEG_LAYER_III")
CASES = {
    "RIFF INFO": (info(b"IART", b"Ann Lee\0"), ("RIFF INFO",), "IART Ann Lee", "tags"),
    "bext": (riff(b"bext", b"Studio 4, Oslo".ljust(602, b"\0")), ("bext",), "Studio 4, Oslo", "tags"),
    "iXML": (riff(b"iXML", b"<BWFXML><LOCATION_NAME>Oslo</LOCATION_NAME></BWFXML>"), ("iXML",), "Oslo", "gps"),
    "cue": (riff(b"cue ", bytes(28)), ("cue points",), "", "tags"),
    "ID3 in WAV": (riff(b"id3 ", id3((b"TPE1", b"\0Ann Lee"))), ("ID3",), "Ann Lee", "tags"),
    "AIFF author": (aiff(b"AUTH", b"Ann Lee"), ("AIFF text",), "Ann Lee", "tags"),
    "ID3": (id3((b"TPE1", b"\0Ann Lee")) + MP3, ("ID3",), "TPE1 Ann Lee", "tags"),
    "ID3 cover": (id3((b"APIC", b"\0image/png\0\3\0" + bytes(90))) + MP3, ("cover picture",), "", "cover-picture"),
    "ID3v1": (MP3 + b"TAG" + b"A Song".ljust(30, b"\0") + b"Ann Lee".ljust(30, b"\0") + bytes(65), ("ID3",), "Ann Lee", "tags"),
    "FLAC comments": (flac(4, comments(b"ARTIST=Ann Lee", b"LOCATION=Oslo")), ("Vorbis comments",), "ARTIST=Ann Lee", "gps"),
    "FLAC picture": (flac(6, bytes(32)), ("cover picture",), "", "cover-picture"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_metadata_is_named_and_left_out(case):
    data, names, text, kind = CASES[case]
    with opened(data) as recording:
        assert recording.metadata == names
        written = encode(recording.format, recording.blocks())
    with opened(written) as recording:
        assert recording.metadata == () and len(recording.samples()) >= 2999
    assert text in " ".join(notes(data))
    assert [found for found, _ in told(data)] == [kind] and told(written) == []


@pytest.mark.parametrize("data", [WAV, AIFF, FLAC, MP3, sound_file(WORD, format="OGG", subtype="VORBIS")])
def test_what_encoders_write_of_themselves_is_no_finding(data):
    with opened(data) as recording:
        assert recording.metadata == ()
    assert told(data) == []


@pytest.mark.parametrize("cut", [3, 9, 14, 40, 60])
def test_broken_metadata_does_not_stop_the_scan(cut):
    for data, *_ in CASES.values():
        assert isinstance(told(data[:cut]), list)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "AIFF", "OGG", "CAF", "AU", "MP3", "W64"])
def test_recordings_are_known_by_their_first_bytes(kind):
    subtype = {"MP3": "MPEG_LAYER_III", "OGG": "VORBIS"}.get(kind, "PCM_16")
    data = sound_file(WORD, 16_000, kind, subtype)
    assert AudioCopies().knows(data) and AudioCopies().lossy(data) == (kind in ("MP3", "OGG"))


@pytest.mark.parametrize(
    "data", [b"", b"RIFF\x10\0\0\0WEBPVP8L", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"text", b"RIFF"]
)
def test_other_files_are_no_recordings(data):
    assert not AudioCopies().knows(data)
