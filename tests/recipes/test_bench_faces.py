"""The study of faces: who is protected, who is unseen, and that it goes on where it was."""

import json
import sys

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from PIL import Image as PILImage

from recipes.bench import faces
from tests.image.models import tiny_model


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


def test_faces_are_seen_in_rgb_by_the_small_network_at_32_pixels(splits):
    gray = splits[0].select([0, 50]).map(lambda row: {"image": row["image"].convert("L").resize((9, 11))})
    for network, size in (("small_cnn", (32, 32)), ("pretrained", (9, 11))):
        (one, other) = faces.seen(gray, network)["image"]
        assert one.size == other.size == size and one.mode == "RGB"


def test_an_enrolled_picture_is_paired_with_new_ones_of_its_person_and_as_many_of_others():
    pairs, same = faces.enrolled_pairs(np.array([4, 4, 7]), np.array([7, 4, 9, 9]), seed=0)
    assert pairs[same].tolist() == [[0, 4], [1, 4], [2, 3]] and len(pairs) == 6
    people = np.array([4, 4, 7, 7, 4, 9, 9])
    assert (people[pairs[~same, 0]] != people[pairs[~same, 1]]).all()
    assert len({tuple(pair) for pair in pairs.tolist()}) == 6 and pairs[:, 0].max() < 3 <= pairs[:, 1].min()


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
    monkeypatch.setattr(faces, "seen", lambda rows, network: rows)
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
    assert [cells[i]["enrolled_pairs"] for i in (0, 1)] == [2 * 10 * 21, 2 * 30 * 21]
    assert cells[1]["enrolled_error"] < 0.35


def test_a_probe_of_a_pretrained_model_names_people_and_tells_strangers_apart(splits, monkeypatch):
    study = faces.Study(*splits, seed=0)
    cells = [study.cell("clean", setting, tiny_model(), None) for setting in ("partly", "fully")]
    assert cells[1]["protected"] > 0.5 and cells[1]["equal_error"] < 0.35 and cells[1]["enrolled_error"] < 0.35
    monkeypatch.setattr(sys, "argv", ["faces.py", "--networks", "pretrained"])
    with pytest.raises(SystemExit):
        faces.main()
