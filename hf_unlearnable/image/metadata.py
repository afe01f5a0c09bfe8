"""What an image's file tells beside what it shows: places, cameras, people, comments."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from hf_unlearnable.image.reservation import reserves_only

# EXIF and TIFF: maker, model, host computer, artist, copyright, owner, serial numbers, what only the camera's maker
# can read, the author as Windows writes it.
_PEOPLE = {271, 272, 315, 316, 33432, 0xA430, 0xA431, 0xA433, 0xA434, 0xA435, 0x927C, 0x9C9D}
_WORDS = {
    269,
    270,
    285,
    0x9286,
    0x9C9B,
    0x9C9C,
    0x9C9E,
    0x9C9F,
}  # names of documents and pages, descriptions, comments
_EXIF, _GPS, _XMP, _IPTC, _PHOTOSHOP = 0x8769, 0x8825, 700, 33723, 34377
# Fields of record 2 of IPTC: by-line, its title, writer, credit, source, copyright, contact; city to country.
_IPTC_PEOPLE, _IPTC_PLACES = {80, 85, 110, 115, 116, 118, 122}, {26, 27, 90, 92, 95, 100, 101}
_XMP_PLACE = re.compile(
    r"GPS(?:Latitude|Longitude|Position|Dest)|geo:(?:lat|long)|photoshop:(?:City|State|Country)"
    r"|Iptc4xmp(?:Core:(?:Location|CountryCode)|Ext:Location)"
)
_IN_PNG = {"exif", "iptc", "8bim", "xmp", "APP1", "app1"}  # what ImageMagick writes as hexadecimal
# What programs leave: a time, their own name, the shape of an array.
_HARMLESS = re.compile(
    r"\s*(?:$|CREATOR: gd-jpeg|Created (?:with|by OpenJPEG)|Kakadu|File (?:source|written)|Optimized|LEAD Tech|"
    r"AppleMark|Compressed by|Lavc|Handmade|Processed by|ImageJ=|\{\"shape\"|ASCII|UNICODE)"
)
_BROKEN = (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, EOFError, struct.error, AssertionError)

_FOUND = {
    "gps": "An image tells where it was taken.",
    "camera": "An image tells its camera or its owner.",
    "comment": "An image holds a comment or a description.",
}


def told(data: bytes) -> list[tuple[str, str]]:
    """What a file's metadata tells; nothing of a packet that only forbids data mining, which is there to be read.

    Args:
        data: Contents of a file.

    Returns:
        Kinds of findings, "gps", "camera" and "comment", each with a sentence.
    """
    fields = _Fields(data)
    kinds = []
    packets = [packet for packet in fields.xmp if not reserves_only(packet)]
    if fields.gps or any(_XMP_PLACE.search(xmp) for xmp in packets) or fields.iptc.keys() & _IPTC_PLACES:
        kinds.append("gps")
    if fields.exif.keys() & _PEOPLE or fields.iptc.keys() & _IPTC_PEOPLE:
        kinds.append("camera")
    elif packets:
        return [*((kind, _FOUND[kind]) for kind in kinds), ("camera", "An image holds XMP metadata.")]
    if not kinds and any(not _HARMLESS.match(note) for note in fields.words()):
        kinds.append("comment")
    return [(kind, _FOUND[kind]) for kind in kinds]


def notes(data: bytes) -> Iterator[str]:
    """The texts in a file's metadata.

    Args:
        data: Contents of a file.
    """
    fields = _Fields(data)
    yield from fields.words()
    yield from fields.xmp
    for value in [*fields.exif.values(), *fields.iptc.values()]:
        yield _text(value)


class _Fields:
    """The metadata of a file, by where it stands in it.

    Attributes:
        exif: Values by tag, of a TIFF its own; gps: whether there is a place among them.
        iptc: Values by field of record 2.
        xmp: Packets.
        comments: Comments and named texts.
    """

    def __init__(self, data: bytes):
        self.exif: dict[int, Any] = {}
        self.iptc: dict[int, Any] = {}
        self.gps = False
        self.xmp: list[str] = []
        self.comments: list[str] = []
        self._read(data)
        if not self.xmp:  # in a format whose metadata Pillow does not read, such as JPEG 2000
            packets = re.findall(rb"<x:xmpmeta.*?</x:xmpmeta>|<rdf:RDF.*?</rdf:RDF>", data, re.DOTALL | re.IGNORECASE)
            self.xmp = [packet.decode("utf-8", "replace") for packet in packets]

    def words(self) -> list[str]:
        """Comments and descriptions."""
        return [*self.comments, *(_text(self.exif[tag]) for tag in sorted(self.exif.keys() & _WORDS))]

    def _read(self, data: bytes) -> None:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(data)) as image:
                self._take_exif(image.getexif())
                self._take_iptc(image)
                for name in ("xmp", "XML:com.adobe.xmp"):
                    if image.info.get(name):
                        self.xmp.append(_text(image.info[name]))
                self.comments += [_text(image.info[name]) for name in ("comment",) if image.info.get(name)]
                if image.format == "PNG" and re.search(rb"tEXt|zTXt|iTXt", data):
                    self._take_png(image.text)  # type: ignore[attr-defined]
        except (*_BROKEN, Image.DecompressionBombError):
            return  # what does not open tells nothing that a reader could open either

    def _take_exif(self, exif: Any) -> None:
        self.exif.update(exif)
        self.exif.update(exif.get_ifd(_EXIF))
        self.gps |= bool(exif.get_ifd(_GPS))
        if self.exif.get(_XMP):
            self.xmp.append(_text(self.exif[_XMP]))

    def _take_iptc(self, image: Any) -> None:
        from PIL import IptcImagePlugin

        found = IptcImagePlugin.getiptcinfo(image) if image.format in ("JPEG", "TIFF", "MPO") else None
        blocks = [self.exif.get(tag) for tag in (_IPTC, _PHOTOSHOP)]
        for block in blocks:
            if isinstance(block, bytes):
                self._take_iptc_fields(block)
        self.iptc.update({field: value for (record, field), value in (found or {}).items() if record == 2})

    def _take_iptc_fields(self, block: bytes) -> None:
        """Fields of record 2: a mark, the record, the field, the length, the value."""
        for match in re.finditer(rb"\x1c\x02(.)(..)", block, re.DOTALL):
            length = int.from_bytes(match[2], "big")
            self.iptc[match[1][0]] = block[match.end() : match.end() + length]

    def _take_png(self, texts: Mapping[str, str]) -> None:
        from PIL import Image

        for name, text in texts.items():
            kind = name.removeprefix("Raw profile type ")
            if name == "XML:com.adobe.xmp":
                continue
            if name != kind and kind in _IN_PNG:
                block = bytes.fromhex(re.sub(r"\s", "", "".join(text.strip().split("\n")[2:])))
                if kind in ("iptc", "8bim"):
                    self._take_iptc_fields(block)
                elif b"rdf:RDF" in block or b"xmpmeta" in block:
                    self.xmp.append(_text(block))
                else:
                    exif = Image.Exif()
                    exif.load(block)
                    self._take_exif(exif)
            elif not re.fullmatch(r"Software|date:\w+|Creation Time|icc:.*|(?:jpeg|png):\w+|signature", name):
                self.gps |= "GPS" in name
                self.comments.append(text)


def _text(value: Any) -> str:
    """A value of metadata as text: those of Windows are UTF-16."""
    if isinstance(value, bytes):
        code = "utf-16-le" if value[1:2] == b"\0" and len(value) % 2 == 0 else "utf-8"
        return value.decode(code, "replace").strip("\0")
    return str(value)
