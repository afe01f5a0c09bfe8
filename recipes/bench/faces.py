# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""Faces: identification and verification where some people's pictures are protected, or all.

    python recipes/bench/faces.py
    python recipes/bench/faces.py --methods clean error-min texture --seeds 0 --networks small_cnn
    python recipes/bench/faces.py --networks pretrained --model models/lite0-128

The ORL faces: 40 people, ten pictures each. A network learns to name 30 of them, of whom it sees seven pictures each;
the ten others are for verification. "partly": 10 of the 30 are protected; "fully": all 30 are. A cell holds, of one
training, the share of right names on three further pictures of the protected people and of the others. Verification is
by the cosine of features, with the equal error rate: of pairs of unseen people ("strangers"), and of pairs of a
picture of a protected person as it was published and a further one ("enrolled").

`small_cnn` is trained from nothing on 32 pixels, with its settings elsewhere but for 40 epochs, since 210 pictures are
few. `pretrained` is a linear probe of a model that stays as it is (the folder of `recipes/efficientnet_lite0.py`), on
pictures of full size. Nothing was tuned. The seed draws who is protected and who is unseen, for every method alike.

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

from hf_unlearnable.adversary import Rows
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.verification import face_pairs, likeness, verification
from hf_unlearnable.image.learning.features import headless
from hf_unlearnable.image.learning.surrogate import image_classifier, model_size
from hf_unlearnable.image.victims.features import features
from hf_unlearnable.image.victims.networks import small_cnn_of
from hf_unlearnable.image.victims.pretrained import probed
from hf_unlearnable.image.victims.training import rgb
from hf_unlearnable.registry import method_class

COLUMNS = ("image", "label")
NETWORKS = ("small_cnn", "pretrained")
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


def seen(rows: Dataset, network: str) -> Dataset:
    """The faces in RGB, for the small CNN at 32 pixels a side, so that what is protected is what is trained on."""

    def one(row: dict[str, Any]) -> dict[str, Any]:
        face = row["image"].convert("RGB")
        return {"image": face.resize((SIZE, SIZE)) if network == "small_cnn" else face}

    return rows.map(one)


def enrolled_pairs(enrolled: np.ndarray, new: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of an enrolled and a new picture of one person, and as many drawn ones of two people.

    Args:
        enrolled, new: Who is in each picture, [n] and [m].
        seed: Of the draw.

    Returns:
        Places of the two pictures, the new ones after the enrolled ones, int [pairs, 2], and whether they show one
        person, bool [pairs].
    """
    same = enrolled[:, None] == new
    one, two = np.argwhere(same), np.argwhere(~same)
    drawn = two[np.sort(np.random.default_rng(seed).choice(len(two), min(len(one), len(two)), replace=False))]
    pairs = np.concatenate([one, drawn]) + np.array([0, len(enrolled)])
    return pairs, np.arange(len(pairs)) < len(one)


def from_nothing(rows: Rows, others: list[Rows], seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Names that a small CNN gives the first of the others, and features of all of the others.

    Args:
        rows: To train on.
        others: Further pictures.
        seed: Of the training.
    """
    model, found = small_cnn_of(rows, others, seed, epochs=EPOCHS, batch_size=BATCH)
    with torch.inference_mode():
        names = np.unique(rows.labels)[model(found[0][0]).argmax(1).numpy()]
        return names, [headless(model)(images).numpy() for images, _ in found]


def probe(rows: Rows, others: list[Rows], name: str, cache: Path | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same of a linear probe of a pretrained model.

    Args:
        rows, others: As in `from_nothing`.
        name: Folder of the model.
        cache: Where its features are kept.
    """
    people, targets = np.unique(rows.labels, return_inverse=True)
    model, size = image_classifier(name, len(people)), model_size(name)
    levels = [rgb(one.inputs, size) for one in (rows, *others)]
    names = people[probed(model, levels[0], targets, levels[1], 0.1, cache)]
    return names, [features(model, part, cache) for part in levels[1:]]


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

    def cell(self, name: str, setting: str, model: str | None, cache: Path | None) -> dict[str, Any]:
        """What one network learned.

        Args:
            name, setting: As in `protected`.
            model: Folder of the pretrained model; None for the small CNN.
            cache: Where its features are kept.
        """
        start = time.process_time()
        rows = self.protected(name, setting)
        protecting = time.process_time() - start
        people = self.some if setting == "partly" else self.named
        published, new = rows_of(self.of(rows, people), COLUMNS), rows_of(self.of(self.test, people), COLUMNS)
        tests, everyone = rows_of(self.test, COLUMNS), rows_of(rows, COLUMNS)
        others = [tests, self.strangers, published, new]
        names, (_, strangers, *enrolled) = (
            from_nothing(everyone, others, self.seed) if model is None else probe(everyone, others, model, cache)
        )
        pairs, same = face_pairs(self.strangers.labels, self.seed)
        found = verification(likeness(strangers, pairs), same)
        both = enrolled_pairs(np.array(published.labels), np.array(new.labels), self.seed)
        known = verification(likeness(np.concatenate(enrolled), both[0]), both[1])
        right, among = names == tests.labels, np.isin(tests.labels, people)
        return {
            "protected": round(float(right[among].mean()), 4),
            "others": round(float(right[~among].mean()), 4) if (~among).any() else None,
            "equal_error": round(found.equal_error, 4), "area": round(found.area, 4), "pairs": len(same),
            "roc": [round(float(np.interp(x, found.false_matches, found.matches)), 4) for x in (0.01, 0.05, 0.1, 0.2)],
            "enrolled_error": round(known.equal_error, 4), "enrolled_pairs": len(both[0]),
            "seconds": [round(protecting, 1), round(time.process_time() - start - protecting, 1)],
        }  # fmt: skip


def planned(networks: list[str], methods: list[str], seeds: list[int]) -> list[dict[str, Any]]:
    """The cells of a grid, the first seed first; clean pictures are the same in both settings."""
    return [
        {"network": network, "method": name, "setting": setting, "seed": seed,
         "method_version": method_class(METHODS[name]["method"]).method_version if METHODS[name] else None}
        for seed in seeds
        for network in networks
        for setting in ("partly", "fully")
        for name in methods
    ]  # fmt: skip


def main() -> None:
    """Runs the cells that are missing."""
    arguments = parsed()
    torch.set_num_threads(1)
    disable_progress_bars()
    splits = [split_of(arguments.data, "orl_faces", split) for split in ("train", "test")]
    pictures = {network: [seen(split, network) for split in splits] for network in arguments.networks}
    grid = planned(arguments.networks, arguments.methods, arguments.seeds)

    def there(cell: dict) -> bool:
        return any({key: line.get(key) for key in cell} == cell for line in lines_of(arguments.output))

    for cell in grid:
        if not there(cell):
            study = Study(*pictures[cell["network"]], seed=cell["seed"])
            model = arguments.model if cell["network"] == "pretrained" else None
            line = {**cell, **study.cell(cell["method"], cell["setting"], model, arguments.cache)}
            line |= {"model": Path(model).name} if model else {}
            print(json.dumps(line), flush=True)
            with arguments.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    print(f"faces: {sum(map(there, grid))} of {len(grid)} cells are in {arguments.output}.")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--networks", nargs="+", default=["small_cnn"], choices=NETWORKS)
    parser.add_argument("--model", help="folder of the pretrained model")
    parser.add_argument("--cache", type=Path, help="folder where its features are kept")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("faces.jsonl"))
    arguments = parser.parse_args()
    if "pretrained" in arguments.networks and not arguments.model:
        parser.error("--networks pretrained needs --model, the folder of a pretrained model")
    return arguments


if __name__ == "__main__":
    main()
