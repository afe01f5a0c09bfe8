"""The price list from its cells: which cells belong together, what the worst case is, and its tables."""

import pytest

from hf_unlearnable.registry import method_class
from recipes.bench import compare
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
        "clean": {("cnn", "none"): cell(0.7, None), ("probe", "none"): cell(0.8, None)},
        "protected rows dropped": {("cnn", "none"): cell(0.2, None), ("probe", "none"): cell(0.21, None)},
        swept("texture", 1): {("cnn", "none"): cell(0.3), ("cnn", "jpeg-10"): cell(0.6), ("probe", "none"): cell(0.4),
                              ("probe", "jpeg-10"): cell(0.65), ("cnn", "clean-5%"): cell(0.75)},
    }  # fmt: skip
    monkeypatch.setattr(compare, "cells_of", lambda kind: found)
    return found


def test_the_worst_case_is_over_victims_and_countermeasures_but_for_clean_rows_of_their_own(trained):
    (point,) = compare.joined("image", [PRICE, {**PRICE, "version": swept("texture", 2)}, {**PRICE, "kind": "text"}])
    assert (point.accuracy, point.worst, point.worst_after, point.victim) == (0.4, 0.65, "jpeg-10", "probe")
    assert (point.tried, point.clean, point.guess) == (3, 0.8, 0.21)
    assert point.interval == pytest.approx((0.62, 0.68)) and point.method_version == VERSION


def test_cells_of_an_earlier_version_count_only_where_there_is_nothing_else(trained):
    cells = trained[swept("texture", 1)]
    worst = max(cells, key=lambda key: cells[key]["accuracy"][0] * (not key[1].startswith("clean-")))
    cells[worst]["method_version"] = VERSION - 1
    (point,) = compare.joined("image", [PRICE])
    assert point.method_version == VERSION and (point.victim, point.worst_after) != worst
    for cell in cells.values():
        cell["method_version"] = VERSION - 1
    (point,) = compare.joined("image", [PRICE])
    assert point.method_version == VERSION - 1 and (point.victim, point.worst_after) == worst


@pytest.mark.parametrize("lacking", [[("cnn", "none"), ("probe", "none")], [("cnn", "jpeg-10")]])
def test_a_version_without_a_countermeasure_or_without_none_is_no_point(trained, lacking):
    cells = trained[swept("texture", 1)]
    del cells["probe", "jpeg-10"], cells["cnn", "clean-5%"]
    if len(lacking) == 1:
        del cells["probe", "none"]
    for key in lacking:
        del cells[key]
    assert compare.joined("image", [PRICE]) == []


def test_cells_of_earlier_studies_stand_under_the_names_of_the_sweep():
    images, texts, sounds = (compare.cells_of(kind) for kind in compare.KINDS)
    assert images[swept("texture", 2)]["small_cnn", "none"]["accuracy"][0] == 0.249
    assert images[swept("one-pixel", 1)]["small_cnn", "jpeg-10"]["accuracy"][0] == 0.634
    assert "error-min, class-wise, 16/255" in images, "it is no version of the sweep"
    assert ("finetuned_encoder", "onion") in texts[swept("word-balance", 1)]
    assert ("log_mel_cnn", "gap-repair") in sounds[swept("equalizer", 1)]
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
