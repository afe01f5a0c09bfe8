# /// script
# dependencies = ["hf-unlearnable[attack]", "pyyaml"]
# ///
"""What RegText leaves of three real text data sets: the table in the README.

    python recipes/bench/text_protection.py --config recipes/configs/text_protection.yaml
    python recipes/bench/text_protection.py --config recipes/configs/text_protection.yaml --only sst2

Words are learned from the whole training split and put into all of it; victims train on a sample of it, as large as
two cores bear, and are tested on a sample of clean test rows. Every finished cell is a line in `<output>`; a run that
was stopped goes on where it was. The parts of the configuration: `datasets` (file, rows, settings of each victim),
`versions` (arguments of RegTextTransform) and `seeds`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml
from datasets import Dataset, disable_progress_bars, load_dataset

from hf_unlearnable import RegTextTransform
from hf_unlearnable.attack.audit import Cell, audit
from hf_unlearnable.attack.statistics import Interval
from hf_unlearnable.attack.victims import TEXT_VICTIMS
from hf_unlearnable.report import library_versions, markdown_table

logger = logging.getLogger("text_protection")


def sample(rows: Dataset, count: int, max_words: int | None = None) -> Dataset:
    """`count` rows, always the same ones, in their order; of those with at most `max_words` words."""
    if max_words:
        rows = rows.select([i for i, text in enumerate(rows["text"]) if text.count(" ") < max_words])
    if count >= len(rows):
        return rows
    return rows.select(sorted(np.random.default_rng(0).choice(len(rows), count, replace=False).tolist()))


def versions_of(train: Dataset, rows: Dataset, versions: dict) -> dict:
    """The sample of each version. The words are learned from all rows, and every seed has a key of its own."""
    made: dict[str, Dataset | Callable[[int], Dataset]] = {}
    for name, parameters in versions.items():
        if parameters == "clean":
            made[name] = rows
        elif parameters == "dropped":
            made[name] = train.select([])
        else:
            made[name] = lambda seed, parameters=parameters: rows.map(
                RegTextTransform(**parameters, seed=2026 + seed).fit(train), batched=True
            )
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
    parser.add_argument("--victims", nargs="+", help="victims to run")
    parser.add_argument("--output", default="text_protection.jsonl")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    disable_progress_bars()
    config = yaml.safe_load(Path(arguments.config).read_text(encoding="utf-8"))
    output = Path(arguments.output)
    lines = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []

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
            versions = {k: v for k, v in config["versions"].items() if not done(lines, name, k, victim)}
            if not versions:
                continue

            def keep(cell: Cell, name: str = name, protocol: dict = settings["victims"][victim]) -> None:
                line = {"data": name, **asdict(cell), "protocol": protocol, "versions": library_versions()}
                lines.append(line)
                with output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                logger.info("%s, %s, %s: %s (%.0f s)", name, cell.victim, cell.version, cell.accuracy, cell.seconds)

            audit(
                versions_of(train, sample(train, count, max_words), versions),
                sample(test, test_count, max_words),
                {
                    victim: lambda *rows, seed, run=TEXT_VICTIMS[victim], options=options: run(
                        *rows, seed=seed, **options
                    )
                },
                seeds=config["seeds"],
                on_cell=keep,
            )
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
