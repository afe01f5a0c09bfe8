"""Tables of victims after wear, and of filters that drop images."""

import json
import sys

import pytest

from hf_unlearnable.adversary import Countermeasure, Rows
from hf_unlearnable.registry import method_class
from recipes.bench import outliers as bench
from recipes.bench import wear_tables
from tests.examples import pictures


def cell(version, countermeasure, accuracy, rows=40, victim="tfidf_logistic_regression"):
    interval = [accuracy, accuracy - 0.02, accuracy + 0.02]
    return {"data": "imdb", "victim": victim, "version": version, "countermeasure": countermeasure, "seeds": [0],
            "accuracy": interval, "train_rows": rows, "protocol": {}, "versions": {}}  # fmt: skip


@pytest.fixture
def cells(monkeypatch):
    def given(*found):
        keyed = {(one["victim"], one["version"], one["countermeasure"]): one for one in found}
        monkeypatch.setattr(wear_tables, "load", lambda name, data=None: keyed)

    return given


def test_texts_show_accuracy_and_the_rows_that_are_kept(cells):
    cells(cell("clean", "none", 0.85), cell("clean", "fineweb-pipeline", 0.8, rows=30), cell("regtext", "none", 0.5))
    assert wear_tables.worn_texts("imdb", {"tfidf_logistic_regression": "TF-IDF"}).splitlines() == [
        "| texts | TF-IDF | TF-IDF, fineweb-pipeline |",
        "|---|---|---|",
        "| clean | 85.0 | 80.0 (75 % kept) |",
        "| regtext | 50.0 |  |",
    ]


def test_images_show_victims_and_versions_down_and_wear_across(cells):
    several = {**cell("texture", "webp-75", 0.25, victim="small_cnn"), "seeds": [0, 1, 2]}
    cells(
        cell("clean", "none", 0.5, victim="small_cnn"), several, cell("clean", "none", 0.7, victim="small_cnn_whole")
    )
    found = wear_tables.worn_images("flowers", {"small_cnn": "", "small_cnn_whole": "whole: "}).splitlines()
    assert [found[0], *found[2:]] == [
        "| images | as they are | webp-75 |",
        "| clean | 50.0 [48.0, 52.0] |  |",
        "| texture |  | 25.0 [23.0, 27.0], 3 keys |",
        "| whole: clean | 70.0 [68.0, 72.0] |  |",
    ]


def test_filters_show_what_they_keep_of_protected_and_clean_images(monkeypatch):
    one = {"data": "flowers", "method": "texture", "filter": "spectrum-outlier-filter", "share": 0.2}
    found = [{**one, "protected": 0.25, "clean": 1.0}, {**one, "share": 1.0, "protected": 0.994, "clean": None}]
    other = {**one, "filter": "perceptual-hash-filter", "protected": 0.0, "clean": 0.0}
    monkeypatch.setattr(wear_tables, "lines", lambda name: [*found, other])
    assert wear_tables.outliers({"flowers": "photos"}).splitlines()[::2] == [
        "| method | photos, 20 % protected | photos, 100 % protected |",
        "| texture | 25 / 100 | 99 |",
    ]


def test_outliers_are_counted_apart_and_computed_once(monkeypatch, tmp_path):
    pictures(10).to_parquet(str(tmp_path / "train.parquet"))
    first_half = Countermeasure(lambda rows, attacker: Rows(rows.inputs[:5], rows.labels[:5]))
    monkeypatch.setattr(bench, "countermeasures_of", lambda kind: dict.fromkeys(bench.FILTERS, first_half))
    monkeypatch.setattr(bench, "ROWS", {"": 10})
    monkeypatch.setattr(bench, "METHODS", ("texture",))
    output = tmp_path / "cells.jsonl"
    monkeypatch.setattr(sys, "argv", ["outliers.py", "--data", str(tmp_path), "--output", str(output)])
    bench.main()
    written = output.read_text()
    cells = [json.loads(line) for line in written.splitlines()]
    assert [(one["filter"], one["share"]) for one in cells] == [
        (name, share) for share in bench.SHARES for name in bench.FILTERS
    ]
    number = method_class("texture").method_version
    assert all(one["method_version"] == number and one["rows"] == 10 for one in cells)
    assert [one["protected"] for one in cells[2:]] == [0.5, 0.5] and {one["clean"] for one in cells[2:]} == {None}
    for one in cells[:2]:
        assert 2 * one["protected"] + 8 * one["clean"] == pytest.approx(5)
    bench.main()
    assert output.read_text() == written
