"""Wear of images: real codecs and resizers, with the sizes, colours and errors that they have."""

import io

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable import _extras
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.methods.texture import distinct_tiles, finest_period, grain_cell, tiled
from hf_unlearnable.image.wear import CODECS, IMAGE_WEAR, RESIZERS, Codec
from hf_unlearnable.image.wear.colours import lab_and_back, screenshot
from hf_unlearnable.image.wear.resizing import thumbnails
from hf_unlearnable.labelled import class_stream

for module in ("cv2", "kornia", "pillow_heif", "pillow_jxl", "skimage", "torch", "transformers"):
    pytest.importorskip(module, reason="wear needs the wear extra")


def photo(height=48, width=40):
    """A smooth picture with an edge, as photos have them: uint8 [height, width, 3]."""
    rows, columns = np.mgrid[:height, :width]
    edge = 60 * (rows > height // 2)
    return np.stack([80 + columns + edge, 200 - rows, 90 + (rows + columns) // 2], 2).clip(0, 255).astype(np.uint8)


def worn(name, *images):
    return IMAGE_WEAR[name].on_rows(Rows(list(images), list(range(len(images)))), Attacker()).inputs


@pytest.mark.parametrize("name", IMAGE_WEAR)
def test_any_size_goes_through_every_wear(name):
    shapes = [(1, 1), (2, 3), (9, 1), (33, 20)]
    found = worn(name, *(photo(*shape) for shape in shapes))
    assert [(image.dtype, image.ndim) for image in found] == [(np.uint8, 3)] * 4
    expected = [tuple(max(1, round(side * 7 / 8)) for side in shape) for shape in shapes]
    assert [image.shape[:2] for image in found] == (expected if name.startswith("resize-") else shapes)


@pytest.mark.parametrize("name", [*CODECS, "thumbnails", "lab-and-back"])
def test_a_smooth_picture_stays_nearly_as_it_was(name):
    (after,) = worn(name, photo())
    change = np.abs(after.astype(int) - photo())
    assert 0 < change.mean() < 5


@pytest.mark.parametrize("family", ["jpeg-{}-420", "jpeg-{}-444", "webp-{}", "avif-{}", "jxl-{}", "heic-{}"])
def test_higher_quality_takes_more_bytes_and_changes_less(family):
    qualities = (40, 60, 80) if family[:4] in ("avif", "heic") else (50, 75, 90)
    grainy = (photo() + np.random.default_rng(0).integers(0, 40, (48, 40, 1))).astype(np.uint8)
    codecs = [CODECS[family.format(quality)] for quality in qualities]
    sizes = [len(codec.coded(grainy)) for codec in codecs]
    errors = [np.abs(codec.through(grainy).astype(int) - grainy).mean() for codec in codecs]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    assert errors == sorted(errors, reverse=True) and errors[0] > errors[-1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("jpeg-75-420", b"\xff\xd8\xff"), ("webp-75", b"WEBP"), ("avif-60", b"ftypavif"), ("heic-60", b"ftypheic"),
     ("jxl-75", b"JXL")],
)  # fmt: skip
def test_a_codec_writes_its_own_format(name, said):
    data = CODECS[name].coded(photo())
    assert said in data[:32] or (name == "jxl-75" and data[:2] == b"\xff\x0a")


def test_subsampling_is_what_the_name_says():
    opened = [Image.open(io.BytesIO(CODECS[f"jpeg-75-{name}"].coded(photo()))) for name in ("420", "444")]
    assert [image.layer[0][1:3] for image in opened] == [(2, 2), (1, 1)]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1"])
@pytest.mark.parametrize("name", ["jpeg-75-420", "webp-75", "thumbnails", "resize-opencv-area"])
def test_transparency_and_other_modes_become_rgb_as_for_victims(name, mode):
    image = Image.fromarray(photo()).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(np.tile(np.arange(40, dtype=np.uint8), (48, 1))))
    (after,) = worn(name, image)
    (expected,) = worn(name, np.asarray(image.convert("RGB")))
    assert (after == expected).all() and after.shape[2] == 3


@pytest.mark.parametrize("module", ["pillow_heif", "pillow_jxl"])
def test_a_codec_that_is_not_installed_says_what_to_install(monkeypatch, module):
    monkeypatch.setattr(_extras, "find_spec", lambda name: None if name == module else name)
    name = {"pillow_heif": "heic-60", "pillow_jxl": "jxl-75"}[module]
    with pytest.raises(ImportError, match=rf'{module} not installed. Install the "wear" extra'):
        worn(name, photo())


def test_a_pillow_without_avif_says_what_to_install(monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    with pytest.raises(ImportError, match="This Pillow has no AVIF. Install pillow>=11.3"):
        worn("avif-60", photo())


@pytest.mark.parametrize(
    ("name", "size"), [("webp-75", (1, 16384)), ("webp-50", (16384, 1)), ("jpeg-75-444", (1, 65501))]
)
def test_an_image_that_a_codec_does_not_take_is_named(name, size):
    large = np.zeros((*size, 3), np.uint8)
    said = rf"Row 1: {CODECS[name].format} does not take an image of {size[1]} x {size[0]} pixels"
    with pytest.raises(ValueError, match=said):
        worn(name, photo(), large)


def test_packages_of_a_codec_are_those_that_it_takes():
    assert Codec("WEBP").packages == ("pillow",)
    assert CODECS["heic-40"].packages == ("pillow", "pillow-heif")
    assert CODECS["jxl-50"].packages == ("pillow", "pillow-jxl-plugin")


def test_a_chain_of_thumbnails_takes_grain_and_keeps_the_picture():
    board = (np.indices((56, 56)).sum(0) % 2 * 16 + 120).astype(np.uint8)
    after = thumbnails(np.dstack([board] * 3))
    assert after[8:-8, 8:-8].std() < 1 < board.std() and abs(after.mean() - board.mean()) < 0.5


def test_a_screenshot_has_64_levels_and_is_brighter():
    every = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, 2)
    shown = screenshot(every)
    assert len(np.unique(shown)) <= 64 and (np.diff(shown[:, 0, 0].astype(int)) >= 0).all()
    assert (shown[0] == 0).all() and (shown[255] == 255).all() and shown[128, 0, 0] == 146


@pytest.mark.parametrize("gray", [0, 1, 100, 254, 255])
def test_gray_comes_back_from_lab_within_two_levels(gray):
    back = lab_and_back(np.full((3, 4, 3), gray, np.uint8))
    assert np.abs(back.astype(int) - gray).max() <= 2


@pytest.mark.parametrize("name", RESIZERS)
def test_a_resizer_keeps_flat_colour_and_direction(name):
    resize, _ = RESIZERS[name]
    flat = resize(np.full((64, 32, 3), (10, 200, 77), np.uint8))
    assert flat.shape == (56, 28, 3) and (flat == (10, 200, 77)).all()
    left = resize(np.repeat(np.linspace(0, 255, 32).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2))
    assert (np.diff(left[5, :, 0].astype(int)) >= 0).all() and left[5, 0, 0] < 20 and left[5, -1, 0] > 235


@pytest.mark.parametrize(
    ("name", "other", "alike"),
    [("pillow-reducing-gap", "pillow-bicubic", True), ("opencv-bilinear", "torch-bilinear", True),
     ("kornia", "torch-bilinear", True), ("transformers", "pillow-bilinear", True),
     ("torch-antialias", "torch-bilinear", False), ("pillow-bilinear", "pillow-bicubic", False)],
)  # fmt: skip
def test_resizers_differ_where_they_antialias_differently(name, other, alike):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    change = np.abs(RESIZERS[name][0](noise).astype(int) - RESIZERS[other][0](noise))
    assert (change.max() <= 1) == alike


@pytest.mark.parametrize("size", [256, 288, 448, 560, 640, 1024])
@pytest.mark.parametrize(
    ("resizer", "least", "most"), [("pillow", 0.15, 0.5), ("area", 0.3, 1.0), ("bilinear", 0.47, 1.0)]
)
def test_what_resizing_to_224_leaves_of_texture_is_as_its_page_says(size, resizer, least, most):
    cv2 = pytest.importorskip("cv2")
    tiles = distinct_tiles([class_stream(label, 7) for label in range(10)], finest_period(10, 3), 3)
    resize = {
        "pillow": lambda image: Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR),
        "area": lambda image: cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA),
        "bilinear": lambda image: cv2.resize(image, (224, 224)),
    }[resizer]
    shape, left = (size, size, 3), []
    for tile in tiles:
        grain = tiled(np.int8(8) * tile, shape, grain_cell(shape), 0).astype(float)
        after = np.asarray(resize((128 + grain).astype(np.uint8)), float)
        left.append((after[8:-8, 8:-8] - 128).std() / grain.std())
    assert least - 0.005 <= np.mean(left) <= most + 0.005
