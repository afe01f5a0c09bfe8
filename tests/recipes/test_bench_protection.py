"""The bench behind the result tables: its cells, that it goes on where it was, and that its configurations hold."""

import inspect
import json
import sys
from pathlib import Path

import pytest
import yaml

from hf_unlearnable.image.victims import IMAGE_VICTIMS
from hf_unlearnable.registry import method_class
from hf_unlearnable.text.victims import TEXT_VICTIMS
from recipes.bench import order_designs, protection
from tests.data import pictures

FOLDER = Path(__file__).parents[2] / "recipes/configs"
CONFIGS = sorted(path for kind in ("protection*", "attack") for path in FOLDER.glob(f"*_{kind}.yaml"))


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
            victim = (TEXT_VICTIMS | IMAGE_VICTIMS)[options.get("victim", name)]
            taken = set(inspect.signature(victim).parameters) | {"victim", "rows", "test_rows", "max_words"}
            assert set(options) <= taken
