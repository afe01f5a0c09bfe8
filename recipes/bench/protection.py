# /// script
# dependencies = ["hf-unlearnable[attack,image]", "pyyaml"]
# ///
"""What a protection leaves of real data sets: the result tables in the README.

    python recipes/bench/protection.py --config recipes/configs/text_protection.yaml
    python recipes/bench/protection.py --config recipes/configs/image_protection.yaml --versions clean texture

Victims train on a sample of the training split, as large as two cores bear, and are tested on a sample of clean test
rows. Every finished cell is a line in `<output>`; a run that was stopped goes on where it was. The parts of the
configuration: `input_column`, `fit_on` (whether a method learns from the whole split or from the sample), `versions`
(a method with its parameters, and `paper: true` for the paper's), `datasets` (settings of each victim) and `seeds`,
one training each with a key of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from datasets import Dataset, disable_progress_bars, load_dataset

from hf_unlearnable.attack.audit import Cell, audit
from hf_unlearnable.attack.statistics import Interval
from hf_unlearnable.attack.victims import IMAGE_VICTIMS, TEXT_VICTIMS
from hf_unlearnable.registry import method_class
from hf_unlearnable.report import library_versions, markdown_table

logger = logging.getLogger("protection")


def sample(rows: Dataset, count: int, max_words: int | None = None) -> Dataset:
    """`count` rows, always the same ones, in their order; of texts those with at most `max_words` words."""
    if max_words:
        rows = rows.select([i for i, text in enumerate(rows["text"]) if text.count(" ") < max_words])
    if count >= len(rows):
        return rows
    return rows.select(sorted(np.random.default_rng(0).choice(len(rows), count, replace=False).tolist()))


def protected(rows: Dataset, learned_from: Dataset, parameters: dict, seed: int, cost: list) -> Dataset:
    """The rows under a key of their own; `cost` takes what that took."""
    options = dict(parameters)
    cls: Any = method_class(options.pop("method"))
    make = cls.paper if options.pop("paper", False) else cls
    start = time.perf_counter()
    cloak = make(**options, seed=2026 + seed).fit(learned_from)
    made = rows.map(cloak, batched=True)
    passes = getattr(cloak, "image_passes", 0)
    cost.append({"seconds": round(time.perf_counter() - start, 1), "passes_an_image": round(passes / len(rows), 1)})
    return made


def main() -> None:
    """Runs the cells that are missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument(
        "--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"), help="folder of files"
    )
    parser.add_argument("--encoder", help="folder or Hub id of the pretrained encoder, instead of the configured one")
    parser.add_argument("--only", nargs="+", help="data sets to run")
    parser.add_argument("--versions", nargs="+", help="versions to run")
    parser.add_argument("--victims", nargs="+", help="victims to run")
    parser.add_argument("--output", help="default: the name of the configuration, .jsonl, here")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    disable_progress_bars()
    config = yaml.safe_load(Path(arguments.config).read_text(encoding="utf-8"))
    output = Path(arguments.output or Path(arguments.config).with_suffix(".jsonl").name)
    lines = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    wanted = {k: v for k, v in config["versions"].items() if not arguments.versions or k in arguments.versions}

    for name, settings in config["datasets"].items():
        if arguments.only and name not in arguments.only:
            continue
        train, test = (
            load_dataset("parquet", data_files=str(Path(arguments.data, name, f"{split}.parquet")), split="train")
            for split in ("train", "test")
        )
        for victim, options in settings["victims"].items():
            if arguments.victims and victim not in arguments.victims:
                continue
            options = dict(options)
            count, test_count = options.pop("rows"), options.pop("test_rows")
            max_words = options.pop("max_words", None)
            if victim == "finetuned_encoder" and arguments.encoder:
                options["model"] = arguments.encoder
            rows = sample(train, count, max_words)
            for version, parameters in wanted.items():
                if done(lines, name, version, victim):
                    continue
                cost: list[dict] = []
                made: Dataset | Callable[[int], Dataset] = {"clean": rows, "dropped": rows.select([])}.get(
                    str(parameters),
                    lambda seed, parameters=parameters, cost=cost, rows=rows, train=train: protected(
                        rows, rows if config.get("fit_on") == "sample" else train, parameters, seed, cost
                    ),
                )
                run = {**TEXT_VICTIMS, **IMAGE_VICTIMS}[victim]
                (cell,) = audit(
                    {version: made},
                    sample(test, test_count, max_words),
                    {victim: lambda *data, seed, run=run, options=options: run(*data, seed=seed, **options)},
                    seeds=config["seeds"],
                    input_column=config.get("input_column", "text"),
                )
                line = {
                    "data": name, **asdict(cell), "cost": cost, "protocol": settings["victims"][victim],
                    "versions": library_versions(),
                }  # fmt: skip
                lines.append(line)
                with output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                logger.info("%s, %s, %s: %s (%.0f s)", name, victim, version, cell.accuracy, cell.seconds)
    for name in config["datasets"]:
        cells = [
            Cell(x["version"], x["victim"], Interval(**x["accuracy"]), x["by_seed"], x["train_rows"], x["seconds"])
            for version in config["versions"]
            for x in lines
            if x["data"] == name and x["version"] == version
        ]
        if cells:
            print(f"\n{name}\n\n{markdown_table(cells)}")


def done(lines: list[dict], data: str, version: str, victim: str) -> bool:
    """Whether this cell stands in the output already."""
    return any((x["data"], x["version"], x["victim"]) == (data, version, victim) for x in lines)


if __name__ == "__main__":
    main()
