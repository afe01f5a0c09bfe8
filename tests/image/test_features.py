"""Features are those of the model, whatever of them was kept; what is kept is bounded, and its loss costs time only."""

import logging
import sqlite3

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="features need torch")

from hf_unlearnable.image.victims.features import FeatureCache, features, head  # noqa: E402
from hf_unlearnable.image.victims.training import at_once  # noqa: E402
from tests.examples import levels  # noqa: E402

IMAGES = torch.from_numpy(levels(12, height=16, width=16))


class Counting(torch.nn.Module):
    """The means of an image's channels, then a linear layer; it counts the images that it saw."""

    def __init__(self, classes: int = 3, gain: float = 1.0):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(gain))
        self.drop, self.last, self.asked = torch.nn.Dropout(0.9), torch.nn.Linear(3, classes), 0

    def forward(self, x):
        self.asked += len(x)
        return self.last(self.drop(self.gain * x.mean((2, 3))))


def means(images, gain=1.0) -> np.ndarray:
    return gain * images.numpy().mean((1, 2)) / 255


def stored(folder) -> int:
    return sqlite3.connect(folder / "features.sqlite").execute("SELECT COUNT(*) FROM features").fetchone()[0]


def test_features_are_what_the_last_layer_reads_in_evaluation():
    model = Counting().train()
    found = features(model, IMAGES)
    assert found.dtype == np.float32 and np.allclose(found, means(IMAGES), atol=1e-6)
    assert not model.training and not model.last._forward_pre_hooks


def test_a_model_without_a_linear_layer_is_named():
    with pytest.raises(ValueError, match="Conv2d has no linear layer"):
        features(torch.nn.Conv2d(3, 2, 1), IMAGES)


def test_an_image_is_computed_once_per_model(tmp_path):
    model = Counting()
    first = features(model, IMAGES[:8], tmp_path)
    assert model.asked == 8 and stored(tmp_path) == 8
    mixed = IMAGES[[11, 3, 3, 9, 0]]  # two new ones among known ones, one of them twice
    assert np.allclose(features(model, mixed, tmp_path), means(mixed), atol=1e-6)
    assert model.asked == 10
    again = Counting(classes=7)  # another head on the same body
    assert np.array_equal(features(again, IMAGES[:8], tmp_path), first) and again.asked == 0


def test_another_change_of_the_model_or_the_image_is_computed(tmp_path):
    features(Counting(), IMAGES[:4], tmp_path)
    louder = Counting(gain=2.0)
    assert np.allclose(features(louder, IMAGES[:4], tmp_path), means(IMAGES[:4], 2.0), atol=1e-6)
    assert louder.asked == 4
    enlarged = Counting()
    enlarged.size = 32  # it enlarges images: other features of the same pixels
    features(enlarged, IMAGES[:4], tmp_path)
    assert enlarged.asked == 4
    changed = IMAGES[:4].clone()
    changed[2, 5, 5, 1] ^= 1
    model = Counting()
    assert np.allclose(features(model, changed, tmp_path), means(changed), atol=1e-6)
    assert model.asked == 1
    turned = IMAGES[:4].reshape(4, 8, 32, 3)  # the same bytes in another shape
    features(model, turned, tmp_path)
    assert model.asked == 5


def test_the_oldest_features_go_where_the_cache_is_full(tmp_path):
    cache = FeatureCache(tmp_path, Counting(), largest=5 * 3 * 4 + 1)  # five of three floats
    asked = []

    def compute(part):
        asked.extend(part[:, 0, 0, 0].tolist())
        return means(part)

    answer = cache.completed(compute)
    answer(IMAGES[:4])
    answer(IMAGES[4:7])
    assert stored(tmp_path) == 5
    asked.clear()
    answer(IMAGES[2:7])
    assert asked == []
    answer(IMAGES[:2])
    assert asked == IMAGES[:2, 0, 0, 0].tolist() and stored(tmp_path) == 5


@pytest.mark.parametrize("damage", ["no database", "another table", "a folder", "cut short"])
def test_a_cache_that_cannot_be_used_is_warned_of_and_costs_time_only(tmp_path, caplog, damage):
    path, model = tmp_path / "features.sqlite", Counting()
    if damage == "no database":
        path.write_bytes(b"no database at all" * 100)
    elif damage == "another table":
        sqlite3.connect(path).execute("CREATE TABLE features (other)")
    elif damage == "a folder":
        path.mkdir()
    else:
        features(model, IMAGES, tmp_path)
        path.write_bytes(path.read_bytes()[:5000])
    model.asked = 0
    with caplog.at_level(logging.WARNING):
        assert np.allclose(features(model, IMAGES, tmp_path), means(IMAGES), atol=1e-6)
    assert model.asked == 12 and "features.sqlite cannot be used" in caplog.text
    if damage in ("no database", "cut short"):  # begun anew
        features(model, IMAGES, tmp_path)
        assert stored(tmp_path) == 12


def test_the_head_is_the_last_linear_layer():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(4, 2)))
    assert head(layers) is layers[1][1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="these are the numbers of a CPU")
def test_large_images_are_asked_for_a_few_at_a_time():
    model = Counting()
    assert [at_once(model, size) for size in (8, 32, 64, 224, 1000)] == [256, 256, 128, 10, 1]
    model.size = 224  # it enlarges small images
    assert [at_once(model, size) for size in (32, 224, 448)] == [10, 10, 2]
