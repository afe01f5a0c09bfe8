# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""Photos without labels: what protections by cluster leave to victims, of docs/results/images.md.

    python recipes/bench/clusters.py --models models --data ../shared/data --work work

`models` holds EfficientNet-Lite0 and Lite1 as `recipes/efficientnet_lite0.py` writes them (`efficientnet-lite0`,
`efficientnet-lite1`). No protection reads a label. Victims train with the kinds of flowers as labels, and again with
the colours that these kinds have. Every cell is a line of `clusters.jsonl`; those that are there are not computed
again. Keys, protected images and features are kept in `work`, which is private. The script ends with the share that
ran.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars, load_dataset

from hf_unlearnable import load_transform
from hf_unlearnable._files import write_file
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.registry import countermeasures_of, method_class, victims_of

EPSILON = 16 / 255
LITE0 = "efficientnet-lite0"  # a folder of `models`
CLUSTERS = {"cluster_model": LITE0}
SHIFT = {**CLUSTERS, "backbones": LITE0, "surrogate": "none"}
VERSIONS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "clean": None,
    "unlearnable-clusters": ("unlearnable-clusters", CLUSTERS),
    "feature-shift by cluster": ("feature-shift", SHIFT),
    "feature-shift by cluster, half of the steps": ("feature-shift", {**SHIFT, "num_steps": 5}),
    "texture by cluster": ("texture", CLUSTERS),
    "linear-separable by cluster": ("linear-separable", CLUSTERS),
    "random noise": ("random-noise", {}),
}  # fmt: skip
VICTIMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "linear probe, Lite0": ("linear_probe", "efficientnet-lite0", {}),
    "linear probe, Lite1": ("linear_probe", "efficientnet-lite1", {}),
    "fine-tuned, Lite0": (
        "pretrained_image_model", "efficientnet-lite0", {"epochs": 3, "batch_size": 16, "learning_rate": 0.005},
    ),
    "small CNN": ("small_cnn", "", {"epochs": 30}),
}  # fmt: skip
JPEG = ", after JPEG 10"
VICTIMS |= {name + JPEG: VICTIMS[name] for name in ("linear probe, Lite0", "fine-tuned, Lite0")}
COLOURS = {
    "yellow": ("buttercup", "colts-foot", "dandelion", "sunflower"),
    "white": ("daisy", "lily-valley", "windflower"),
    "blue": ("bluebell", "iris", "pansy", "fritillary"),
    "orange": ("tigerlily",),
}
PROBE, TUNED, OTHER, SMALL = "linear probe, Lite0", "fine-tuned, Lite0", "linear probe, Lite1", "small CNN"
MAIN = ("clean", "feature-shift by cluster", "unlearnable-clusters")
CELLS = [  # version, victim, seed, in the order of computation
    *((version, PROBE, 0) for version in (*MAIN, "texture by cluster")),
    *((version, victim, 0) for victim in (TUNED, OTHER, SMALL) for version in MAIN),
    *((version, victim, seed) for seed in (1, 2) for victim in (PROBE, TUNED) for version in MAIN[1:]),
    *(("feature-shift by cluster, half of the steps", victim, seed) for victim in (PROBE, TUNED) for seed in range(3)),
    *((version, PROBE + JPEG, 0) for version in MAIN),
    *((version, TUNED + JPEG, 0) for version in MAIN[:2]),
    *((MAIN[1], PROBE + JPEG, seed) for seed in (1, 2)),
    ("texture by cluster", SMALL, 0),
    *((version, PROBE, 0) for version in ("random noise", "linear-separable by cluster")),
    *((version, victim, 0) for victim in (TUNED, OTHER) for version in ("texture by cluster", "random noise")),
    *((version, SMALL, 0) for version in ("linear-separable by cluster", "random noise")),
]
OUTPUT = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", type=Path)
    parser.add_argument("--models", default="models", type=Path)
    parser.add_argument("--work", default="work", type=Path)
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: clusters.jsonl beside this script")
    arguments = parser.parse_args()
    disable_progress_bars()
    arguments.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    train, test = (
        load_dataset("parquet", data_files=str(arguments.data / "flowers" / f"{split}.parquet"), split="train")
        for split in ("train", "test")
    )
    for version, victim, seed in CELLS:
        wanted = [labels for labels in ("kind", "colour") if not done(arguments.output, version, victim, seed, labels)]
        wanted = wanted if "probe" in victim else [labels for labels in wanted if labels == "kind"]
        if not wanted:
            continue
        images, told = protected(version, seed, train, arguments)
        if victim.endswith(JPEG):
            images = countermeasures_of("image")["jpeg-10"].on_rows(Rows(images, train["label"]), Attacker()).inputs
        tests = [np.asarray(image.convert("RGB")) for image in test["image"]]
        for labels in wanted:
            name, model, settings = VICTIMS[victim]
            more = {"model": str(arguments.models / model)} if model else {}
            more |= {"cache": arguments.work} if name == "linear_probe" else {}
            began = time.process_time()
            found = victims_of("image")[name](images, labelled(train, labels), tests, seed=seed, **settings, **more)
            cell = {
                "version": version, "victim": victim, "labels": labels, "seed": seed,
                "accuracy": round(float((found == labelled(test, labels)).mean()), 4), "rows": len(train),
                "test_rows": len(test), "cpu_s": round(time.process_time() - began), **told,
            }  # fmt: skip
            lines = [*lines_of(arguments.output), cell]
            write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in lines))
            print(cell, flush=True)
    ran = sum(done(arguments.output, *cell, "kind") for cell in CELLS)
    print(f"{ran} of {len(CELLS)} trainings are in {arguments.output}.")


def protected(version: str, seed: int, train: Any, arguments: argparse.Namespace) -> tuple[list[np.ndarray], dict]:
    """The training images of a version, and what fitting it told."""
    chosen, place = VERSIONS[version], arguments.work / f"{version.replace(' ', '-')}-{seed}"
    unlabelled, told = train.remove_columns("label"), {}
    if chosen is not None:
        method, settings = chosen
        settings = {name: str(arguments.models / LITE0) if one == LITE0 else one for name, one in settings.items()}
        if not place.exists():
            began = time.process_time()
            cloak = method_class(method)(seed=seed, epsilon=EPSILON, **settings).fit(unlabelled)
            cloak.key.save(place)
            write_file(place.with_suffix(".seconds"), str(round(time.process_time() - began)))
        told = {"fit_cpu_s": int(place.with_suffix(".seconds").read_text())}
        unlabelled = unlabelled.map(load_transform(place), batched=True, batch_size=64)
    return [np.asarray(image.convert("RGB")) for image in unlabelled["image"]], told


def labelled(dataset: Any, labels: str) -> np.ndarray:
    """The labels of rows: the kinds of flowers, or their colours."""
    kinds = np.array(dataset["label"])
    if labels == "kind":
        return kinds
    names = dataset.features["label"].names
    colours = [next(i for i, kinds in enumerate(COLOURS.values()) if name in kinds) for name in names]
    return np.array(colours)[kinds]


def done(output: Path, *key: Any) -> bool:
    """Whether the cell of a version, a victim, a seed and labels is there."""
    return any((one["version"], one["victim"], one["seed"], one["labels"]) == key for one in lines_of(output))


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
