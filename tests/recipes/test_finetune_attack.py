"""The fine-tuning attack: options, whole runs, runs that go on, two processes."""

import json
import logging
import os
import re
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from datasets import Dataset

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")

import finetune_data
import torch
from finetune_options import AttackArguments
from trl import SFTTrainer

from hf_unlearnable import load_transform
from hf_unlearnable.data import load_rows
from hf_unlearnable.registry import method_class
from hf_unlearnable.text.language_model.training import computes_bf16
from recipes import finetune_attack as attack
from tests import ROOT
from tests.examples import MODELS, tiny
from tests.recipes.tiny_model import TINY

CONFIGS = [path for path in sorted((ROOT / "recipes/configs").glob("finetune_*.yaml")) if "diffusion" not in path.stem]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_configs_fit_the_options(config):
    args, training, model_args = attack.parse(["--config", str(config)])
    assert (
        training.bf16 is computes_bf16("cuda" if torch.cuda.is_available() else "cpu")
        and training.report_to == []
        and training.logging_first_step
    )
    assert training.completion_only_loss is ("paper" not in config.stem)
    assert model_args.dtype == ("float32" if re.search("smoke|tiny|gpt2|smollm2", config.stem) else "bfloat16")
    assert args.versions == ["clean", "protected", "random", "dropped"]
    assert training.output_dir == f"runs/{config.stem}"
    assert method_class(args.method[0])(**(args.parameters or {})).modality == "text"
    if "paper" in config.stem:
        assert training.per_device_train_batch_size * training.gradient_accumulation_steps == 256
        assert (training.num_train_epochs, training.learning_rate, training.lr_scheduler_type) == (10, 2e-4, "linear")
        assert (training.warmup_steps, training.weight_decay, training.completion_only_loss) == (5, 1e-4, False)
        assert (model_args.lora_r, model_args.lora_alpha, model_args.lora_dropout) == (16, 16, 0)
        assert len(model_args.lora_target_modules) == 7 and model_args.load_in_4bit
        assert args.parameters == {"word_source": "regtext", "rate": 0.1, "max_tokens": 10, "tokens_per_class": 10}


def test_the_command_line_overrides():
    args, training, _ = attack.parse(
        ["--config", str(TINY), "--max_steps", "3", "--versions", "clean", "dropped", "--parameters", "{rate: 0.2}"]
    )
    assert training.max_steps == 3 and args.versions == ["clean", "dropped"] and args.parameters == {"rate": 0.2}
    assert args.needed == {"clean", "protected"}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="versions has cleen"):
        AttackArguments(clean="notes", versions=["cleen"])
    with pytest.raises(ValueError, match="Give --protected FILE, or --method"):
        AttackArguments(clean="notes")
    AttackArguments(clean="notes", versions=["clean"])


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """Six words of a class's own forty make a text: learned from many, while the protection's one word is quick."""
    folder = tmp_path_factory.mktemp("weather")
    random = np.random.default_rng(0)
    letters = np.array(list("bcdfghjklmnprstvwz"))
    words = sorted({"".join(random.choice(letters, 2)) + "aeiou"[n % 5] + random.choice(letters) for n in range(100)})
    own = {"sunny": words[:40], "rainy": words[40:80]}
    for split, count in (("train", 400), ("test", 60)):
        labels = [list(own)[i % 2] for i in range(count)]
        texts = [" ".join(random.choice(own[label], 6)) for label in labels]
        Dataset.from_dict({"text": texts, "label": labels}).to_parquet(str(folder / f"{split}.parquet"))
    return folder


def load_data(args, output):
    return finetune_data.load_data(args, output, finetune_data.planned(args, [0]))


def options_for(weather, output, *more):
    return [
        "--config", str(TINY), "--clean", str(weather), "--output_dir", str(output), "--disable_tqdm", "true",
        "--parameters", "{seed: 3, max_frequency: 1}", "--instruction", "?", "--max_steps", "75", *more,
    ]  # fmt: skip


def run(weather, output, *more):
    attack.main(*attack.parse(options_for(weather, output, *more)))
    return {r["name"]: r for r in json.loads((output / "results.json").read_text())["results"]}


def accuracy(results, name, way="label_accuracy"):
    return results[name][way]["mean"]


def test_a_run_and_what_is_kept_of_it(weather, tmp_path):
    output = tmp_path / "out"
    first = run(weather, output, "--versions", "clean")
    kept = mock.patch.object(attack, "load_model", side_effect=AssertionError("trained again"))
    with kept:
        assert run(weather, output, "--versions", "clean") == first
    with kept, pytest.raises(ValueError, match="other settings or data: learning_rate differ"):
        run(weather, output, "--versions", "clean", "--learning_rate", "0.1")

    found = run(weather, output, "--versions", "clean", "protected", "dropped")
    assert {name: found[name] for name in first} == first and list(found) == [
        "zero-shot", "clean", "protected", "dropped"
    ]  # fmt: skip
    assert accuracy(found, "zero-shot") < 0.7 and accuracy(found, "zero-shot", "exact_match") == 0
    assert accuracy(found, "clean") > 0.8 and accuracy(found, "clean", "exact_match") > 0.8
    assert accuracy(found, "protected") < 0.7 and accuracy(found, "protected", "exact_match") < 0.7
    assert [(r["train_rows"], r["steps"]) for r in found.values()] == [(0, 0), (400, 75), (400, 75), (0, 0)]
    assert found["dropped"] == {**found["zero-shot"], "name": "dropped"}

    protocol = json.loads((output / "results.json").read_text())["protocol"]
    assert protocol["max_steps"] == 75 and protocol["library_versions"]["trl"] and protocol["test_row_count"] == 60
    used = protocol["parameters"]["regtext"]
    assert "seed" not in used and used["max_frequency"] == 1
    table = (output / "results.md").read_text()
    assert "| clean | " in table and "| 400 | 75 | 0 |" in table and "proves nothing" not in table
    cloak = load_transform(tmp_path / "out.key")
    for file in output.rglob("*.*"):  # what may be published knows no word of the key
        assert not any(word in file.read_text().split('"') for words in cloak._words.values() for word in words), file


def test_files_and_rows_left_alone(weather, tmp_path):
    clean = load_rows(weather / "train.parquet")
    half = method_class("regtext")(seed=1, max_frequency=1, fraction=0.5).fit(clean)
    protected = clean.map(half, batched=True)
    protected.to_parquet(str(tmp_path / "half.parquet"))
    alone = sum(a == b for a, b in zip(clean["text"], protected["text"]))
    assert 150 < alone < 250
    options = ["--protected", str(tmp_path / "half.parquet"), "--versions", "protected", "dropped",
               "--max_steps", "1", "--test_rows", "8"]  # fmt: skip
    found = run(weather, tmp_path / "out", *options)
    assert not (tmp_path / "out.key").exists()  # a file goes before the method
    assert [(r["name"], r["train_rows"]) for r in found.values()] == [
        ("zero-shot", 0), ("protected", 400), ("dropped", alone)
    ]  # fmt: skip
    protected.select(range(300)).to_parquet(str(tmp_path / "half.parquet"))
    with pytest.raises(ValueError, match=r"protected \(300 rows\) and clean \(400 rows\) differ"):
        run(weather, tmp_path / "other", *options)
    protected.select(range(399, -1, -1)).to_parquet(str(tmp_path / "half.parquet"))
    with pytest.raises(ValueError, match="the same rows in the same order"):
        run(weather, tmp_path / "other", *options)


@pytest.mark.parametrize("method", ["regtext", "order-code"])
def test_the_random_dose_is_made_of_what_is_protected(method, tmp_path):
    args = AttackArguments(clean="notes", method=method, parameters={"seed": 1}, versions=["random"])
    assert args.needed == {"clean", "protected", "random"}
    args.versions = ["clean", "protected", "random"]
    data, _, _ = load_data(args, tmp_path / "out")
    words = {name: [text.split() for text in data[name]["text"]] for name in data}
    assert [len(text) for text in words["random"]] == [len(text) for text in words["protected"]]
    assert all(len(clean) < len(dose) for clean, dose in zip(words["clean"], words["random"], strict=True))
    assert sum(a != b for a, b in zip(words["random"], words["protected"], strict=True)) > 900
    assert [path.name for path in tmp_path.iterdir()] == ["out.key"]

    args = AttackArguments(clean="notes", random="file", versions=["random"])
    assert args.needed == {"clean", "random"}


def test_test_rows_that_were_trained_on(tmp_path, caplog):
    data = tiny([f"text {i}" for i in range(8)], [0, 1] * 4, ["x", "y"])
    for split, rows in (("train", range(6)), ("test", range(4, 8))):
        data.select(rows).to_parquet(str(tmp_path / f"{split}.parquet"))
    args = AttackArguments(clean=str(tmp_path), versions=["clean"])
    with caplog.at_level(logging.WARNING):
        load_data(args, tmp_path / "out")
    assert "2 of 4 test rows are training rows" in caplog.text
    args.clean = str(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="train.parquet is one file, which has no split 'test'"):
        load_data(args, tmp_path / "out")
    args.dataset_test_split = "train"
    with pytest.raises(ValueError, match="All test rows are training rows.*--test"):
        load_data(args, tmp_path / "out")


def test_an_interrupted_training_goes_on(weather, tmp_path):
    options = ["--versions", "clean", "--max_steps", "10", "--save_strategy", "steps", "--save_steps", "4",
               "--test_rows", "8"]  # fmt: skip
    step, done = SFTTrainer.training_step, []

    def until(last):
        def killed(self, *inputs, **more):
            if self.state.global_step == last:
                raise KeyboardInterrupt
            done.append(self.state.global_step)
            return step(self, *inputs, **more)

        return mock.patch.object(SFTTrainer, "training_step", killed)

    with until(6), pytest.raises(KeyboardInterrupt):
        run(weather, tmp_path / "out", *options)
    assert done == [0, 1, 2, 3, 4, 5] and not (tmp_path / "out/results.json").exists()
    with pytest.raises(ValueError, match="max_steps differ"):
        run(weather, tmp_path / "out", *options, "--max_steps", "11")
    (tmp_path / "out/clean/checkpoint-6").mkdir()  # one that was interrupted while it was written
    with until(None):
        found = run(weather, tmp_path / "out", *options)
    assert done[6:] == [4, 5, 6, 7, 8, 9] and found["clean"]["steps"] == 10


def launched(tmp_path, *command):
    environment = {
        **os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.mark.slow  # the suite starts the recipe as a script in the next test
def test_accelerate_launch(tmp_path):
    log = launched(
        tmp_path, "accelerate.commands.launch", "--cpu", str(ROOT / "recipes/finetune_attack.py"), "--config", str(TINY),
        "--output_dir", str(tmp_path / "out"), "--max_steps", "4", "--train_rows", "64", "--test_rows", "16",
    )  # fmt: skip
    found = json.loads((tmp_path / "out/results.json").read_text())["results"]
    assert [(r["name"], r["train_rows"], r["steps"], r["truncated_rows"]) for r in found] == [
        ("zero-shot", 0, 0, 0), ("clean", 64, 4, 64), ("protected", 64, 4, 64), ("random", 64, 4, 64), ("dropped", 0, 0, 0)
    ]  # fmt: skip
    assert "proves nothing" in (tmp_path / "out/results.md").read_text()
    assert "clean: 64 of 64 texts cut to max_length 96" in log and "16 test rows, 16 cut" in log


@pytest.mark.slow  # the suite starts two processes in test_protect_images.py
def test_two_processes(weather, tmp_path):
    launched(
        tmp_path, "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(ROOT / "recipes/finetune_attack.py"), *options_for(weather, tmp_path / "two", "--parameters", "{}"),
        "--versions", "clean", "protected", "--max_steps", "3", "--test_rows", "7",
    )  # fmt: skip
    contents = json.loads((tmp_path / "two/results.json").read_text())
    assert contents["protocol"]["num_processes"] == 2
    found = {r["name"]: r for r in contents["results"]}
    assert [r["steps"] for r in found.values()] == [0, 3, 3]
    alone = run(weather, tmp_path / "one", "--versions", "clean", "--max_steps", "1", "--test_rows", "7")
    assert found["zero-shot"]["label_accuracy"] == alone["zero-shot"]["label_accuracy"]  # every row once


def test_a_pretrained_model_with_lora(tmp_path):
    if not (MODELS / "stories260k").is_dir():
        pytest.skip(f"{MODELS / 'stories260k'} is not there: it is a development model, see HF_UNLEARNABLE_MODELS")
    args, training, model_args = attack.parse([
        "--config", str(TINY.with_name("finetune_tiny_stories.yaml")), "--output_dir", str(tmp_path / "out"),
        "--model_name_or_path", str(MODELS / "stories260k"), "--versions", "clean", "--max_steps", "2",
        "--train_rows", "32", "--test_rows", "8", "--save_strategy", "steps", "--save_steps", "2",
    ])  # fmt: skip
    attack.main(args, training, model_args)
    assert training.max_length == 256
    saved = tmp_path / "out/clean/checkpoint-2"
    assert (saved / "adapter_model.safetensors").is_file() and not (saved / "model.safetensors").exists()
