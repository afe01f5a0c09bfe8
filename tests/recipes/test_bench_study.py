"""A study's configuration: swept, shared out, and refused with a sentence where it names what is not there."""

import json
import sys

import numpy as np
import pytest
import yaml

from hf_unlearnable.registry import method_class
from recipes.bench import drawn, protection, study
from tests import ROOT
from tests.examples import pictures

STUDIES = sorted(path for path in ROOT.glob("recipes/configs/*.yaml") if "\ndatasets:" in path.read_text())
VERSIONS = {"clean": "clean", "some": {"method": "texture", "share": 0.5},
            "rest": {"method": "texture", "share": 0.5, "drop": True}}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a study of 40 small images; what it prints, and its cells by version."""
    for split, rows in (("train", 60), ("test", 24)):
        (tmp_path / "shapes").mkdir(exist_ok=True)
        pictures(rows).to_parquet(str(tmp_path / "shapes" / f"{split}.parquet"))

    def runs(victim="small_cnn", store="store", **changed):
        victims = {victim: {"rows": 40, "test_rows": 20, "epochs": 1}}
        config = {"seeds": [0], "input_column": "image", "fit_on": "sample", "versions": VERSIONS,
                  "datasets": {"shapes": {"victims": victims}}, **changed}  # fmt: skip
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        argv = ["protection.py", "--config", "c.yaml", "--data", ".", "--output", "cells.jsonl", "--store", store]
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", argv)
        protection.main()
        cells = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
        return capsys.readouterr().out, {cell["version"]: cell for cell in cells}

    return runs


def test_a_share_is_protected_and_the_clean_part_stands_beside_it(run):
    said, cells = run()
    assert said.endswith("shapes, small_cnn: 3 of 3 cells are in cells.jsonl.\n")
    assert {name: (cell["role"], cell["share"], cell["train_rows"]) for name, cell in cells.items()} == {
        "clean": ("clean", 0.0, 40), "some": ("partly", 0.5, 40), "rest": ("dropped", 0.5, 20),
    }  # fmt: skip
    counts = np.array(cells["clean"]["confusion"])
    assert counts.sum() == 20 and np.trace(counts) == round(20 * cells["clean"]["accuracy"][0])


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_the_protected_rows_and_the_others_are_all_rows_in_their_order(share):
    rows = pictures(20).add_column("number", list(range(20)))
    after = rows.map(lambda row: {"number": row["number"] + 100})
    both = drawn.mixed(rows, after, 3, share, drop=False)["number"]
    left = drawn.mixed(rows, after, 3, share, drop=True)["number"]
    assert [number % 100 for number in both] == list(range(20))
    assert [number for number in both if number < 100] == list(left) and len(left) == 20 - round(20 * share)
    assert both != drawn.mixed(rows, after, 4, share, drop=False)["number"], "the seed draws them"


def numbers(rows):
    """The first pixel's values of each image, which tell images apart."""
    return [tuple(np.asarray(image)[0, 0]) for image in rows["image"]]


def test_a_key_learns_from_further_rows_of_other_classes_and_from_the_study_own_ones():
    split = pictures(60, classes=4)
    rows = drawn.sample(drawn.of_classes(split, [2, 3]), 10)
    told = {"fit_on": {"classes": [1, 2], "rows": 12}}
    others = drawn.learned_from(told, rows, split, rows, "image")
    assert len(others) == 12 and set(others["label"]) == {1, 2} and not set(numbers(others)) & set(numbers(rows))
    both = drawn.learned_from({"fit_on": {**told["fit_on"], "own": True}}, rows, split, rows, "image")
    own = drawn.of_classes(rows, [2])
    assert numbers(both) == numbers(own) + numbers(others) and both.column_names == rows.column_names
    assert drawn.learned_from({"fit_on": {"rows": 3}}, rows, split, split, "image")["label"][:] != []
    assert drawn.learned_from({}, rows, split, split, "image") is split
    with pytest.raises(ValueError, match=r"asks for 40 further rows of classes \[1, 2\]. There are \d+\.$"):
        drawn.learned_from({"fit_on": {"classes": [1, 2], "rows": 40}}, rows, split, rows, "image")


def test_noise_made_on_gray_images_is_put_on_the_coloured_ones(tmp_path):
    rows = pictures(12)
    told = {"method": "error-min", "max_rounds": 1, "epsilon": 8 / 255, "fit_on": {"gray": True}}
    source = drawn.learned_from(told, rows, rows, rows, "image")
    gray = np.stack(source["image"]).astype(int)
    assert (gray == gray[..., :1]).all() and source[drawn.NUMBER][:] == list(range(12))
    made = protection.version("gray", told, rows, source, tmp_path, []).rows(0)
    before, after = (np.stack(part["image"]).astype(int) for part in (rows, made))
    assert made.column_names == rows.column_names and 0 < abs(after - before).max() <= 8
    assert (before != before[..., :1]).any(), "the images have colours"
    usual = protection.version("usual", {**told, "fit_on": None}, rows, rows, tmp_path, []).rows(0)
    assert (np.stack(usual["image"]) != after).any(), "another noise than that made on coloured ones"


def test_noise_of_each_image_cannot_be_put_on_rows_that_were_not_learned_from(run):
    fit = {"fit_on": {"rows": 20}}
    with pytest.raises(ValueError, match="this image was not there at fit"):
        run(versions={"a": {"method": "error-min", "max_rounds": 1, **fit}})
    _, cells = run(versions={"a": {"method": "error-min", "noise": "class", "max_rounds": 1, **fit}})
    assert cells["a"]["train_rows"] == 40 and cells["a"]["cost"][0]["passes_an_image"] > 0


def test_a_sweep_is_each_method_at_each_strength(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"sweep": {"methods": ["texture", "convolution"], "strengths": [0.5, 1]}}))
    versions = study.read(path)["versions"]
    assert list(versions) == ["texture x 0.5", "texture x 1", "convolution x 0.5", "convolution x 1"]
    assert study.transform_of(versions["texture x 0.5"]).epsilon == pytest.approx(4 / 255)
    assert study.transform_of(versions["convolution x 0.5"], seed=1).blur == pytest.approx(0.03)
    assert study.transform_of({"method": "texture", "strength": 0.5, "epsilon": 0.1}).epsilon == 0.1
    assert study.method_of(versions["texture x 1"]) is method_class("texture")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"versions": {"a": {"method": "textur"}}}, "version 'a': no method is called 'textur'. Write "),
        ({"versions": {"a": {"epsilon": 1}}}, "version 'a': no method is called ''"),
        ({"versions": {"a": {"method": "texture", "share": 0}}}, "version 'a' has the share 0. Give a number between"),
        ({"versions": {"a": {"method": "texture", "share": 1}}}, "at 1 leave the share out"),
        (
            {"versions": {"a": {"method": "texture", "fit_on": {"rwos": 9}}}},
            "'rwos' is no part of `fit_on`. Its parts",
        ),
        (
            {"versions": {"a": {"method": "texture", "fit_on": {"own": False}}}},
            "version 'a' learns from no rows. Give",
        ),
        ({"versions": {"a": {"method": "texture", "drop": True}}}, "but all are protected. Write `dropped`"),
        ({"versions": {"a": {"method": "texture", "then": {"method": "grain"}}}}, "no method is called 'grain'"),
        (
            {"versions": {"a": {"method": "texture", "then": {"method": "texture", "share": 0.5}}}},
            "Say it of the first",
        ),
        ({"sweep": {"methods": ["texture", "grain"]}}, "no method is called 'grain'"),
        ({"victim": "huge_cnn"}, "no victim is called 'huge_cnn'. Write "),
        ({"countermeasures": ["grayscale", "jpeg-11"]}, "no countermeasure is called 'jpeg-11'"),
        ({"countermeasures": ["grayscale+jpeg-11"]}, "no countermeasure is called 'jpeg-11'"),
        ({"seed": [0]}, "'seed' is no part of a study. Its parts are "),
    ],
)
def test_a_study_that_names_what_is_not_there_is_refused(run, changed, told):
    with pytest.raises(ValueError, match="c.yaml") as refused:
        run(**changed)
    assert told in str(refused.value)


def test_a_portfolio_fits_each_method_on_what_the_one_before_made(run, tmp_path):
    rows = pictures(40)
    both = {"method": "texture", "then": {"method": "error-min", "max_rounds": 1, "stop_error": None}}
    after, (first, second) = study.protected_by(both, rows, rows, seed=5)
    again = rows.map(first, batched=True)
    assert after["image"][:] == again.map(second, batched=True)["image"][:] != again["image"][:] != rows["image"][:]
    versions = {"one": {"method": "texture"}, "both": {"method": "texture", "then": {"method": "random-noise"}}}
    said, cells = run(versions=versions)
    assert cells["one"]["method_version"] == method_class("texture").method_version
    assert cells["both"]["method_version"] == [
        method_class(name).method_version for name in ("texture", "random-noise")
    ]
    assert run(versions=versions)[0].endswith("2 of 2 cells are in cells.jsonl.\n") and "both" in said


def test_rows_are_asked_for_another_column(run, tmp_path, monkeypatch):
    read = protection.split_of
    monkeypatch.setattr(
        protection, "split_of", lambda *names: read(*names).map(lambda row: {"of": f"{row['label'] % 2}"})
    )
    assert set(np.shape(run(label_column="of")[1]["some"]["confusion"])) == {2}


def test_a_store_of_another_version_of_the_package_is_not_read(run, monkeypatch, tmp_path):
    run()
    first = (tmp_path / "cells.jsonl").read_text()
    (tmp_path / "cells.jsonl").unlink()
    trained = []
    result = protection.audit.__globals__["_Grid"]._result
    monkeypatch.setattr(protection.audit.__globals__["_Grid"], "_result",
                        lambda self, *data: trained.append(1) or result(self, *data))  # fmt: skip
    run()
    assert trained == [], "the store has all of them"
    (tmp_path / "cells.jsonl").unlink()
    monkeypatch.setitem(protection.audit.__globals__, "__version__", "0.0.9")
    run()
    assert len(trained) == 3 and [json.loads(line)["accuracy"] for line in first.splitlines()] == [
        json.loads(line)["accuracy"] for line in (tmp_path / "cells.jsonl").read_text().splitlines()
    ]


def test_data_is_a_folder_the_digits_or_an_id_of_the_hub(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(protection, "load_dataset", lambda *names, **options: asked.append((names, options["split"])))
    (tmp_path / "me/here").mkdir(parents=True)
    for name in ("ylecun/mnist", "me/here", "sst2"):
        protection.split_of(str(tmp_path), name, "test")
    assert asked == [(("ylecun/mnist",), "test"), (("parquet",), "train"), (("parquet",), "train")]
    assert len(protection.split_of(str(tmp_path), "digits", "test")) == 500 and len(asked) == 3


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_of_the_repository_can_be_made(path):
    for parameters in study.read(path)["versions"].values():
        if isinstance(parameters, dict) and ":" not in parameters["method"]:
            study.transform_of(parameters, seed=1)._check_parameters()
