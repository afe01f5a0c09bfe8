# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""How many images the filters that drop odd ones or near copies keep, protected and clean. Nothing is trained.

    python recipes/bench/outliers.py

`share` of the images are protected, the others clean. `protected` and `clean` are the shares of each that a filter
keeps; None where there are none. Learned noise is left out, for it is fitted for minutes. Every cell is a line of
`outliers.jsonl`; those of the method's version of today are not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars, load_dataset

from hf_unlearnable._files import write_file
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.registry import countermeasures_of, method_class

ROWS = {"flowers": 60, "cifar10_jpeg": 500}
METHODS = ("texture", "convolution", "one-pixel", "linear-separable", "linearization", "random-noise")
FILTERS = ("spectrum-outlier-filter", "perceptual-hash-filter")
SHARES = (0.2, 1.0)
OUTPUT = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: outliers.jsonl beside this script")
    arguments = parser.parse_args()
    disable_progress_bars()
    for data, count in ROWS.items():
        every = load_dataset("parquet", data_files=str(Path(arguments.data, data, "train.parquet")), split="train")
        rows = every.select(np.sort(np.random.default_rng(3).permutation(len(every))[:count]))
        for method in METHODS:
            number = method_class(method).method_version
            shares = [share for share in SHARES if not done(arguments.output, data, method, number, share)]
            for cell in cells(rows, method, shares) if shares else []:
                key = {"data": data, "method": method, "method_version": number, "share": cell["share"]}
                others = [one for one in lines_of(arguments.output) if not same(one, {**key, **cell})]
                line = {**key, **cell, "rows": count}
                write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in [*others, line]))
                print(line, flush=True)


def cells(rows: Any, method: str, shares: list[float]) -> list[dict[str, Any]]:
    """What each filter keeps, for each share.

    Args:
        rows: Of "image" and "label".
        method: By name.
        shares: Of the rows that are protected.
    """
    protected = rows.map(method_class(method)(seed=0).fit(rows), batched=True)
    both = [[np.asarray(image.convert("RGB")) for image in one["image"]] for one in (rows, protected)]
    order, found = np.random.default_rng(0).permutation(len(rows)), []
    for share in shares:
        chosen = np.zeros(len(rows), bool)
        chosen[order[: round(share * len(rows))]] = True
        mixed = [both[int(one)][row] for row, one in enumerate(chosen)]
        for name in FILTERS:
            filtered: Any = countermeasures_of("image")[name].on_rows
            kept = np.zeros(len(rows), bool)
            kept[filtered(Rows(mixed, list(range(len(rows)))), Attacker()).labels] = True
            told = {"protected": kept[chosen], "clean": kept[~chosen]}
            shown = {part: round(float(one.mean()), 4) if len(one) else None for part, one in told.items()}
            found.append({"share": share, "filter": name, **shown})
    return found


def done(output: Path, data: str, method: str, number: int, share: float) -> bool:
    """Whether the cells of every filter are there."""
    key = {"data": data, "method": method, "method_version": number, "share": share}
    return {one["filter"] for one in lines_of(output) if key.items() <= one.items()} >= set(FILTERS)


def same(one: dict, other: dict) -> bool:
    """Whether two cells are of the same data, method, share and filter."""
    return all(one[part] == other[part] for part in ("data", "method", "share", "filter"))


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
