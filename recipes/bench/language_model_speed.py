# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""How fast a language model is scored, against `generate`, on the same prompts in the same run.

    python recipes/bench/language_model_speed.py --model models/smollm2 --rows 64 --dataset sst2

Three ways to the answers, in processor time of one thread, medians of rounds in turn: the labels' probabilities, as
`language_model/scoring.py` computes them; the same and what the model writes; and `generate` in the order of the rows,
in batches of the same size, with as many new tokens. The last two write the same texts, which is checked. The first
line says how many tokens each way reads: nothing exact can be faster than their ratio by much.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM

from hf_unlearnable.text.language_model.loading import load_tokenizer
from hf_unlearnable.text.language_model.prompts import Prompter, encode, shared_start
from hf_unlearnable.text.language_model.scoring import answers

STUDY = Path(__file__).parents[1] / "configs/language_model.yaml"


def generated(model: Any, prompter: Prompter, rows: Dataset, batch_size: int) -> list[str]:
    """What the model writes by `generate`.

    Args:
        model: Of transformers.
        prompter: Made the prompts.
        rows: Of `encode`.
        batch_size: Prompts per call.
    """
    found: list[str] = []
    for start in range(0, len(rows), batch_size):
        prompts = rows["prompt"][start : start + batch_size]
        width = max(map(len, prompts))
        ids = torch.tensor([[prompter.end] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        written = model.generate(
            ids, attention_mask=mask, max_new_tokens=prompter.longest + 1, do_sample=False, pad_token_id=prompter.end
        )
        found += prompter.tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)
    return found


def tokens_read(rows: Dataset, prompter: Prompter, batch_size: int) -> tuple[int, int]:
    """How many tokens are read to score the labels, and by `generate`, padding and written tokens included.

    Args:
        rows: Of `encode`.
        prompter: Made the prompts.
        batch_size: Prompts per batch.
    """
    lengths = [len(prompt) for prompt in rows["prompt"]]
    shared = shared_start([prompt[:-1] for prompt in rows["prompt"]])

    def padded(some: list[int]) -> int:
        batches = [some[start : start + batch_size] for start in range(0, len(some), batch_size)]
        return sum(max(batch) * len(batch) for batch in batches)

    ours = shared + padded(sorted(length - shared for length in lengths))
    return ours, padded(lengths) + prompter.longest * len(lengths)


def timed(do: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what came of it."""
    start = time.process_time()
    found = do()
    return time.process_time() - start, found


def main() -> None:
    """Prints the times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/smollm2")
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--dataset", default="sst2", help="one of the study's")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer, config = load_tokenizer(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, config=config, dtype=torch.float32).eval()
    file = str(Path(arguments.data, arguments.dataset, "test.parquet"))
    test = load_dataset("parquet", data_files=file, split="train").shuffle(seed=0).select(range(arguments.rows))
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))["datasets"][arguments.dataset]["victims"]["smollm2"]
    labels = study["class_names"]
    prompter = Prompter(tokenizer, "chat" if tokenizer.chat_template else "alpaca", 128, {"": labels})
    rows = encode(
        Dataset.from_list([{"text": t, "label": labels[0], "task": "", "instruction": ""} for t in test["text"]]),
        prompter, study["instruction"],
    )  # fmt: skip

    def scored(write: bool) -> list[Any]:
        found = answers(model, prompter, rows, batch_size=arguments.batch_size, write=write)
        return sorted(found, key=lambda answer: answer.row)

    ways = {
        "labels' probabilities": lambda: scored(False),
        "the same, and what it writes": lambda: scored(True),
        "generate": lambda: generated(model, prompter, rows, arguments.batch_size),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for _ in range(arguments.rounds):
        for name, do in ways.items():
            took, found[name] = timed(do)
            times[name].append(took)
    same = sum(a.written == b for a, b in zip(found["the same, and what it writes"], found["generate"], strict=True))
    slowest = median(times["generate"])
    ours, theirs = tokens_read(rows, prompter, arguments.batch_size)
    print(
        f"{arguments.dataset}: {ours} tokens are read for the labels, {theirs} by generate: {theirs / ours:.2f} times"
    )
    print(
        f"{len(rows)} prompts in batches of {arguments.batch_size}; {same} of {len(rows)} written texts are the same"
    )
    for name, seconds in times.items():
        print(f"{name}: {median(seconds):.1f} s, {slowest / median(seconds):.2f} times as fast as generate")


if __name__ == "__main__":
    main()
