"""A tiny language model and its options."""

import pytest

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")


import finetune_model

from recipes import finetune_attack as attack
from tests import ROOT
from tests.examples import notes

TINY = ROOT / "recipes/configs/finetune_smoke_test.yaml"


def model_of(*options):
    _, training, model_args = attack.parse(["--config", str(TINY), *options])
    return (
        finetune_model.load_model(finetune_model.random_llama(notes()["text"])[1], model_args, training),
        training,
        model_args,
    )
