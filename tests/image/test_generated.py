"""Measures of generated images: known values, and what a judge says of images that it knows."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable.adversary import Rows
from hf_unlearnable.image.generated import ImageJudge, fid, kid, measures, nearest, sheet
from tests.image.test_victims import LABELS, TEST, TEST_LABELS, TRAIN

pytest.importorskip("torch", reason="judges need torch")


def points(count, dimensions=4, seed=0, shift=0.0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(count, dimensions)) + shift


def test_kid_is_that_of_the_definition():
    made, real = points(5, seed=1), points(7, seed=2, shift=0.5)

    def kernel(a, b):
        return (a @ b / 4 + 1) ** 3

    own = [np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]) for x in (made, real)]
    both = np.mean([kernel(a, b) for a in made for b in real])
    assert kid(made, real) == pytest.approx(sum(own) - 2 * both)


def test_kid_of_points_of_one_distribution_is_about_0_and_grows_with_the_distance():
    found = [kid(points(400, seed=1), points(400, seed=2, shift=shift)) for shift in (0, 0.5, 1)]
    assert abs(found[0]) < 0.05 < found[1] < found[2]


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (2, 1), (0, 3), (1.5, 0.5)])
def test_fid_of_normal_points_is_the_distance_of_their_distributions(shift, scale):
    expected = 4 * shift**2 + 4 * (1 - scale) ** 2
    found = fid(points(40_000, seed=1), points(40_000, seed=2, shift=shift, scale=scale))
    assert found == pytest.approx(expected, rel=0.02, abs=0.01)


def test_a_cluster_within_the_real_ones_has_precision_and_no_recall():
    real = np.concatenate([points(50, seed=1, scale=0.1), points(50, seed=2, shift=10, scale=0.1)])
    found = measures(points(50, seed=3, scale=0.02), real)
    assert found["precision"] == 1 and found["recall"] < 0.3
    away = measures(points(50, seed=3, shift=-30), real)
    assert away["precision"] == 0 and away["recall"] == 0


@pytest.mark.parametrize(("made", "real"), [(3, 10), (10, 3), (0, 4), (1, 1)])
def test_too_few_images_are_refused(made, real):
    with pytest.raises(
        ValueError, match=f"There are {made} generated and {real} real images. Measures take 4 or more"
    ):
        measures(points(made), points(real))


def test_copies_are_nearest_and_new_images_are_not():
    train, test = points(200, 6, seed=1), points(200, 6, seed=2)
    assert nearest(train[:50], train, test) == pytest.approx(0, abs=1e-6)
    assert nearest(points(200, 6, seed=3), train, test) == pytest.approx(1, abs=0.15)
    assert nearest(points(200, 6, seed=3, shift=9), train, test) > 3


@pytest.mark.parametrize(
    ("count", "size", "shown"), [(3, (8, 16), (512, 192)), (12, (8, 16), (512, 640)), (2, (70, 70), (560, 140))]
)
def test_a_sheet_holds_a_line_for_each_of_at_most_ten_classes(count, size, shown):
    made = [np.full((*size, 3), 20 * i, np.uint8) for i in range(count)]
    opened = Image.open(io.BytesIO(base64.b64decode(sheet(made, list(range(count))))))
    assert opened.size == shown
    assert opened.getpixel((1, 1)) == (0, 0, 0) and opened.getpixel((shown[0] - 1, 1)) == (255, 255, 255)


@pytest.fixture(scope="module")
def judge():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hf_unlearnable.image.generated._UPDATES", 60)
        return ImageJudge(Rows(TEST, TEST_LABELS))


def test_a_judge_recognises_real_images(judge):
    found, told = judge.judged(TRAIN, LABELS, Rows(TEST[:60], TEST_LABELS[:60]))
    assert told["recognised"] == pytest.approx(np.mean(found == np.array(LABELS)), abs=1e-4)
    assert told["recognised"] > 0.8 and told["precision"] > 0.8 and told["recall"] > 0.8
    assert set(found.tolist()) == {3, 5, 8}


def test_a_judge_recognises_nothing_in_noise_and_sees_copies(judge):
    noise = list(np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8))
    _, told = judge.judged(noise, LABELS[:60], Rows(TRAIN, LABELS))
    _, copied = judge.judged(TRAIN[:60], LABELS[:60], Rows(TRAIN, LABELS))
    assert told["recognised"] < 0.6 and told["kid"] > 3 * abs(copied["kid"]) and told["fid"] > copied["fid"]
    assert copied["nearest"] == 0 and told["nearest"] > 0.5
