"""Every image method keeps its bound on every size; what is learned is learned again; keys of learned noise."""

import os
import pickle

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from datasets.fingerprint import Hasher
from PIL import Image as PILImage

from hf_unlearnable import load_transform
from hf_unlearnable.registry import method_class
from tests.examples import levels, pictures
from tests.image.methods.cases import BOUNDED, IMAGE_METHODS, arrays, fitted
from tests.keys import edit

ADDITIVE = [name for name in BOUNDED if method_class(name).additive]
LEARNED = [
    "error-min", "error-min-one-pixel", "stable-error-min", "error-max", "provable-error-min", "bayes-error",
    "augmented-error-min", "augmented-error-max",
    "unlearnable-clusters", "feature-shift",
]  # fmt: skip


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


@pytest.mark.parametrize(
    "name", [name for name in LEARNED if name not in ("error-min-one-pixel", "unlearnable-clusters", "feature-shift")]
)
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
        with pytest.raises(ValueError, match="its noise changes levels by up to 100, and the bound is 8 levels"):
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
