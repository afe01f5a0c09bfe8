# /// script
# dependencies = ["hf-unlearnable[attack,image]"]
# ///
"""What filters that know no labels leave of protections, and what they cost clean data. Nothing is trained.

    python recipes/bench/label_free.py

Every row has the same label when it is filtered. `left` is the share of a protection that is still there: of the words
that it put in, or of its change of pixels (the change after the filter projected on that before). `lost` is what the
filter takes from clean rows: the share of their words, or the mean change of a pixel value. Every cell is a line of
`label_free.jsonl`; those that are there are not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars, load_dataset

from hf_unlearnable._files import write_file
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.registry import countermeasures_of, method_class

ROWS = {"imdb": 200, "sst2": 1000, "trec": 800, "flowers": 60, "cifar10_jpeg": 500}
TRIED: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, dict[str, Any]]]]] = {
    "text": (
        ("keyword-filter", "duplicate-phrase-filter"),
        {name: (name, {}) for name in ("regtext", "order-code", "word-balance")},
    ),
    "image": (
        ("grain-removal", "spectrum-peak-removal"),
        {
            "texture": ("texture", {}),
            "texture, period 7": ("texture", {"period": 7}),
            "one-pixel": ("one-pixel", {}),
            "linear-separable": ("linear-separable", {}),
        },
    ),
}
FITTED_ON = 5000  # texts: words are drawn from the counts of many
OUTPUT = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    """Computes the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: label_free.jsonl beside this script")
    arguments = parser.parse_args()
    disable_progress_bars()
    for data, count in ROWS.items():
        every = load_dataset("parquet", data_files=str(Path(arguments.data, data, "train.parquet")), split="train")
        kind = "text" if "text" in every.column_names else "image"
        rows = every.select(np.sort(np.random.default_rng(0).permutation(len(every))[:count]))
        clean = values(rows, kind)
        learn = rows if kind == "image" else every.select(range(0, len(every), max(1, len(every) // FITTED_ON)))
        filters, versions = TRIED[kind]
        for version, (method, settings) in versions.items():
            missing = [name for name in filters if not done(arguments.output, data, version, name)]
            if not missing:
                continue
            cloak = method_class(method)(seed=0, **settings).fit(learn)
            protected = values(rows.map(cloak, batched=True), kind)
            for name in missing:
                told = words_left if kind == "text" else pixels_left
                cell = {"data": data, "version": version, "method_version": cloak.method_version, "filter": name}
                cell |= told(clean, protected, filtered(kind, name, clean), filtered(kind, name, protected))
                lines = [*lines_of(arguments.output), {**cell, "rows": count}]
                write_file(arguments.output, "".join(json.dumps(one) + "\n" for one in lines))
                print(cell, flush=True)


def values(rows: Any, kind: str) -> list[Any]:
    """Texts, or images as uint8 [height, width, 3]."""
    return rows["text"][:] if kind == "text" else [np.asarray(image.convert("RGB")) for image in rows["image"]]


def filtered(kind: str, name: str, inputs: Sequence[Any]) -> list[Any]:
    """The inputs after a filter that sees one label."""
    on_rows: Any = countermeasures_of(kind)[name].on_rows
    return list(on_rows(Rows(inputs, [0] * len(inputs)), Attacker()).inputs)


def words_left(*versions: Sequence[str]) -> dict[str, float]:
    """`left` and `lost` of texts: clean, protected, and both after the filter."""
    put_in = there = own = lost = 0
    for texts in zip(*versions, strict=True):
        one, two, clean_after, after = (Counter(re.findall(r"\w+", text.lower())) for text in texts)
        put_in += (two - one).total()
        there += ((two - one) & (after - one)).total()
        own += one.total()
        lost += (one - clean_after).total()
    return {"left": round(there / put_in, 4), "lost": round(lost / own, 4)}


def pixels_left(*versions: Sequence[np.ndarray]) -> dict[str, float]:
    """`left` and `lost` of images: clean, protected, and both after the filter."""
    along = size = lost = 0.0
    for images in zip(*versions, strict=True):
        one, two, clean_after, after = (image.astype(np.float64) for image in images)
        along += ((after - one) * (two - one)).mean()
        size += ((two - one) ** 2).mean()
        lost += np.abs(clean_after - one).mean()
    return {"left": round(along / size, 4), "lost": round(lost / len(versions[0]), 4)}


def done(output: Path, *key: str) -> bool:
    """Whether the cell of a dataset, a version and a filter is there."""
    return any((one["data"], one["version"], one["filter"]) == key for one in lines_of(output))


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


if __name__ == "__main__":
    main()
