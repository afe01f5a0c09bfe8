"""What stands beside the pixels: orientation is applied, the colour profile kept, all else named and left out."""

import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from hf_unlearnable.image.codec import decode, encode, like
from tests.image.files import PROFILE, chunks, file_of, noise, opened, same


def exif(*first, more=b"", thumbnail=False):
    """EXIF of (tag, type, count, value of 4 bytes or number), with GPS (0x8825) or a thumbnail behind it."""

    def directory(entries, following):
        packed = [
            struct.pack("<HHI", tag, kind, count) + (value if isinstance(value, bytes) else struct.pack("<I", value))
            for tag, kind, count, value in entries
        ]
        return struct.pack("<H", len(entries)) + b"".join(packed) + struct.pack("<I", following)

    after = 8 + 2 + 12 * len(first) + 4
    data = b"II*\0\x08\0\0\0" + directory(first, after + len(more) if thumbnail else 0) + more
    if thumbnail:
        jpeg = file_of(Image.new("RGB", (2, 2)), "JPEG")
        place = len(data) + 2 + 12 * 2 + 4
        data += directory([(0x0201, 4, 1, place), (0x0202, 4, 1, len(jpeg))], 0) + jpeg
    return b"Exif\0\0" + data


def orientation(value):
    return (0x0112, 3, 1, value)


CAMERA = (0x010F, 2, 4, b"Cam\0")


def camera_exif():
    """A camera's name, where the picture was taken, and a thumbnail of it."""
    north = struct.pack("<H", 1) + struct.pack("<HHI", 1, 2, 2) + b"N\0\0\0" + struct.pack("<I", 0)
    return exif(CAMERA, (0x8825, 4, 1, 8 + 2 + 12 * 2 + 4), more=north, thumbnail=True)


def turned(array, value):
    down = array.transpose(1, 0, 2)
    return {
        1: array, 2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1],
        5: down, 6: down[:, ::-1], 7: down[::-1, ::-1], 8: down[::-1],
    }[value]  # fmt: skip


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_orientation_is_applied_exactly_once(format, value):
    image = Image.fromarray(noise(4, 7, 3))
    options = {"lossless": True} if format == "WEBP" else {}
    as_stored = np.asarray(opened(file_of(image, format, **options)))
    data = file_of(image, format, exif=exif(orientation(value)), **options)
    expected = turned(as_stored, value)
    for source in (data, opened(data), {"bytes": data, "path": None}):
        same(decode(source), expected)
    for encoding in ("png", "webp"):
        again = encode(decode(data), encoding)
        assert not opened(again).getexif()
        same(decode(again), expected)


def test_orientation_of_transparency():
    array = noise(2, 3, 4)
    picture = decode(file_of(array, exif=exif(orientation(6))))
    same(picture, turned(array, 6)[:, :, :3], turned(array, 6)[:, :, 3])


@pytest.mark.parametrize(
    "broken",
    [
        (0x010F, 3, 2, 5),  # the camera's name as two numbers,
        (0x010F, 5, 1, 5),  # or as a fraction
        (0x0128, 2, 2, 5),  # the unit of resolution as text
        (0x011A, 2, 2, 5),  # the resolution as text
        (0x02BC, 2, 1, 5),  # XMP as text
    ],
)
@pytest.mark.filterwarnings("ignore:Metadata Warning", "ignore:Possibly corrupt EXIF", "ignore:Truncated File Read")
def test_orientation_beside_broken_exif(broken):
    """Some cameras write a tag in the wrong type: no reason to refuse a picture that opens everywhere else."""
    array = noise(2, 3, 3)
    data = file_of(array, exif=exif(broken, orientation(6)))
    same(decode(data), turned(array, 6))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("encoding", ["png", "webp"])
def test_the_colour_profile_is_kept(format, encoding):
    data = file_of(noise(4, 5, 3), format, icc_profile=PROFILE)
    picture = decode(data)
    assert picture.icc_profile == PROFILE
    again = encode(picture, encoding)
    assert opened(again).info["icc_profile"] == PROFILE
    assert decode(again).icc_profile == PROFILE


def test_the_colour_profile_is_kept_when_the_picture_turns():
    data = file_of(noise(4, 5, 3), "JPEG", icc_profile=PROFILE, exif=exif(orientation(6)))
    assert decode(data).icc_profile == PROFILE


def test_no_colour_profile():
    picture = decode(file_of(noise(4, 5, 3)))
    assert picture.icc_profile is None
    assert chunks(encode(picture)) == ["IHDR", "IDAT", "IEND"]
    assert "icc_profile" not in opened(encode(picture, "webp")).info


def test_everything_else_is_named_and_left_out():
    image = Image.fromarray(noise(16, 16, 3))
    data = file_of(image, "JPEG", exif=camera_exif(), comment=b"at home", xmp=b"<x:xmpmeta/>", icc_profile=PROFILE)
    assert b"Cam" in data and b"at home" in data and b"xmpmeta" in data and data.count(b"\xff\xd8\xff") == 2
    picture = decode(data)
    assert set(picture.metadata) == {"EXIF", "GPS", "thumbnail", "XMP", "comment"}
    assert len(picture.metadata) == 5
    png, webp = encode(picture), encode(picture, "webp")
    assert chunks(png) == ["IHDR", "iCCP", "IDAT", "IEND"]
    assert set(opened(webp).info) <= {"icc_profile", "loop", "background", "timestamp", "duration"}
    for again in (png, webp):
        assert decode(again).metadata == ()
        assert b"Exif" not in again and b"EXIF" not in again and b"Cam" not in again
        assert b"xmpmeta" not in again and b"at home" not in again


def test_an_opened_image_does_not_carry_what_a_file_told():
    data = file_of(noise(16, 16, 3), "JPEG", exif=camera_exif(), comment=b"at home")
    image = like(opened(data), decode(data), "png")
    assert set(image.info) == set()
    assert not image.getexif()


@pytest.mark.parametrize(
    ("format", "options", "names"),
    [
        ("PNG", {}, set()),
        ("JPEG", {}, set()),
        ("WEBP", {}, set()),
        ("TIFF", {}, set()),
        ("JPEG", {"exif": exif(orientation(3))}, set()),
        ("PNG", {"icc_profile": PROFILE}, set()),
        ("PNG", {"exif": exif(CAMERA)}, {"EXIF"}),
        ("WEBP", {"exif": exif(CAMERA), "xmp": b"<x:xmpmeta/>"}, {"EXIF", "XMP"}),
        ("JPEG", {"exif": exif(CAMERA, thumbnail=True)}, {"EXIF", "thumbnail"}),
        ("GIF", {"comment": b"at home"}, {"comment"}),
        ("TIFF", {"tiffinfo": {0x010F: "Cam"}}, {"EXIF"}),
    ],
)
def test_what_is_named(format, options, names):
    assert set(decode(file_of(noise(8, 8, 3), format, **options)).metadata) == names


def test_text_in_a_png_is_named():
    author, xmp = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
    author.add_text("Author", "me")
    xmp.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    image = Image.fromarray(noise(4, 4, 3))
    assert decode(file_of(image, pnginfo=author)).metadata == ("text",)
    assert decode(file_of(image, pnginfo=xmp)).metadata == ("XMP",)
    xmp.add_text("Author", "me")
    assert set(decode(file_of(image, pnginfo=xmp)).metadata) == {"text", "XMP"}


def test_content_credentials_are_named_and_left_out():
    image = Image.fromarray(noise(8, 8, 3))
    jpeg = file_of(image, "JPEG")
    box = b"JP\x00\x01jumb c2pa"
    jpeg = jpeg[:2] + b"\xff\xeb" + (len(box) + 2).to_bytes(2, "big") + box + jpeg[2:]
    info = PngImagePlugin.PngInfo()
    info.add(b"caBX", box)
    for data in (jpeg, file_of(image, pnginfo=info)):
        assert b"c2pa" in data
        picture = decode(data)
        assert picture.metadata == ("content credentials",)
        assert b"c2pa" not in encode(picture)


def test_a_camera_s_mpo_is_its_first_picture():
    image = Image.fromarray(noise(16, 24, 3))
    data = file_of(image, "MPO", save_all=True, append_images=[image.resize((12, 8))])
    assert opened(data).format == "MPO" and opened(data).n_frames == 2
    expected = np.asarray(opened(data).convert("RGB"))
    assert expected.shape == (16, 24, 3)
    same(decode(data), expected)
    assert decode(data).metadata == ("further pictures",)
    same(decode(encode(decode(data))), expected)
