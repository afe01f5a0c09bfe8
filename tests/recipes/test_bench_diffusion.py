"""The bench of diffusion models: its cells, its data and its tables."""

import json

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the bench trains diffusion models")

from recipes.bench import diffusion, diffusion_tables


def test_every_cell_is_planned_once_and_of_a_version_that_is_there():
    cells = [json.dumps(cell, sort_keys=True) for cell in diffusion.planned()]
    assert len(set(cells)) == len(cells)
    assert {cell["version"] for cell in diffusion.planned()} - {"clean"} <= set(diffusion.VERSIONS)


def test_cells_that_are_kept_are_those_that_are_planned():
    planned = list(diffusion.planned())
    kept = diffusion.lines_of(diffusion.OUTPUT)
    assert kept and all(any(cell.items() <= one.items() for cell in planned) for one in kept)


def test_training_and_test_digits_are_apart_and_of_16_pixels():
    train, test = diffusion.loaded("digits", "")
    assert (len(train), len(test)) == (1297, 500) and train[0]["image"].size == (16, 16)
    assert sorted(set(test["label"])) == list(range(10))


def test_a_version_keeps_labels_and_bound():
    train, _ = diffusion.loaded("digits", "")
    rows, _ = diffusion.version_of({"version": "random", "levels": 4, "seed": 1}, train.select(range(6)))
    clean = diffusion.rows_of(train.select(range(6)))
    assert rows.labels == clean.labels
    assert np.abs(np.stack(rows.inputs).astype(int) - np.stack(clean.inputs)).max() == 4


def test_a_table_shows_the_mean_and_every_seed(monkeypatch):
    def cell(seed, recognised):
        measures = dict.fromkeys(("kid", "fid", "precision", "recall", "nearest"), seed)
        return {"study": "generator", "data": "digits", "version": "clean", "levels": 0, "seed": seed,
                "recognised": recognised, **measures}  # fmt: skip

    monkeypatch.setattr(diffusion_tables, "lines", lambda name: [cell(1, 0.5), cell(0, 0.9)])
    last = diffusion_tables.generators().splitlines()[-1]
    assert "| digits | from nothing | clean | 0/255 | 70.0 (90.0, 50.0) | 0.500 |" in last
