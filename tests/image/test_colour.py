"""What decides how a picture is shown is kept; photos are written quickly on request; HEIC and AVIF are read."""

import io
import logging
import struct

import datasets
import numpy as np
import PIL.features
import pytest
from datasets import Dataset, Features
from PIL import Image

from hf_unlearnable import TextureTransform
from hf_unlearnable.image import codec
from hf_unlearnable.image.codec import ImageError, Picture, decode, encode, like
from tests.examples import pictures
from tests.image.files import PNG, PROFILE, chunk, chunks, file_of, noise, opened, same

GAMMA = chunk(b"gAMA", (55_000).to_bytes(4, "big"))
PRIMARIES = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
SRGB = chunk(b"sRGB", b"\1")
HDR = chunk(b"cICP", bytes([9, 16, 0, 1]))
LIGHT = chunk(b"cLLI", struct.pack(">2I", 10_000_000, 4_000_000))


def with_chunks(data, *added):
    return data[:33] + b"".join(added) + data[33:]


def contents(data):
    """A PNG's chunks by name."""
    found, place = {}, len(PNG)
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        found[data[place + 4 : place + 8]] = data[place + 8 : place + 8 + size]
        place += 12 + size
    return found


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "added", [[GAMMA], [PRIMARIES], [GAMMA, PRIMARIES], [SRGB], [SRGB, GAMMA, PRIMARIES], [HDR, LIGHT, GAMMA]]
)
def test_what_decides_how_a_png_is_shown_is_kept(channels, added):
    array = noise(5, 4, channels)
    data = with_chunks(file_of(array.squeeze()), *added)
    picture = decode(data)
    again = encode(picture)
    for part in added:
        assert contents(again)[part[4:8]] == part[8:-4]
    assert chunks(again) == ["IHDR", *(part[4:8].decode() for part in added), "IDAT", "IEND"]
    assert decode(again).colour_chunks == picture.colour_chunks
    assert decode(again).content == decode(encode(decode(array))).content  # a row is still the same row
    opened(again).load()


def test_a_profile_goes_before_srgb_and_stays_beside_the_rest():
    data = with_chunks(file_of(noise(5, 4, 3), icc_profile=PROFILE), HDR, GAMMA)
    again = encode(decode(data))
    assert set(contents(again)) == {b"IHDR", b"cICP", b"gAMA", b"iCCP", b"IDAT", b"IEND"}
    assert decode(again).icc_profile == PROFILE
    both = with_chunks(file_of(noise(5, 4, 3), icc_profile=PROFILE), SRGB)
    assert b"sRGB" not in contents(encode(decode(both)))


def test_a_chunk_of_another_length_carries_nothing_out():
    data = with_chunks(file_of(noise(5, 4, 3)), chunk(b"cICP", b"taken at home"), GAMMA, GAMMA)
    picture = decode(data)
    assert [name for name, _ in picture.colour_chunks] == [b"gAMA"]
    assert b"home" not in encode(picture)


@pytest.mark.parametrize("added", [[GAMMA], [GAMMA, PRIMARIES], [SRGB]])
def test_an_opened_png_tells_the_same(added):
    data = with_chunks(file_of(noise(5, 4, 3)), *added)
    assert decode(opened(data)).colour_chunks == decode(data).colour_chunks


def camera(space, interoperability=None):
    told = Image.Exif()
    told.get_ifd(0x8769)[0xA001] = space
    if interoperability:
        told.get_ifd(0x8769)[0xA005] = {1: interoperability}
    return told


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_the_colour_space_of_a_camera_is_kept(format):
    image = Image.fromarray(noise(16, 16, 3))
    for value in (file_of(image, format, exif=camera(1)), opened(file_of(image, format, exif=camera(1)))):
        assert decode(value).colour_chunks == ((b"sRGB", b"\0"),)
    adobe = decode(file_of(image, format, exif=camera(0xFFFF, "R03")))
    written = opened(encode(adobe))
    written.load()
    assert written.info["gamma"] == pytest.approx(1 / 2.19921875, abs=1e-5)
    assert written.info["chromaticity"] == (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    assert decode(file_of(image, format, exif=camera(2))).colour_chunks == adobe.colour_chunks
    for unknown in (camera(0xFFFF), camera(0xFFFF, "R98"), camera(7), Image.Exif()):
        assert decode(file_of(image, format, exif=unknown)).colour_chunks == ()
    assert decode(file_of(image, format, exif=camera(1), icc_profile=PROFILE)).colour_chunks == ()


@pytest.mark.parametrize(
    ("added", "kept_as"),
    [([], b"RIFF"), ([SRGB], b"RIFF"), ([SRGB, GAMMA, PRIMARIES], b"RIFF"), ([GAMMA], PNG), ([HDR], PNG)],
)
def test_webp_is_png_where_webp_would_show_other_colours(added, kept_as):
    array = noise(5, 4, 3)
    picture = decode(with_chunks(file_of(array), *added))
    data = encode(picture, "webp")
    assert data.startswith(kept_as)
    same(decode(data), array)


def test_a_protected_dataset_keeps_how_its_pictures_are_shown():
    values = [with_chunks(value["bytes"], GAMMA, PRIMARIES) for value in raw(pictures(8))]
    features = Features({"image": datasets.Image(), "label": pictures(8).features["label"]})
    dataset = Dataset.from_dict({"image": values, "label": pictures(8)["label"][:]}, features=features)
    for value in raw(dataset.map(TextureTransform(seed=1).fit(dataset), batched=True)):
        assert contents(value["bytes"])[b"gAMA"] == GAMMA[8:-4]
        assert contents(value["bytes"])[b"cHRM"] == PRIMARIES[8:-4]


def raw(dataset):
    return dataset.cast_column("image", datasets.Image(decode=False))["image"][:]


# ---------------------------------------------------------------------------------------------- png-fast
@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 30, 1), (999, 1000, 3), (866, 866, 4)])
def test_png_fast_is_an_older_name_of_png(shape):
    array = np.zeros(shape, np.uint8)
    array[::3] = 7
    assert encode(decode(array), "png-fast") == encode(decode(array))


@pytest.mark.parametrize("shape", [(1001, 1000, 3), (1740, 1730, 1), (870, 870, 4)])
def test_a_png_of_a_photo_holds_the_same_pixel_values(shape):
    rough = np.random.default_rng(0).integers(0, 256, (-(-shape[0] // 32), -(-shape[1] // 32), shape[2]))
    array = rough.repeat(32, 0).repeat(32, 1)[: shape[0], : shape[1]].astype(np.uint8)
    picture = decode(array)
    fast, usual = encode(picture, "png-fast"), encode(picture)
    assert fast == usual and chunks(fast)[0] == "IHDR"
    same(decode(fast), picture.levels, picture.alpha)
    as_dict = like({"bytes": b"", "path": "a.jpg"}, picture, "png-fast")
    assert as_dict == {"bytes": fast, "path": None}


# ---------------------------------------------------------------------------------------------- webp, later
def test_webp_is_warned_of_once_per_fit(caplog):
    dataset = pictures(8)
    with caplog.at_level(logging.WARNING):
        cloak = TextureTransform(encoding="webp", seed=1).fit(dataset)
        protected = dataset.map(cloak, batched=True, batch_size=2)
        TextureTransform(encoding="png-fast", seed=1).fit(dataset)
    (record,) = [record for record in caplog.records if record.name.startswith("hf_unlearnable")]
    assert "lossy WebP" in record.getMessage()
    assert "cast_column('image', Image(decode=False))" in record.getMessage()
    # What it says is so: a map that opens the images loses levels, and one that does not keeps every byte.
    opening = protected.map(lambda row: {"image": row["image"]}, load_from_cache_file=False)
    assert any((decode(a).levels != decode(b).levels).any() for a, b in zip(raw(opening), raw(protected)))
    kept = protected.cast_column("image", datasets.Image(decode=False)).map(lambda row: {"image": row["image"]})
    assert kept["image"][:] == raw(protected)


# ---------------------------------------------------------------------------------------------- HEIC and AVIF
def heic(image, **options):
    pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    import pillow_heif

    pillow_heif.from_pillow(image).save(file, quality=-1, **options)
    return file.getvalue()


def heic_of_10_bits():
    pillow_heif = pytest.importorskip("pillow_heif")
    levels = np.random.default_rng(0).integers(0, 65536, (16, 24, 3)).astype(np.uint16)
    file = io.BytesIO()
    pillow_heif.from_bytes(mode="RGB;16", size=(24, 16), data=levels.tobytes()).save(file, quality=-1)
    return file.getvalue()


def without(monkeypatch, format):
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != format])


def test_heic_is_read_where_pillow_heif_is_installed(monkeypatch):
    data = heic(Image.fromarray(noise(16, 24, 3)), icc_profile=PROFILE)
    without(monkeypatch, "HEIF")  # nobody has registered it
    monkeypatch.setattr(Image, "ID", [*Image.ID])
    picture = decode(data)
    assert picture.levels.shape == (16, 24, 3) and picture.icc_profile == PROFILE and picture.metadata == ()
    same(decode(encode(picture)), picture.levels)
    assert decode({"bytes": data, "path": "IMG_0001.HEIC"}).content == picture.content


def test_heic_of_10_bits_comes_out_in_8_and_says_so():
    assert decode(heic_of_10_bits()).levels.dtype == np.uint8
    assert decode(heic_of_10_bits()).metadata == ("bits beyond 8",)


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"heix", b"hevc"])
def test_heic_without_its_package_names_it(monkeypatch, brand):
    without(monkeypatch, "HEIF")
    monkeypatch.setattr(codec, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r'is HEIC, which pillow-heif reads: pip install "hf-unlearnable\[heif\]"'):
        decode(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + b"mif1heic" + b"\0" * 40)


def test_avif_is_read_or_names_the_pillow_that_reads_it(monkeypatch):
    if PIL.features.check("avif"):
        data = file_of(noise(16, 24, 3), "AVIF", quality=90)
        picture = decode(data)
        assert picture.levels.shape == (16, 24, 3)
        assert picture.colour_chunks == ((b"sRGB", b"\0"),)  # as its nclx says
        place = data.index(b"colrnclx") + 9
        hdr = data[:place] + bytes([9, 0, 16]) + data[place + 3 :]
        assert decode(hdr).colour_chunks == ((b"cICP", bytes([9, 16, 0, 1])),)
    without(monkeypatch, "AVIF")
    monkeypatch.setattr(PIL.features, "check", lambda name: False)
    with pytest.raises(ImageError, match=r'is AVIF, which Pillow reads from 11.3 on: pip install "pillow>=11.3"'):
        decode(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0" * 40)


def test_a_broken_heic_is_broken():
    pytest.importorskip("pillow_heif")
    with pytest.raises(ImageError, match="does not open"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40)


def test_a_picture_without_such_chunks_is_written_as_before():
    plain = Picture(noise(6, 5, 3))
    expected = io.BytesIO()
    Image.fromarray(plain.levels).save(expected, "PNG")
    assert encode(plain) == expected.getvalue() == encode(plain, "png-fast")
