"""Noise that repeats is added in 8 bits, exactly as other noise is; a large PNG holds the same pixel values."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hf_unlearnable import TextureTransform
from hf_unlearnable.image import codec
from hf_unlearnable.image.bounded import add_levels, add_repeated
from hf_unlearnable.image.codec import decode, encode
from hf_unlearnable.image.methods.texture import grain_cell, tiled
from hf_unlearnable.key import draw
from tests.examples import pictures


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_repeated_noise_is_added_as_the_whole_of_it_is(height, width, channels, rows, seed):
    random = np.random.default_rng(seed)
    levels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    strip = random.integers(-127, 128, (rows, width, channels), dtype=np.int8)
    whole = np.concatenate([strip] * -(-height // rows))[:height]
    assert np.array_equal(add_repeated(levels, strip), add_levels(levels, whole))


@pytest.fixture(scope="module")
def cloaks():
    dataset = pictures(24, classes=6)
    return [TextureTransform(seed=seed, period=period).fit(dataset) for seed in (1, 2) for period in (None, 3, 5, 16)]


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 3), (2, 7, 1), (12, 12, 3), (33, 20, 1), (257, 31, 3), (400, 613, 3), (700, 900, 1), (1030, 1000, 3)],
)
def test_grain_is_added_as_a_tile_over_the_whole_image(cloaks, shape):
    levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for number, cloak in enumerate(cloaks):
        gray, colour = cloak._tiles
        tile = (colour if shape[2] == 3 else gray)[number % 6]
        cell = grain_cell(shape)
        grain = tiled(np.int8(cloak.max_levels) * tile, shape, cell, start=draw(number, 0))
        height, width = (side - side % (len(tile) * cell) for side in shape[:2])
        if height and width and np.abs(grain.mean(axis=(0, 1))).max() > 0.5:
            grain[height:] = grain[:, width:] = 0
        assert np.array_equal(cloak._cloak(levels, number % 6, number), add_levels(levels, grain))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_png_holds_the_same_values_and_is_compressed_less(monkeypatch, channels):
    levels = np.asarray(pictures(1, height=200, width=240)[0]["image"])
    picture = decode(levels if channels == 3 else levels[:, :, 0])
    small = encode(picture)
    monkeypatch.setattr(codec, "_LARGE", 1000)
    large, fast = encode(picture), encode(picture, "png-fast")
    assert small != large == fast
    for data in (small, large, fast):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), levels if channels == 3 else levels[:, :, 0])
