"""Filters that drop whole images: near copies, and those whose spectrum is unlike the others'."""

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.codec import rgb_levels
from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES
from tests.image.countermeasures.test_spectrum import grained, photos


def kept(name, images):
    """The numbers of the images that are left."""
    out = IMAGE_COUNTERMEASURES[name].on_rows(Rows(images, list(range(len(images)))), Attacker())
    for one, row in zip(out.inputs, out.labels, strict=True):
        assert one.dtype == np.uint8 and np.array_equal(one, np.asarray(rgb_levels(images[row])))
    return out.labels


@pytest.mark.parametrize("spoilt", [4, 9])
def test_images_with_a_grain_are_dropped_while_they_are_few(spoilt):
    clean = photos(40)
    mixed = [*grained(clean[:spoilt], 2), *clean[spoilt:]]
    assert kept("spectrum-outlier-filter", mixed) == list(range(spoilt, 40))


def test_a_grain_is_usual_where_most_images_have_it():
    clean = photos(40)
    assert kept("spectrum-outlier-filter", [*clean[:4], *grained(clean[4:], 2)]) == list(range(40))


@pytest.mark.parametrize("images", [photos(40), grained(photos(40), 2), photos(2), photos(1), []])
def test_images_of_one_kind_stay(images):
    assert len(kept("spectrum-outlier-filter", images)) >= 0.95 * len(images)


@pytest.mark.parametrize("name", ["spectrum-outlier-filter", "perceptual-hash-filter"])
def test_images_of_any_mode_are_taken_and_stay_as_they_were(name):
    if name == "perceptual-hash-filter":
        pytest.importorskip("imagehash", reason="perceptual hashes need imagehash")
    clean = photos(8)
    images = [Image.fromarray(clean[0]).convert("L"), Image.fromarray(clean[1]).convert("RGBA"), *clean[2:]]
    before = [np.asarray(image).copy() for image in images]
    assert kept(name, images) == kept(name, images) and len(kept(name, images)) >= 7
    assert all(np.array_equal(image, old) for image, old in zip(images, before, strict=True))


def test_equal_images_and_flat_ones_stay():
    flat = [np.full((8, 8, 3), 9, np.uint8)] * 5
    assert kept("spectrum-outlier-filter", flat) == [0, 1, 2, 3, 4]


def test_noise_among_images_of_several_sizes_is_found():
    sizes = [*photos(20), *photos(20, height=60, width=48, seed=1)]
    random = np.random.default_rng(0)
    noisy = [(image.astype(int) + random.choice([-8, 8], image.shape)).clip(0, 255).astype(np.uint8)
             for image in photos(3, seed=2)]  # fmt: skip
    assert kept("spectrum-outlier-filter", [*sizes, *noisy])[-1] < 40


def test_near_copies_go_and_the_first_one_stays():
    pytest.importorskip("imagehash", reason="perceptual hashes need imagehash")
    clean = photos(6)
    enlarged = np.asarray(Image.fromarray(clean[2]).resize((90, 72)))
    brighter = np.minimum(clean[4] + 5, 255).astype(np.uint8)
    assert kept("perceptual-hash-filter", [*clean, enlarged, brighter, clean[0]]) == list(range(6))
    assert kept("perceptual-hash-filter", grained(clean, 2)) == list(range(6)), "a grain makes no copies"
    assert kept("perceptual-hash-filter", []) == []
