# /// script
# dependencies = ["hf-unlearnable"]
# ///
"""Time and memory of error-minimising edits: `fit` on reviews of IMDb, then `map`, in one process.

    python recipes/bench/error_min_text_speed.py --rows 2500

Prints rows per second of CPU time of each, what 25,000 reviews take at that rate, and peak memory of the process.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any

from datasets import disable_caching, disable_progress_bars
from drawn import sample
from protection import split_of

from hf_unlearnable import ErrorMinTextTransform

WHOLE = 25_000


def timed(what: str, rows: int, work: Callable[[], Any]) -> Any:
    """The result of some work, whose speed is printed.

    Args:
        what: The work's name.
        rows: How many it is done on.
        work: What is timed.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what}: {rows} rows in {wall:.1f} s, {cpu:.1f} s of CPU time: {rows / cpu:.0f} rows/s, {WHOLE:,} in "
          f"{WHOLE / rows * cpu / 60:.1f} min")  # fmt: skip
    return done


def main() -> None:
    """Protects and restores the reviews."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--rows", type=int, default=2500)
    arguments = parser.parse_args()
    disable_caching()
    disable_progress_bars()
    reviews = sample(split_of(arguments.data, "imdb", "train"), arguments.rows).flatten_indices()
    cloak = timed("fit", len(reviews), lambda: ErrorMinTextTransform(seed=0).fit(reviews))
    protected = timed("map", len(reviews), lambda: reviews.map(cloak, batched=True))
    restored = timed("restore", len(reviews), lambda: cloak.restore(protected))
    assert restored["text"][:] == reviews["text"][:]
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
