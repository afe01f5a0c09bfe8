"""The recipe: YAML with overrides, several splits, one key."""

import sys

import datasets
import pytest
import yaml
from datasets import load_dataset

from hf_unlearnable import load_transform
from recipes import options
from recipes.protect_text import main, parse
from tests.examples import notes


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datasets.DatasetDict({"train": notes(80), "test": notes(100).select(range(80, 100))}).save_to_disk("rows")
    options = {
        "dataset_name": "rows",
        "splits": ["train", "test"],
        "parameters": {"rate": 0.2, "seed": 4},
        "output": "out",
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(options))
    return "config.yaml"


def test_all_splits_with_one_key(config, tmp_path):
    main(["--config", config])
    cloak = load_transform("out.key")
    assert cloak.rate == 0.2
    protected = load_dataset("out")
    assert {name: len(rows) for name, rows in protected.items()} == {"train": 80, "test": 20}
    assert cloak.restore(protected)["test"]["text"][:] == notes(100)["text"][80:]


def test_the_command_line_overrides(config):
    main(["--config", config, "--output", "other", "--parameters", "{rate: 0.3, seed: 4}", "--splits", "train"])
    assert load_transform("other.key").rate == 0.3
    assert set(load_dataset("other")) == {"train"}


def test_mistakes_are_named(config, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("dataset_nme: x")
    with pytest.raises(SystemExit):
        parse(["--config", "bad.yaml"])
    assert "dataset_nme" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse([])
    assert "dataset_name and output are needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "texture", "--parameters", "{}"], "There is no column 'image'"),
        (["--splits", "train", "nosuch"], "has no split 'nosuch'"),
        (["--parameters", "{rate: [}"], "expected the node content"),
        (["--parameters", "{nosuch: 1}"], "unexpected keyword argument 'nosuch'"),
        (["--dataset_name", "absent.csv"], "There is no file or folder absent.csv"),
        (["--config", "absent.yaml"], "No such file or directory: 'absent.yaml'"),
    ],
)
def test_what_the_recipe_cannot_do_is_one_sentence(config, monkeypatch, tmp_path, more, message):
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(sys, "argv", ["recipes/protect_text.py", "--config", config, *more])
    with pytest.raises(SystemExit, match=r"^protect_text\.py: [^\n]*$") as stopped:
        options.run(main)
    assert message in str(stopped.value)
    assert sorted(tmp_path.iterdir()) == before
