"""One training of the bench, tested on its own dataset and on others: `test_on`."""

import json
import sys

import numpy as np
import pytest
import yaml
from datasets import Dataset

from hf_unlearnable.audit.records import Cell, Version
from recipes.bench import protection

WORDS = (["plum", "pear", "fig", "lime"], ["oak", "elm", "ash", "yew"])


def rows(count, flip=0, lies=0):
    """Texts of a class's own words, the first of them of the other class."""
    random = np.random.default_rng(count)
    labels = [i % 2 for i in range(count)]
    texts = [" ".join(random.choice(WORDS[label ^ (i < lies)], 4)) for i, label in enumerate(labels)]
    return Dataset.from_dict({"text": texts, "label": [label ^ flip for label in labels]})


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Runs a study of words with these other datasets, and gives the lines of its output."""
    for name, flip in (("words", 0), ("same", 0), ("flipped", 1)):
        (tmp_path / name).mkdir()
        rows(60, flip).to_parquet(str(tmp_path / name / "train.parquet"))
        rows(40, flip, lies=8).to_parquet(str(tmp_path / name / "test.parquet"))

    def run(output, **settings):
        victim = {"victim": "tfidf_logistic_regression", "rows": 60, "test_rows": 40, **settings}
        config = {"seeds": [0, 1], "versions": {"clean": "clean", "regtext": {"method": "regtext", "max_frequency": 1}},
                  "datasets": {"words": {"victims": {"bag": victim}}}}  # fmt: skip
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
        command = ["protection.py", "--config", str(tmp_path / "c.yaml"), "--data", str(tmp_path)]
        command += ["--output", str(tmp_path / output), "--store", str(tmp_path / "store")]
        monkeypatch.setattr(sys, "argv", command)
        protection.main()
        return [json.loads(line) for line in (tmp_path / output).read_text().splitlines()]

    return run


def test_a_training_is_tested_on_every_dataset_that_it_names(study):
    alone = study("alone.jsonl")
    for names in (["flipped"], ["flipped", "same", "words"]):
        found = study(f"{'-'.join(names)}.jsonl", test_on=names)
        assert [cell["accuracy"] for cell in found] == [cell["accuracy"] for cell in alone]
        assert [cell["by_seed"] for cell in found] == [cell["by_seed"] for cell in alone]
        assert all(cell["test_rows"] == 40 and list(cell["elsewhere"]) == names for cell in found)
        for cell in found:
            mean = cell["accuracy"][0]
            expected = {"same": mean, "words": mean, "flipped": pytest.approx(1 - mean)}
            assert {name: cell["elsewhere"][name][0] for name in names} == {name: expected[name] for name in names}
    assert "elsewhere" not in alone[0] and alone[0]["accuracy"][0] == 0.8


def test_a_cell_is_parted_in_the_order_of_the_datasets():
    correct = np.array([[True, True, False, True, False, False, True], [True, False, False, True, False, True, True]])
    cell = Cell(Version("clean", rows(2), "clean"), "bag", "none", correct, [0, 1], [[(1.0, 0.5)]] * 2)
    sizes = {"one": rows(1), "two": rows(2), "three": rows(3)}
    own, found = protection.parted(cell, sizes)
    assert own.correct.tolist() == [[True], [True]] and own.curves == [[], []] and own.peak == 1.0
    assert {name: interval[0] for name, interval in found["elsewhere"].items()} == {
        "one": 0.5,
        "two": 0.5,
        "three": 0.5,
    }
    assert protection.parted(cell, {}) == (cell, {})
    fewer, found = protection.parted(cell, {"four": rows(4)})
    assert fewer.correct.shape == (2, 3) and found["elsewhere"]["four"][0] == 0.625
