"""A grain is fine, moves no mean, and is another for each class: over many keys, numbers of classes and sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import TextureTransform
from hf_unlearnable.image.methods.texture import distinct_tiles, finest_period, grain_cell, grain_energy
from hf_unlearnable.labelled import class_stream
from tests.examples import pictures


def views(tile):
    """A tile under every shift, as it is and mirrored."""
    for view in (tile, tile[:, ::-1]):
        for shift in np.ndindex(len(tile), len(tile)):
            yield np.roll(view, shift, (0, 1)).tobytes()


def check_tiles(tiles):
    period, channels = tiles.shape[1], tiles.shape[3]
    assert (tiles.sum(axis=(1, 2), dtype=int) == 0).all()  # no channel gets brighter or darker
    assert ((tiles == 0).sum(axis=(1, 2)) == period % 2).all()
    assert np.abs(tiles).max() == 1
    planes = np.moveaxis(tiles, 3, 1).reshape(-1, period, period)
    assert len(planes) == len(tiles) * channels and grain_energy(planes).min() >= 1
    taken = {}
    for number, tile in enumerate(tiles):
        assert all(taken.setdefault(view, number) == number for view in views(tile)), "two classes share a grain"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("keys", [57, pytest.param(300, marks=pytest.mark.slow)])
def test_tiles_of_many_keys_and_2_to_20_classes_are_balanced_fine_and_distinct(channels, keys):
    for key in range(keys):
        classes = 2 + key % 19
        streams = [class_stream(label, 1000 * key + 1) for label in range(classes)]
        tiles = distinct_tiles(streams, finest_period(classes, channels), channels)
        assert len(tiles) == classes
        check_tiles(tiles)


@pytest.mark.parametrize("period", [2, 3, 4, 5, 7, 8, 16])
def test_tiles_of_a_period_that_is_asked_for_keep_the_same_promise(period):
    for key in range(20):
        check_tiles(distinct_tiles([class_stream(label, key) for label in "abc"], period, 3))


def test_tiles_of_many_classes_are_distinct():
    check_tiles(distinct_tiles([class_stream(label, 5) for label in range(300)], finest_period(300, 3), 3))
    check_tiles(distinct_tiles([class_stream(label, 5) for label in range(100)], finest_period(100, 1), 1))


def test_grain_energy_is_that_of_its_definition():
    flat, stripes = np.ones((4, 4)), np.tile([1, -1], (4, 2))
    checkerboard = stripes * np.array([1, -1, 1, -1])[:, None]
    broad = np.tile([1, 1, -1, -1], (4, 1))
    assert grain_energy(np.stack([flat, stripes, checkerboard, broad])).tolist() == [0, 1, 4, 0.25]


@given(
    seed=st.integers(0, 2**32),
    classes=st.sampled_from([2, 5, 10, 14, 20]),
    channels=st.sampled_from([1, 3]),
    height=st.integers(2, 80),
    width=st.integers(2, 80),
    most=st.integers(1, 100),
    stream=st.integers(0, 2**64 - 1),
)
def test_no_channel_s_mean_moves_by_more_than_half_a_pixel_value(seed, classes, channels, height, width, most, stream):
    cloak = cloak_of(seed, classes, most / 255)
    image = np.full((height, width, channels), 128, np.uint8)
    image[::2, ::3] -= 1
    period = len(cloak._tiles[channels == 3][0])
    for label in range(0, classes, 3):
        change = cloak._cloak(image, label, stream).astype(int) - image
        assert np.abs(change).max() == most
        if min(height, width) >= period:
            assert np.abs(change.mean(axis=(0, 1))).max() <= 0.5


def cloak_of(seed, classes, epsilon=8 / 255, **parameters):
    cloak = TextureTransform(seed=seed, epsilon=epsilon, **parameters)
    cloak._classes = list(range(classes))
    cloak._seed = seed
    cloak._tiles = [cloak._drawn_tiles(channels) for channels in (1, 3)]
    return cloak


@pytest.mark.parametrize(("height", "width"), [(225, 700), (1001, 999), (3000, 2001), (450, 337)])
def test_a_photo_keeps_its_colours_and_is_covered_to_its_edges(height, width):
    image = np.full((height, width, 3), 90, np.uint8)
    cloak, cell = cloak_of(3, 10), grain_cell(image.shape)
    for label in (0, 4, 9):
        change = cloak._cloak(image, label, 99).astype(int) - image
        assert np.abs(change.mean(axis=(0, 1))).max() <= 0.5
        assert set(np.unique(change)) == {-8, 8}  # also in the tile that the edge cuts
        assert (change[:cell, :cell] == change[0, 0]).all()


def test_an_image_of_less_than_a_tile_is_still_protected():
    cloak = cloak_of(3, 10)
    change = cloak._cloak(np.full((1, 1, 3), 128, np.uint8), 2, 5).astype(int) - 128
    assert set(np.abs(change).ravel()) == {8}


def test_the_faults_of_version_1_are_gone():
    """One key in six gave five classes of colour images a flat channel; a face turned purple."""
    dataset = pictures(10, classes=5)
    for key in range(200):
        tiles = TextureTransform(seed=key).fit(dataset).key.tensors["colour"]
        assert tiles.shape == (5, 2, 2, 3)
        assert (tiles.astype(int).sum(axis=(1, 2)) == 0).all() and (tiles != 0).all()
    assert TextureTransform.method_version == 2
