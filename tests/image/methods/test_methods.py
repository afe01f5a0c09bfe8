"""What each image method promises beyond the contract: its bound, its formula, what it costs a model."""

import os
import pickle

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image, Value
from datasets.fingerprint import Hasher
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from hf_unlearnable import load_transform
from hf_unlearnable.image.base import ImageTransform
from hf_unlearnable.image.bounded import BoundedImageTransform, add_levels
from hf_unlearnable.image.methods.convolution import class_kernel, convolved
from hf_unlearnable.image.methods.linearization import linear_classifier, linearizing_noise, softmax
from hf_unlearnable.image.methods.random_noise import uniform_levels
from hf_unlearnable.image.methods.texture import distinct_tiles, finest_period, tiled
from hf_unlearnable.registry import METHODS, method_class
from tests.examples import levels, pictures
from tests.keys import edit

IMAGE_METHODS = [name for name in METHODS if method_class(name).modality == "image"]
BOUNDED = [name for name in IMAGE_METHODS if issubclass(method_class(name), BoundedImageTransform)]
ADDITIVE = [name for name in BOUNDED if method_class(name).additive]
LEARNED = ["error-min", "error-min-one-pixel", "stable-error-min", "error-max"]
QUICK = {
    "error-min": {"max_rounds": 2}, "error-min-one-pixel": {"max_rounds": 2},
    "stable-error-min": {"max_rounds": 2, "num_draws": 2}, "error-max": {"max_rounds": 1, "surrogate_epochs": 2},
}  # fmt: skip


def fitted(name, dataset, **parameters):
    return method_class(name)(**{"seed": 3, **QUICK.get(name, {}), **parameters}).fit(dataset)


def arrays(dataset):
    return [np.asarray(image) for image in dataset["image"]]


def mixed_sizes():
    shapes = [(1, 1, 3), (12, 9, 3), (9, 12, 3), (12, 9, 1), (70, 40, 3), (12, 9, 4), (2, 30, 1), (33, 33, 3)]
    images = [levels(1, seed, h, w, c)[0] for seed, (h, w, c) in enumerate(shapes * 2)]
    opened = [PILImage.fromarray(one[:, :, 0] if one.shape[2] == 1 else one) for one in images]
    data = {"image": opened, "label": [i % 2 for i in range(len(opened))]}
    return Dataset.from_dict(data).cast_column("image", Image())


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("epsilon", [3 / 255, 7.9 / 255])
def test_bound_holds_on_the_stored_bytes_of_any_size(name, epsilon):
    dataset = mixed_sizes()
    cloak = fitted(name, dataset, epsilon=epsilon, **({"step_size": epsilon} if name in LEARNED else {}))
    assert cloak.max_levels == int(epsilon * 255 + 1e-6)  # 7.9 levels are 7
    largest = 0
    for before, after in zip(arrays(dataset), arrays(dataset.map(cloak, batched=True))):
        assert before.shape == after.shape
        difference = np.abs(before.astype(int) - after)
        assert difference.max() <= cloak.max_levels
        largest = max(largest, difference.max())
        if before.shape[-1] == 4:
            assert np.array_equal(before[:, :, 3], after[:, :, 3])  # transparency
    assert largest == cloak.max_levels


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_every_method_takes_every_size(name):
    dataset = mixed_sizes()
    protected = dataset.map(fitted(name, dataset), batched=True, batch_size=3)
    assert [a.size for a in protected["image"]] == [b.size for b in dataset["image"]]
    assert [a.mode for a in protected["image"]] == [b.mode for b in dataset["image"]]


@pytest.mark.parametrize("name", ["error-min", "stable-error-min", "error-max"])
def test_sample_noise_belongs_to_its_image(name, tmp_path):
    dataset = pictures(12)
    cloak = fitted(name, dataset)
    cloak.key.save(tmp_path / "key")
    loaded = load_transform(tmp_path / "key")
    assert isinstance(loaded.key.tensors["levels"], np.memmap)  # stays on disk
    order = [5, 0, 11, 3]
    assert [a.tobytes() for a in arrays(dataset.select(order).map(loaded, batched=True))] == [
        a.tobytes() for a in arrays(dataset.map(cloak, batched=True).select(order))
    ]
    with pytest.raises(ValueError, match="Row 0 of this batch: this image was not there at fit.*noise='class'"):
        pictures(2, seed=9).map(loaded, batched=True)


def test_noise_of_another_size_is_named():
    dataset = pictures(8).add_column("id", [f"p{i}" for i in range(8)])
    cloak = fitted("error-min", dataset, id_column="id")
    smaller = pictures(8, height=6, width=6).add_column("id", [f"p{i}" for i in range(8)])
    with pytest.raises(
        ValueError, match=r"\(id='p0'\): the image has 6x6 pixels in 3 channels, but its noise .*12x12"
    ):
        smaller.map(cloak, batched=True)


def test_class_noise_protects_new_rows_of_known_classes():
    cloak = fitted("error-min", pictures(16), noise="class", max_rounds=3)
    new = pictures(8, seed=9)
    protected = new.map(cloak, batched=True)
    for label in range(4):
        noise = [
            np.asarray(after, int) - np.asarray(before)
            for before, after, y in zip(new["image"], protected["image"], new["label"]) if y == label
        ]  # fmt: skip
        inside = [
            (np.asarray(image) > 8) & (np.asarray(image) < 247)
            for image, y in zip(new["image"], new["label"])
            if y == label
        ]
        both = inside[0] & inside[1]
        assert both.sum() > 50 and np.array_equal(noise[0][both], noise[1][both])
    with pytest.raises(ValueError, match="the label 4 was not seen by fit"):
        pictures(12, classes=6).map(cloak, batched=True)


def test_error_min_lowers_the_error_that_a_surrogate_makes():
    from hf_unlearnable.image.victims import small_cnn

    rng = np.random.default_rng(0)
    images = rng.integers(60, 190, (160, 12, 12, 3)).astype(np.uint8)  # nothing to learn in them
    labels = rng.integers(0, 4, 160)
    dataset = Dataset.from_dict({"image": [PILImage.fromarray(i) for i in images], "label": labels.tolist()})
    dataset = dataset.cast_column("image", Image())
    cloak = fitted("error-min", dataset, max_rounds=8, augment=False, batch_size=32)
    protected = arrays(dataset.map(cloak, batched=True))
    half = slice(0, 80), slice(80, 160)
    learned = [
        (small_cnn(data[half[0]], labels[half[0]], data[half[1]], seed=0, epochs=15, batch_size=16, augment=False) == labels[half[1]]).mean()
        for data in (images, np.stack(protected))
    ]  # fmt: skip
    assert learned[0] < 0.45 and learned[1] > 0.8  # the noise alone teaches the label, to images never seen


def test_error_min_steps_and_passes_are_those_of_the_schedule():
    dataset = pictures(20)
    cloak = fitted("error-min", dataset, max_rounds=3, surrogate_steps=2, num_steps=4, batch_size=8, stop_error=None)
    assert cloak.image_passes == 3 * (2 * 8 + 4 * 20)
    paper = method_class("error-min").paper(epsilon=4 / 255)
    assert (paper.num_steps, paper.surrogate_steps, paper.stop_error) == (20, 10, 0.01)
    assert paper.step_size == pytest.approx(0.4 / 255) and not paper.augment


@pytest.mark.parametrize("name", LEARNED)
def test_learned_noise_is_the_same_again_and_leaves_the_generators_alone(name):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    dataset = pictures(10)
    first, second = (fitted(name, dataset).key.tensors["levels"] for _ in range(2))
    assert np.array_equal(first, second) and np.abs(first).max() in (4, 8)
    assert torch.equal(torch.rand(3), expected[0]) and np.array_equal(np.random.rand(3), expected[1])


def test_targeted_noise_makes_images_look_like_the_next_class():
    from hf_unlearnable.image.victims import small_cnn

    dataset = pictures(80, classes=4, height=16, width=16)
    bright = [
        np.clip(image.astype(int) // 4 + 45 * y, 0, 255).astype(np.uint8)
        for image, y in zip(arrays(dataset), dataset["label"])
    ]
    easy = Dataset.from_dict(
        {"image": [PILImage.fromarray(b) for b in bright], "label": dataset["label"]}
    ).cast_column("image", Image())
    options = {"surrogate_epochs": 25, "augment": False, "epsilon": 40 / 255, "batch_size": 16, "max_rounds": 2}
    for targeted, expected in ((True, 1), (False, None)):
        cloak = fitted("error-max", easy, targeted=targeted, **options)
        protected = arrays(easy.map(cloak, batched=True))
        predicted = small_cnn(bright, easy["label"][:], protected, seed=0, epochs=25, batch_size=16, augment=False)
        truth = np.array(easy["label"])
        if targeted:
            assert (predicted == (truth + expected) % 4).mean() > 0.5
        assert (predicted == truth).mean() < 0.5


# ---------------------------------------------------------------------- closed form
@settings(max_examples=30, deadline=None)
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


@settings(max_examples=20, deadline=None)
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
@settings(max_examples=30, deadline=None)
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


# ------------------------------------------------------------------ bad input that every method names
def partly_labelled(missing):
    """Twenty images, every fifth without a label, and a column that tells which have one."""
    names = ["elm", "fox", "owl"]
    features = Features({"image": Image(), "label": ClassLabel(names=names), "labelled": Value("bool")})
    columns = {
        "image": pictures(20)["image"][:],
        "label": [i % 3 if i % 5 else missing for i in range(20)],
        "labelled": [i % 5 > 0 for i in range(20)],
    }
    return Dataset.from_dict(columns, features=features)


def files(dataset):
    return [value["bytes"] for value in dataset.cast_column("image", Image(decode=False))["image"]]


@pytest.mark.parametrize("missing", [None, -1])
@pytest.mark.parametrize("how", [{"classes": [0, 1, 2]}, {"mask_column": "labelled"}], ids=["classes", "mask"])
@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_rows_without_a_label_can_be_left_out(name, how, missing):
    dataset = partly_labelled(missing)
    protected = dataset.map(fitted(name, dataset, **how), batched=True)
    for i, (before, after) in enumerate(zip(files(dataset), files(protected))):
        assert (before == after) == (i % 5 == 0), i
    if name == "texture":
        assert fitted(name, dataset, **how).key.state["labels"] == [0, 1, 2]


@pytest.mark.parametrize("missing", [None, -1])
@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_a_row_without_a_label_that_is_not_left_out_is_named(name, missing):
    dataset = partly_labelled(missing)
    labelled = dataset.filter(lambda row: row["labelled"])
    cloak = fitted(name, labelled)
    if not cloak.needs_labels:
        assert fitted(name, dataset)
        return
    advice = "Leave such rows out with classes or mask_column"
    two = dataset.select([1, 0])  # of which the second has no label
    for rows in (two, two.with_format("arrow")):
        with pytest.raises(ValueError, match=f"Row 1 of this batch has no label in column 'label'. {advice}"):
            rows.map(cloak, batched=True)
    with pytest.raises(ValueError, match="has no label in column 'label'"):
        two.map(cloak)
    if type(cloak).fit is not ImageTransform.fit:  # others look at the rows only when they protect them
        with pytest.raises(ValueError, match=f"Row 0 has no label in column 'label'. {advice}"):
            fitted(name, dataset)


def test_minus_one_is_a_class_where_the_column_is_of_plain_numbers():
    images = pictures(8)["image"][:]
    dataset = Dataset.from_dict({"image": images, "label": [-1, 1] * 4}).cast_column("image", Image())
    cloak = fitted("texture", dataset)
    assert cloak.key.state["labels"] == [-1, 1]
    assert all(a != b for a, b in zip(files(dataset), files(dataset.map(cloak, batched=True))))


def test_only_rows_without_a_label_are_nothing_to_learn_from():
    dataset = partly_labelled(None).filter(lambda row: not row["labelled"])
    with pytest.raises(ValueError, match="The labels name no class"):
        fitted("texture", dataset, mask_column="labelled")


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_a_row_without_a_label_is_named_where_labels_are_needed(name):
    dataset = pictures(8)
    cloak = fitted(name, dataset)
    batch = {"image": dataset["image"][:2], "label": [0, None]}
    if cloak.needs_labels:
        with pytest.raises(
            ValueError, match="Row 1 of this batch has no label in column 'label'.*classes or mask_column"
        ):
            cloak(batch)
    else:
        assert len(cloak(batch)["image"]) == 2


@pytest.mark.parametrize("name", BOUNDED)
def test_less_than_one_level_is_no_strength(name):
    with pytest.raises(ValueError, match="epsilon is 0.00196.*, less than one level: the least is 1/255"):
        fitted(name, pictures(8), epsilon=0.5 / 255)
    if hasattr(method_class(name), "step_size"):
        with pytest.raises(ValueError, match="step_size is 2, but it is a share of the range"):
            fitted(name, pictures(8), step_size=2)


def test_a_class_by_name_where_labels_are_numbers_is_refused():
    dataset = pictures(8)
    with pytest.raises(ValueError, match="classes names 'elm', but the labels are whole numbers below 4"):
        fitted("texture", dataset, classes=["elm"])
    assert fitted("texture", dataset, classes=[1])


@pytest.mark.parametrize("name", ["error-min", "linearization", "one-pixel"])
def test_a_broken_image_that_is_not_to_be_protected_keeps_nobody_from_fitting(name):
    dataset = pictures(8)
    rows = dataset.cast_column("image", Image(decode=False))["image"][:]
    rows[3] = {"bytes": b"broken", "path": None}
    columns = {"image": rows, "label": dataset["label"][:], "mine": [i != 3 for i in range(8)]}
    features = Features({"image": Image(decode=False), "label": dataset.features["label"], "mine": Value("bool")})
    broken = Dataset.from_dict(columns, features=features).cast_column("image", Image())
    with pytest.raises(ValueError, match="Row 3"):
        fitted(name, broken)
    cloak = fitted(name, broken, mask_column="mine")
    protected = broken.map(cloak, batched=True).cast_column("image", Image(decode=False))["image"][:]
    assert protected[3]["bytes"] == b"broken"
    assert all(protected[i]["bytes"] != rows[i]["bytes"] for i in range(8) if i != 3)


def test_too_many_classes_for_one_pixel_each():
    tiny_gray = pictures(40, height=4, width=4, channels=1).remove_columns("label")
    tiny_gray = tiny_gray.add_column("label", list(range(40)))
    with pytest.raises(ValueError, match="40 classes are too many for images of 4x4 pixels"):
        fitted("one-pixel", tiny_gray)


def test_numbers_that_end_in_nothing_are_refused():
    for wrong in ({"epochs": 0}, {"num_steps": 0}):
        with pytest.raises(ValueError, match="they start at 1"):
            fitted("linearization", pictures(8), **wrong)
    with pytest.raises(FloatingPointError, match="Lower learning_rate"):
        fitted("linearization", pictures(8), learning_rate=1e38)
    with pytest.raises(ValueError, match="adversary_steps is 0, but it starts at 1"):
        fitted("stable-error-min", pictures(8), adversary_steps=0)
    with pytest.raises(ValueError, match="radius is 4, but it is a share"):
        fitted("stable-error-min", pictures(8), radius=4)


# ------------------------------------------------------------------ keys of learned noise
@pytest.fixture
def saved(tmp_path):
    fitted("error-min", pictures(8, height=64, width=64)).key.save(tmp_path / "key")
    return tmp_path / "key"


def test_a_key_without_its_noise_is_damaged(saved):
    (saved / "tensors.safetensors").unlink()
    with pytest.raises(ValueError, match="damaged: it is not what its checksum says"):
        load_transform(saved)


def test_noise_beyond_the_bound_is_never_applied(saved):
    dataset, loaded = pictures(8, height=64, width=64), load_transform(saved)
    file = saved / "tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[-64 * 64 * 3 * 8 :] = bytes([100]) * (64 * 64 * 3 * 8)
    file.write_bytes(data)
    with pytest.raises(ValueError, match="more than 8 levels: the key is damaged"):  # since it was loaded
        loaded(dataset[:1])
    for signed in (True, False):
        edit(saved, lambda contents: None, signed)
        with pytest.raises(ValueError, match="its noise changes levels by up to 100, and epsilon is 8 levels"):
            load_transform(saved)


@pytest.mark.parametrize("noise", ["sample", "class"])
def test_a_fit_whose_noise_rounds_to_nothing_is_told_of_and_its_key_is_refused(tmp_path, caplog, noise):
    cloak = fitted("error-min", pictures(8), noise=noise, step_size=0.0001, max_rounds=1)
    assert "The noise is 0 everywhere: nothing would be protected" in caplog.text
    cloak.key.save(tmp_path / "key")
    with pytest.raises(ValueError, match="key is damaged: its noise is 0 everywhere and protects nothing"):
        load_transform(tmp_path / "key")
    assert fitted("error-min", pictures(8), epsilon=0)._noise.levels.size == 0


def test_mapped_noise_is_pickled_by_the_name_of_its_file(saved):
    dataset = pictures(8, height=64, width=64)
    learned, mapped = fitted("error-min", dataset), load_transform(saved)
    assert len(pickle.dumps(learned)) > 64 * 64 * 3 * 8 > 20 * len(pickle.dumps(mapped))
    again = pickle.loads(pickle.dumps(mapped))
    batch = dataset[:]
    assert all(a == b for a, b in zip(again(dict(batch))["image"], mapped(dict(batch))["image"]))
    assert Hasher.hash(again) == Hasher.hash(mapped)
    file = saved / "tensors.safetensors"
    before = Hasher.hash(mapped)
    os.utime(file, ns=(1, 1))
    assert Hasher.hash(mapped) != before, "a file that was written again is another key"
