"""The scripts behind docs/results/distance.md: correlations, shares that are left, noise for several heads."""

import numpy as np
import pytest

from recipes.bench import distance_tables
from recipes.bench.tasks import EPSILON, TASKS, several_heads
from tests.image.test_tasks import rows

SAL = [{"a": 3.0, "b": 1.0}]


def cell(method, accuracy, sal, countermeasure="none", epochs=12, **more):
    return {"method": method, "countermeasure": countermeasure, "epochs": epochs, "accuracy": accuracy,
            "training_accuracy": 1 - accuracy, "sal": sal, **more}  # fmt: skip


CELLS = [
    cell("clean", 0.6, SAL),
    cell("one", 0.3, [{"a": 0.0, "b": 1.0}]),
    cell("one", 0.5, [{"a": 3.0, "b": 2.1}], "jpeg-10"),
    cell("one", 0.4, [{"a": 5.0, "b": 0.0}], "grayscale"),
    cell("clean", 0.7, SAL, epochs=48, sal_by_passes=SAL),
    cell("one", 0.2, [{"a": 9.0, "b": 9.0}], epochs=48, sal_by_passes=[{"a": 0.0, "b": 0.0}]),
]


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setattr(distance_tables, "lines", lambda name: CELLS)


@pytest.mark.parametrize(("other", "expected"), [([2, 4, 9, 11, 60], 1), ([5, 4, 3, 2, 1], -1)])
def test_values_in_the_same_order_correlate_fully(other, expected):
    assert distance_tables.spearman([1, 2, 3, 5, 8], other) == pytest.approx([expected] * 3)


def test_a_correlation_lies_in_its_interval_and_ties_count_half(study):
    cells = distance_tables.of_epochs(12)
    found = distance_tables.spearman([one["distance"] for one in cells], [one["accuracy"] for one in cells])
    assert found[0] == pytest.approx(0.6325, abs=1e-3)  # distances 1, 0, 2, 1 of accuracies 0.6, 0.3, 0.5, 0.4
    assert found[1] <= found[0] <= found[2]


def test_distances_are_from_the_clean_training_of_the_same_length(study):
    assert [one["distance"] for one in distance_tables.of_epochs(12)] == [1, 0, 2, 1]
    assert [one["distance_by_passes"] for one in distance_tables.of_epochs(48)] == [1, 0]
    assert "| one | 0.00 (30) | 2.00 (50) | 1.00 (40) |" in distance_tables.distances()
    assert "| one | 0.00 (30) | 2.00 (20) | 0.00 |" in distance_tables.longer()
    assert distance_tables.agreement().startswith("SAL by steps and by passes: rank correlation -0.78 [")
    assert "| training accuracy | 4 | -1.00 [-1.00, -1.00] |" in distance_tables.correlations()


def test_shares_are_counted_from_the_clean_training_of_the_same_seed(monkeypatch):
    def scored(method, seed, score):
        scores = {"digit": {"score": score, "guess": 0.2}}
        return {"data": "digits", "method": method, "seed": seed, "scores": scores}

    found = [scored("clean", 0, 0.6), scored("clean", 1, 0.8), scored("noise", 0, 0.4), scored("noise", 1, 0.8)]
    monkeypatch.setattr(distance_tables, "lines", lambda name: found)
    told = distance_tables.tasks("digits")
    assert "| clean: score (a guess) | 0.70 (0.20) |" in told and "| noise | 0.75 (0.50 to 1.00) |" in told


def test_noise_for_several_heads_stays_within_its_bound_and_changes_images_alone():
    tasks = {"colour": "class", "mask": "mask", "image": "reconstruction"}
    data = rows(8, size=32)
    noisy = several_heads(data, tasks, rounds=1, num_steps=2, seed=0)
    before, after = (np.stack([np.asarray(image) for image in part["image"]]).astype(int) for part in (data, noisy))
    moved = np.abs(after - before)
    assert 1 <= moved.max() <= round(255 * EPSILON * 2 / 10) + 1 and (moved > 0).mean() > 0.3
    assert noisy["colour"] == data["colour"] and noisy["mask"] == data["mask"]
    again = several_heads(data, tasks, rounds=1, num_steps=2, seed=0)
    assert all(one == other for one, other in zip(noisy["image"], again["image"]))
    assert set(TASKS["digits"].values()) == {"class", "number", "mask", "reconstruction"}
