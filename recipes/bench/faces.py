# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""Faces: identification and verification where some people's pictures are protected, or all.

    python recipes/bench/faces.py
    python recipes/bench/faces.py --methods clean error-min texture --seeds 0

The ORL faces at 32 pixels: 40 people, ten pictures each. A small CNN learns to name 30 of them, of whom it sees seven
pictures each; the ten others are for verification. "partly": 10 of the 30 are protected; "fully": all 30 are. A cell
holds, of one training, the share of right names on three further pictures of the protected people and of the others,
and the equal error rate and the area under the ROC curve of the pairs of unseen people, by the cosine of features.
Which people are protected and which are unseen is drawn by the seed, the same ones for every method. Settings are
those of the small CNN elsewhere, but for 40 epochs, since 210 pictures are few; they were not tuned.

Every cell is a line of the output; one that stands there with the method's version of today is not run again. The last
line says how much of the grid there is.
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
from datasets import Dataset, concatenate_datasets, disable_progress_bars
from protection import lines_of, split_of

from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.verification import face_pairs, likeness, verification
from hf_unlearnable.image.learning.features import headless
from hf_unlearnable.image.victims.networks import small_cnn_of
from hf_unlearnable.registry import method_class

COLUMNS = ("image", "label")
SIZE, EPOCHS, BATCH, NAMED, PROTECTED = 32, 40, 32, 30, 10
METHODS: dict[str, dict[str, Any]] = {
    "clean": {}, "error-min": {"method": "error-min"}, "texture": {"method": "texture"},
    "random-noise": {"method": "random-noise"}, "error-min, class-wise": {"method": "error-min", "noise": "class"},
    **{name: {"method": name} for name in (
        "linear-separable", "linearization", "convolution", "one-pixel", "error-max", "stable-error-min",
        "provable-error-min", "bayes-error", "error-min-one-pixel", "augmented-error-min", "augmented-error-max",
        "denoising-error",
    )},
}  # fmt: skip


def small(rows: Dataset) -> Dataset:
    """The faces in RGB at 32 pixels a side, so that what is protected is what is trained on."""
    return rows.map(lambda row: {"image": row["image"].convert("RGB").resize((SIZE, SIZE))})


class Study:
    """The pictures of one draw of people.

    Args:
        train, test: Seven and three pictures of each person.
        seed: Draws who is unseen and who is protected.
    """

    def __init__(self, train: Dataset, test: Dataset, seed: int):
        people = np.random.default_rng(seed).permutation(np.unique(train["label"][:]))
        self.named, self.unseen, self.seed = people[:NAMED], people[NAMED:], seed
        self.some = people[:PROTECTED]
        self.train, self.test = (self.of(part, self.named) for part in (train, test))
        strangers = concatenate_datasets([self.of(part, self.unseen) for part in (train, test)])
        self.strangers = rows_of(strangers, COLUMNS)

    @staticmethod
    def of(rows: Dataset, people: np.ndarray) -> Dataset:
        """The pictures of these people."""
        return rows.select(np.flatnonzero(np.isin(rows["label"][:], people)))

    def protected(self, name: str, setting: str) -> Dataset:
        """The pictures to train on.

        Args:
            name: Of the method.
            setting: "partly" or "fully".
        """
        options = dict(METHODS[name])
        if not options:
            return self.train
        if setting == "partly":
            options["classes"] = sorted(self.some.tolist())
        cloak = method_class(options.pop("method"))(**options, seed=2026 + self.seed).fit(self.train)
        return self.train.map(cloak, batched=True, load_from_cache_file=False)

    def cell(self, name: str, setting: str) -> dict[str, Any]:
        """What one network learned."""
        start = time.process_time()
        rows = self.protected(name, setting)
        protecting = time.process_time() - start
        model, (test, strangers) = small_cnn_of(
            rows_of(rows, COLUMNS), [rows_of(self.test, COLUMNS), self.strangers], self.seed, epochs=EPOCHS,
            batch_size=BATCH,
        )  # fmt: skip
        with torch.inference_mode():
            right = (model(test[0]).argmax(1) == test[1]).numpy()
            features = headless(model)(strangers[0]).numpy()
        pairs, same = face_pairs(self.strangers.labels, self.seed)
        found = verification(likeness(features, pairs), same)
        among = np.isin(self.test["label"][:], self.some if setting == "partly" else self.named)
        return {
            "protected": round(float(right[among].mean()), 4),
            "others": round(float(right[~among].mean()), 4) if (~among).any() else None,
            "equal_error": round(found.equal_error, 4), "area": round(found.area, 4), "pairs": len(same),
            "roc": [round(float(np.interp(x, found.false_matches, found.matches)), 4) for x in (0.01, 0.05, 0.1, 0.2)],
            "seconds": [round(protecting, 1), round(time.process_time() - start - protecting, 1)],
        }  # fmt: skip


def planned(methods: list[str], seeds: list[int]) -> list[dict[str, Any]]:
    """The cells of a grid, the first seed first; clean pictures are the same in both settings."""
    return [
        {"method": name, "setting": setting, "seed": seed,
         "method_version": method_class(METHODS[name]["method"]).method_version if METHODS[name] else None}
        for seed in seeds
        for setting in ("partly", "fully")
        for name in methods
    ]  # fmt: skip


def main() -> None:
    """Runs the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("faces.jsonl"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    train, test = (small(split_of(arguments.data, "orl_faces", split)) for split in ("train", "test"))
    studies = {seed: Study(train, test, seed) for seed in arguments.seeds}
    grid = planned(arguments.methods, arguments.seeds)

    def there(cell: dict) -> bool:
        return any({key: line.get(key) for key in cell} == cell for line in lines_of(arguments.output))

    for cell in grid:
        if not there(cell):
            line = {**cell, **studies[cell["seed"]].cell(cell["method"], cell["setting"])}
            print(json.dumps(line), flush=True)
            with arguments.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    print(f"faces: {sum(map(there, grid))} of {len(grid)} cells are in {arguments.output}.")


if __name__ == "__main__":
    main()
