"""Images in and out: not a level is lost, what a file tells beyond the picture is, and the rest is refused by name."""

import io
import re
import struct
import zlib

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageCms, PngImagePlugin

from hf_unlearnable.image.codec import ImageError, Picture, decode, encode, like

PNG = b"\x89PNG\r\n\x1a\n"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIDES = st.integers(1, 20)


def stored(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format=format, **options)
    return file.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def levels(channels):
    shapes = st.tuples(SIDES, SIDES, st.just(channels)) if channels > 1 else st.tuples(SIDES, SIDES)
    return shapes.flatmap(lambda shape: arrays(np.uint8, shape))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_by_hand(depth, colour_type, row, width=2, height=2):
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def chunks(data):
    """Names of a PNG's chunks, in order."""
    names, place = [], len(PNG)
    while place < len(data):
        names.append(data[place + 4 : place + 8].decode())
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return names


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
        jpeg = stored(Image.new("RGB", (2, 2)), "JPEG")
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


def same(picture, expected, alpha=None):
    assert picture.levels.dtype == np.uint8
    np.testing.assert_array_equal(picture.levels, expected)
    assert (picture.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(picture.alpha, alpha)


# ---------------------------------------------------------------------------------------------- levels, exactly
@given(levels(1))
def test_gray_round_trip(array):
    picture = decode(stored(Image.fromarray(array)))
    same(picture, array[:, :, None])
    same(decode(encode(picture)), array[:, :, None])
    assert opened(encode(picture)).mode == "L"


@given(levels(2))
def test_gray_with_transparency_round_trip(array):
    picture = decode(stored(Image.fromarray(array)))
    same(picture, array[:, :, :1], array[:, :, 1])
    same(decode(encode(picture)), array[:, :, :1], array[:, :, 1])
    assert opened(encode(picture)).mode == "LA"


@given(levels(3))
def test_rgb_round_trip(array):
    picture = decode(stored(Image.fromarray(array)))
    same(picture, array)
    same(decode(encode(picture)), array)
    assert opened(encode(picture)).mode == "RGB"


@given(levels(4))
def test_rgba_round_trip(array):
    picture = decode(stored(Image.fromarray(array)))
    same(picture, array[:, :, :3], array[:, :, 3])
    same(decode(encode(picture)), array[:, :, :3], array[:, :, 3])
    assert opened(encode(picture)).mode == "RGBA"


@given(st.tuples(SIDES, SIDES).flatmap(lambda shape: arrays(np.bool_, shape)))
def test_black_and_white_round_trip(array):
    image = Image.fromarray(array)
    assert image.mode == "1"
    for value in (image, stored(image)):
        picture = decode(value)
        same(picture, np.where(array, 255, 0)[:, :, None])
        same(decode(encode(picture)), np.where(array, 255, 0)[:, :, None])


@given(levels(1), arrays(np.uint8, (256, 3)))
def test_palette_round_trip(array, palette):
    image = Image.frombytes("P", array.shape[::-1], array.tobytes())
    image.putpalette(palette.tobytes())
    for value in (image, stored(image)):
        picture = decode(value)
        same(picture, palette[array])
        same(decode(encode(picture)), palette[array])


@given(levels(1), arrays(np.uint8, (256, 4)))
def test_palette_with_transparency_round_trip(array, palette):
    image = Image.frombytes("P", array.shape[::-1], array.tobytes())
    image.putpalette(palette[:, :3].tobytes())
    data = stored(image, transparency=palette[:, 3].tobytes())
    for value in (data, opened(data)):
        picture = decode(value)
        same(picture, palette[array][:, :, :3], palette[array][:, :, 3])
        same(decode(encode(picture)), palette[array][:, :, :3], palette[array][:, :, 3])


def test_a_palette_that_holds_transparency_itself():
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette(bytes([10, 20, 30, 255, 40, 50, 60, 7]), "RGBA")
    same(decode(image), [[[10, 20, 30], [40, 50, 60]]], [[255, 7]])


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_one_transparent_entry_of_a_palette(format):
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette(bytes([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3]))
    picture = decode(stored(image, format, transparency=1))
    same(picture, [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]], [[255, 0, 255]])


def test_one_transparent_colour():
    array = np.array([[0, 7], [8, 255]], np.uint8)
    same(decode(stored(Image.fromarray(array), transparency=7)), array[:, :, None], [[255, 0], [255, 255]])
    colours = np.dstack([array, array, array])
    picture = decode(stored(Image.fromarray(colours), transparency=(8, 8, 8)))
    same(picture, colours, [[255, 255], [0, 255]])
    same(decode(encode(picture)), colours, [[255, 255], [0, 255]])


@given(levels(3))
@settings(max_examples=30)
def test_lossless_webp_of_rgb(array):
    data = encode(decode(array), "webp")
    assert (data[:4], data[8:12]) == (b"RIFF", b"WEBP")
    same(decode(data), array)


@given(levels(4))
@settings(max_examples=30)
def test_lossless_webp_keeps_the_colours_of_transparent_pixels(array):
    array[0, 0] = (1, 2, 3, 0)
    data = encode(decode(array), "webp")
    assert data[8:12] == b"WEBP"
    same(decode(data), array[:, :, :3], array[:, :, 3])


def test_lossless_webp_keeps_transparency_that_hides_nothing():
    array = np.dstack([noise(3, 4, 3), np.full((3, 4), 255, np.uint8)])
    same(decode(encode(decode(array), "webp")), array[:, :, :3], array[:, :, 3])


@pytest.mark.parametrize("channels", [1, 2])
def test_gray_stays_png_when_webp_is_asked_for(channels):
    array = noise(5, 4, channels)
    data = encode(decode(array), "webp")
    assert data.startswith(PNG)
    same(decode(data), array[:, :, :1], array[:, :, 1] if channels == 2 else None)


def test_a_picture_too_large_for_webp_says_so():
    with pytest.raises(ImageError, match="16383"):
        encode(decode(np.zeros((1, 16384, 3), np.uint8)), "webp")


def test_content_tells_pictures_apart():
    array = noise(2, 6, 3)
    one = decode(array).content
    assert one == decode(stored(Image.fromarray(array))).content
    others = [
        decode(array.reshape(6, 2, 3)),
        decode(array[:, ::-1]),
        decode(np.dstack([array, array[:, :, 0]])),
        decode(np.where(np.arange(36).reshape(2, 6, 3) == 35, array ^ 1, array).astype(np.uint8)),
    ]
    assert len({one, *(other.content for other in others)}) == 5


# ---------------------------------------------------------------------------------------------- kinds of values
def test_kinds_of_values(tmp_path):
    array = noise(4, 5, 3)
    data = stored(Image.fromarray(array))
    path = tmp_path / "photo [1] #2?.png"
    path.write_bytes(data)
    values = [
        {"bytes": data, "path": None},
        {"bytes": data, "path": "/not/there.png"},
        {"bytes": None, "path": str(path)},
        data,
        Image.fromarray(array),
        opened(data),
        array,
    ]
    for value in values:
        same(decode(value), array)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_arrays(channels):
    array = noise(4, 5, channels)
    colours = 1 if channels < 3 else 3
    same(decode(array), array[:, :, :colours], array[:, :, colours] if channels > colours else None)
    same(decode(array[:, :, 0]), array[:, :, :1])


def test_like_returns_the_kind_that_it_was_given():
    array = noise(4, 5, 3)
    picture = Picture(array)
    as_dict = like({"bytes": b"anything", "path": "/home/me/secret.jpg"}, picture, "png")
    assert set(as_dict) == {"bytes", "path"} and as_dict["path"] is None
    assert as_dict["bytes"].startswith(PNG)
    same(decode(as_dict), array)
    as_bytes = like(b"anything", picture, "webp")
    assert isinstance(as_bytes, bytes) and as_bytes[8:12] == b"WEBP"
    same(decode(as_bytes), array)
    as_image = like(Image.new("RGB", (1, 1)), picture, "png")
    assert isinstance(as_image, Image.Image) and as_image.format is None
    assert (as_image.mode, as_image.size) == ("RGB", (5, 4))
    np.testing.assert_array_equal(np.asarray(as_image), array)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 4)])
def test_like_returns_an_array_of_the_same_shape(shape):
    array = noise(*shape)
    again = like(array, decode(array), "png")
    assert again.dtype == np.uint8 and again.shape == shape
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_opened_image_is_stored_as_png_of_the_same_levels(channels):
    """A JPEG that was opened would be stored as a JPEG again, and the noise would be gone."""
    array = noise(6, 5, channels)
    colours = 1 if channels < 3 else 3
    picture = Picture(array[:, :, :colours], array[:, :, colours] if channels > colours else None, PROFILE)
    image = like(opened(stored(Image.new("RGB", (5, 6)), "JPEG")), picture, "png")
    data = Dataset.from_dict({"image": [image]}, features=Features({"image": datasets.Image()}))
    value = data.cast_column("image", datasets.Image(decode=False))[0]["image"]
    assert value["bytes"].startswith(PNG)
    same(decode(value), picture.levels, picture.alpha)
    assert decode(value).icc_profile == PROFILE


# ---------------------------------------------------------------------------------------------- beside the levels
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
    as_stored = np.asarray(opened(stored(image, format, **options)))
    data = stored(image, format, exif=exif(orientation(value)), **options)
    expected = turned(as_stored, value)
    for source in (data, opened(data), {"bytes": data, "path": None}):
        same(decode(source), expected)
    for encoding in ("png", "webp"):
        again = encode(decode(data), encoding)
        assert not opened(again).getexif()
        same(decode(again), expected)


def test_orientation_of_transparency():
    array = noise(2, 3, 4)
    picture = decode(stored(Image.fromarray(array), exif=exif(orientation(6))))
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
    data = stored(Image.fromarray(array), exif=exif(broken, orientation(6)))
    same(decode(data), turned(array, 6))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("encoding", ["png", "webp"])
def test_the_colour_profile_is_kept(format, encoding):
    data = stored(Image.fromarray(noise(4, 5, 3)), format, icc_profile=PROFILE)
    picture = decode(data)
    assert picture.icc_profile == PROFILE
    again = encode(picture, encoding)
    assert opened(again).info["icc_profile"] == PROFILE
    assert decode(again).icc_profile == PROFILE


def test_the_colour_profile_is_kept_when_the_picture_turns():
    data = stored(Image.fromarray(noise(4, 5, 3)), "JPEG", icc_profile=PROFILE, exif=exif(orientation(6)))
    assert decode(data).icc_profile == PROFILE


def test_no_colour_profile():
    picture = decode(stored(Image.fromarray(noise(4, 5, 3))))
    assert picture.icc_profile is None
    assert chunks(encode(picture)) == ["IHDR", "IDAT", "IEND"]
    assert "icc_profile" not in opened(encode(picture, "webp")).info


def test_everything_else_is_named_and_left_out():
    image = Image.fromarray(noise(16, 16, 3))
    data = stored(image, "JPEG", exif=camera_exif(), comment=b"at home", xmp=b"<x:xmpmeta/>", icc_profile=PROFILE)
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
    data = stored(Image.fromarray(noise(16, 16, 3)), "JPEG", exif=camera_exif(), comment=b"at home")
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
    assert set(decode(stored(Image.fromarray(noise(8, 8, 3)), format, **options)).metadata) == names


def test_text_in_a_png_is_named():
    author, xmp = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
    author.add_text("Author", "me")
    xmp.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    image = Image.fromarray(noise(4, 4, 3))
    assert decode(stored(image, pnginfo=author)).metadata == ("text",)
    assert decode(stored(image, pnginfo=xmp)).metadata == ("XMP",)
    xmp.add_text("Author", "me")
    assert set(decode(stored(image, pnginfo=xmp)).metadata) == {"text", "XMP"}


def test_content_credentials_are_named_and_left_out():
    image = Image.fromarray(noise(8, 8, 3))
    jpeg = stored(image, "JPEG")
    box = b"JP\x00\x01jumb c2pa"
    jpeg = jpeg[:2] + b"\xff\xeb" + (len(box) + 2).to_bytes(2, "big") + box + jpeg[2:]
    info = PngImagePlugin.PngInfo()
    info.add(b"caBX", box)
    for data in (jpeg, stored(image, pnginfo=info)):
        assert b"c2pa" in data
        picture = decode(data)
        assert picture.metadata == ("content credentials",)
        assert b"c2pa" not in encode(picture)


def test_a_camera_s_mpo_is_its_first_picture():
    image = Image.fromarray(noise(16, 24, 3))
    data = stored(image, "MPO", save_all=True, append_images=[image.resize((12, 8))])
    assert opened(data).format == "MPO" and opened(data).n_frames == 2
    expected = np.asarray(opened(data).convert("RGB"))
    assert expected.shape == (16, 24, 3)
    same(decode(data), expected)
    assert decode(data).metadata == ("further pictures",)
    same(decode(encode(decode(data))), expected)


# ---------------------------------------------------------------------------------------------- what is refused
def frames(format):
    first, *others = (Image.fromarray(noise(4, 5, 3, seed=i)) for i in range(3))
    return stored(first, format, save_all=True, append_images=others)


def jpeg():
    return stored(Image.fromarray(noise(40, 40, 3)), "JPEG")


def png():
    return stored(Image.fromarray(noise(40, 40, 3)))


SIXTEEN = np.array([[0, 700], [9000, 65535]], np.uint16)
REFUSED = {
    "CMYK JPEG": (lambda: stored(Image.new("CMYK", (5, 4)), "JPEG"), "is CMYK.*convert it to RGB"),
    "CMYK": (lambda: Image.new("CMYK", (5, 4)), "is CMYK.*convert it to RGB"),
    "I;16": (lambda: Image.fromarray(SIXTEEN), "16 bits a channel.*scale it to 8 bits"),
    "I;16 PNG": (lambda: stored(Image.fromarray(SIXTEEN)), "16 bits a channel.*scale it to 8 bits"),
    "I;16 TIFF": (lambda: stored(Image.fromarray(SIXTEEN), "TIFF"), "16 bits a channel.*scale it to 8 bits"),
    "gray PNG of 16 bits": (lambda: png_by_hand(16, 0, b"\1\2" * 2), "16 bits a channel"),
    "RGB PNG of 16 bits": (lambda: png_by_hand(16, 2, b"\1\2" * 6), "16 bits a channel"),
    "LA PNG of 16 bits": (lambda: png_by_hand(16, 4, b"\1\2" * 4), "16 bits a channel"),
    "RGBA PNG of 16 bits": (lambda: png_by_hand(16, 6, b"\1\2" * 8), "16 bits a channel"),
    "RGB PPM of 16 bits": (lambda: b"P6 1 1 65535\n\1\2\3\4\5\6", "bits"),
    "I": (lambda: Image.new("I", (5, 4)), "more than 8 bits a channel.*scale it to 8 bits"),
    "I TIFF": (lambda: stored(Image.new("I", (5, 4)), "TIFF"), "more than 8 bits a channel"),
    "F": (lambda: Image.new("F", (5, 4)), "floating-point.*scale it to 8 bits"),
    "F TIFF": (lambda: stored(Image.new("F", (5, 4)), "TIFF"), "floating-point"),
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
@settings(max_examples=40, deadline=None)
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
    data = bytearray(stored(Image.fromarray(noise(4, 5, 3)), "TIFF"))
    directory = int.from_bytes(data[4:8], "little")
    following = directory + 2 + 12 * int.from_bytes(data[directory : directory + 2], "little")
    data += b"\0" * (len(data) % 2)
    data[following : following + 4] = len(data).to_bytes(4, "little")
    with pytest.raises(ImageError):
        decode(bytes(data) + struct.pack("<HHHIII", 1, 0x010F, 2, 4, int.from_bytes(b"Cam\0", "little"), 0))
