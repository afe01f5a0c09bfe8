# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""Supervised and contrastive learners on protected images: what each learns, and the worst of them.

    python recipes/bench/contrastive.py --seeds 0

Images of CIFAR-10 (from JPEG), epsilon 8/255, one key per seed, the last epoch counts. The supervised victim is the
small CNN of `protection.py` (12 epochs); the contrastive ones train the same network for `--epochs` epochs on views of
the protected images, and a linear probe on their features with the labels. Settings were chosen on 2,000 other
training rows, and tested on 1,000 more of them, not on the test.

Every cell is a line of the output. A cell that stands there with the method's version of today is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import disable_progress_bars
from protection import lines_of, sample, split_of

from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.image.victims import IMAGE_VICTIMS
from hf_unlearnable.registry import method_class

COLUMNS = ("image", "label")
METHODS: dict[str, dict[str, Any] | None] = {
    "clean": None, "error-min": {"method": "error-min"}, "augmented-error-min (AUE)": {"method": "augmented-error-min"},
    "augmented-error-max, targeted (AAP)": {"method": "augmented-error-max"},
    "augmented-error-max, untargeted": {"method": "augmented-error-max", "targeted": False},
}  # fmt: skip
VICTIMS = ("small_cnn", "simclr_probe", "moco_probe", "simsiam_probe", "supcon_probe")


def main() -> None:
    """Runs the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--test-rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=6, help="of the contrastive victims")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=list(VICTIMS))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("contrastive.jsonl"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    train, test = (split_of(arguments.data, "cifar10_jpeg", split) for split in ("train", "test"))
    published, asked = sample(train, arguments.rows), rows_of(sample(test, arguments.test_rows), COLUMNS)
    for seed in arguments.seeds:
        for name in arguments.methods:
            rows, cost = None, {}
            for victim in arguments.victims:
                options = dict(METHODS[name] or {})
                version = options and method_class(options["method"]).method_version
                cell = {"method": name, "victim": victim, "seed": seed, "rows": arguments.rows,
                        "epochs": IMAGE_VICTIMS[victim].training.epochs if victim == "small_cnn" else arguments.epochs,
                        "method_version": version or None}  # fmt: skip
                if any({key: line.get(key) for key in cell} == cell for line in lines_of(arguments.output)):
                    continue
                start = time.process_time()
                if rows is None and options:
                    cloak = method_class(options.pop("method"))(**options, seed=2026 + seed).fit(published)
                    rows = rows_of(published.map(cloak, batched=True, load_from_cache_file=False), COLUMNS)
                    cost = {"passes": round(cloak.image_passes / arguments.rows, 1),
                            "noise_seconds": round(time.process_time() - start, 1)}  # fmt: skip
                elif rows is None:
                    rows = rows_of(published, COLUMNS)
                start = time.process_time()
                found = IMAGE_VICTIMS[victim](
                    rows.inputs, rows.labels, asked.inputs, seed=seed, epochs=cell["epochs"]
                )  # fmt: skip
                line = {**cell, "accuracy": float(np.mean(found == np.array(asked.labels))), **cost,
                        "seconds": round(time.process_time() - start, 1)}  # fmt: skip
                print(json.dumps(line), flush=True)
                with arguments.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
