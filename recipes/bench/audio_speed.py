# /// script
# dependencies = ["hf-unlearnable[audio]"]
# ///
"""How fast recordings are protected: `map` of each closed-form method against a bare decoding and lossless encoding.

    python recipes/bench/audio_speed.py --data fsdd/train.parquet
    python recipes/bench/audio_speed.py --data fsdd/train.parquet --stereo --rows 24
    python recipes/bench/audio_speed.py --data fsdd/train.parquet --hour 1

`--stereo` joins the recordings to clips of five seconds in 44.1 kHz stereo. `--hour` makes a file of that many hours
of them, protects it with `protect_file` in a process of its own, and prints how far the highest memory of that process
rose above what it was when the key was fitted.

The bare pass reads each recording with soundfile as the integers that it holds and writes them as FLAC, within a `map`
of the same batches. Both ways alternate in one process; what is printed is the median of the ratios of processor time.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from datasets import Audio, Dataset, disable_progress_bars, load_dataset
from memory import peak

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


def wide(rows: Dataset, count: int) -> Dataset:
    """Clips of five seconds in 44.1 kHz stereo, of recordings that are joined, with a little noise in the right."""
    random, clips = np.random.default_rng(0), []
    for _ in range(count):
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < 40_000:
            parts.append(soundfile.read(io.BytesIO(rows[int(random.integers(len(rows)))]["audio"]["bytes"]))[0])
        left = soxr.resample(np.concatenate(parts)[:40_000], 8000, 44_100)
        right = 0.8 * np.roll(left, 37) + random.normal(0, 1e-3, len(left))
        file = io.BytesIO()
        soundfile.write(file, 0.8 * np.stack([left, right], axis=1), 44_100, "PCM_16", format="WAV")
        clips.append({"bytes": file.getvalue(), "path": None})
    made = Dataset.from_dict({"audio": clips, "label": [i % 10 for i in range(count)]})
    return made.cast_column("audio", Audio(decode=False))


def long_file(clips: Dataset, path: Path, hours: float) -> None:
    """Writes the clips again and again, a file of so many hours."""
    waves = [soundfile.read(io.BytesIO(clip["bytes"]), dtype="int16")[0] for clip in clips["audio"]]
    wanted = round(hours * 3600 * 44_100)
    with soundfile.SoundFile(path, "w", 44_100, 2, "PCM_16", format="WAV") as file:
        for i in range(-(-wanted // len(waves[0]))):
            file.write(waves[i % len(waves)])


def long_run(method: str, clips: Dataset, path: Path) -> None:
    """Protects a file from file to file, and prints the time and the memory over a bare start."""
    cloak = method_class(method)(seed=7).fit(clips)
    before, start = peak(), time.process_time()
    cloak.protect_file(path, path.with_suffix(f".{method}"), label=0)
    more = peak() - before
    print(json.dumps({"method": method, "file_MB": round(path.stat().st_size / 1e6),
                      "cpu_s": round(time.process_time() - start, 1), "memory_over_start_MB": round(more)}),
          flush=True)  # fmt: skip
    path.with_suffix(f".{method}").unlink()


def main() -> None:
    """Prints a line per method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Parquet file with the columns audio and label")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--stereo", action="store_true", help="clips of five seconds in 44.1 kHz stereo")
    parser.add_argument("--hour", type=float, metavar="HOURS", help="one file of so many hours, its time and memory")
    arguments = parser.parse_args()
    disable_progress_bars()
    rows = load_dataset("parquet", data_files=arguments.data, split="train").cast_column("audio", Audio(decode=False))
    if arguments.hour:
        with tempfile.TemporaryDirectory() as folder:
            clips, path = wide(rows, 12), Path(folder, "long.wav")
            long_file(clips, path, arguments.hour)
            for name in arguments.methods:  # memory is told once per process, at its highest
                one = multiprocessing.get_context("spawn").Process(target=long_run, args=(name, clips, path))
                one.start()
                one.join()
                if one.exitcode:
                    raise SystemExit(one.exitcode)
        return
    rows = wide(rows, arguments.rows) if arguments.stereo else rows.take(arguments.rows)
    for name in arguments.methods:
        cloak = method_class(name)(seed=7).fit(rows)
        times = [(seconds(rows, bare), seconds(rows, cloak)) for _ in range(arguments.repeat + 1)][1:]
        ratio = statistics.median(ours / alone for alone, ours in times)
        alone, ours = (statistics.median(one) for one in zip(*times, strict=True))
        print(json.dumps({"method": name, "rows": len(rows), "stereo": arguments.stereo,
                          "bare_s": round(alone, 3), "map_s": round(ours, 3),
                          "ratio": round(ratio, 2)}))  # fmt: skip


if __name__ == "__main__":
    main()
