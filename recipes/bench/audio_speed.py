# /// script
# dependencies = ["hf-unlearnable[audio]"]
# ///
"""How fast recordings are protected: `map` of each closed-form method against a bare decoding and lossless encoding.

    python recipes/bench/audio_speed.py --data fsdd/train.parquet

The bare pass reads each recording with soundfile as the integers that it holds and writes them as FLAC, within a `map`
of the same batches. Both ways alternate in one process; what is printed is the median of the ratios of processor time.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable

import soundfile
from datasets import Audio, Dataset, disable_progress_bars, load_dataset

from hf_unlearnable.registry import method_class

METHODS = ("equalizer", "audio-convolution", "position-convolution", "audio-noise")


def bare(batch: dict) -> dict:
    """Recordings decoded and encoded as FLAC, and nothing else."""
    made = []
    for value in batch["audio"]:
        samples, rate = soundfile.read(io.BytesIO(value["bytes"]), dtype="int16", always_2d=True)
        file = io.BytesIO()
        soundfile.write(file, samples, rate, "PCM_16", format="FLAC")
        made.append({"bytes": file.getvalue(), "path": None})
    return {"audio": made}


def seconds(rows: Dataset, change: Callable) -> float:
    """Processor time of a `map`."""
    start = time.process_time()
    rows.map(change, batched=True, keep_in_memory=True, load_from_cache_file=False)
    return time.process_time() - start


def main() -> None:
    """Prints a line per method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Parquet file with the columns audio and label")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    disable_progress_bars()
    rows = load_dataset("parquet", data_files=arguments.data, split="train").take(arguments.rows)
    rows = rows.cast_column("audio", Audio(decode=False))
    for name in METHODS:
        cloak = method_class(name)(seed=7).fit(rows)
        times = [(seconds(rows, bare), seconds(rows, cloak)) for _ in range(arguments.repeat + 1)][1:]
        ratio = statistics.median(ours / alone for alone, ours in times)
        alone, ours = (statistics.median(one) for one in zip(*times, strict=True))
        print(json.dumps({"method": name, "rows": len(rows), "bare_s": round(alone, 3), "map_s": round(ours, 3),
                          "ratio": round(ratio, 2)}))  # fmt: skip


if __name__ == "__main__":
    main()
