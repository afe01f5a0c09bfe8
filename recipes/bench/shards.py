# /// script
# dependencies = ["hf-unlearnable"]
# ///
"""Protecting shards of text: speed, memory and disk of several processes, killed at random and started again.

    python recipes/bench/shards.py --gigabytes 1 --shards 20 --workers 2 --kills 3

Makes synthetic texts in Parquet files and protects them with `hf-unlearnable protect regtext --num-proc`, once in
peace and once with kills. Prints one JSON line: the time of the run in peace, megabytes of text per second of it and
per CPU second, the most memory of all its processes together (proportional set size, read every 0.2 s), the most disk
beside the output, and whether the killed run left the same bytes as the other one. Linux only, for it reads /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

WORDS = 200  # of a text


def texts(rng: np.random.Generator, vocabulary: np.ndarray, rows: int) -> pa.StringArray:
    """Texts of words that follow Zipf's law (exponent 1.2), 1,399 bytes each.

    Args:
        rng: Draws the words.
        vocabulary: m words and a space behind each, uint8 [m, 7].
        rows: How many.
    """
    import pyarrow as pa

    shares = np.arange(1, len(vocabulary) + 1) ** -1.2
    ends = (shares.cumsum() / shares.sum()).astype(np.float32)
    drawn = vocabulary[ends[:-1].searchsorted(rng.random((rows, WORDS), np.float32), "right")]
    data = np.ascontiguousarray(drawn.reshape(rows, -1)[:, :-1])
    ends = np.arange(rows + 1, dtype=np.int32) * data.shape[1]
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(data))


def make(folder: Path, gigabytes: float, shards: int) -> int:
    """Writes the shards; returns the bytes of their texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    vocabulary = rng.integers(ord("a"), ord("z") + 1, (50_000, 7)).astype(np.uint8)
    vocabulary[:, -1] = ord(" ")
    folder.mkdir()
    size = 0
    for shard in range(shards):
        with pq.ParquetWriter(
            folder / f"train-{shard:05d}-of-{shards:05d}.parquet",
            pa.schema({"text": pa.string(), "label": pa.int64()}), compression="zstd",
        ) as writer:  # fmt: skip
            wanted = gigabytes * 1e9 * (shard + 1) / shards
            while size < wanted:
                part = texts(rng, vocabulary, 5000)
                size += len(part.buffers()[2])
                writer.write_table(pa.table({"text": part, "label": [i % 2 for i in range(len(part))]}))
    return size


class Group:
    """All processes of a group, looked at while they run.

    Attributes:
        memory: The most bytes that they held together, pages that they share in parts.
        seconds: CPU seconds, those after the last look left out.
    """

    def __init__(self, group: int):
        self._group, self._ticks = group, dict[str, int]()
        self.memory = 0

    def look(self) -> None:
        """Adds what they hold and have used now."""
        held = 0
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.getpgid(int(entry.name)) == self._group:
                    rollup = Path(entry, "smaps_rollup").read_text()
                    held += int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]) << 10
                    used = Path(entry, "stat").read_text().rpartition(")")[2].split()[11:13]
                    self._ticks[entry.name] = sum(map(int, used))
            except (OSError, StopIteration):  # it has ended meanwhile
                continue
        self.memory = max(self.memory, held)

    @property
    def seconds(self) -> float:
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")


def disk(folder: Path) -> int:
    """Bytes of the scratch and counts below a folder, and of what `datasets` keeps: all but finished shards."""
    total = 0
    paths = [Path(where, name) for where, _, names in os.walk(folder) for name in names]  # passes over what is gone
    for path in paths:
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or "cache" in path.parts:
            try:
                total += path.stat().st_size if path.is_file() else 0
            except OSError:  # it has its final name meanwhile
                continue
    return total


def run(
    folder: Path, output: str, key: str, workers: int, stop_after: float | None = None
) -> tuple[float, Group, int]:
    """Seconds, the processes and the most disk of a run, which is killed after so many seconds."""
    command = [
        sys.executable, "-m", "hf_unlearnable", "protect", "regtext", "in", "--output", output, "--key", key,
        "--num-proc", str(workers), "--seed", "7", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "POLARS_MAX_THREADS": "1"}
    start, held = time.monotonic(), 0
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
    group = Group(process.pid)
    while process.poll() is None:
        if stop_after is not None and time.monotonic() - start > stop_after:
            os.killpg(process.pid, signal.SIGKILL)
            break
        group.look()
        held = max(held, disk(folder))
        time.sleep(0.2)
    if process.wait() not in (0, -signal.SIGKILL):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    return time.monotonic() - start, group, held


def digest(folder: Path) -> str:
    """Of the rows of all shards in order."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    hashed = hashlib.sha256()
    for file in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(10_000):
            hashed.update(pc.binary_length(batch["text"]).to_numpy().tobytes())
            hashed.update("".join(batch["text"].to_pylist()).encode())
    return hashed.hexdigest()


def done(folder: Path) -> bool:
    """Whether the run that is killed has come to its end."""
    return (folder / "killed").exists() and not (folder / ".killed.run").exists()


def main() -> None:
    """Makes the data, protects it twice and prints what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = make(folder / "in", arguments.gigabytes, arguments.shards)
        seconds, group, held = run(folder, "out", "key", arguments.workers)
        draw, kills = random.Random(0), 0
        while kills < arguments.kills and not done(folder):  # a later run may be faster than the first
            run(folder, "killed", "key2", arguments.workers, stop_after=draw.uniform(0.1, 0.3) * seconds)
            kills += 1
        if not done(folder):
            run(folder, "killed", "key2", arguments.workers)
        left = [
            path.name for path in folder.iterdir() if path.name not in ("in", "out", "killed", "key", "key2", "cache")
        ]
        print(json.dumps({
            **vars(arguments), "kills": kills, "seconds": round(seconds, 1),
            "megabytes_per_second": round(size / 1e6 / seconds, 1),
            "cpu_seconds": round(group.seconds, 1), "megabytes_per_cpu_second": round(size / 1e6 / group.seconds, 1),
            "memory_megabytes": group.memory >> 20, "disk_megabytes": held >> 20,
            "shard_megabytes": max(path.stat().st_size for path in (folder / "out").iterdir()) >> 20,
            "same_after_kills": digest(folder / "out") == digest(folder / "killed"), "left": left,
        }))  # fmt: skip


if __name__ == "__main__":
    main()
