"""Methods without training give what their definitions say."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from hf_unlearnable.image.bounded import add_levels
from hf_unlearnable.image.methods.convolution import class_kernel, convolved
from hf_unlearnable.image.methods.linearization import linear_classifier, linearizing_noise, softmax
from hf_unlearnable.image.methods.random_noise import uniform_levels
from hf_unlearnable.image.methods.texture import distinct_tiles, finest_period, tiled
from tests.examples import pictures
from tests.image.methods.cases import arrays, fitted


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 2),
    st.integers(0, 2**32),
)
def test_convolution_is_the_sum_of_its_definition(height, width, channels, size, dilation, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)
    kernel = class_kernel(seed, size, 0.3)
    assert kernel.max() == 1 and (kernel == 1).sum() == 1 and kernel.min() >= 0
    assert np.sort(kernel, axis=None)[:-1].max(initial=0) <= 0.3
    slow = np.zeros(image.shape)
    half = size // 2
    for y in range(height):
        for x in range(width):
            for i in range(size):
                for j in range(size):
                    a, b = y + (i - half) * dilation, x + (j - half) * dilation
                    if 0 <= a < height and 0 <= b < width:
                        slow[y, x] += float(kernel[i, j]) * image[a, b]
    expected = image if slow.max() == 0 else slow * 255 / slow.max()
    assert np.abs(convolved(image, kernel, dilation) - expected).max() <= 0.5 + 1e-3


def test_convolution_filters_differ_by_class_and_grow_with_the_image():
    kernels = [class_kernel(stream, 3, 0.3) for stream in range(20)]
    assert len({kernel.tobytes() for kernel in kernels}) == 20
    small = np.full((10, 10, 3), 100, np.uint8)
    assert (convolved(small, kernels[0]) == 255).any()  # scaled to its brightest level
    big = pictures(4, height=700, width=500)
    after = arrays(big.map(fitted("convolution", big), batched=True))
    assert all(a.max() == 255 for a in after)


def test_one_pixel_search_is_the_brute_force_one():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 5, 4, 3)).astype(np.uint8)
    images[:, 2, 1] = random.integers(0, 30, (60, 3)) + np.array(
        [225, 0, 0]
    )  # nearly constant: far from its opposite corner
    labels = np.arange(60) % 3
    dataset = Dataset.from_dict({"image": [PILImage.fromarray(i) for i in images], "label": labels.tolist()})
    cells = fitted("one-pixel", dataset.cast_column("image", Image()))._cells
    for label, chosen in zip(cells.classes, cells.cells):
        x = images[labels == label] / 255
        scores = {}
        for colour in np.ndindex(2, 2, 2):
            distance = np.abs(np.array(colour) - x)
            score = distance.mean(axis=(0, 3)) / distance.std(axis=(0, 3))
            for place in np.ndindex(5, 4):
                scores[(*place, *colour)] = score[place]
        best = sorted(scores, key=scores.get)[::-1][: 4 + label]  # the key draws one of four that are still free
        ((row, column, colour),) = chosen
        assert (row, column, *(c // 255 for c in colour)) in best
    assert len({(row, column, *colour) for ((row, column, colour),) in cells.cells}) == 3


def test_one_pixel_writes_that_pixel_and_nothing_else():
    dataset = pictures(16)
    cloak = fitted("one-pixel", dataset, pixels=2)
    for before, after, label in zip(arrays(dataset), arrays(dataset.map(cloak, batched=True)), dataset["label"]):
        changed = np.argwhere((before != after).any(axis=2)).tolist()
        cells = cloak._cells.cells[label]
        assert sorted(changed) == sorted([r, c] for r, c, _ in cells)
        assert all(after[r, c].tolist() == colour for r, c, colour in cells)


def test_one_pixel_of_a_photo_is_a_cell_that_survives_a_resize():
    dataset = pictures(8, height=300, width=200)
    cloak = fitted("one-pixel", dataset)
    for image, label in zip(dataset.map(cloak, batched=True)["image"], dataset["label"]):
        ((row, column, colour),) = cloak._cells.cells[label]
        small = np.asarray(image.resize((32, 32), PILImage.Resampling.BOX))
        assert np.abs(small[row, column].astype(int) - colour).max() <= 1


def test_linear_separable_noise_is_linearly_separable():
    from sklearn.linear_model import LogisticRegression

    dataset = pictures(200, classes=4)
    cloak = fitted("linear-separable", dataset)
    noise = np.stack([a.astype(int) - b for a, b in zip(arrays(dataset.map(cloak, batched=True)), arrays(dataset))])
    model = LogisticRegression(max_iter=500).fit(noise[:100].reshape(100, -1), dataset["label"][:100])
    assert model.score(noise[100:].reshape(100, -1), dataset["label"][100:]) == 1
    gray = np.full((32, 32, 3), 128, np.uint8)
    there = cloak._cloak(gray, 1, 77).astype(int) - 128
    assert 0.6 < np.sqrt((there**2).mean()) / 8 <= 0.8
    assert all((there[i : i + 8, j : j + 8] == there[i, j]).all() for i in range(0, 32, 8) for j in range(0, 32, 8))


def test_linear_classifier_learns_a_linear_problem():
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (600, 30)).astype(np.uint8)
    y = (x[:, :10].astype(int).sum(1) > x[:, 10:20].astype(int).sum(1)).astype(int)
    weights = linear_classifier(x, y, 2, 30, 0.01, seed=0)
    assert ((x / 255 @ weights.T).argmax(1) == y).mean() > 0.95


@given(st.integers(0, 2**32), st.integers(1, 16), st.integers(1, 12))
def test_linearizing_noise_is_the_published_step(seed, most, steps):
    random = np.random.default_rng(seed)
    weights = random.integers(-4095, 4096, (4, 48)).astype(float)
    x, start = random.integers(0, 256, 48).astype(np.uint8), uniform_levels(seed, (48,), most * 10)
    got = linearizing_noise(x, 2, weights, 4095.0, start, bound=most * 10, step=most, num_steps=steps)
    w, image = torch.tensor(weights / 4095), torch.tensor(x / 255.0)
    d = torch.tensor(start / 2550.0)
    for _ in range(steps):
        d.requires_grad_()
        uniform = torch.full((4,), 0.25, dtype=torch.float64)
        left = (w @ (image - d)).log_softmax(0)
        loss = 0.9 * torch.nn.functional.cross_entropy((w @ d)[None], torch.tensor([2]))
        loss = loss + 0.1 * (uniform * (uniform.log() - left)).sum()
        (gradient,) = torch.autograd.grad(loss, d)
        d = (d.detach() - most / 2550 * gradient.sign()).clamp(-most / 255, most / 255)
    assert np.abs(got - d.numpy() * 2550).max() < 1e-6
    assert np.abs(got).max() <= most * 10 and (got == np.rint(got)).all()


def test_linearization_makes_the_noise_readable_and_the_rest_unreadable():
    dataset = pictures(120, height=32, width=32)
    cloak = fitted("linearization", dataset)
    noise = np.stack([b.astype(int) - a for a, b in zip(arrays(dataset.map(cloak, batched=True)), arrays(dataset))])
    weights = cloak.key.tensors["weights"]
    assert ((noise.reshape(120, -1) @ weights.T).argmax(1) == np.array(dataset["label"])).mean() > 0.95


def test_softmax():
    assert np.allclose(softmax(np.array([[1e4, 0.0], [0.0, 0.0]])), [[1, 0], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("classes", "colour", "gray"),
    [(2, 2, 3), (8, 2, 3), (9, 2, 4), (13, 2, 4), (14, 3, 4), (100, 3, 4), (101, 3, 5), (5000, 3, 5)],
)
def test_the_finest_period_that_has_enough_tiles(classes, colour, gray):
    assert (finest_period(classes, 3), finest_period(classes, 1)) == (colour, gray)


def test_a_period_too_short_for_the_classes_is_lengthened():
    tiles = fitted("texture", pictures(24, classes=6, channels=1), period=2).key.tensors
    assert tiles["gray"].shape[1] > 2 and tiles["colour"].shape[1] == 2
    assert len({tile.tobytes() for tile in tiles["gray"]}) == 6


def test_texture_repeats_and_scales():
    tile = distinct_tiles([1, 2], 3, 3)[0]
    one = tiled(tile, (30, 24, 3), 1, start=5)
    assert np.array_equal(one[3:], one[:-3]) and np.array_equal(one[:, 3:], one[:, :-3])
    coarse = tiled(tile, (30, 24, 3), 4, start=5)
    assert all((coarse[i : i + 4, j : j + 4] == coarse[i, j]).all() for i in range(0, 28, 4) for j in range(0, 24, 4))
    places = {tiled(tile, (6, 6, 3), 1, start=start).tobytes() for start in range(9)}
    assert len(places) == 9
    photo = np.full((1000, 900, 3), 128, np.uint8)
    dataset = pictures(8)
    changed = fitted("texture", dataset)._cloak(photo, 0, 7).astype(int) - 128
    assert set(np.unique(changed)) == {-8, 8} and (changed[:4, :4] == changed[0, 0]).all()


@given(st.integers(0, 2**64 - 1), st.integers(0, 127))
def test_uniform_levels(stream, most):
    got = uniform_levels(stream, (40, 25, 3), most)
    assert got.shape == (40, 25, 3) and np.abs(got).max(initial=0) <= most
    if most:
        counts = np.bincount(got.ravel() + most, minlength=2 * most + 1)
        expected = 3000 / (2 * most + 1)
        assert ((counts - expected) ** 2 / expected).sum() < 2 * most + 8 * np.sqrt(4 * most) + 20


@given(st.integers(0, 255), st.integers(-127, 127))
def test_add_levels(level, noise):
    got = add_levels(np.array([level], np.uint8), np.array([noise], np.int8))
    assert got.dtype == np.uint8 and got[0] == min(255, max(0, level + noise))


@pytest.mark.parametrize("shape", [(1, 3, 1), (511, 2, 3), (512, 2, 3), (513, 2, 3), (1300, 1, 1)])
def test_add_levels_of_a_high_image(shape):
    random = np.random.default_rng(0)
    image, noise = random.integers(0, 256, shape, np.uint8), random.integers(-127, 128, shape, np.int8)
    assert np.array_equal(add_levels(image, noise), np.clip(image.astype(int) + noise, 0, 255))


def test_search_cells_for_gray_images_writes_gray():
    dataset = pictures(12, channels=1)
    protected = dataset.map(fitted("one-pixel", dataset), batched=True)
    assert {image.mode for image in protected["image"]} == {"L"}


@pytest.mark.parametrize("name", ["texture", "random-noise", "error-min"])
def test_a_numpy_format_changes_nothing(name):
    dataset = pictures(8).add_column("id", list(range(8)))
    cloak = fitted(name, dataset, id_column="id", classes=[0, 1])
    expected = arrays(dataset.map(cloak, batched=True))
    formatted = dataset.with_format("numpy").map(cloak, batched=True).with_format(None)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(formatted), expected))
    with pytest.raises(TypeError, match="torch tensors. Use dataset.with_format"):
        dataset.with_format("torch").map(cloak, batched=True)
