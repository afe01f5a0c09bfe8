"""The bench behind the result tables: its cells, that it goes on where it was, and that its configurations hold."""

import inspect
import json
import sys
from argparse import Namespace

import pytest
import yaml

from hf_unlearnable.adversary import Rows
from hf_unlearnable.audio.victims import AUDIO_VICTIMS
from hf_unlearnable.audit import grid
from hf_unlearnable.image.victims import IMAGE_VICTIMS
from hf_unlearnable.registry import method_class
from hf_unlearnable.text.victims import TEXT_VICTIMS
from recipes.bench import order_designs, protection
from tests import ROOT
from tests.examples import pictures

FOLDER = ROOT / "recipes/configs"
CONFIGS = sorted(
    path for name in ("*_protection*", "*_attack", "*_wear", "contrastive*") for path in FOLDER.glob(f"{name}.yaml")
)


def test_cells_are_run_once(tmp_path, monkeypatch, capsys):
    for split, rows in (("train", 60), ("test", 24)):
        (tmp_path / "shapes").mkdir(exist_ok=True)
        pictures(rows).to_parquet(str(tmp_path / "shapes" / f"{split}.parquet"))
    config = {
        "seeds": [0, 1],
        "input_column": "image",
        "fit_on": "sample",
        "versions": {
            "clean": "clean",
            "texture": {"method": "texture"},
            "dropped": "dropped",
            "paper": {"method": "error-min", "paper": True, "max_rounds": 1},
        },
        "datasets": {"shapes": {"victims": {"small_cnn": {"rows": 40, "test_rows": 20, "epochs": 1}}}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = ["protection.py", "--config", str(tmp_path / "c.yaml"), "--data", str(tmp_path)]
    command += ["--output", str(tmp_path / "cells.jsonl"), "--store", str(tmp_path / "store")]
    for versions in (["clean", "texture"], []):
        monkeypatch.setattr(sys, "argv", [*command, *(["--versions", *versions] if versions else [])])
        protection.main()
    cells = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    assert [cell["version"] for cell in cells] == ["clean", "texture", "dropped", "paper"]
    assert [cell["train_rows"] for cell in cells] == [40, 40, 0, 40]
    assert all(len(cell["by_seed"]) == 2 for cell in cells)
    assert [cell["share"] for cell in cells] == [0.0, 1.0, 1.0, 1.0]
    assert [cost["passes_an_image"] for cost in cells[3]["cost"]] == [30.0, 30.0]  # 10 x 40 and 20 x 40, of 40 images
    assert "| texture" in capsys.readouterr().out


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """A study of 40 small images that says what it prints and which trainings it ran."""
    for split, rows in (("train", 60), ("test", 24)):
        (tmp_path / "shapes").mkdir(exist_ok=True)
        pictures(rows).to_parquet(str(tmp_path / "shapes" / f"{split}.parquet"))
    config = {
        "seeds": [0],
        "input_column": "image",
        "fit_on": "sample",
        "countermeasures": ["grayscale", "cutout", "grayscale+jpeg-50", "clean-20%"],
        "versions": {"clean": "clean", "texture": {"method": "texture"}, "dropped": "dropped"},
        "datasets": {"shapes": {"victims": {"small_cnn": {"rows": 40, "test_rows": 20, "epochs": 1}}}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    trained = []
    result = grid._Grid._result
    monkeypatch.setattr(grid._Grid, "_result", lambda self, *data: trained.append(data) or result(self, *data))
    output = tmp_path / "cells.jsonl"

    def run(*options, store="store"):
        command = ["protection.py", "--config", str(tmp_path / "c.yaml"), "--data", str(tmp_path)]
        command += ["--output", str(output), "--store", str(tmp_path / store), *options]
        monkeypatch.setattr(sys, "argv", command)
        before = len(trained)
        try:
            protection.main()
        finally:
            run.trainings = len(trained) - before
        return capsys.readouterr().out.splitlines()[-1]

    run.output, run.trained = output, trained
    return run


def test_a_run_leaves_out_the_cells_of_the_output_and_says_how_much_of_the_grid_there_is(bench):
    ended = bench("--versions", "texture", "--countermeasures", "none")
    assert ended == f"shapes, small_cnn: 1 of 1 cells are in {bench.output}." and bench.trainings == 1
    ended = bench("--versions", "clean", "texture", "--countermeasures", "grayscale+jpeg-50", store="another")
    assert ended.startswith("shapes, small_cnn: 4 of 4 cells") and bench.trainings == 3
    ended = bench(store="third")  # 3 without a countermeasure, 2 after each, and 3 after that with clean rows
    assert ended.startswith("shapes, small_cnn: 12 of 12 cells") and bench.trainings == 8
    assert bench(store="fourth").startswith("shapes, small_cnn: 12 of 12") and bench.trainings == 0
    lines = [json.loads(line) for line in bench.output.read_text().splitlines()]
    assert {(line["version"], line["method_version"]) for line in lines} == {
        ("clean", None), ("texture", method_class("texture").method_version), ("dropped", None),
    }  # fmt: skip
    assert bench("--seeds", "0", "1", "--countermeasures", "none", store="fifth").startswith(
        "shapes, small_cnn: 3 of 3"
    )
    assert bench.trainings == 6 and bench("--countermeasures", "none") and bench.trainings == 0, "more seeds do too"


def test_wear_of_a_configuration_runs_after_countermeasures_and_can_be_chosen(bench):
    path = bench.output.with_name("c.yaml")
    config = yaml.safe_load(path.read_text()) | {"countermeasures": ["grayscale"], "wear": ["thumbnails", "webp-50"]}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    ended = bench("--countermeasures", "webp-50", store="one")
    assert ended.startswith("shapes, small_cnn: 5 of 5 cells") and bench.trainings == 5
    assert bench(store="two").startswith("shapes, small_cnn: 9 of 9 cells") and bench.trainings == 4
    tried = [json.loads(line)["countermeasure"] for line in bench.output.read_text().splitlines()]
    assert tried == ["none"] * 3 + ["webp-50"] * 2 + ["grayscale"] * 2 + ["thumbnails"] * 2


def test_an_interrupted_run_keeps_every_finished_cell(bench, monkeypatch):
    result = grid._Grid._result

    def interrupted(self, *data):
        if len(bench.trained) == 4:
            raise KeyboardInterrupt
        return result(self, *data)

    monkeypatch.setattr(grid._Grid, "_result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench()
    kept = bench.output.read_text().splitlines()
    assert bench.trainings == len(kept) == 4
    monkeypatch.setattr(grid._Grid, "_result", result)
    assert bench(store="another").startswith("shapes, small_cnn: 12 of 12")
    assert bench.output.read_text().splitlines()[:4] == kept


@pytest.mark.parametrize("change", [{"method_version": 1}, {"protocol": {"rows": 9}}, {"seeds": [1]}, {"data": "x"}])
def test_a_cell_of_another_version_protocol_seed_or_dataset_is_run_again(bench, change):
    bench("--versions", "texture", "--countermeasures", "none")
    line = json.loads(bench.output.read_text())
    bench.output.write_text(json.dumps({**line, **change}) + "\n")
    bench("--versions", "texture", "--countermeasures", "none", store="another")
    assert bench.trainings == 1


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configurations_hold(path):
    config = yaml.safe_load(path.read_text())
    for parameters in config["versions"].values():
        if isinstance(parameters, dict):
            options = dict(parameters)
            name = options.pop("method")
            options.pop("role", None)  # of the version in the table
            if ":" in name:
                assert getattr(order_designs, name.removeprefix("order_designs:"))(**options, seed=1).method_version
                continue
            cls = method_class(name)
            cloak = (cls.paper if options.pop("paper", False) else cls)(**options)
            cloak._check_parameters()
    for settings in config["datasets"].values():
        for name, options in settings["victims"].items():
            victim = (TEXT_VICTIMS | IMAGE_VICTIMS | AUDIO_VICTIMS)[options.get("victim", name)]
            taken = set(inspect.signature(victim).parameters) | {"victim", "rows", "test_rows", "max_words", "only"}
            assert set(options) <= taken


def test_a_model_that_labels_for_the_attacker_is_asked_as_it_is_about_the_classes_of_the_rows():
    def asked(texts, labels, tests, *, model, epochs, seed, names):
        assert (list(texts), epochs, model, names) == (["", ""], 0, "folder", "ab")
        return [labels[len(text) % 2] for text in tests]

    own, given = Rows(["x", "y", "z"], [7, 2, 7]), Namespace(language_model=None)

    def attacker(config, models, clean=own):
        return protection.attacker_of(given, config, models, {"asked": asked}, clean, None)

    config, models = {"labelled_by": {"victim": "asked", "names": "ab"}}, {"labelled_by": "folder"}
    assert attacker(config, models).label(["a", "bb"]) == [7, 2]
    assert attacker(config, {}).label is attacker({}, models).label is attacker(config, models, None).label is None
