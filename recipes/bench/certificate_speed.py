# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""The certificate against bare forward passes of the same draws, in turns, in one run.

    python recipes/bench/certificate_speed.py --output recipes/bench/proof_speed.jsonl

A small CNN and random images of CIFAR's size. The bare pass has the noisy models ready and does nothing but call them
on batches of the same size. A few draws at a time are measured in turns, which cancels most of what else the machine
does; `--draws` of them in all.
"""

from __future__ import annotations

import argparse
import json
import time
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch

from hf_unlearnable import certified_learnability
from hf_unlearnable.audit.certificate import _AT_ONCE
from hf_unlearnable.image.learning.surrogate import image_classifier


def main() -> None:
    """Measures both and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--turn", type=int, default=10, help="draws per turn")
    parser.add_argument("--sigma", type=float, default=0.02)
    parser.add_argument("--output", help="append a JSON line here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = image_classifier("small_cnn", 10).eval()
    images = torch.rand(arguments.rows, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(arguments.rows) % 10
    copies = [deepcopy(model) for _ in range(arguments.turn)]
    with torch.no_grad():
        for weight in (weight for copy in copies for weight in copy.parameters()):
            weight.add_(torch.randn_like(weight), alpha=arguments.sigma)

    def bare() -> None:
        with torch.inference_mode():
            for copy in copies:
                for part in images.split(_AT_ONCE):
                    copy(part)

    def ours(seed: int) -> None:
        certified_learnability(model, (images, labels), sigma=arguments.sigma, draws=arguments.turn, seed=seed)

    bare()
    spent = {"bare": 0.0, "certificate": 0.0}
    for turn in range(arguments.draws // arguments.turn):
        for name, call in (("bare", bare), ("certificate", partial(ours, turn))):
            start = time.process_time()
            call()
            spent[name] += time.process_time() - start
    # Each call of the certificate also tests the model itself, as a single one of all draws would once.
    spent["certificate"] *= arguments.turn / (arguments.turn + 1)
    line = {
        "what": "certificate", "draws": arguments.draws, "rows": arguments.rows,
        **{name: round(seconds, 1) for name, seconds in spent.items()},
        "ratio": round(spent["certificate"] / spent["bare"], 3),
    }  # fmt: skip
    print(json.dumps(line, indent=1))
    if arguments.output:
        with Path(arguments.output).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
