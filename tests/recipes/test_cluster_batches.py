"""The study of batch sizes: what it measures, and that it goes on where it stopped."""

import json

import datasets
import numpy as np
from PIL import Image

from recipes.bench import cluster_batches as bench
from tests.examples import pictures


class Seeing:
    """A model whose features are an image's mean colour."""

    def features(self, image):
        return image.mean(axis=(0, 1)) / 255


def test_an_image_is_nearest_to_the_centre_of_its_colour(monkeypatch):
    monkeypatch.setattr(bench, "feature_model", lambda name: Seeing())
    red = np.full((4, 4, 3), (250, 10, 10), np.uint8)
    assert bench.nearest(red, "model", np.eye(3)) == 0
    assert bench.nearest(red[..., ::-1], "model", np.eye(3)) == 2


def test_rows_are_drawn_once_and_have_the_size_of_the_study(tmp_path):
    (tmp_path / "flowers").mkdir()
    pictures(300, height=8, width=9).to_parquet(tmp_path / "flowers/train.parquet")
    rows, again = (bench.rows_of(tmp_path, "flowers", "train") for _ in range(2))
    assert len(rows) == bench.ROWS and rows["label"][:] == again["label"][:]
    assert {image.shape for image in bench.levels(rows)} == {(96, 96, 3)}


def test_cells_that_are_there_are_left(tmp_path, monkeypatch, capsys):
    rows = datasets.Dataset.from_dict({"image": [Image.new("RGB", (2, 2))] * 2, "label": [0, 1]}).cast_column(
        "image", datasets.Image()
    )
    fitted = []

    def protected(rows, batch_size, seed, model):
        fitted.append(batch_size)
        return bench.levels(rows), {"moved": 1.0}

    monkeypatch.setattr(bench, "rows_of", lambda *names: rows)
    monkeypatch.setattr(bench, "protected", protected)
    monkeypatch.setattr(bench, "victims_of", lambda kind: {"linear_probe": lambda *data, **more: np.zeros(2)})
    output = tmp_path / "cells.jsonl"
    output.write_text(json.dumps({"data": "flowers", "batch_size": 32, "seed": 0}) + "\n")
    command = ["x", "--model", "m", "--only", "flowers", "--seeds", "0", "--output", str(output)]
    for count in (4, 4):
        monkeypatch.setattr("sys.argv", command)
        bench.main()
        assert fitted == [None, 8, 128, 512] and len(fitted) == count
    assert [one["accuracy"] for one in bench.lines_of(output)[1:]] == [0.5] * 4
    assert capsys.readouterr().out.endswith("5 of 45 cells are there.\n")
