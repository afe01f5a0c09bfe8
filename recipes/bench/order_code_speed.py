# /// script
# dependencies = ["hf-unlearnable"]
# ///
"""How much longer `OrderCodeTransform` takes than `RegTextTransform`: `map` and `restore`, in one run.

    python recipes/bench/order_code_speed.py --data imdb/train.parquet --rows 6000
    python recipes/bench/order_code_speed.py --data sst2/train.parquet --rows 30000

Prints one JSON line: CPU seconds, the better of some runs, their ratios, and a digest of the protected texts, by which
two builds are told to give the same bytes. To compare builds, give each as `PYTHONPATH` in turn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from datasets import disable_progress_bars, load_dataset

from hf_unlearnable import OrderCodeTransform, RegTextTransform


def best(function: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """The least CPU time of several runs, and what the last one returned."""
    times, made = [], None
    for _ in range(repeat):
        start = time.process_time()
        made = function()
        times.append(time.process_time() - start)
    return min(times), made


def main() -> None:
    """Times both methods on the same rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Parquet file with `text` and `label`")
    parser.add_argument("--rows", type=int, default=6000, help="so many rows, spread over the data")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    disable_progress_bars()
    rows = load_dataset("parquet", data_files=arguments.data, split="train").select_columns(["text", "label"])
    chosen = rows.select(range(0, len(rows), max(1, len(rows) // arguments.rows)))
    rows = chosen.map(lambda batch: batch, batched=True, load_from_cache_file=False)  # in a file of their own
    found: dict[str, Any] = {"rows": len(rows)}
    for cloak in (RegTextTransform(seed=1), OrderCodeTransform(seed=1)):
        change = cloak.fit(rows)
        found[f"{cloak.method}: map"], made = best(
            lambda change=change: rows.map(change, batched=True, load_from_cache_file=False), arguments.repeat
        )
        found[f"{cloak.method}: restore"], back = best(
            lambda made=made, change=change: made.map(change.restore, batched=True, load_from_cache_file=False),
            arguments.repeat,
        )
        if back["text"][:] != rows["text"][:]:
            raise SystemExit(f"{cloak.method}: what came back are not the originals.")
        found[f"{cloak.method}: digest"] = hashlib.sha256("\0".join(made["text"][:]).encode()).hexdigest()[:12]
    for what in ("map", "restore"):
        found[f"{what}: ratio"] = found[f"order-code: {what}"] / found[f"regtext: {what}"]
    print(json.dumps({key: round(value, 2) if isinstance(value, float) else value for key, value in found.items()}))


if __name__ == "__main__":
    main()
