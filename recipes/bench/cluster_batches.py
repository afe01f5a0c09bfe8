# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""The batch size of unlearnable clusters in its published form, of docs/results/images.md.

    python recipes/efficientnet_lite0.py --size 96 --output models/lite0-96
    python recipes/bench/cluster_batches.py --model models/lite0-96

A generator per cluster trains on all images, `EPOCHS` times each. The surrogate is frozen, so a large batch is summed
over parts without a difference. The victim is a linear probe of that same surrogate. `moved` is the share of protected
training images that the surrogate finds nearer to the centre of the next cluster than to their own. Every cell is a
line of `cluster_batches.jsonl`; those that are there are not computed again. The script ends with the share that ran.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars, load_dataset

from hf_unlearnable._files import write_file
from hf_unlearnable.image.clusters import feature_model
from hf_unlearnable.image.methods.unlearnable_clusters import UnlearnableClustersTransform
from hf_unlearnable.registry import victims_of

ROWS, TEST_ROWS, EPOCHS, CLUSTERS = 240, 240, 5, 5
SIDES = {"pneumonia_mnist": 28, "cifar10_jpeg": 32, "flowers": 96}  # pixels
BATCHES = (8, 32, 128, 512)  # the last holds all images
OUTPUT = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"), type=Path)
    parser.add_argument("--model", required=True, help="folder of EfficientNet-Lite0 for images of 96 pixels")
    parser.add_argument("--only", nargs="+", default=list(SIDES), help="datasets to run")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--output", default=OUTPUT, type=Path, help="default: cluster_batches.jsonl beside this script"
    )
    arguments = parser.parse_args()
    disable_progress_bars()
    for seed, data, batch_size in product(arguments.seeds, arguments.only, (None, *BATCHES)):
        key = {"data": data, "batch_size": batch_size, "seed": seed}
        if any(key.items() <= one.items() for one in lines_of(arguments.output)):
            continue
        train, test = (rows_of(arguments.data, data, split) for split in ("train", "test"))
        began = time.process_time()
        images, told = protected(train, batch_size, seed, arguments.model)
        fit_cpu_s = round(time.process_time() - began)
        found = victims_of("image")["linear_probe"](
            images, np.array(train["label"]), levels(test), seed=seed, model=arguments.model
        )
        cell = {
            **key, "accuracy": round(float((found == np.array(test["label"])).mean()), 4), **told,
            "rows": len(train), "test_rows": len(test), "epochs": EPOCHS, "clusters": CLUSTERS, "fit_cpu_s": fit_cpu_s,
        }  # fmt: skip
        lines = [*lines_of(arguments.output), cell]
        write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in lines))
        print(cell, flush=True)
    whole = 3 * len(SIDES) * (len(BATCHES) + 1)
    print(f"{len(lines_of(arguments.output))} of {whole} cells are there.")


def rows_of(folder: Path, data: str, split: str) -> Dataset:
    """Rows drawn from a split, as images of the study's size."""
    every = load_dataset("parquet", data_files=str(folder / data / f"{split}.parquet"), split="train")
    count = min(len(every), ROWS if split == "train" else TEST_ROWS)
    chosen = every.select(np.sort(np.random.default_rng(0).permutation(len(every))[:count]))
    side = SIDES[data]
    return chosen.map(lambda row: {"image": row["image"].convert("RGB").resize((side, side))})


def levels(rows: Dataset) -> list[np.ndarray]:
    """The images as arrays."""
    return [np.asarray(image.convert("RGB")) for image in rows["image"]]


def protected(rows: Dataset, batch_size: int | None, seed: int, model: str) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The training images under noise of this batch size, None for clean ones, and how far it moved them."""
    if batch_size is None:
        return levels(rows), {}
    unlabelled = rows.remove_columns("label")
    cloak = UnlearnableClustersTransform.paper(
        seed=seed, cluster_model=model, batch_size=batch_size, num_epochs=EPOCHS, num_clusters=CLUSTERS
    ).fit(unlabelled)
    images = levels(unlabelled.map(cloak, batched=True, batch_size=64))
    centres = cloak.key.tensors["cluster_centres"]
    own, seen = (np.array([nearest(image, model, centres) for image in every]) for every in (levels(rows), images))
    return images, {"moved": round(float((seen == (own + 1) % CLUSTERS).mean()), 4)}


def nearest(image: np.ndarray, model: str, centres: np.ndarray) -> int:
    """The cluster whose centre is nearest to what the surrogate sees of an image."""
    return int(np.square(feature_model(model).features(image) - centres).sum(axis=1).argmin())


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
