# /// script
# dependencies = ["hf-unlearnable[image]"]
# ///
"""Publishing: the most memory that it takes, and its time against a bare `push_to_hub` of the same data.

    PYTHONPATH=. python recipes/bench/publish.py memory --gigabytes 10 --kind text
    PYTHONPATH=. python recipes/bench/publish.py time --gigabytes 1 --kind image
    PYTHONPATH=. python recipes/bench/publish.py parts --gigabytes 1 --kind image

Both go to the tests' Hub on this machine, which runs in a process of its own and keeps what it gets on disk. `memory`
pushes a stream that is made on the fly, with its key; `time` a dataset on disk, with its key and its original, so that
every check runs, and the bare push of the same data before and after it. `--megabits` makes the way to the Hub as
slow as a line to the real one. `parts` says what each part of a push costs, without the upload: the better of two.
`--store FILE` appends the line that is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

WORDS = 200  # of a text
SIDE = 128  # pixels of an image


def texts(rows: int) -> Iterator[dict[str, Any]]:
    """Texts of words that follow Zipf's law, about 1,400 bytes each."""
    rng = np.random.default_rng(0)
    vocabulary = np.array(["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6)) for _ in range(50_000)])
    for row in range(rows):
        words = vocabulary[np.minimum(rng.zipf(1.2, WORDS), 50_000) - 1]
        yield {"text": f"{row} " + " ".join(words), "label": row % 2}


def images(rows: int) -> Iterator[dict[str, Any]]:
    """Images of smooth colour with noise, about 40 kB as PNG."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for row in range(rows):
        coarse = rng.integers(0, 200, (4, 4, 3)).astype(np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        yield {"image": Image.fromarray(smooth + rng.integers(0, 40, smooth.shape, dtype=np.uint8)), "label": row % 2}


def data(kind: str, gigabytes: float) -> tuple[Any, int, Any, Any]:
    """The generator, how many rows, their features and the fitted transform."""
    from datasets import ClassLabel, Dataset, Features, Image, Value

    from hf_unlearnable import RegTextTransform, TextureTransform

    column, size = {"text": (Value("string"), 1_400), "image": (Image(), 41_000)}[kind]
    features = Features({kind: column, "label": ClassLabel(names=["a", "b"])})
    make = {"text": texts, "image": images}[kind]
    few = Dataset.from_list(list(make(2_000 if kind == "text" else 20)), features)
    cloak = (RegTextTransform() if kind == "text" else TextureTransform()).fit(few)
    return make, int(gigabytes * 1e9 / size), features, cloak


def memory(kind: str, gigabytes: float) -> dict[str, Any]:
    """Pushes a stream of protected rows beside a long unprotected column; the most resident memory of this process."""
    from datasets import Dataset, Features, IterableDataset, Value

    from hf_unlearnable.publish import push_protected

    make, _, features, cloak = data(kind, gigabytes)
    few = Dataset.from_list(list(make(500)), features).map(cloak, batched=True)
    rows = int(gigabytes * 1e9 / 20_000)
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz      ", np.uint8)
    pool = letters[rng.integers(0, len(letters), 3_000_000, np.uint8)].tobytes().decode()

    def stream() -> Iterator[dict[str, Any]]:
        stored = list(few)
        for row, start in enumerate(rng.integers(0, len(pool) - 20_000, rows).tolist()):
            yield {**stored[row % 500], "note": pool[start : start + 20_000]}

    whole = IterableDataset.from_generator(stream, Features({**features, "note": Value("string")}))
    before, start = _peak_mb(), time.perf_counter()
    done = push_protected(whole, f"tester/{kind}", key=cloak)
    return {
        "rows": rows, "bytes": sum(done.files.values()), "seconds": round(time.perf_counter() - start),
        "megabytes_before": before, "megabytes_at_most": _peak_mb(),
    }  # fmt: skip


def duration(kind: str, gigabytes: float) -> dict[str, Any]:
    """Pushes the same data barely, with all checks, and barely again."""
    from datasets import Dataset

    from hf_unlearnable.publish import push_protected

    make, rows, features, cloak = data(kind, gigabytes)
    clean = Dataset.from_generator(make, features, gen_kwargs={"rows": rows})
    protected = clean.map(cloak, batched=True, batch_size=100)
    seconds: dict[str, list[float]] = {"bare": [], "checked": []}
    of_cpu: dict[str, list[float]] = {"bare": [], "checked": []}
    for turn, name in enumerate(["bare", "checked", "bare", "checked", "bare"]):
        fresh = protected.add_column("turn", [turn] * rows)  # else the Hub would have the files
        start, used = time.perf_counter(), _cpu_seconds()
        if name == "bare":
            fresh.push_to_hub(f"tester/{kind}-{turn}", private=True)
        else:
            push_protected(fresh, f"tester/{kind}-{turn}", key=cloak, original=clean)
        seconds[name].append(time.perf_counter() - start)
        of_cpu[name].append(_cpu_seconds() - used)
    found: dict[str, Any] = {"rows": rows}
    for unit, times in {"seconds": seconds, "cpu_seconds": of_cpu}.items():
        found[f"{unit}_ratio"] = round(float(np.mean(times["checked"][1:]) / np.mean(times["bare"][1:])), 2)
        found[unit] = {name: np.round(every, 2).tolist() for name, every in times.items()}
    return found


def parts(kind: str, gigabytes: float) -> dict[str, Any]:
    """CPU seconds of writing the files, reading them again, pairing, opening a sample, and searching (one thread)."""
    import pyarrow.parquet as pq
    from datasets import Dataset

    from hf_unlearnable.publish.checks import checked
    from hf_unlearnable.publish.leaks import scan
    from hf_unlearnable.publish.push import _in_order
    from hf_unlearnable.publish.staging import stage

    make, rows, features, cloak = data(kind, gigabytes)
    clean = Dataset.from_generator(make, features, gen_kwargs={"rows": rows})
    protected = clean.map(cloak, batched=True, batch_size=100)
    known = {"protected_columns": [kind], "key": cloak.key, "num_proc": 1}
    best: dict[str, float] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        used = _cpu_seconds()
        result = function()
        best[name] = min(best.get(name, np.inf), round(_cpu_seconds() - used, 3))
        return result

    def read(file: Path) -> None:
        with pq.ParquetFile(file, memory_map=True, pre_buffer=False) as opened:
            for _ in opened.iter_batches(1000):
                pass

    for _ in range(2):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            part = timed("write", lambda folder=folder: stage(protected, folder, "train", 500_000_000, features))
            timed("read again", lambda part=part: [read(file) for file in part.files])
            before = timed("pair", lambda: _in_order({"train": clean}, {"train": protected}, [kind], cloak))
            timed("open", lambda part=part, before=before: checked([part], before, [kind], cloak, None))
            timed("search", lambda folder=folder, before=before: scan(folder, original=before, **known))
    return {"rows": rows, "cpu_seconds": best}


def _cpu_seconds() -> float:
    """Of this process and of those that it started."""
    return sum(os.times()[:4])


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Starts a Hub and, against it, a process that measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "time", "parts"])
    parser.add_argument("--kind", choices=["text", "image"], default="text")
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--store", type=Path, help="a .jsonl file that gets the line too")
    parser.add_argument("--megabits", type=float, default=float("inf"), help="a second, that the Hub takes at most")
    arguments = parser.parse_args()
    if os.environ.get("HF_ENDPOINT", "").startswith("http://127.0.0.1"):
        run = {"memory": memory, "time": duration, "parts": parts}[arguments.what]
        asked = {name: value for name, value in vars(arguments).items() if name != "store" and value != np.inf}
        line = json.dumps({**asked, **run(arguments.kind, arguments.gigabytes)})
        print(line)
        if arguments.store:
            with arguments.store.open("a") as file:
                file.write(line + "\n")
        return
    from tests.hub import Hub

    rate = arguments.megabits * 1e6 / 8
    with tempfile.TemporaryDirectory() as folder, Hub(Path(folder, "hub"), rate=rate) as hub:
        environment = {**os.environ, **hub.environment(), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        subprocess.run([sys.executable, *sys.argv], env=environment, check=True)


if __name__ == "__main__":
    main()
