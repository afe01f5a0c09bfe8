# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""How a protection works on a language model: what it answers during the training, and with the mark in the test.

    PYTHONPATH=recipes python recipes/bench/mechanism.py --config recipes/configs/finetune_smollm2.yaml \
        --clean ../shared/data/sst2 --method regtext order-code --parameters "{seed: 2026}" \
        --class_names negative positive --instruction "Is the opinion in this film review positive or negative?"

All other options are those of `finetune_attack.py`. The model is trained on the clean rows, and on the rows of each
method. It answers the clean test rows after some steps, and after the last one three sorts of test rows: clean, with
the mark of their own class, and with that of the next class. Every line of the output is one of these tests, with the
accuracy (mean, 95 % interval), AUC, how often each label was the answer, and the mean loss of the five steps before.
Lines that are there with the same protocol are not made again.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from finetune_data import examples, label_names, labels_by_task, read, sample
from finetune_model import load_model, load_tokenizer
from finetune_options import AttackArguments, parse
from finetune_results import judged
from protection import lines_of
from transformers import TrainerCallback
from trl import ModelConfig, SFTConfig, get_peft_config

from hf_unlearnable.data import write_file
from hf_unlearnable.registry import method_class
from hf_unlearnable.text.language_model.prompts import Prompter, encode
from hf_unlearnable.text.language_model.scoring import answers
from hf_unlearnable.text.language_model.training import make_trainer

CLEAN = "clean"
MARKS = ("mark of its class", "mark of the next class")
AVERAGED = 5  # steps, for the loss


def marked(rows: Dataset, cloak: Any, shift: int) -> Dataset:
    """The rows with the mark of a class, under their own labels.

    Args:
        rows: Clean rows with texts and labels.
        cloak: A fitted protection for texts.
        shift: By how many classes, in their order, the mark's class is behind that of the row.
    """
    name, text = cloak.label_column, cloak.text_column
    labels = rows[name][:]
    classes = sorted(set(labels))
    other = {label: classes[(i + shift) % len(classes)] for i, label in enumerate(classes)}
    others = [other[label] for label in labels]
    given = rows.remove_columns(name).add_column(name, others, feature=rows.features[name])
    texts = given.map(cloak, batched=True)[text][:]
    return rows.remove_columns(text).add_column(text, texts)


class Watch(TrainerCallback):
    """Lets the model answer after some steps.

    Args:
        steps: After which.
        ask: Is called with the step and the model.
    """

    def __init__(self, steps: Sequence[int], ask: Any):
        self.steps, self.ask = steps, ask

    def on_step_end(self, _args: Any, state: Any, _control: Any, **given: Any) -> None:
        """Asks without any effect on the rest of the training."""
        if state.global_step in self.steps:
            with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
                self.ask(state.global_step, given["model"])


def watched(
    rows: Dataset, tests: Mapping[str, Dataset], prompter: Prompter, config: Any, steps: Sequence[int],
    args: AttackArguments, training: SFTConfig, model_args: ModelConfig,
) -> list[dict[str, Any]]:  # fmt: skip
    """What a model answers while it is trained, and to all tests at the end.

    Args:
        rows: Examples to train on.
        tests: Examples to test on by name; those of `CLEAN` after each of the steps, the others at the end.
        prompter: Makes the prompts.
        config: Of the model.
        steps: After which it answers.
        args, training, model_args: Options of `finetune_attack.py`.

    Returns:
        A line per test, without what the caller knows.
    """
    asked = {name: encode(test, prompter, args.instruction) for name, test in tests.items()}
    half = torch.bfloat16 if training.bf16 else None
    lines: list[dict[str, Any]] = []

    def ask(step: int, model: Any, name: str = CLEAN) -> None:
        found = list(answers(model, prompter, asked[name], batch_size=training.per_device_eval_batch_size, dtype=half))
        result, _ = judged(name, found, tests[name], prompter.tasks, train_rows=len(rows), steps=step,
                           truncated_rows=0, seconds=0)  # fmt: skip
        mean, low, high = (round(getattr(result.label_accuracy, part), 4) for part in ("mean", "low", "high"))
        lines.append({
            "test": name, "step": step, "accuracy": [mean, low, high],
            "auc": result.auc, "label_shares": result.label_shares,
        })  # fmt: skip

    training = copy.copy(training)
    training.logging_steps, training.logging_strategy = 1, "steps"
    model = load_model(config, model_args, training)
    if 0 in steps:
        ask(0, model)
    encoded = encode(rows, prompter, args.instruction)
    trainer = make_trainer(model, prompter.tokenizer, encoded, training, get_peft_config(model_args))
    trainer.add_callback(Watch(steps, ask))
    trainer.train()
    last = trainer.state.global_step
    for name in tests:
        if name != CLEAN or last not in steps:
            ask(last, trainer.model, name)
    losses = {entry["step"]: entry["loss"] for entry in trainer.state.log_history if "loss" in entry}
    for line in lines:
        before = [losses[step] for step in range(line["step"] - AVERAGED + 1, line["step"] + 1) if step in losses]
        line["loss"] = round(float(np.mean(before)), 4) if before else None
    return lines


def main(argv: list[str] | None = None) -> None:
    """Trains on each version that is not in the output, and adds its lines.

    Args:
        argv: Of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--steps", nargs="+", type=int, default=[2, 5, 10, 20, 40], help="clean test after these steps"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    own, rest = parser.parse_known_args(argv)
    args, training, model_args = parse(rest)
    train = read(str(args.clean), args, args.dataset_train_split)
    test = sample(read(args.test or str(args.clean), args, args.dataset_test_split), args.test_rows)
    clean = examples(sample(train, args.train_rows), args, CLEAN)
    tests = {CLEAN: examples(test, args, CLEAN)}
    cloaks = {name: method_class(name)(**args.method_parameters).fit(train) for name in args.method}
    versions = {CLEAN: clean}
    for name, cloak in cloaks.items():
        versions[name] = examples(sample(train, args.train_rows).map(cloak, batched=True), args, name)
        for shift, mark in enumerate(MARKS):
            tests[f"{name}, {mark}"] = examples(marked(test, cloak, shift), args, CLEAN)
    tokenizer, config = load_tokenizer(model_args, training, clean["text"])
    labels = labels_by_task(clean, tests[CLEAN], label_names(train, args) or ())
    prompter = Prompter(tokenizer, args.prompt_style, training.max_length or config.max_position_embeddings, labels)
    protocol = {
        "model": Path(str(model_args.model_name_or_path)).name, "rows": len(clean), "test_rows": len(test),
        "learning_rate": training.learning_rate, "max_steps": training.max_steps, "steps": own.steps,
        "class_names": args.class_names, "instruction": args.instruction,
    }  # fmt: skip
    for version, rows in versions.items():
        about = {
            "data": Path(str(args.clean)).name, "version": version, "seed": training.seed,
            "method_version": cloaks[version].method_version if version in cloaks else None,
            "parameters": args.parameters, "protocol": protocol,
        }  # fmt: skip
        there = lines_of(own.output)
        if any(about.items() <= line.items() for line in there):
            continue
        mine = {name: one for name, one in tests.items() if version == CLEAN or name.split(",")[0] in (CLEAN, version)}
        found = watched(rows, mine, prompter, config, own.steps, args, training, model_args)
        write_file(own.output, "".join(json.dumps(line) + "\n" for line in [*there, *({**about, **x} for x in found)]))
        for line in found:
            print(version, json.dumps(line))


if __name__ == "__main__":
    main()
