# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
r"""How well the Unlearnable Distance tells the test accuracy: methods x countermeasures, one training each.

    python recipes/bench/distance.py
    python recipes/bench/distance.py --epochs 48 --passes --countermeasures none --methods clean "texture, 16/255" \
        "error-min, 16/255"

500 images of five classes of CIFAR-10 (from JPEG), the small CNN (12 epochs or 48, batches of 32), one key and seed,
the last epoch counts; 1,000 clean test images. SAL is measured after each third of the epochs on 64 of the rows that
the network was trained on, as the countermeasure left them. Every cell is a line of the output, with the SAL of each
layer at each look; a cell that stands there with the method's version of today is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from drawn import sample
from protection import lines_of, split_of

from hf_unlearnable import sharpness_aware_learnability
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.audit.certificate import accuracy_of
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES
from hf_unlearnable.image.victims.networks import small_cnn_of
from hf_unlearnable.registry import method_class

COLUMNS = ("image", "label")
CLASSES = (5, 6, 7, 8, 9)
ROWS, TEST_ROWS, LOOKED_AT, LOOKS = 500, 1000, 64, 3
BOUNDED = ("texture", "linear-separable", "error-min", "linearization", "error-max", "random-noise")
LEARNED = ("error-min-one-pixel", "stable-error-min", "provable-error-min", "bayes-error")
METHODS: dict[str, dict[str, Any]] = {
    "clean": {}, "one-pixel": {"method": "one-pixel"}, "convolution": {"method": "convolution"},
    **{f"{name}, 16/255": {"method": name, "epsilon": 16 / 255} for name in BOUNDED},
    **{f"{name}, 8/255": {"method": name} for name in BOUNDED},
    **{f"{name}, 16/255": {"method": name, "epsilon": 16 / 255} for name in LEARNED},
    "error-min, class-wise, 16/255": {"method": "error-min", "noise": "class", "epsilon": 16 / 255},
}  # fmt: skip
COUNTERMEASURES = ("none", "jpeg-10", "grayscale", "cutmix")


class Study:
    """The rows, and the rows of each method.

    Args:
        folder: Holds `cifar10_jpeg/train.parquet` and `test.parquet`.
    """

    def __init__(self, folder: str):
        train, test = (split_of(folder, "cifar10_jpeg", split) for split in ("train", "test"))
        train, test = (rows.select(np.flatnonzero(np.isin(rows["label"][:], CLASSES))) for rows in (train, test))
        self.published: Dataset = sample(train, ROWS)
        self.test = rows_of(sample(test, TEST_ROWS), COLUMNS)

    @cache  # noqa: B019 (one study a run)
    def protected(self, name: str) -> Rows:
        """The published rows, protected."""
        options = dict(METHODS[name])
        if not options:
            return rows_of(self.published, COLUMNS)
        cloak = method_class(options.pop("method"))(**options, seed=2026).fit(self.published)
        return rows_of(self.published.map(cloak, batched=True, load_from_cache_file=False), COLUMNS)

    def cell(self, name: str, countermeasure: str, epochs: int, passes: bool) -> dict[str, Any]:
        """The accuracy of a network on clean test rows, and the SAL of its layers while it trained.

        Args:
            name: Of the method.
            countermeasure: By name.
            epochs: Of the training.
            passes: Whether to measure SAL as published too, by passes of small batches.
        """
        rows, in_training = self.protected(name), None
        if countermeasure != "none":
            against = IMAGE_COUNTERMEASURES[countermeasure]
            rows = against.on_rows(rows, Attacker()) if against.on_rows else rows
            in_training = against.in_training
        places = np.random.default_rng(0).permutation(len(rows))[:LOOKED_AT]
        some = Rows([rows.inputs[i] for i in places], [rows.labels[i] for i in places])
        networks: list[Any] = []
        start = time.process_time()
        model, (tested, looked_at) = small_cnn_of(
            rows, [self.test, some], 0, lambda network: networks.append(deepcopy(network)), epochs=epochs,
            batch_size=32, in_training=in_training,
        )  # fmt: skip
        accuracy, trained = accuracy_of(model, *tested), time.process_time() - start
        looks = networks[epochs // LOOKS - 1 :: epochs // LOOKS]
        sal = [sharpness_aware_learnability(one, looked_at) for one in looks]
        looking = time.process_time() - start - trained
        published = [sharpness_aware_learnability(one, looked_at, batch_size=8) for one in looks if passes]
        return {"accuracy": accuracy, "training_accuracy": accuracy_of(model, *looked_at), "sal": sal,
                **({"sal_by_passes": published} if passes else {}),
                "seconds": [round(trained, 1), round(looking, 1)]}  # fmt: skip


def main() -> None:
    """Runs the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("distance.jsonl"))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--countermeasures", nargs="+", default=COUNTERMEASURES)
    parser.add_argument("--epochs", type=int, default=12, help="a multiple of 3")
    parser.add_argument("--passes", action="store_true", help="measure SAL as published too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    study = Study(arguments.data)
    for countermeasure in arguments.countermeasures:
        for name in arguments.methods:
            options = METHODS[name]
            version = method_class(options["method"]).method_version if options else None
            cell = {"method": name, "method_version": version, "countermeasure": countermeasure,
                    "epochs": arguments.epochs}  # fmt: skip
            if any({key: line.get(key) for key in cell} == cell for line in lines_of(arguments.output)):
                continue
            line = {**cell, **study.cell(name, countermeasure, arguments.epochs, arguments.passes)}
            print(json.dumps(line), flush=True)
            with arguments.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
