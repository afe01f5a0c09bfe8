# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""Does a protection of one label keep a model from other tasks on the same images?

    python recipes/bench/tasks.py

"digits": scikit-learn's digits, 0 to 4, each placed on a photo of CIFAR-10 (from JPEG, five classes); the digit is
protected, epsilon 16/255. The tasks are the digit, the class of the photo, the place (two numbers), the mask of the
digit, and the image itself. "flowers": photos of six kinds at 32 pixels; the kind is protected. The tasks are the
kind, the mean colour (three numbers), a mask of the pixels that are more red than green, and the image
itself.

One network learns all tasks at once (`task_scores`). "several heads" is noise that is optimised for them at once: it
makes the sum of their losses small, as error-min does with one. Every cell is a line of the output; one that stands
there with the method's version of today is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from drawn import sample
from PIL import Image
from protection import lines_of, split_of

from hf_unlearnable.image.victims.tasks import KINDS, network, task_scores
from hf_unlearnable.registry import method_class

TASKS = {
    "digits": {"label": "class", "photo": "class", "place": "number", "mask": "mask", "image": "reconstruction"},
    "flowers": {"label": "class", "colour": "number", "mask": "mask", "image": "reconstruction"},
}
ROWS, TEST_ROWS, SIZE, EPSILON = 600, 400, 32, 16 / 255
METHODS: dict[str, dict[str, Any]] = {
    "clean": {}, "texture": {"method": "texture", "epsilon": EPSILON}, "one-pixel": {"method": "one-pixel"},
    "linear-separable": {"method": "linear-separable", "epsilon": EPSILON},
    "error-min": {"method": "error-min", "epsilon": EPSILON}, "several heads": {"rounds": 8, "num_steps": 10},
    "random-noise": {"method": "random-noise", "epsilon": EPSILON},
}  # fmt: skip


def digits(folder: str, split: str, count: int) -> Dataset:
    """Digits on photos, with the tasks as columns.

    Args:
        folder: Holds `cifar10_jpeg`.
        split: "train" or "test": other digits and other photos.
        count: Rows.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    of_split = (np.arange(len(found.images)) % 3 == 0) == (split == "test")
    shapes, names = (part[of_split & (found.target < 5)] for part in (found.images, found.target))
    photos = split_of(folder, "cifar10_jpeg", split)
    photos = sample(photos.select(np.flatnonzero(np.array(photos["label"][:]) >= 5)), count)
    random = np.random.default_rng(["train", "test"].index(split))
    rows = []
    for photo in photos:
        chosen = int(random.integers(len(shapes)))
        ink = np.kron(shapes[chosen] / 16, np.ones((2, 2)))  # 8 x 8 to 16 x 16
        top, left = random.integers(0, SIZE - 16 + 1, 2).tolist()
        spread = np.zeros((SIZE, SIZE))
        spread[top : top + 16, left : left + 16] = ink
        levels = np.asarray(photo["image"].convert("RGB")) * (1 - spread[..., None]) + 255 * spread[..., None]
        rows.append({
            "image": Image.fromarray(np.rint(levels).astype(np.uint8)), "label": int(names[chosen]),
            "photo": photo["label"], "place": [top / SIZE, left / SIZE], "mask": (spread > 0.5).astype(np.uint8),
        })  # fmt: skip
    return Dataset.from_list(rows)


def flowers(folder: str, split: str, count: int) -> Dataset:
    """Photos of flowers of six kinds, with the tasks as columns; arguments as of `digits`."""
    photos = split_of(folder, "flowers", split)
    photos = sample(photos.select(np.flatnonzero(np.array(photos["label"][:]) < 6)), count)
    rows = []
    for photo in photos:
        levels = np.asarray(photo["image"].convert("RGB").resize((SIZE, SIZE)))
        red, green, _ = levels.astype(int).transpose(2, 0, 1)
        rows.append({
            "image": Image.fromarray(levels), "label": photo["label"], "colour": (levels.mean((0, 1)) / 255).tolist(),
            "mask": (red > green + 10).astype(np.uint8),
        })  # fmt: skip
    return Dataset.from_list(rows)


DATA: dict[str, Callable[[str, str, int], Dataset]] = {"digits": digits, "flowers": flowers}


def several_heads(rows: Dataset, tasks: dict[str, str], rounds: int, num_steps: int, seed: int) -> Dataset:
    """Sample-wise noise that makes all tasks easy at once: error-min with the sum of the losses of several heads.

    Args:
        rows: To protect.
        tasks: Kind by column, see `task_scores`. The image's own reconstruction aims at the clean image.
        rounds: An epoch of the surrogate, then `num_steps` signed steps of a tenth of the bound on all images.
        num_steps: Per round.
        seed: Of the surrogate and of the order of its batches.

    Returns:
        The rows with noise within `EPSILON`.
    """
    torch.manual_seed(seed)
    pictures = [*rows["image"]]
    learned = {name: KINDS[kind](name, rows[name], pictures, SIZE) for name, kind in tasks.items()}
    targets = {name: task.targets(rows[name], pictures) for name, task in learned.items()}
    clean = torch.from_numpy(np.stack([np.asarray(one) for one in pictures])).permute(0, 3, 1, 2).float() / 255
    noise = torch.zeros_like(clean)
    model = network({name: task.head(SIZE) for name, task in learned.items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(places: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        scores = model(images)
        return torch.stack([task.loss(scores[name], targets[name][places]) for name, task in learned.items()]).sum()

    for _ in range(rounds):
        model.train()
        for places in torch.randperm(len(clean)).split(32):
            optimizer.zero_grad()
            loss(places, clean[places] + noise[places]).backward()
            optimizer.step()
        model.eval()
        for places in torch.arange(len(clean)).split(100):
            for _ in range(num_steps):
                moved = (clean[places] + noise[places]).requires_grad_(True)
                (gradient,) = torch.autograd.grad(loss(places, moved), moved)
                step = (noise[places] - EPSILON / 10 * gradient.sign()).clamp(-EPSILON, EPSILON)
                noise[places] = (clean[places] + step).clamp(0, 1) - clean[places]
    levels = ((clean + noise) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return Dataset.from_list([{**row, "image": Image.fromarray(one)} for row, one in zip(rows, levels, strict=True)])


class Study:
    """The rows of each dataset, clean and protected."""

    def __init__(self, folder: str):
        self.folder = folder

    @cache  # noqa: B019 (one study a run)
    def rows(self, data: str, split: str) -> Dataset:
        """Clean rows."""
        return DATA[data](self.folder, split, ROWS if split == "train" else TEST_ROWS)

    def protected(self, data: str, name: str, seed: int) -> Dataset:
        """The training rows, protected with a key of that seed."""
        options, rows = dict(METHODS[name]), self.rows(data, "train")
        if name == "several heads":
            return several_heads(rows, TASKS[data], seed=2026 + seed, **options)
        if not options:
            return rows
        cloak = method_class(options.pop("method"))(**options, seed=2026 + seed).fit(rows)
        return rows.map(cloak, batched=True, load_from_cache_file=False)

    def cell(self, data: str, name: str, seed: int) -> dict[str, Any]:
        """What one network learns of each task."""
        found = task_scores(self.protected(data, name, seed), self.rows(data, "test"), TASKS[data], seed=seed)
        return {"scores": {column: asdict(score) for column, score in found.items()}}


def main() -> None:
    """Runs the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(DATA), help="datasets")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("tasks.jsonl"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    study = Study(arguments.data)
    for seed in arguments.seeds:
        for data in arguments.only:
            for name, options in METHODS.items():
                version = method_class(options["method"]).method_version if "method" in options else None
                cell = {"data": data, "method": name, "method_version": version, "seed": seed}
                if any({key: line.get(key) for key in cell} == cell for line in lines_of(arguments.output)):
                    continue
                start = time.process_time()
                line = {**cell, **study.cell(data, name, seed), "seconds": round(time.process_time() - start, 1)}
                print(json.dumps(line), flush=True)
                with arguments.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
