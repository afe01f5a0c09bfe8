"""The image recipe: one process, two, killed and started again."""

import json
import os
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import yaml
from datasets import load_dataset

from hf_unlearnable import load_transform
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.registry import method_class
from recipes import protect_images
from tests import ROOT
from tests.examples import pictures

PARAMETERS = {"max_rounds": 3, "batch_size": 16, "seed": 5, "stop_error": None}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "pictures.parquet"
    pictures(41).to_parquet(str(path))
    return path


def protect(source, output, *more, parameters=PARAMETERS):
    protect_images.main(
        ["--dataset_name", str(source), "--output", str(output), "--parameters", json.dumps(parameters), *more]
    )


def stored(folder):
    rows = load_dataset("parquet", data_files=str(folder / "*.parquet"), split="train")
    return rows.with_format("arrow")[:].to_pylist()


def test_one_process(source, tmp_path):
    config = tmp_path / "config.yaml"
    options = {
        "dataset_name": str(source),
        "parameters": {**PARAMETERS, "epsilon": "6/255", "step_size": 0.02},
        "output": "?",
    }
    config.write_text(yaml.safe_dump(options))
    protect_images.main(["--config", str(config), "--output", str(tmp_path / "out")])
    protected, original = (
        load_dataset("parquet", data_files=str(files), split="train") for files in (tmp_path / "out/*.parquet", source)
    )
    difference = [
        np.abs(np.asarray(a, int) - np.asarray(b)).max() for a, b in zip(protected["image"], original["image"])
    ]
    assert max(difference) == 6 and min(difference) > 0
    assert protected.features == original.features and protected["label"] == original["label"]
    cloak = load_transform(tmp_path / "out.key")
    assert original.map(cloak, batched=True).with_format("arrow")[:].to_pylist() == stored(tmp_path / "out")
    fidelity = json.loads((tmp_path / "out.report/fidelity-00000.json").read_text())
    assert (fidelity["images"], fidelity["changed"], fidelity["max_change"]) == (41, 41, 6)
    assert (tmp_path / "out.report/contact-sheet.png").stat().st_size > 1000
    assert not (tmp_path / "out.fit").exists() and not (tmp_path / "out.partial").exists()
    with pytest.raises(FileExistsError, match="Give another output"):
        protect(source, tmp_path / "out")


@pytest.mark.slow  # tests/image/learning/test_processes.py has the same without the recipe
def test_two_processes_own_a_part_each_and_their_key_makes_all_again(source, tmp_path):
    environment = {
        **os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(ROOT / "recipes/protect_images.py"), "--dataset_name", str(source), "--output", str(tmp_path / "one"),
        "--parameters", json.dumps(PARAMETERS),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    files = sorted(file.name for file in (tmp_path / "one").glob("*"))
    assert files == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    original = load_dataset("parquet", data_files=str(source), split="train")
    protected = stored(tmp_path / "one")
    assert [row["label"] for row in protected] == original["label"][:]
    cloak = load_transform(tmp_path / "one.key")
    assert len(cloak.key.tensors["ids"]) == 41
    assert original.map(cloak, batched=True).with_format("arrow")[:].to_pylist() == protected
    reports = [json.loads(p.read_text()) for p in sorted((tmp_path / "one.report").glob("fidelity-*.json"))]
    assert [(r["images"], r["changed"]) for r in reports] == [(21, 21), (20, 20)]


def test_killed_and_started_again(source, tmp_path):
    protect(source, tmp_path / "whole")
    save = NoiseLearner._save

    def killed(self, done):
        save(self, done)
        if done == 2:
            raise KeyboardInterrupt

    with mock.patch.object(NoiseLearner, "_save", killed), pytest.raises(KeyboardInterrupt):
        protect(source, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.key").exists()
    killed_later = mock.patch("hf_unlearnable.protection.checked", side_effect=KeyboardInterrupt)
    with killed_later, pytest.raises(KeyboardInterrupt):
        protect(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    protect(source, tmp_path / "out")
    assert stored(tmp_path / "out") == stored(tmp_path / "whole")


def test_a_broken_bound_fails_the_run(source, tmp_path):
    too_much = lambda self, levels, label, stream: levels ^ 64  # noqa: E731
    broken = mock.patch("hf_unlearnable.image.methods.texture.TextureTransform._cloak", too_much)
    with broken, pytest.raises(ValueError, match="Row 0 changed by 64 levels, and the bound is 8"):
        protect(source, tmp_path / "out", "--method", "texture", parameters={})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("config", sorted((ROOT / "recipes/configs").glob("cifar10_*.yaml")), ids=lambda p: p.stem)
def test_configs_name_what_there_is(config):
    arguments = protect_images.parse(["--config", str(config)])
    parameters = {k: protect_images.as_number(v) for k, v in arguments.parameters.items()}
    cloak = method_class(arguments.method)(**parameters)
    cloak._check_parameters()
    assert cloak.max_levels == 8


def test_as_number():
    assert protect_images.as_number("8/255") == 8 / 255
    assert protect_images.as_number("data/folder") == "data/folder"
    assert protect_images.as_number(0.5) == 0.5
