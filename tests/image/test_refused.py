"""What is no image that can be kept exactly is refused by its name."""

import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_unlearnable.image.codec import ImageError, decode
from tests.image.files import PNG, chunk, file_of, noise, opened, same


def png_by_hand(depth, colour_type, row, width=2, height=2):
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def frames(format):
    first, *others = (Image.fromarray(noise(4, 5, 3, seed=i)) for i in range(3))
    return file_of(first, format, save_all=True, append_images=others)


def jpeg():
    return file_of(noise(40, 40, 3), "JPEG")


def png():
    return file_of(noise(40, 40, 3))


SIXTEEN = np.array([[0, 700], [9000, 65535]], np.uint16)
REFUSED = {
    "CMYK JPEG": (lambda: file_of(Image.new("CMYK", (5, 4)), "JPEG"), "is CMYK.*convert it to RGB"),
    "CMYK": (lambda: Image.new("CMYK", (5, 4)), "is CMYK.*convert it to RGB"),
    "I;16": (lambda: Image.fromarray(SIXTEEN), "16 bits a channel.*scale it to 8 bits"),
    "I;16 PNG": (lambda: file_of(SIXTEEN), "16 bits a channel.*scale it to 8 bits"),
    "I;16 TIFF": (lambda: file_of(SIXTEEN, "TIFF"), "16 bits a channel.*scale it to 8 bits"),
    "gray PNG of 16 bits": (lambda: png_by_hand(16, 0, b"\1\2" * 2), "16 bits a channel"),
    "RGB PNG of 16 bits": (lambda: png_by_hand(16, 2, b"\1\2" * 6), "16 bits a channel"),
    "LA PNG of 16 bits": (lambda: png_by_hand(16, 4, b"\1\2" * 4), "16 bits a channel"),
    "RGBA PNG of 16 bits": (lambda: png_by_hand(16, 6, b"\1\2" * 8), "16 bits a channel"),
    "RGB PPM of 16 bits": (lambda: b"P6 1 1 65535\n\1\2\3\4\5\6", "bits"),
    "I": (lambda: Image.new("I", (5, 4)), "more than 8 bits a channel.*scale it to 8 bits"),
    "I TIFF": (lambda: file_of(Image.new("I", (5, 4)), "TIFF"), "more than 8 bits a channel"),
    "F": (lambda: Image.new("F", (5, 4)), "floating-point.*scale it to 8 bits"),
    "F TIFF": (lambda: file_of(Image.new("F", (5, 4)), "TIFF"), "floating-point"),
    "LAB": (lambda: Image.new("LAB", (5, 4)), "mode LAB.*convert it to RGB"),
    "GIF": (lambda: frames("GIF"), "animated GIF, 3 frames: save the frames apart"),
    "APNG": (lambda: frames("PNG"), "animated PNG, 3 frames: save the frames apart"),
    "WebP": (lambda: frames("WEBP"), "animated WEBP, 3 frames: save the frames apart"),
    "cut PNG": (lambda: png()[: len(png()) // 2], "does not open .*truncated.*: the file is broken"),
    "cut JPEG": (lambda: jpeg()[: len(jpeg()) // 2], "does not open .*truncated.*: the file is broken"),
    "SVG": (
        lambda: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "is an SVG.*render it to PNG",
    ),
    "SVG, upper case": (lambda: b"<SVG></SVG>", "is an SVG"),
    "random bytes": (lambda: noise(500).tobytes(), "does not open.*broken, or no image"),
    "no bytes": (lambda: b"", "(?i)empty|does not open"),
    "text": (lambda: "photo.png", "is str, not an image.*datasets.Image"),
    "None": (lambda: None, "is empty: leave such rows out"),
    "other dictionary": (lambda: {"data": b""}, "is dict, not an image"),
    "empty value": (lambda: {"bytes": None, "path": None}, "is empty.*mask_column"),
    "absent file": (lambda: {"bytes": None, "path": "/absent/photo.png"}, "cannot be read.*absent/photo.png"),
    "array of floats": (lambda: np.zeros((3, 4, 3)), r"array of float64 \[3, 4, 3\]: give uint8"),
    "gray array of floats": (lambda: np.zeros((3, 4)), r"array of float64 \[3, 4\]: give uint8"),
    "array of five channels": (lambda: np.zeros((3, 4, 5), np.uint8), r"array of uint8 \[3, 4, 5\]"),
    "batch of arrays": (lambda: np.zeros((2, 3, 4, 3), np.uint8), r"array of uint8 \[2, 3, 4, 3\]"),
    "array without pixels": (lambda: np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    make, message = REFUSED[name]
    with pytest.raises(ImageError, match=message):
        decode(make())


@pytest.mark.parametrize("value", [b"", b"\x89PNG\r\n\x1a\n", b"nothing", {"bytes": b"", "path": None}])
def test_a_message_shows_no_object_of_ours(value):
    with pytest.raises(ImageError) as refused:
        decode(value)
    assert not re.search("0x|BytesIO|object at", str(refused.value)), str(refused.value)


@given(st.integers(0, 3000))
def test_a_file_cut_anywhere_is_refused_or_whole(cut):
    """Only the ending that carries no pixels may be missing."""
    for data in (png(), jpeg()):
        try:
            picture = decode(data[: len(data) * cut // 3000])
        except ImageError as error:
            assert str(error).startswith("does not open")  # noqa: PT017
        else:
            same(picture, np.asarray(opened(data)))


def test_a_broken_file_that_is_opened_already():
    """`datasets` may hand over an image of which only the header was read."""
    with pytest.raises(ImageError, match="does not open"):
        decode(opened(png()[:2000]))


def test_a_page_without_a_size():
    """A TIFF whose second page is empty makes Pillow raise what is no OSError."""
    data = bytearray(file_of(noise(4, 5, 3), "TIFF"))
    directory = int.from_bytes(data[4:8], "little")
    following = directory + 2 + 12 * int.from_bytes(data[directory : directory + 2], "little")
    data += b"\0" * (len(data) % 2)
    data[following : following + 4] = len(data).to_bytes(4, "little")
    with pytest.raises(ImageError):
        decode(bytes(data) + struct.pack("<HHHIII", 1, 0x010F, 2, 4, int.from_bytes(b"Cam\0", "little"), 0))
