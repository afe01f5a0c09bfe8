"""What a recording's file tells beside its sound: tags, comments, pictures, the recorder."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

_RIFF = {
    b"bext": "bext", b"iXML": "iXML", b"id3 ": "ID3", b"ID3 ": "ID3", b"_PMX": "XMP", b"axml": "axml", b"cart": "cart",
    b"cue ": "cue points", b"smpl": "sampler data", b"umid": "UMID",
}  # fmt: skip
_AIFF = {
    b"NAME": "AIFF text", b"AUTH": "AIFF text", b"(c) ": "AIFF text", b"ANNO": "AIFF text", b"COMT": "AIFF text",
    b"ID3 ": "ID3", b"APPL": "application data", b"MARK": "markers",
}  # fmt: skip
_FLAC = {2: "application data", 4: "Vorbis comments", 5: "cue sheet", 6: "cover picture"}
_MOST = 2**24  # bytes of a chunk that are looked into
# What encoders write of themselves.
_HARMLESS = re.compile(
    r"\s*(?:encoder=|encoder_options=|(?:TSSE|ISFT|TENC)\W*(?:Lav|LAME|libsndfile)|\(ISFT|Lav[fc])", re.I
)

_PLACE = re.compile(r"<LOCATION_(?:GPS|NAME)|\b(?:GPS|GEO|LATITUDE|LONGITUDE|LOCATION)\w*[=:\0 ]", re.I)
_FOUND = {
    "gps": "A recording tells where it was made.",
    "cover-picture": "A recording's file holds a picture.",
    "tags": "A recording's file holds tags or comments.",
}


def left_out(file: BinaryIO) -> tuple[str, ...]:
    """Names of what a file tells beyond its sound, such as "ID3" and "cover picture".

    Args:
        file: An open recording; it is put back to its beginning.
    """
    names = tuple(dict.fromkeys(name for name, text in fields(file) if not _HARMLESS.match(text)))
    file.seek(0)
    return names


def told(data: bytes) -> list[tuple[str, str]]:
    """What a file's metadata tells.

    Args:
        data: Contents of a file.

    Returns:
        Kinds of findings, "gps", "tags" and "cover-picture", each with a sentence.
    """
    found = [(name, text) for name, text in fields(io.BytesIO(data)) if not _HARMLESS.match(text)]
    kinds = ["gps"] if any(_PLACE.search(text) for _, text in found) else []
    kinds += ["cover-picture"] if any(name == "cover picture" for name, _ in found) else []
    kinds += ["tags"] if any(name != "cover picture" for name, _ in found) and not kinds else []
    return [(kind, _FOUND[kind]) for kind in kinds]


def notes(data: bytes) -> list[str]:
    """The texts in a file's metadata, whatever they say."""
    return [text for _, text in fields(io.BytesIO(data)) if text]


def fields(file: Any) -> Iterator[tuple[str, str]]:
    """What a file tells beyond its sound: the name of its kind, and the text that it holds.

    Args:
        file: An open binary file. Only the parts that hold metadata are read.
    """
    file.seek(0)
    head = file.read(12)
    start = 0
    if head[:3] == b"ID3":
        size = 10 + _synchsafe(file, 6)
        file.seek(10)
        yield from _id3(file.read(min(size, _MOST)))
        start = size
        file.seek(start)
        head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        yield from _chunks(file, 12, "big" if head[:4] == b"RIFX" else "little", _RIFF)
    elif head[:4] == b"FORM":
        yield from _chunks(file, 12, "big", _AIFF)
    elif head[:4] == b"fLaC":
        yield from _flac(file, start + 4)
    elif head[:4] == b"OggS":
        yield from _ogg(file)
    yield from _at_the_end(file)


def _synchsafe(file: Any, place: int) -> int:
    file.seek(place)
    return sum((byte & 0x7F) << shift for byte, shift in zip(file.read(4), (21, 14, 7, 0), strict=False))


def _text(data: bytes) -> str:
    """Bytes as text: UTF-16 where they begin so or every second one is zero."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(data) > 3 and not any(data[1:8:2])):
        return data.decode("utf-16", "replace").strip("\0 ")
    return data.decode("utf-8", "replace").strip("\0 ")


def _id3(data: bytes) -> Iterator[tuple[str, str]]:
    """Frames of ID3v2: a name of four letters (three in 2.2), a length, flags, the value."""
    for match in re.finditer(rb"([A-Z][A-Z0-9]{2,3})\0", data):
        name = match[1].decode()
        if name in ("APIC", "PIC"):
            yield "cover picture", ""
        elif name[0] in "TCWUPG":
            width = len(match[1])
            size = int.from_bytes(data[match.start() + width : match.start() + 2 * width], "big")
            value = data[match.start() + (10 if width == 4 else 6) :][: min(size, 4096)]
            yield "ID3", f"{name} {_text(value[1:])}"


def _chunks(file: Any, place: int, order: Any, known: dict[bytes, str]) -> Iterator[tuple[str, str]]:
    """Chunks of RIFF and AIFF: a name, a length, as many bytes and one more if that is odd."""
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], int.from_bytes(head[4:], order)
        if name in known:
            yield known[name], _text(file.read(min(size, _MOST)))
        elif name == b"LIST" and size < _MOST:
            data = file.read(size)
            kind = "RIFF INFO" if data[:4] == b"INFO" else "labels"
            for match in re.finditer(rb"(I[A-Z]{3}|labl|note|ltxt)(....)", data[4:], re.DOTALL):
                text = data[4 + match.end() :][: int.from_bytes(match[2], order)]
                yield kind, f"{match[1].decode()} {_text(text)}"
        place += 8 + size + size % 2


def _flac(file: Any, place: int) -> Iterator[tuple[str, str]]:
    """Blocks: the last one's flag and a kind in one byte, three bytes of length."""
    last = False
    while not last:
        file.seek(place)
        head = file.read(4)
        if len(head) < 4:
            return
        last, kind, size = head[0] >= 128, head[0] & 127, int.from_bytes(head[1:], "big")
        data = file.read(min(size, _MOST))
        if kind == 4:
            yield from _comments(data)
        elif kind in _FLAC:
            yield _FLAC[kind], ""
        place += 4 + size


def _ogg(file: Any) -> Iterator[tuple[str, str]]:
    file.seek(0)
    data = file.read(2**18)
    for mark in (b"\x03vorbis", b"OpusTags"):
        place = data.find(mark)
        if place >= 0:
            yield from _comments(data[place + len(mark) :])


def _comments(data: bytes) -> Iterator[tuple[str, str]]:
    """Vorbis comments: the vendor, a count, and texts NAME=value, each behind its length."""
    place = 4 + int.from_bytes(data[:4], "little")
    count = int.from_bytes(data[place : place + 4], "little")
    place += 4
    for _ in range(min(count, 1000)):
        size = int.from_bytes(data[place : place + 4], "little")
        text = _text(data[place + 4 : place + 4 + size])
        picture = text.upper().startswith(("METADATA_BLOCK_PICTURE", "COVERART"))
        yield ("cover picture", "") if picture else ("Vorbis comments", text[:4096])
        place += 4 + size


def _at_the_end(file: Any) -> Iterator[tuple[str, str]]:
    """ID3v1 and APE tags."""
    end = file.seek(0, 2)
    file.seek(max(0, end - 160))
    tail = file.read()
    if tail[-128:][:3] == b"TAG":
        yield "ID3", " ".join(_text(tail[-128:][a:b]) for a, b in ((3, 33), (33, 63), (63, 93), (97, 127)))
    if b"APETAGEX" in tail:
        yield "APE tags", ""
