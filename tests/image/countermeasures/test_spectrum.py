"""Peaks in the mean spectrum of all images: a grain of any period goes, pictures stay, labels play no part."""

import numpy as np
import pytest

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES
from hf_unlearnable.image.methods.texture import TextureTransform, distinct_tiles, tiled

CLASSES = 5


def photos(count=40, height=48, width=60, seed=0):
    """Noise whose amplitude falls with its frequency, as that of photos does."""
    random = np.random.default_rng(seed)
    far = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))[:, :, None].clip(1 / 60)
    found = []
    for _ in range(count):
        spectrum = np.fft.fft2(random.normal(size=(height, width, 3)), axes=(0, 1)) / far**1.5
        image = np.fft.ifft2(spectrum, axes=(0, 1)).real
        found.append(np.rint(128 + 40 * image / image.std()).clip(16, 239).astype(np.uint8))
    return found


def grained(images, period, cell=1):
    """The images with the grain of one of five classes each, 8 of 255 strong."""
    tiles = distinct_tiles(list(range(1, CLASSES + 1)), period, 3)
    grains = [tiled(8 * tiles[i % CLASSES], image.shape, cell, start=7 * i) for i, image in enumerate(images)]
    return [(image + grain).astype(np.uint8) for image, grain in zip(images, grains, strict=True)]


def run(name, images):
    out = IMAGE_COUNTERMEASURES[name].on_rows(Rows(images, [0] * len(images)), Attacker())
    assert out.labels == [0] * len(images)
    return out.inputs


def left(clean, protected, after):
    """Projection of the change that is left on the change."""
    pairs = [(a.astype(float) - c, b.astype(float) - c) for c, a, b in zip(clean, protected, after, strict=True)]
    return sum((two * one).sum() for one, two in pairs) / sum((one**2).sum() for one, _ in pairs)


def test_pictures_stay_as_they_are():
    clean = photos()
    assert all(np.array_equal(one, two) for one, two in zip(clean, run("spectrum-peak-removal", clean)))


@pytest.mark.parametrize(("period", "cell"), [(2, 1), (3, 1), (4, 1), (6, 1), (2, 2)])
def test_a_grain_of_any_period_goes(period, cell):
    clean = photos()
    protected = grained(clean, period, cell)
    after = run("spectrum-peak-removal", protected)
    assert left(clean, protected, after) < 0.1
    changed = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(clean, after)])
    assert changed < 2, "the picture itself stays"


def test_it_finds_a_period_that_grain_removal_is_not_told():
    clean = photos()
    protected = grained(clean, 6)
    assert left(clean, protected, run("grain-removal", protected)) > 0.5
    assert left(clean, protected, run("spectrum-peak-removal", protected)) < 0.1


def test_noise_of_every_image_its_own_stays():
    clean = photos()
    random = np.random.default_rng(1)
    protected = [(image + random.choice([-8, 8], image.shape)).astype(np.uint8) for image in clean]
    assert left(clean, protected, run("spectrum-peak-removal", protected)) > 0.95


def test_images_of_several_sizes_are_cleaned_at_their_own():
    clean = photos(20) + photos(20, height=96, width=60, seed=1)
    after = run("spectrum-peak-removal", grained(clean, 2))
    assert [one.shape for one in after] == [one.shape for one in clean]
    assert left(clean, grained(clean, 2), after) < 0.1


def test_what_it_breaks_names_it():
    assert "spectrum-peak-removal" in TextureTransform.adaptive_attacks
