"""The price list from its cells: which cells belong together, what the worst case is, and its tables."""

import numpy as np
import pytest

from hf_unlearnable.registry import method_class
from recipes.bench import compare, paper_tables
from recipes.bench.study import swept

VERSION = method_class("texture").method_version


def cell(accuracy, number=VERSION):
    return {"accuracy": [accuracy, accuracy - 0.03, accuracy + 0.03], "method_version": number}


PRICE = {
    "kind": "image", "data": "d", "version": swept("texture", 1), "method": "texture", "method_version": VERSION,
    "strength": 1, "setting": "epsilon 8/255", "price": {"psnr": 30.0, "ssim": 0.9}, "rows": 5, "seconds": 1.0,
    "memory": 2.0, "passes": 0.0,
}  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    found = {
        "clean": {"none": cell(0.7, None)}, "protected rows dropped": {"none": cell(0.2, None)},
        swept("texture", 1): {"none": cell(0.3), "jpeg-10": cell(0.6), "cutmix": cell(0.65, VERSION - 1)},
    }  # fmt: skip
    monkeypatch.setattr(compare, "cells_of", lambda kind: found)
    return found


def test_the_worst_case_is_over_the_cells_of_the_methods_version(trained):
    (point,) = compare.joined("image", [PRICE, {**PRICE, "version": swept("texture", 2)}, {**PRICE, "kind": "text"}])
    assert (point.accuracy, point.worst, point.worst_after, point.tried) == (0.3, 0.6, "jpeg-10", 1)
    assert (point.clean, point.guess, point.victim, point.interval) == (0.7, 0.2, "small_cnn", (0.57, 0.63))


def test_a_version_that_was_not_trained_on_without_a_countermeasure_is_no_point(trained):
    del trained[swept("texture", 1)]["none"]
    assert compare.joined("image", [PRICE]) == []


def test_cells_of_the_distance_study_stand_under_the_names_of_the_sweep():
    found = compare.cells_of("image")
    assert found[swept("texture", 2)]["none"]["accuracy"][0] == 0.249
    assert found[swept("one-pixel", 1)]["jpeg-10"]["accuracy"][0] == 0.634
    assert "error-min, class-wise, 16/255" in found, "it is no version of the sweep"
    low, high = compare.binomial(0.5, 1000)
    assert (low, high) == pytest.approx((0.469, 0.531), abs=1e-3) and compare.binomial(0.0, 10)[0] == pytest.approx(0)


def test_strengths_are_told_as_a_reader_knows_them():
    assert compare.said("epsilon", 8 / 255) == "8/255" and compare.said("blur", None) == "by size"
    assert compare.said("rate", 0.025) == "0.025"


def test_every_version_of_a_sweep_can_be_made():
    for kind in compare.KINDS:
        for parameters in compare.config_of(kind)["versions"].values():
            if isinstance(parameters, dict):
                cloak = compare.transform_of(parameters, seed=1)
                cloak._check_parameters()
                assert cloak.modality == kind


def test_one_protected_class_is_told_with_where_it_goes():
    counts = np.full((5, 5), 1) + 9 * np.eye(5, dtype=int)
    counts[0] = [4, 0, 12, 0, 0]
    cells = {("small_cnn", "clean", "none"): {"confusion": counts.tolist()}}
    row = paper_tables.one_class(cells).splitlines()[2]
    assert row == "| clean | 25.0 | class 7: 75.0 | 7.1 | 71.4 |"
