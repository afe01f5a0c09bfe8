# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""What is claimed to be proved, tried: certified learnability, and mixtures of clean and protected rows.

    python recipes/bench/proof.py certificate --seeds 0 1 2
    python recipes/bench/proof.py mixture --seeds 0 1 2
    python recipes/bench/proof.py schedule --seeds 0 1 2

3,000 images of CIFAR-10 (from JPEG), epsilon 8/255, the small CNN of `protection.py` (12 epochs), one key per seed,
the last epoch counts. Settings were chosen on 2,000 other training rows, not on the test.

`certificate` trains on the rows of each method, tests 2,000 clean rows, and certifies the network on the first 500 of
them; then the recovery attack has 600 clean rows that were not published. `mixture` protects a share of the rows,
drawn by the seed, and leaves the others clean; "clean rows alone" trains without the protected ones. The noise is
computed for all 3,000 rows, so that every share has the same noise. `schedule` is `certificate` for the published
schedule of PUE, which takes about a quarter of an hour a round.

Every cell is a line of the output. A cell that stands there with the method's version of today is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from drawn import own_rows, sample
from protection import lines_of, split_of
from published_pue import PublishedSchedule

from hf_unlearnable import ProvableErrorMinTransform, bayes_error, certified_learnability, recovered_accuracy
from hf_unlearnable.adversary import Rows
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.image.learning.features import headless
from hf_unlearnable.image.victims import small_cnn
from hf_unlearnable.image.victims.networks import small_cnn_of
from hf_unlearnable.registry import method_class

COLUMNS = ("image", "label")
SHARES = (0.5, 0.75, 0.95, 0.25)  # the published one first
DRAWS, SIGMA, RADII = 100, 0.02, (0.0, 0.004, 0.008, 0.02)
CERTIFIED: dict[str, dict[str, Any]] = {
    "error-min, class-wise": {"method": "error-min", "noise": "class"},
    "provable-error-min (PUE)": {"method": "provable-error-min"},
}  # fmt: skip
SCHEDULES: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, all 15 rounds": {"stop_error": None},
    "ours, 30 rounds": {"max_rounds": 30, "stop_error": None},
    **{
        f"published, a tenth of the draws, {rounds}{told}": {
            "draws": 10, "noise_draws": 1, "shaken_rounds": count, "sigma": sigma,
        }
        for sigma, told in ((0.25, ""), (0.05, ", sigma 0.05"))
        for rounds, count in (("one round", 1), ("three rounds", 3), ("ten rounds", 10))
    },
    "published, one round": {},
}  # fmt: skip
MIXED: dict[str, dict[str, Any] | None] = {
    "clean rows alone": None, "bayes-error (BEO)": {"method": "bayes-error"},
    "error-min, sample-wise": {"method": "error-min"}, "texture": {"method": "texture"},
}  # fmt: skip


class Study:
    """The rows, and the rows of each method and seed.

    Args:
        folder: Holds `cifar10_jpeg/train.parquet` and `test.parquet`.
    """

    def __init__(self, folder: str):
        train, test = (split_of(folder, "cifar10_jpeg", split) for split in ("train", "test"))
        self.published: Dataset = sample(train, 3000)
        self.test, self.clean = rows_of(sample(test, 2000), COLUMNS), rows_of(self.published, COLUMNS)
        self.own = own_rows(train, self.published, COLUMNS, None)

    @cache  # noqa: B019 (one study a run)
    def protected(self, name: str, seed: int) -> Rows:
        """The published rows, protected."""
        options = dict({**MIXED, **CERTIFIED}[name] or {})
        cloak = method_class(options.pop("method"))(**options, seed=2026 + seed).fit(self.published)
        return rows_of(self.published.map(cloak, batched=True, load_from_cache_file=False), COLUMNS)

    def certificate(self, name: str, seed: int) -> dict[str, Any]:
        """The plain accuracy of a network, its certificate, its Bayes error and what the recovery attack reaches."""
        return self.certified(self.protected(name, seed), seed)

    def schedule(self, name: str, seed: int) -> dict[str, Any]:
        """The same with the passes per image: by our schedule, or by the published one with its errors per round."""
        ours = name.startswith("ours")
        made = ProvableErrorMinTransform if ours else PublishedSchedule
        cloak = made(**SCHEDULES[name], seed=2026 + seed).fit(self.published)
        rows = rows_of(self.published.map(cloak, batched=True, load_from_cache_file=False), COLUMNS)
        return {
            "passes": round((cloak.image_passes if ours else cloak.passes) / len(self.published)),
            "errors": None if ours else [round(one, 3) for one in cloak.errors],
            **self.certified(rows, seed),
        }  # fmt: skip

    def certified(self, rows: Rows, seed: int) -> dict[str, Any]:
        """What a network of these rows is worth."""
        few = Rows(self.test.inputs[:500], self.test.labels[:500])
        model, (every, part, own) = small_cnn_of(rows, [self.test, few, self.own], seed)
        plain = certified_learnability(model, every, sigma=SIGMA, draws=1).accuracy
        first = certified_learnability(model, part, sigma=SIGMA, draws=DRAWS, seed=seed)
        with torch.inference_mode():
            features = headless(model)(every[0])
        return {
            "accuracy": plain, "bayes_error": bayes_error(features, every[1]), "sigma": SIGMA, "draws": DRAWS,
            "quantile": first.quantile, "confidence": first.confidence, "median": float(np.median(first.accuracies)),
            "curve": [
                {"radius": radius, "learnability": first.at(radius).learnability, "said": str(first.at(radius))}
                for radius in RADII
            ],
            "recovered": {str(radius): recovered_accuracy(model, own, every, radius) for radius in (1.0,)},
        }  # fmt: skip

    def mixture(self, name: str, share: float, seed: int) -> dict[str, Any]:
        """The accuracy of the small CNN on a mixture."""
        there = np.random.default_rng(seed).permutation(len(self.clean))[: round(share * len(self.clean))]
        kept = np.setdiff1d(np.arange(len(self.clean)), there)
        inputs = list(self.clean.inputs)
        if MIXED[name] is not None:
            protected, kept = self.protected(name, seed), np.arange(len(inputs))
            for row in there:
                inputs[row] = protected.inputs[row]
        given = [inputs[i] for i in kept], [self.clean.labels[i] for i in kept]
        found = small_cnn(*given, self.test.inputs, seed=seed)
        return {"accuracy": float(np.mean(found == np.array(self.test.labels)))}


def planned(study: Study, what: str, seeds: list[int]) -> Iterator[tuple[dict[str, Any], Callable[[], dict]]]:
    """The cells of a study, each with what computes it."""
    for seed in seeds:
        if what != "mixture":
            compute = getattr(study, what)
            for name in CERTIFIED if what == "certificate" else SCHEDULES:
                yield {"study": what, "method": name, "seed": seed}, lambda n=name, s=seed, c=compute: c(n, s)
            continue
        for share in SHARES:
            for name in MIXED:
                cell = {"study": what, "method": name, "share": share, "seed": seed}
                yield cell, lambda n=name, p=share, s=seed: study.mixture(n, p, s)


def main() -> None:
    """Runs the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["certificate", "mixture", "schedule"])
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES, help="of a mixture")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("proof.jsonl"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    study = Study(arguments.data)
    for cell, compute in planned(study, arguments.study, arguments.seeds):
        if cell.get("share", arguments.shares[0]) not in arguments.shares:
            continue
        if arguments.methods and cell["method"] not in arguments.methods:
            continue
        options = {**CERTIFIED, **MIXED, **dict.fromkeys(SCHEDULES)}[cell["method"]]
        cell["method_version"] = options and method_class(options["method"]).method_version
        if any({name: line.get(name) for name in cell} == cell for line in lines_of(arguments.output)):
            continue
        start = time.process_time()
        line = {**cell, **compute(), "seconds": round(time.process_time() - start, 1)}
        print(json.dumps(line), flush=True)
        with arguments.output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
