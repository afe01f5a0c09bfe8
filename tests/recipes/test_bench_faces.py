"""The study of faces: who is protected, who is unseen, and that it goes on where it was."""

import json
import sys

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from PIL import Image as PILImage

from recipes.bench import faces


def pictures(shots, seed):
    """Of each of 40 people so many noisy pictures of 8 x 8 pixels, each person's of one colour."""
    rng = np.random.default_rng(seed)
    rows = {"image": [], "label": []}
    for person in range(40):
        for _ in range(shots):
            colour = np.array([person % 4, person // 4 % 4, person // 16]) * 60
            levels = rng.integers(0, 40, (8, 8, 3)) + colour
            rows["image"].append(PILImage.fromarray(levels.astype(np.uint8)))
            rows["label"].append(person)
    return Dataset.from_dict(rows, features=Features({"image": Image(), "label": Value("int64")}))


@pytest.fixture(scope="module")
def splits():
    return pictures(7, 0), pictures(3, 1)


def test_faces_are_seen_in_rgb_at_32_pixels(splits):
    gray = splits[0].select([0, 50]).map(lambda row: {"image": row["image"].convert("L").resize((9, 11))})
    (one, other) = faces.small(gray)["image"]
    assert one.size == other.size == (32, 32) and one.mode == "RGB"


def test_the_seed_draws_who_is_protected_and_who_is_unseen(splits):
    study = faces.Study(*splits, seed=1)
    assert len(study.named) == 30 and len(study.unseen) == 10 and set(study.some) < set(study.named)
    assert set(study.train["label"][:]) == set(study.named) == set(study.test["label"][:])
    assert (len(study.train), len(study.test), len(study.strangers)) == (210, 90, 100)
    assert set(study.strangers.labels) == set(study.unseen)
    assert set(faces.Study(*splits, seed=2).some) != set(study.some)


@pytest.mark.parametrize("setting", ["partly", "fully"])
def test_the_pictures_of_the_people_asked_for_are_changed_and_no_others(splits, setting):
    study = faces.Study(*splits, seed=0)
    after = study.protected("texture", setting)
    changed = {
        label
        for label, one, other in zip(after["label"], study.train["image"], after["image"], strict=True)
        if (np.asarray(one) != np.asarray(other)).any()
    }
    assert changed == set(study.some if setting == "partly" else study.named)


def test_a_network_of_clean_faces_names_people_and_a_second_run_adds_the_rest(splits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(faces, "EPOCHS", 4)
    monkeypatch.setattr(faces, "small", lambda rows: rows)
    monkeypatch.setattr(faces, "split_of", lambda folder, name, split: splits[split == "test"])
    argv = ["faces.py", "--output", str(tmp_path / "cells.jsonl"), "--seeds", "0", "--methods", "clean"]
    for more in ([], ["texture"]):
        monkeypatch.setattr(sys, "argv", argv + more)
        faces.main()
        cells = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
        said = capsys.readouterr().out.splitlines()
        assert said[-1].startswith(f"faces: {len(cells)} of {len(cells)} cells are in ") and len(said) == 3
    assert [(one["method"], one["setting"]) for one in cells] == [
        ("clean", "partly"), ("clean", "fully"), ("texture", "partly"), ("texture", "fully"),
    ]  # fmt: skip
    assert cells[0]["equal_error"] == cells[1]["equal_error"] < 0.35 and cells[0]["pairs"] == 900
    assert cells[0]["others"] > 3 / 30 and cells[1]["others"] is None
    names = (30 * cells[0]["protected"] + 60 * cells[0]["others"]) / 90
    assert names == pytest.approx(cells[1]["protected"], abs=1e-3), "the same network, counted in other groups"
