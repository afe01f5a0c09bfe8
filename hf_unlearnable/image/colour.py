"""What decides how an image is shown beside its pixel values and its ICC profile, as its file says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

PNG = b"\x89PNG\r\n\x1a\n"
HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF = {b"avif", b"avis"}

# Chunks of a PNG that decide how its pixel values are shown, beside the ICC profile: their lengths in bytes.
_SHOWN = {b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1}
_SRGB = (b"sRGB", b"\0")
# Adobe RGB (1998), which the cameras' standard marks in EXIF without a profile: gamma 2.2, white point and primaries.
_ADOBE_RGB = (
    (b"gAMA", (45470).to_bytes(4, "big")),
    (b"cHRM", b"".join(v.to_bytes(4, "big") for v in (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))),
)


def brands(data: bytes | None) -> set[bytes]:
    """The formats that a file of the ISO family (HEIC, AVIF) declares: AVIF alone where it is among them."""
    if data is None or data[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(data[:4], "big"), 256)
    found = {data[8:12], *(data[i : i + 4] for i in range(16, size, 4))}
    return found & AVIF or found


def colour_chunks(image: Image, data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """What decides how an image is shown beside its ICC profile, as PNG chunks.

    Args:
        image: The opened image.
        data: Its file; empty where only the opened image is known, of which Pillow tells gAMA, cHRM and sRGB.
    """
    info = image.info
    if image.format == "PNG":
        found = _chunks_before_pixels(data) if data else _chunks_that_pillow_tells(info)
        if info.get("icc_profile"):
            found.pop(b"sRGB", None)  # a PNG has the one or the other
        return tuple(found.items())
    if info.get("icc_profile"):
        return ()
    place = data.find(b"colrnclx", 0, 65536) if brands(data) & (HEIF | AVIF) else -1
    if place >= 0:  # primaries and transfer function, by the numbers that cICP has too; 2 is unknown
        codes = data[place + 9 : place + 10] + data[place + 11 : place + 12]
        if 2 not in codes:
            return (_SRGB,) if codes == b"\1\x0d" else ((b"cICP", codes + b"\0\1"),)
    if image.format in ("JPEG", "WEBP") and "exif" not in info:
        return ()
    from PIL import ExifTags

    exif = image.getexif()
    told = exif.get_ifd(ExifTags.IFD.Exif)
    space = told.get(0xA001)
    if space == 1:
        return (_SRGB,)
    marked = exif.get_ifd(ExifTags.IFD.Interop).get(1) if space == 0xFFFF and ExifTags.IFD.Interop in told else None
    return _ADOBE_RGB if space == 2 or marked == "R03" else ()


def _chunks_before_pixels(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG that decide how it is shown, in their order."""
    found: dict[bytes, bytes] = {}
    for name, start, stop in chunks(data):
        if name == b"IDAT":
            break
        if stop - start == _SHOWN.get(name):
            found.setdefault(name, data[start:stop])
    return found


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG: their names, and where the contents of each begin and end.

    The last one is IEND, or the last that is whole in a file that was cut off.
    """
    place, name = len(PNG), b""
    while place + 12 <= len(data) and name != b"IEND":
        size, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if place + 12 + size > len(data):
            return
        yield name, place + 8, place + 8 + size
        place += 12 + size


def _chunks_that_pillow_tells(info: dict) -> dict[bytes, bytes]:
    """The same of an opened PNG whose file is gone."""
    found: dict[bytes, bytes] = {}
    if "gamma" in info:
        found[b"gAMA"] = round(100_000 * info["gamma"]).to_bytes(4, "big")
    if "chromaticity" in info:
        found[b"cHRM"] = b"".join(round(100_000 * value).to_bytes(4, "big") for value in info["chromaticity"])
    if "srgb" in info:
        found[b"sRGB"] = bytes([info["srgb"]])
    return {name: content for name, content in found.items() if len(content) == _SHOWN[name]}
