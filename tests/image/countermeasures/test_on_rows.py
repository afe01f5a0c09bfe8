"""Countermeasures on rows do what they are published to do, and leave sizes and labels."""

import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.countermeasures import (
    IMAGE_COUNTERMEASURES,
    box_blur,
    class_mean_subtraction,
    constant_pixel_repair,
    grayscale,
    jpeg,
    median_filter,
    orthogonal_projection,
    reduced_bits,
    rounded_bits,
    spectrum_equalisation,
    without_grain,
)
from hf_unlearnable.image.countermeasures.classes import _linear_weights
from hf_unlearnable.image.methods.convolution import class_kernel, convolved
from hf_unlearnable.image.methods.texture import tiled
from tests.examples import levels
from tests.image.countermeasures.images import photos
from tests.image.files import file_of

torch = pytest.importorskip("torch", reason="image countermeasures need torch")

DROPPING = ("spectrum-outlier-filter", "perceptual-hash-filter")  # whole rows: tested in test_outliers.py
ON_ROWS = [
    name
    for name, measure in IMAGE_COUNTERMEASURES.items()
    if measure.on_rows and not measure.needs and name not in DROPPING
]


def classed(change, rows: int = 200, classes: int = 4, size: int = 16) -> tuple[Rows, np.ndarray]:
    """Photos of classes in turn, `change(levels, label)` made to each, and the photos as they were."""
    before = photos(rows, size=size)
    labels = [i % classes for i in range(rows)]
    return Rows([change(one, label) for one, label in zip(before, labels)], labels), before


def stacked(rows: Rows) -> np.ndarray:
    return np.stack(rows.inputs).astype(float)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "diffusion-purification")) for name in ON_ROWS]
)
def test_on_rows_is_pure_and_keeps_size_and_labels(name):
    arrays = [*photos(6, size=16), *photos(6, 1, size=20)[:, :, :13]]
    images = [
        *arrays,
        Image.fromarray(arrays[0]).convert("L"),
        Image.fromarray(arrays[1]).convert("RGBA"),
        arrays[2][:, :, :1],
    ]
    labels = [i % 3 for i in range(len(images))]
    before = [np.asarray(image).copy() for image in images]
    random_state = random.getstate(), str(np.random.get_state())
    measure = IMAGE_COUNTERMEASURES[name]
    first, again = (measure.on_rows(Rows(images, labels), Attacker(seed=3)) for _ in range(2))
    assert (random.getstate(), str(np.random.get_state())) == random_state
    assert list(first.labels) == labels
    for image, old, out, same in zip(images, before, first.inputs, again.inputs):
        assert out.dtype == np.uint8 and out.shape == (*old.shape[:2], 3)
        assert (out == same).all() and (np.asarray(image) == old).all()


def test_the_names_and_their_order():
    names = list(IMAGE_COUNTERMEASURES)
    assert names[:4] == ["jpeg-10", "jpeg-50", "jpeg-90", "grayscale"]
    assert names[-1] == "diffusion-purification-clean-5%"  # the dearest come last
    assert [name for name in names if IMAGE_COUNTERMEASURES[name].needs] == [
        "clean-1%", "clean-5%", "clean-20%", "diffusion-purification-clean-5%",
    ]  # fmt: skip
    assert all(measure.on_rows or measure.in_training for measure in IMAGE_COUNTERMEASURES.values())


def test_clean_data_is_mixed_in():
    rows, clean = Rows(list(photos(40)), [0, 1] * 20), Rows([Image.fromarray(one) for one in photos(9, 5)], [0] * 9)
    mixed = IMAGE_COUNTERMEASURES["clean-20%"].on_rows(rows, Attacker(clean=clean))
    assert len(mixed) == 48 and list(mixed.labels) == [0, 1] * 20 + [0] * 8


def test_jpeg_is_that_of_pillow_and_coarser_with_less_quality():
    image = levels(1, height=16, width=16)[0]
    file = io.BytesIO(file_of(image, "JPEG", quality=50))
    assert (jpeg(image, 50) == np.asarray(Image.open(file))).all()
    error = [np.abs(jpeg(image, quality).astype(float) - image).mean() for quality in (10, 50, 90)]
    assert error[0] > error[1] > error[2] > 0


def test_gray_and_bits():
    image = levels(1, height=16, width=16)[0]
    gray = grayscale(image)
    assert (gray == gray[:, :, :1]).all() and (gray[:, :, 0] == np.asarray(Image.fromarray(image).convert("L"))).all()
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert rounded_bits(every).ravel().tolist() == [0] * 43 + [85] * 85 + [170] * 85 + [255] * 43
    assert reduced_bits(every).ravel().tolist() == [0] * 64 + [64] * 64 + [128] * 64 + [192] * 64


@pytest.mark.parametrize("bits", range(1, 9))
def test_reduced_bits_are_those_of_posterize(bits):
    image = levels(1, bits, height=9, width=7)[0]
    assert (reduced_bits(image, bits) == np.asarray(ImageOps.posterize(Image.fromarray(image), bits))).all()
    assert len(np.unique(reduced_bits(np.arange(256, dtype=np.uint8), bits))) == 2**bits


def test_the_median_takes_a_single_pixel_without_a_trace():
    image = np.full((9, 9, 3), 90, np.uint8)
    image[4, 5] = 255, 0, 255
    assert (median_filter(image) == 90).all()


@given(st.integers(0, 10**6), st.integers(0, 24))
def test_a_box_of_two_takes_a_grain_of_two(seed, start):
    tile = np.random.default_rng(seed).choice([-8, 8], (2, 2, 3))
    grained = (120 + tiled(tile, (16, 16, 3), 1, start)).astype(np.uint8)
    inside = box_blur(grained)[1:-1, 1:-1].astype(int)
    assert (np.ptp(inside.reshape(-1, 3), axis=0) <= 1).all()
    assert np.abs(inside.mean((0, 1)) - grained.mean((0, 1))).max() <= 1


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(0, 24), st.sampled_from([(20, 20), (17, 23), (64, 40)]))
def test_what_repeats_is_removed_whatever_it_is_and_little_else(seed, period, start, size):
    photo = (50 + levels(1, seed, *size)[0] * 0.6).astype(np.uint8)
    tile = np.random.default_rng(seed).choice([-8, 8], (period, period, 3)).astype(np.int8)
    grain = tiled(tile, photo.shape, 1, start)
    difference = without_grain((photo + grain).astype(np.uint8)).astype(float) - without_grain(photo)
    left = difference - difference.mean((0, 1))
    assert np.abs(left).max() <= 5 and left.std() < 1.6, "of a grain of 8 levels; the periods share a little"


def test_grain_that_grew_with_the_image_is_removed_too():
    photo = np.full((448, 448, 3), 120, np.uint8)
    tile = np.random.default_rng(0).choice([-8, 8], (2, 2, 3)).astype(np.int8)
    grained = (photo + tiled(tile, photo.shape, 2, 3)).astype(np.uint8)
    for removed in (without_grain(grained), box_blur(grained)[4:-4, 4:-4]):
        assert grained.std((0, 1)).min() > 3 and removed.std((0, 1)).max() < 1


def nearest_mean(rows: Rows, tests: np.ndarray, labels: list) -> float:
    """How often the nearest class mean of the rows is right about other images: what a linear signal gives away."""
    images, classes = stacked(rows).reshape(len(rows), -1), np.asarray(rows.labels)
    means = np.stack([images[classes == label].mean(0) for label in np.unique(classes)])
    scores = tests.reshape(len(tests), -1) @ means.T - (means**2).sum(1) / 2
    return (scores.argmax(1) == np.asarray(labels)).mean()


def patterned(cell: int = 1):
    pattern = (
        np.random.default_rng(1).choice([-30, 30], (4, 16 // cell, 16 // cell, 3)).repeat(cell, 1).repeat(cell, 2)
    )
    return lambda one, label: (one + pattern[label]).astype(np.uint8)


def test_the_mean_of_a_class_shows_its_noise_and_subtracting_it_takes_most_of_it():
    protected, before = classed(patterned(), rows=400)
    made = class_mean_subtraction(protected, Attacker())
    labels = np.array(protected.labels)
    noise, left = stacked(protected) - before, stacked(made) - before
    noise, left = noise - noise.mean(0), left - left.mean(0)  # what all classes share tells nothing
    for label in range(4):
        assert np.corrcoef(left[labels == label].mean(0).ravel(), noise[labels == label].mean(0).ravel())[0, 1] < 0.5
    assert left[:4].std() < 0.75 * noise.std()
    probe = stacked(Rows([patterned()(one, i % 4) for i, one in enumerate(photos(200, 9))], []))
    assert nearest_mean(protected, probe, [i % 4 for i in range(200)]) > 0.95
    assert nearest_mean(made, probe, [i % 4 for i in range(200)]) < 0.75


@pytest.mark.parametrize("cell", [1, 4])
def test_a_linear_model_reads_nothing_after_the_projection(cell):
    from hf_unlearnable.image.methods.linearization import linear_classifier

    protected, _ = classed(patterned(cell), rows=400)
    made = orthogonal_projection(protected, Attacker())

    def read(rows: Rows) -> float:
        flat, labels = stacked(rows).reshape(400, -1), np.array(rows.labels)
        weights = linear_classifier(flat[:300].astype(np.uint8), labels[:300], 4, 20, 0.003, 0)
        return (np.argmax(flat[300:] @ weights.T, 1) == labels[300:]).mean()

    assert read(protected) > 0.9
    assert read(made) < 0.5


@pytest.mark.parametrize(("rows", "classes"), [(60, 2), (200, 4), (1500, 5)])
def test_the_linear_model_of_the_projection_is_trained_as_published(rows, classes):
    """980 steps of plain SGD in batches of 1,024 in the order of the rows, done again by torch."""
    images, targets = photos(rows, rows, size=6).reshape(rows, -1), np.arange(rows) % classes
    model = torch.nn.Linear(108, classes, bias=False).double()
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [490, 735], 0.1)
    batches = list(zip((torch.tensor(images) / 255.0).double().split(1024), torch.tensor(targets).split(1024)))
    for step in range(980):
        x, y = batches[step % len(batches)]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()
    ours = _linear_weights(images, targets, classes)
    assert np.abs(ours - model.weight.detach().numpy()).max() < 1e-3 * np.abs(ours).max()


def test_a_pixel_that_is_constant_in_its_class_is_repaired_and_no_other():
    def marked(one: np.ndarray, label: int) -> np.ndarray:
        out = one.copy()
        out[3 + label, 7] = (255, 0, 255)
        return out

    protected, before = classed(marked, rows=80)
    made = stacked(constant_pixel_repair(protected, Attacker()))
    here = np.zeros(before.shape[:3], bool)
    for i, label in enumerate(protected.labels):
        here[i, 3 + label, 7] = True
    assert (made[~here] == before[~here]).all()
    assert np.abs(made - before)[here].mean() < 25 < 100 < np.abs(stacked(protected) - before)[here].mean()


def test_equalising_takes_images_of_any_sizes():
    images = [levels(1, i, *size)[0] for i, size in enumerate([(31, 31), (32, 32), (40, 31), (31, 64)])]
    made = spectrum_equalisation(Rows(images, [0, 1, 0, 1]), Attacker())
    assert [one.shape for one in made.inputs] == [one.shape for one in images]


def test_equalising_takes_a_filter_of_a_class_out_of_its_spectrum():
    def filtered(one: np.ndarray, label: int) -> np.ndarray:
        return convolved(one, class_kernel(label + 11, 3, 0.3))

    protected, _ = classed(filtered, rows=400)
    made = spectrum_equalisation(protected, Attacker())

    def apart(rows: Rows) -> float:
        """How far the classes' mean amplitudes lie apart, as a share of them."""
        labels = np.array(rows.labels)
        amplitude = np.abs(np.fft.rfft2(stacked(rows), axes=(1, 2))).mean(3)
        means = np.stack([amplitude[labels == label].mean(0) for label in range(4)])
        return (means.std(0) / means.mean(0)).mean()

    assert apart(made) < 0.05 < 0.2 < apart(protected)
