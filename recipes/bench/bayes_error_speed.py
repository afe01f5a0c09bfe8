# /// script
# dependencies = ["hf-unlearnable[image]"]
# ///
"""The gradient of the Bayes error: three matrix products against the published tensor form, in one run.

    python recipes/bench/bayes_error_speed.py --output recipes/bench/proof_speed.jsonl
    python recipes/bench/bayes_error_speed.py --rows 2000

Random features of four classes, on as many threads for both. The published form, in our words, takes 32 rows at a
time and holds their differences to all others, [32, rows, features]. It is run on the first `--slice` rows only and
its time is scaled to all of them, for every 32 rows cost the same. Each form runs in a process of its own, which tells
how far its memory grew above what it held with the features alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from hf_unlearnable.bayes import bayes_error_gradient

BANDWIDTH, AT_ONCE = 0.3, 32


def published(features: Tensor, labels: Tensor, rows: int) -> Tensor:
    """The gradient that the first rows contribute, by a tensor of rows x all x features."""
    gradient = torch.zeros_like(features)
    one_hot = torch.nn.functional.one_hot(labels).to(features.dtype)
    for start in range(0, rows, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, rows))
        difference = features[part, None] - features[None]
        kernel = torch.exp(difference.square().sum(2) / (-2 * BANDWIDTH**2))
        kernel[torch.arange(len(kernel)), torch.arange(part.start, part.stop)] = 0
        by_class = kernel @ one_hot
        most, best = by_class.max(1)
        total = by_class.sum(1, keepdim=True)
        weights = kernel * ((labels == best[:, None]) * total - most[:, None]) / total**2
        weighted = weights[:, :, None] * difference / (BANDWIDTH**2 * len(features))
        gradient[part] += weighted.sum(1)
        gradient -= weighted.sum(0)
    return gradient


def drawn(rows: int, width: int) -> tuple[Tensor, Tensor]:
    """Features of four classes, at most 1, as near to each other as those of a network."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(rows) % 4
    features = torch.rand(rows, width, generator=generator) + 0.1 * torch.rand(4, width, generator=generator)[labels]
    return features * (0.4 / features.norm(dim=1).mean()), labels


def measured(form: str, rows: int, width: int, part: int) -> dict[str, float]:
    """Seconds for all rows, memory in MB, and a number that both forms must agree on."""
    features, labels = drawn(rows, width)
    bayes_error_gradient(features[:64], labels[:64], BANDWIDTH)  # what is loaded once
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    if form == "ours":
        bayes_error_gradient(features, labels, BANDWIDTH)
        seconds = time.process_time() - start
    else:
        published(features, labels, part)
        seconds = (time.process_time() - start) * rows / part
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    few, those = drawn(200, width)
    check = bayes_error_gradient(few, those, BANDWIDTH)[1] if form == "ours" else published(few, those, 200)
    return {"seconds": round(seconds, 2), "mb": round(memory, 1), "norm": float(check.norm())}


def main() -> None:
    """Measures both forms and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--slice", type=int, default=320, help="rows that the published form is run on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--form", choices=["ours", "published"], help="measure this one here and print JSON")
    parser.add_argument("--output", help="append a JSON line here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.form:
        print(json.dumps(measured(arguments.form, arguments.rows, arguments.features, arguments.slice)))
        return
    found = {}
    for form in ("ours", "published"):
        told = subprocess.run([sys.executable, *sys.argv, "--form", form], capture_output=True, text=True, check=True)
        found[form] = json.loads(told.stdout)
    ours, theirs = found["ours"], found["published"]
    assert abs(ours["norm"] - theirs["norm"]) < 1e-3 * theirs["norm"], "the two forms differ"
    line = {
        "what": "gradient of the Bayes error", "rows": arguments.rows, "features": arguments.features,
        "threads": arguments.threads, "slice": arguments.slice, **found,
        "times_faster": round(theirs["seconds"] / ours["seconds"], 1),
        "memory_share": round(ours["mb"] / theirs["mb"], 3),
    }  # fmt: skip
    print(json.dumps(line, indent=1))
    if arguments.output:
        with Path(arguments.output).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
