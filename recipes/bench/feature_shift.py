# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""Photos whose features contradict their labels: what it leaves to victims, of docs/results/feature-shift.md.

    for i in 0 1 2; do python recipes/efficientnet_lite0.py --lite $i --size 128 --output models/lite$i-128; done
    python recipes/bench/feature_shift.py --models models --data ../shared/data --work work

The photos are resized to 128 pixels a side, and `--per-class` of each kind are protected. Noise is computed on Lite0,
Lite1 and a small CNN; Lite2 is held out. "A + B" is B on top of A. The attacker has `OWN` clean photos of each kind,
and "own photos alone" is what these teach. `--split development` tests on the last 20 training photos of each kind,
for choices; the test photos are for the result. Every cell is a line of `feature_shift.jsonl`; those that are there
are not computed again. Keys and features are kept in `work`, which is private.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Image, disable_progress_bars, load_dataset
from skimage.metrics import structural_similarity

from hf_unlearnable import load_transform
from hf_unlearnable._files import write_file
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.registry import countermeasures_of, method_class, victims_of

SIZE, HELD_OUT, OWN = 128, 20, 6
OUTPUT = Path(__file__).with_suffix(".jsonl")
VICTIMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "linear probe, Lite0": ("linear_probe", "lite0-128", {}),
    "linear probe, Lite2": ("linear_probe", "lite2-128", {}),
    "fine-tuned, Lite0": (
        "pretrained_image_model", "lite0-128", {"epochs": 4, "batch_size": 16, "learning_rate": 0.005},
    ),
    "small CNN": ("small_cnn", "", {"epochs": 30}),  # halves the photos, as every victim from scratch
    "small CNN, whole photos": ("small_cnn", "", {"epochs": 20, "image_size": SIZE}),
}  # fmt: skip
TREATMENTS = ("none", "jpeg-90", "jpeg-50", "jpeg-10", "half-size", "gaussian-blur", "grayscale")
QUICK = "shift 16/255, Lite0 alone, 8 steps"
BOTH, ALONE = "shift 8/255 + texture 8/255", "own photos alone"
FEW = ("none", "jpeg-50", "jpeg-10")


def versions(models: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Method and parameters of every protected version."""
    both = [str(models / "lite0-128"), str(models / "lite1-128")]
    shifted = {f"shift {n}/255": ("feature-shift", {"epsilon": n / 255, "backbones": both}) for n in (4, 8, 12, 16)}
    quick = {
        "epsilon": 16 / 255,
        "backbones": both[:1],
        "surrogate": "none",
        "num_steps": 4,
        "step_size": 0.3 * 16 / 255,
    }
    return {
        QUICK: ("feature-shift", quick),
        **shifted,
        **{f"texture {n}/255": ("texture", {"epsilon": n / 255}) for n in (4, 8, 16)},
    }


def cells() -> list[tuple[str, str, int, str]]:
    """Version, victim, seed and treatment of every cell, in the order of computation."""
    probe, held_out, tuned, scratch, whole = VICTIMS
    ordered = [(version, probe, 0, one) for version in ("clean", QUICK, "shift 16/255") for one in TREATMENTS]
    ordered += [(version, held_out, 0, one) for version in ("clean", QUICK, "shift 16/255") for one in FEW]
    ordered += [(version, scratch, 0, one) for version in ("clean", "shift 16/255", "texture 16/255") for one in FEW]
    ordered += [("texture 16/255", probe, 0, one) for one in FEW]
    ordered += [(version, tuned, 0, one) for version in ("clean", "shift 16/255") for one in FEW]
    ordered += [("shift 8/255", probe, 0, one) for one in TREATMENTS]
    ordered += [("shift 8/255", scratch, 0, one) for one in FEW]
    ordered += [("shift 8/255", held_out, 0, one) for one in FEW]
    ordered += [("shift 16/255", scratch, 0, one) for one in (*TREATMENTS, "adversarial-training-4")]
    ordered += [("shift 16/255", victim, 0, "clean-20%") for victim in (probe, held_out, tuned, scratch)]
    ordered += [(ALONE, victim, 0, "none") for victim in (probe, held_out, tuned, scratch)]
    ordered += [(BOTH, victim, 0, one) for victim in VICTIMS for one in FEW]
    ordered += [(version, whole, 0, "none") for version in ("clean", "shift 16/255", "texture 16/255")]
    ordered += [(version, probe, 0, one) for version in ("shift 4/255", "shift 12/255") for one in FEW]
    ordered += [(f"shift {n}/255", probe, seed, one) for n in (16, 8) for seed in (1, 2) for one in TREATMENTS]
    ordered += [
        ("shift 16/255", victim, seed, one) for victim in (held_out, tuned, scratch) for seed in (1, 2) for one in FEW
    ]
    return list(dict.fromkeys(ordered))


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", type=Path)
    parser.add_argument("--models", default="models", type=Path)
    parser.add_argument("--work", default="work", type=Path)
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: feature_shift.jsonl beside this script")
    parser.add_argument("--split", choices=("development", "test"), default="test")
    parser.add_argument("--per-class", type=int, default=30, help="photos of each kind to train on, up to 34")
    parser.add_argument("--only", nargs="*", default=(), help="versions, victims or treatments; default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="keys (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no cell begins after so many")
    arguments = parser.parse_args()
    disable_progress_bars()
    arguments.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    train, own, test = photos(arguments.data, arguments.split, arguments.per_class)
    began = time.monotonic()
    for cell in cells():
        known = [tuple(one[name] for name in ("split", "rows", "version", "victim", "seed", "treatment"))
                 for one in lines_of(arguments.output)]  # fmt: skip
        left_out = any(not set(one.split("|")) & {cell[i] for i in (0, 1, 3)} for one in arguments.only)
        left_out = left_out or cell[2] not in arguments.seeds
        if (arguments.split, len(train), *cell) in known or left_out or time.monotonic() - began > arguments.seconds:
            continue
        found = {"split": arguments.split, **computed(cell, train, own, test, arguments)}
        lines = [*lines_of(arguments.output), found]
        write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in lines))
        print(found, flush=True)


def computed(
    cell: tuple[str, str, int, str], train: Dataset, own: Dataset, test: Dataset, arguments: argparse.Namespace
) -> dict:
    """Trains the victim of a cell and tests it on clean photos."""
    version, victim, seed, treatment = cell
    mine, tests = (Rows([np.asarray(image) for image in part["image"]], part["label"]) for part in (own, test))
    if version == ALONE:
        rows, told = mine, {}
    else:
        images, told = protected(version, seed, train, arguments)
        rows = Rows(images, train["label"])
    name, model, settings = VICTIMS[victim]
    settings = dict(settings)
    if treatment != "none":
        against: Any = countermeasures_of("image")[treatment]
        if against.in_training is not None:
            settings["in_training"] = against.in_training
        else:
            rows = against.on_rows(rows, Attacker(seed=seed, clean=mine))
    settings |= {"model": str(arguments.models / model)} if model else {}
    settings |= {"cache": arguments.work} if name == "linear_probe" else {}
    began = time.process_time()
    found = victims_of("image")[name](list(rows.inputs), np.array(rows.labels), tests.inputs, seed=seed, **settings)
    return {
        "version": version, "victim": victim, "seed": seed, "treatment": treatment,
        "accuracy": round(float((found == np.array(tests.labels)).mean()), 4), "rows": len(train),
        "test_rows": len(test), "cpu_s": round(time.process_time() - began), **told,
    }  # fmt: skip


def photos(data: Path, split: str, count: int) -> tuple[Dataset, Dataset, Dataset]:
    """The training photos, those that the attacker has of his own, and the test photos, at `SIZE` pixels a side."""
    whole = load_dataset("parquet", data_files=str(data / "flowers" / "train.parquet"), split="train")
    labels = np.array(whole["label"])
    places = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    train = whole.select(np.concatenate([place[:count] for place in places]))
    own = whole.select(np.concatenate([place[:-HELD_OUT][-OWN:] for place in places]))
    if split == "development":
        test = whole.select(np.concatenate([place[-HELD_OUT:] for place in places]))
    else:
        test = load_dataset("parquet", data_files=str(data / "flowers" / "test.parquet"), split="train")
    return resized(train), resized(own), resized(test)


def resized(dataset: Dataset) -> Dataset:
    """Photos of one size, without loss since."""
    small = [image.convert("RGB").resize((SIZE, SIZE)) for image in dataset["image"]]
    return Dataset.from_dict({"image": small, "label": dataset["label"]}).cast_column("image", Image())


def protected(version: str, seed: int, train: Dataset, arguments: argparse.Namespace) -> tuple[list[np.ndarray], dict]:
    """The training photos of a version, with what fitting it took and what it changed."""
    clean = [np.asarray(image) for image in train["image"]]
    if version == "clean":
        return clean, {}
    worked, seconds = train, 0
    for part in version.split(" + "):
        method, settings = versions(arguments.models)[part]
        place = arguments.work / f"{part.replace(' ', '-').replace('/255', '').replace(',', '')}-{seed}-{len(train)}"
        if not place.exists():
            began = time.process_time()
            method_class(method)(seed=seed, **settings).fit(train).key.save(place)
            write_file(place.with_suffix(".seconds"), str(round(time.process_time() - began)))
        worked = worked.map(load_transform(place), batched=True, batch_size=64)
        seconds += int(place.with_suffix(".seconds").read_text())
    images = [np.asarray(image) for image in worked["image"]]
    error = np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in zip(images, clean, strict=True)])
    similar = np.mean([structural_similarity(a, b, channel_axis=2) for a, b in zip(images, clean, strict=True)])
    return images, {
        "fit_cpu_s": seconds,
        "psnr": round(float(10 * np.log10(255**2 / error)), 1),
        "ssim": round(float(similar), 3),
    }


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
