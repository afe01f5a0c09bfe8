"""What the fine-tuning attack takes from the machine: its precision, and the trackers that are installed."""

import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")

import finetune_options
import torch
from transformers import TrainingArguments

from recipes import finetune_attack as attack
from tests.recipes.tiny_model import TINY


@pytest.mark.parametrize(
    ("computes", "given", "precision"),
    [
        (True, [], (True, False)),
        (False, [], (False, False)),
        (True, ["--bf16", "false"], (False, False)),
        (True, ["--fp16", "true"], (False, True)),
        (False, ["--fp16", "true"], (False, True)),
    ],
)
def test_bf16_is_on_where_the_device_has_it_and_nothing_else_is_asked_for(computes, given, precision, monkeypatch):
    asked = []
    monkeypatch.setattr(finetune_options, "computes_bf16", lambda device: asked.append(device) or computes)
    _, training, _ = attack.parse(["--config", str(TINY), *given])
    assert (bool(training.bf16), bool(training.fp16)) == precision
    assert asked == ["cuda" if torch.cuda.is_available() else "cpu"]


@pytest.fixture
def closed(monkeypatch):
    """The trackers that were closed; all can be imported, and any other module of that name is not."""
    found = []
    for name in ("wandb", "trackio", "tensorboard", "mlflow"):
        fake = SimpleNamespace(finish=lambda name=name: found.append(name))
        monkeypatch.setitem(sys.modules, name, fake)
    return found


@pytest.mark.parametrize(
    ("report_to", "expected"),
    [
        (["wandb"], ["wandb"]),
        (["trackio"], ["trackio"]),
        (["tensorboard", "wandb", "trackio"], ["trackio", "wandb"]),
        (["tensorboard", "mlflow"], []),
        ([], []),
        (None, []),
    ],
)
def test_trackers_with_one_run_per_process_are_closed_after_a_training(report_to, expected, closed):
    attack.finish(SimpleNamespace(args=SimpleNamespace(report_to=report_to)))
    assert sorted(closed) == expected


def test_only_the_main_process_closes_a_tracker(closed, monkeypatch):
    monkeypatch.setattr(attack, "PartialState", lambda: SimpleNamespace(is_main_process=False))
    attack.finish(SimpleNamespace(args=SimpleNamespace(report_to=["wandb", "trackio"])))
    assert closed == []


def test_a_tracker_that_is_not_used_is_not_imported(monkeypatch):
    for name in ("wandb", "trackio"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it would raise
    attack.finish(SimpleNamespace(args=TrainingArguments(output_dir="unused", report_to="none", use_cpu=True)))
    with pytest.raises(ImportError):
        attack.finish(SimpleNamespace(args=SimpleNamespace(report_to=["wandb"])))
