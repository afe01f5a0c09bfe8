"""Feature shift: images move to the next class of the key, new ones too; what makes no sense is said or refused."""

import logging
import shutil

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from PIL import Image as Pillow

from hf_unlearnable import load_transform
from hf_unlearnable.image.methods import feature_shift
from hf_unlearnable.image.methods.feature_shift import FeatureShiftTransform
from hf_unlearnable.learning import rounds
from hf_unlearnable.learning.pgd import pgd
from hf_unlearnable.protection import with_key
from tests.examples import levels, pictures
from tests.image.methods.cases import arrays, fitted
from tests.image.models import tiny_model

NAME = "feature-shift"


def striped(rows=18, seed=0, size=16, classes=3):
    """Images whose classes even an untrained network tells: stripes across, stripes down, and a flat gray."""
    rng = np.random.default_rng(seed)
    flat = np.full((size, size, 3), 128)
    waves = 60 * np.sign(np.sin(np.arange(size) * np.pi / 2 + 0.5))[:, None, None]
    kinds = [flat + waves, flat + waves.swapaxes(0, 1), flat + np.array([40, -40, 0])]
    images = [np.clip(kinds[i % classes] + rng.normal(0, 8, flat.shape), 0, 255).astype(np.uint8) for i in range(rows)]
    data = {"image": [Pillow.fromarray(image) for image in images], "label": [i % classes for i in range(rows)]}
    return Dataset.from_dict(data).cast_column("image", Image())


def told(cloak, dataset):
    """The classes that the panel of a key tells the images as."""
    images = torch.from_numpy(np.stack(arrays(dataset))).movedim(3, 1).float() / 255
    return cloak._rebuilt()(images).argmax(1).numpy()


@pytest.fixture(scope="module")
def strong():
    backbones = [tiny_model(size=16), tiny_model(seed=1, size=16)]
    parameters = {
        "backbones": backbones,
        "max_rounds": 8,
        "num_steps": 3,
        "epsilon": 64 / 255,
        "step_size": 16 / 255,
        "batch_size": 8,
    }
    return fitted(NAME, striped(), **parameters, surrogate_epochs=6)


def test_images_of_fit_and_new_ones_look_like_the_next_class_and_clean_ones_like_their_own(strong):
    order = np.array(strong._order())
    assert sorted(order) == [0, 1, 2] and (order != np.arange(3)).all()
    for dataset in (striped(), striped(9, seed=5)):
        labels = np.array(dataset["label"])
        protected = dataset.map(strong, batched=True)
        assert (told(strong, dataset) == labels).mean() > 0.9
        assert (told(strong, protected) == order[labels]).mean() > 0.8
        change = [np.abs(a.astype(int) - b) for a, b in zip(arrays(dataset), arrays(protected))]
        assert max(one.max() for one in change) == 64


def test_the_order_of_classes_is_a_cycle_that_the_key_draws(strong):
    cycles = set()
    for seed in range(12):
        cloak = FeatureShiftTransform(seed=seed)
        cloak._told = {"classes": [0, 1, 2, "rose"]}
        order, place = cloak._order(), 0
        for _ in range(4):
            place = order[place]
        assert place == 0 and sorted(order) == [0, 1, 2, 3] and len({order[0], order[order[0]], 0}) == 3
        cycles.add(tuple(order))
    assert len(cycles) > 3


def test_new_images_get_the_same_bytes_however_they_come(strong, tmp_path):
    new = striped(4, seed=9)
    strong.key.save(tmp_path / "key")
    at_once = arrays(new.map(strong, batched=True))
    loaded = load_transform(tmp_path / "key")
    order = [3, 1]
    one_by_one = arrays(new.select(order).map(loaded, batched=True, batch_size=1))
    assert all(np.array_equal(at_once[i], image) for i, image in zip(order, one_by_one))


def test_new_images_need_the_models_of_fit(strong, tmp_path):
    strong.key.save(tmp_path / "key")
    right, wrong = strong.backbones, tiny_model(seed=2, size=16)
    new, known = striped(3, seed=9), striped(3)
    for other in ([right[0], wrong], right[::-1], right[:1]):
        cloak = with_key(NAME, {"backbones": other}, tmp_path / "key")
        same = zip(arrays(known.map(cloak, batched=True)), arrays(known.map(strong, batched=True)))
        assert all(np.array_equal(a, b) for a, b in same)  # images of fit need no model
        with pytest.raises(
            ValueError, match="Row 0 of this batch: is new to this key, whose noise is computed on oth"
        ):
            new.map(cloak, batched=True)
    moved = shutil.copytree(right[1], tmp_path / "moved")
    cloak = with_key(NAME, {"backbones": [right[0], str(moved)]}, tmp_path / "key")
    assert np.array_equal(arrays(new.map(cloak, batched=True)), arrays(new.map(strong, batched=True)))


def test_new_images_of_an_unknown_class_and_of_another_scale_are_refused(strong):
    with pytest.raises(ValueError, match="the label 3 was not seen by fit"):
        pictures(4, seed=9).map(strong, batched=True)
    with pytest.raises(ValueError, match="is new to this key: An image has 400 pixels a side.*coarse blotches"):
        striped(3, seed=9, size=400).map(strong, batched=True)


@pytest.mark.parametrize(("dataset", "warns"), [(pictures(24), True), (striped(), False)], ids=["random", "striped"])
def test_a_backbone_that_guesses_on_clean_images_is_named_before_the_noise(dataset, warns, caplog, monkeypatch):
    met = []
    monkeypatch.setattr(FeatureShiftTransform, "_step", lambda *_: met.append(len(caplog.records)) or 1 / 255)
    with caplog.at_level(logging.WARNING):
        fitted(NAME, dataset, surrogate="none", max_rounds=1)
    said = [record for record in caplog.records if "it does not know this kind of images" in record.getMessage()]
    assert len(said) == warns and met[0] >= warns
    assert not warns or tiny_model(size=16) in said[0].getMessage()


@pytest.mark.parametrize(("asked", "largest"), [({}, 4), ({"noise_batch_size": 7}, 7)])
def test_a_step_takes_as_many_images_as_caches_bear_unless_told(asked, largest, monkeypatch):
    sizes = []
    monkeypatch.setattr(feature_shift, "_PIXELS", 4 * 16 * 16 + 1)
    monkeypatch.setattr(rounds, "pgd", lambda *given, **more: sizes.append(len(given[1])) or pgd(*given, **more))
    fitted(NAME, striped(), surrogate="none", max_rounds=1, num_steps=1, **asked)
    assert sum(sizes) == 18 and max(sizes) == largest


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"backbones": [], "surrogate": "none"}, "There is no model to compute noise on"),
        ({"surrogate": "vgg"}, "surrogate is 'vgg'. Choose one of 'tiny_cnn'"),
        ({"surrogate_epochs": 0}, "surrogate_epochs is 0, but it starts at 1"),
        ({"momentum": 1.5}, "momentum is 1.5, but it is a share, from 0 to 1"),
        ({"momentum": -0.1}, "momentum is -0.1, but it is a share, from 0 to 1"),
        ({"num_steps": 0}, "num_steps is 0, but it starts at 1"),
        ({"max_rounds": -1}, "max_rounds is -1, but it starts at 1"),
        ({"step_size": 4}, "step_size is 4, but it is a share of the range"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        fitted(NAME, striped(), **wrong)


def test_a_backbone_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match="gone is no folder here, and no image processor of that id could be had"):
        fitted(NAME, striped(), backbones=[str(tmp_path / "gone")])


def test_images_smaller_than_a_stride_and_classes_of_one_image_are_taken():
    images = [levels(1, seed, h, w)[0] for seed, (h, w) in enumerate([(1, 1), (2, 3), (5, 4), (1, 7), (16, 16)])]
    data = {"image": [Pillow.fromarray(one) for one in images], "label": [0, 0, 0, 0, 1]}
    dataset = Dataset.from_dict(data).cast_column("image", Image())
    cloak = fitted(NAME, dataset, epsilon=8 / 255)
    for before, after in zip(arrays(dataset), arrays(dataset.map(cloak, batched=True))):
        assert before.shape == after.shape and 0 < np.abs(after.astype(int) - before).max() <= 8


@pytest.mark.parametrize("surrogate", ["tiny_cnn", "none"])
def test_a_killed_fit_goes_on_where_it_was(tmp_path, monkeypatch, surrogate):
    dataset, step, rounds = striped(12), FeatureShiftTransform._step, []
    whole = fitted(NAME, dataset, surrogate=surrogate)

    def killed(cloak, number):
        if number == 1 and not rounds:
            rounds.append(number)
            raise KeyboardInterrupt
        return step(cloak, number)

    monkeypatch.setattr(FeatureShiftTransform, "_step", killed)
    cloak = FeatureShiftTransform(**whole.get_params())
    with pytest.raises(KeyboardInterrupt):
        cloak.fit(dataset, checkpoint_dir=tmp_path)
    monkeypatch.setattr(FeatureShiftTransform, "_step", lambda c, number: rounds.append(number) or step(c, number))
    cloak.fit(dataset, checkpoint_dir=tmp_path)
    assert rounds == [1, 1]  # the first round is not computed again
    assert all(np.array_equal(array, cloak.key.tensors[name]) for name, array in whole.key.tensors.items())
