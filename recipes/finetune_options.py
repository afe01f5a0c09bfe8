"""The options of `finetune_attack.py`, its own and those of TRL, and what of TRL's is refused."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import yaml
from trl import ModelConfig, SFTConfig, TrlParser

from hf_unlearnable.text.language_model.training import computes_bf16

VERSIONS = ("clean", "protected", "random", "dropped")
# Options of TRL that would be ignored or do harm here, with the reason.
REFUSED = {
    "push_to_hub": "it would publish a model that was trained on your clean rows",
    "resume_from_checkpoint": "the same command goes on by itself; give the same output_dir",
    "assistant_only_loss": "prompts and answers are tokens here; completion_only_loss is what trains on answers only",
    "load_best_model_at_end": "nothing is chosen by the test rows; every training is tested at its end",
    "dataset_kwargs": "the rows are prepared here",
    "eval_strategy": "every training is tested at its end",
    "fsdp": "this script tests a whole model on each device: use DDP, ZeRO-1 or ZeRO-2",
}


@dataclass
class AttackArguments:
    """What is attacked and what is asked.

    Args:
        clean: Original training rows: a file, a folder, a Hub id, or "notes" for the notes that the package carries.
        protected: The same rows, protected, in the same order. Or give `method`.
        random: The same rows with the same dose of random words; None makes them from `clean` and "protected".
        test: Clean test rows; None takes them where `clean` comes from.
        dataset_config: Configuration of a dataset on the Hub.
        dataset_train_split: Split of `clean`, `protected` and `random`, where they have several.
        dataset_test_split: Split of `test`.
        train_rows: Train on so many rows, always the same ones; None for all.
        test_rows: Test on so many rows, always the same ones; None for all.
        text_column: Column of texts.
        label_column: Column of labels: names, or numbers with names.
        class_names: Names of the labels 0, 1, ..., for a column that has none or to rename those it has.
        task_column: Column that tells several tasks apart: each has its own labels, those that its rows hold.
        instruction: What the model is told; {labels} stands for the names.
        instruction_column: Column with an instruction for each row, in place of `instruction`.
        prompt_style: "alpaca" for the paper's prompt, "chat" for the model's own chat template, "plain" for the
            text and "Label:".
        method: Names of protections for texts, which then make "protected" from `clean`.
        parameters: Arguments of the methods, as YAML.
        versions: Which of clean, protected, random and dropped to train on.
        seeds: Seeds of the trainings, each with a key of its own; None for the one `seed` of the training.
        save_model: Whether to keep the adapter, or the weights, of each training.
    """

    clean: str | None = None
    protected: str | None = None
    random: str | None = None
    test: str | None = None
    dataset_config: str | None = None
    dataset_train_split: str = "train"
    dataset_test_split: str = "test"
    train_rows: int | None = None
    test_rows: int | None = None
    text_column: str = "text"
    label_column: str = "label"
    class_names: list[str] | None = None
    task_column: str | None = None
    instruction: str = "Classify the text. Answer with one of: {labels}."
    instruction_column: str | None = None
    prompt_style: Literal["alpaca", "chat", "plain"] = "alpaca"
    method: list[str] | None = None
    parameters: dict[str, Any] | str | None = None
    versions: list[str] = field(default_factory=lambda: list(VERSIONS))
    seeds: list[int] | None = None
    save_model: bool = False

    def __post_init__(self) -> None:
        """Reads the parameters and refuses what cannot be run, before a model is loaded."""
        self.method = [self.method] if isinstance(self.method, str) else list(self.method or ())
        self.parameters = yaml.safe_load(self.parameters) if isinstance(self.parameters, str) else self.parameters
        unknown = [name for name in self.versions if name not in VERSIONS]
        if unknown:
            raise ValueError(f"versions has {', '.join(unknown)}. Choose of {', '.join(VERSIONS)}.")
        if not self.clean:
            raise ValueError("clean is missing: a file, a folder, a Hub id or 'notes'.")
        if "protected" in self.needed and not self.protected and not self.method:
            raise ValueError("protected is missing. Give --protected FILE, or --method to make it from clean.")
        if len(self.method) > 1 and (self.protected or self.random):
            raise ValueError(
                "protected and random are files of one protection, and method names several. Drop either."
            )

    @property
    def needed(self) -> set[str]:
        """The data that the versions are made of."""
        made_of_it = {"dropped"} if self.random else {"dropped", "random"}
        protected = {"protected"} if made_of_it & set(self.versions) else set()
        return {"clean", *protected, *self.versions} - {"dropped"}

    @property
    def method_parameters(self) -> dict[str, Any]:
        """Arguments of the method, which works on the same columns."""
        given = self.parameters if isinstance(self.parameters, dict) else {}
        return {"text_column": self.text_column, "label_column": self.label_column, **given}


def parse(argv: list[str] | None = None) -> tuple[AttackArguments, SFTConfig, ModelConfig]:
    """The options of the YAML file and the command line, in which names may have dashes.

    Where they say nothing, the loss is on the answers, and bf16 is on where the device computes in it and fp16 is not
    asked for.

    Args:
        argv: Of the command line; None for the process's own.
    """
    given = sys.argv[1:] if argv is None else argv
    given = [re.sub(r"^--[\w-]+", lambda name: "--" + name[0][2:].replace("-", "_"), word) for word in given]
    classes: Any = (AttackArguments, SFTConfig, ModelConfig)
    parser: Any = TrlParser(classes)
    device = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
    parser.set_defaults(
        bf16=None if computes_bf16(device) else False,  # None: unless fp16
        use_cpu=device == "cpu", completion_only_loss=True, logging_first_step=True,
    )  # fmt: skip
    return parser.parse_args_and_config(given)


def refuse(training: SFTConfig) -> None:
    """Refuses options of TRL that make no sense here, before anything is loaded.

    Args:
        training: Options of the training.

    Raises:
        ValueError: One of them is set.
    """
    given = {name: getattr(training, name, None) for name in REFUSED}
    off = (None, False, "", "no", [], {})
    reasons = [
        f"{name}: {REFUSED[name]}" for name, value in given.items() if getattr(value, "value", value) not in off
    ]
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true" or (
        training.deepspeed_plugin and training.deepspeed_plugin.zero_stage == 3
    ):
        reasons.append(f"sharded weights: {REFUSED['fsdp']}")
    if reasons:
        raise ValueError(f"{'. '.join(reasons)}. Take it out of the YAML file or the command line.")
