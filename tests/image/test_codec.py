"""Every image that is read comes out pixel for pixel, in any mode, and as the kind of value that came in."""

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hf_unlearnable.image.codec import ImageError, Picture, decode, encode, like
from tests.image.files import PNG, PROFILE, file_of, noise, opened, same

SIDES = st.integers(1, 20)


def levels(channels):
    shapes = st.tuples(SIDES, SIDES, st.just(channels)) if channels > 1 else st.tuples(SIDES, SIDES)
    return shapes.flatmap(lambda shape: arrays(np.uint8, shape))


@given(levels(1))
def test_gray_round_trip(array):
    picture = decode(file_of(array))
    same(picture, array[:, :, None])
    same(decode(encode(picture)), array[:, :, None])
    assert opened(encode(picture)).mode == "L"


@given(levels(2))
def test_gray_with_transparency_round_trip(array):
    picture = decode(file_of(array))
    same(picture, array[:, :, :1], array[:, :, 1])
    same(decode(encode(picture)), array[:, :, :1], array[:, :, 1])
    assert opened(encode(picture)).mode == "LA"


@given(levels(3))
def test_rgb_round_trip(array):
    picture = decode(file_of(array))
    same(picture, array)
    same(decode(encode(picture)), array)
    assert opened(encode(picture)).mode == "RGB"


@given(levels(4))
def test_rgba_round_trip(array):
    picture = decode(file_of(array))
    same(picture, array[:, :, :3], array[:, :, 3])
    same(decode(encode(picture)), array[:, :, :3], array[:, :, 3])
    assert opened(encode(picture)).mode == "RGBA"


@given(st.tuples(SIDES, SIDES).flatmap(lambda shape: arrays(np.bool_, shape)))
def test_black_and_white_round_trip(array):
    image = Image.fromarray(array)
    assert image.mode == "1"
    for value in (image, file_of(image)):
        picture = decode(value)
        same(picture, np.where(array, 255, 0)[:, :, None])
        same(decode(encode(picture)), np.where(array, 255, 0)[:, :, None])


@given(levels(1), arrays(np.uint8, (256, 3)))
def test_palette_round_trip(array, palette):
    image = Image.frombytes("P", array.shape[::-1], array.tobytes())
    image.putpalette(palette.tobytes())
    for value in (image, file_of(image)):
        picture = decode(value)
        same(picture, palette[array])
        same(decode(encode(picture)), palette[array])


@given(levels(1), arrays(np.uint8, (256, 4)))
def test_palette_with_transparency_round_trip(array, palette):
    image = Image.frombytes("P", array.shape[::-1], array.tobytes())
    image.putpalette(palette[:, :3].tobytes())
    data = file_of(image, transparency=palette[:, 3].tobytes())
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
    picture = decode(file_of(image, format, transparency=1))
    same(picture, [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]], [[255, 0, 255]])


def test_one_transparent_colour():
    array = np.array([[0, 7], [8, 255]], np.uint8)
    same(decode(file_of(array, transparency=7)), array[:, :, None], [[255, 0], [255, 255]])
    colours = np.dstack([array, array, array])
    picture = decode(file_of(colours, transparency=(8, 8, 8)))
    same(picture, colours, [[255, 255], [0, 255]])
    same(decode(encode(picture)), colours, [[255, 255], [0, 255]])


@given(levels(3))
def test_lossless_webp_of_rgb(array):
    data = encode(decode(array), "webp")
    assert (data[:4], data[8:12]) == (b"RIFF", b"WEBP")
    same(decode(data), array)


@given(levels(4))
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
    assert one == decode(file_of(array)).content
    others = [
        decode(array.reshape(6, 2, 3)),
        decode(array[:, ::-1]),
        decode(np.dstack([array, array[:, :, 0]])),
        decode(np.where(np.arange(36).reshape(2, 6, 3) == 35, array ^ 1, array).astype(np.uint8)),
    ]
    assert len({one, *(other.content for other in others)}) == 5


def test_kinds_of_values(tmp_path):
    array = noise(4, 5, 3)
    data = file_of(array)
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
    """A JPEG that was opened would be file_of as a JPEG again, and the noise would be gone."""
    array = noise(6, 5, channels)
    colours = 1 if channels < 3 else 3
    picture = Picture(array[:, :, :colours], array[:, :, colours] if channels > colours else None, PROFILE)
    image = like(opened(file_of(Image.new("RGB", (5, 6)), "JPEG")), picture, "png")
    data = Dataset.from_dict({"image": [image]}, features=Features({"image": datasets.Image()}))
    value = data.cast_column("image", datasets.Image(decode=False))[0]["image"]
    assert value["bytes"].startswith(PNG)
    same(decode(value), picture.levels, picture.alpha)
    assert decode(value).icc_profile == PROFILE
