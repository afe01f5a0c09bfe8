# /// script
# dependencies = ["hf-unlearnable"]
# ///
"""Memory of RegText over a long stream: `fit` and `map` on an `IterableDataset` of synthetic rows.

    python recipes/bench/regtext_memory.py --rows 10000000

Prints the resident memory after 100,000 rows and at the end, for `fit` and for `map`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from datasets import Features, IterableDataset, Value

from hf_unlearnable import RegTextTransform

WORDS_A_ROW = 12


def resident_mb() -> float:
    """Resident memory of this process in MB (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def tables(rows: int, memory: dict[str, float], name: str) -> Iterator[tuple[int, pa.Table]]:
    """Batches of rows whose words follow Zipf's law over a vocabulary of half a million."""
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{chr(97 + i % 26)}{i:x}" for i in range(500_000)])
    batch = 10_000
    for start in range(0, rows, batch):
        if start == 100_000:
            memory[f"{name}: after 100,000 rows"] = resident_mb()
        ids = np.minimum(rng.zipf(1.3, size=(batch, WORDS_A_ROW)), len(vocabulary)) - 1
        texts = [" ".join(row) for row in vocabulary[ids]]
        labels = rng.integers(0, 2, batch)
        yield start, pa.table({"text": texts, "label": labels})
    memory[f"{name}: at the end"] = resident_mb()


def main() -> None:
    """Streams the rows through `fit`, then through `map`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    memory: dict[str, float] = {}
    features = Features({"text": Value("string"), "label": Value("int64")})

    def stream(name: str) -> IterableDataset:
        from datasets.iterable_dataset import ArrowExamplesIterable

        return IterableDataset(ArrowExamplesIterable(lambda: tables(rows, memory, name), {})).cast(features)

    start = time.perf_counter()
    cloak = RegTextTransform(seed=1, min_frequency=2, digits=True).fit(stream("fit"))
    fit = time.perf_counter() - start
    start = time.perf_counter()
    count = sum(len(batch["text"]) for batch in stream("map").map(cloak, batched=True).iter(batch_size=1000))
    assert count == rows
    found = {"rows": rows, "fit, seconds": fit, "map, seconds": time.perf_counter() - start, **memory}
    for name in ("fit", "map"):
        found[f"{name}: growth in MB"] = memory[f"{name}: at the end"] - memory[f"{name}: after 100,000 rows"]
    print(json.dumps({name: round(value, 1) for name, value in found.items()}, indent=1))


if __name__ == "__main__":
    main()
