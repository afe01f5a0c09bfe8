# /// script
# dependencies = ["hf-unlearnable[image]"]
# ///
"""The leak scan: what it finds of what is planted, what it finds in clean data, and its time.

    PYTHONPATH=. python recipes/bench/leaks.py planted
    PYTHONPATH=. python recipes/bench/leaks.py clean
    PYTHONPATH=. python recipes/bench/leaks.py time --other ../another-checkout

`planted` plants each leak of `tests/publish/planted.py` once beside protected texts and once beside protected images,
with the key, and counts those that are found in their row. `clean` protects real datasets (`HF_UNLEARNABLE_DATA`) with
many keys and settings and counts findings: none should be. `time` scans the same data with the code of two checkouts,
in turn, and prints the ratio of the fastest runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

DATA = Path(os.environ.get("HF_UNLEARNABLE_DATA", Path(__file__).parents[3] / "shared" / "data"))
SEED = 0xC0FFEE1234567 * 3000 + 7


def found(dataset: datasets.Dataset, column: str, **given: Any) -> list[Any]:
    """Stages a dataset and scans it."""
    from hf_unlearnable.publish.leaks import scan

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data", "train-00000-of-00001.parquet")
        path.parent.mkdir()
        dataset.to_parquet(path)
        return scan(folder, protected_columns=[column], **given)


def planted() -> None:
    """A line per kind and modality: planted, found, and what was missed."""
    from hf_unlearnable import RegTextTransform, TextureTransform
    from tests.examples import notes, pictures
    from tests.publish import planted as leaks

    for modality, original in (("text", notes(40)), ("image", pictures(40, height=20, width=24))):
        method = RegTextTransform(tokens_per_class=2) if modality == "text" else TextureTransform()
        method.seed = SEED
        cloak = method.fit(original)
        original = original.select(range(12)).flatten_indices()
        protected = original.map(cloak, batched=True)
        own = original[modality][leaks.ROW]
        picture = own if modality == "image" else pictures(1)["image"][0]
        cells = {
            "seed": {name: ("cell", value) for name, value in leaks.seeds(SEED).items()},
            "token": {name: ("cell", value) for name, value in leaks.TOKENS.items()},
            "metadata": {name: ("cell", data) for name, (_, data) in leaks.metadata(picture).items()},
            "clean-copy": {name: ("cell", value) for name, value in leaks.texts(own).items()}
            if modality == "text" else leaks.images(own),
        }  # fmt: skip
        if modality == "text":
            words = [word for group in cloak.secrets()["words"] for word in group]
            cells["words"] = {name: ("cell", value) for name, value in leaks.word_lists(words).items()}
        for kind, values in cells.items():
            missed = []
            for name, (shape, value) in values.items():
                findings = found(leaks.beside(protected, value, shape), modality, key=cloak.key)
                right = [one for one in findings if one.row == leaks.ROW and kind in ("metadata", one.kind)]
                missed += [] if right else [name]
            print(json.dumps({"modality": modality, "kind": kind, "planted": len(values),
                              "found": len(values) - len(missed), "missed": missed}), flush=True)  # fmt: skip


def clean_cases() -> Iterator[tuple[str, str, Any]]:
    """Datasets with methods, each with several keys: dataset, column, transform."""
    from hf_unlearnable import OrderCodeTransform, RegTextTransform, TextureTransform

    text: list[Any] = [
        lambda seed: RegTextTransform(seed=seed), lambda seed: RegTextTransform.paper(seed=seed),
        lambda seed: RegTextTransform(seed=seed, tokens_per_class=5),
        lambda seed: RegTextTransform(seed=seed, position="begin"),
        lambda seed: RegTextTransform(seed=seed, word_source="regtext", tokens_per_class=2),
        lambda seed: RegTextTransform(seed=seed, mode="replace"), lambda seed: OrderCodeTransform(seed=seed),
    ]  # fmt: skip
    for name, method, key in itertools.product(("sst2", "trec", "imdb"), range(len(text)), range(4)):
        yield name, "text", text[method](2**50 + 977 * key + 3)
    for name, key in itertools.product(("cifar10_jpeg", "pneumonia_mnist"), range(8)):
        yield name, "image", TextureTransform(seed=2**50 + 977 * key + 3)


def clean(rows: int) -> None:
    """Each case with the key, and with the key and the original; the last line counts."""
    scans: Counter[str] = Counter()
    loaded: dict[str, Any] = {}
    for name, column, transform in clean_cases():
        path = DATA / name / "train.parquet"
        if not path.is_file():
            print(f"{path} is not there: left out")
            continue
        if name not in loaded:
            every = datasets.load_dataset("parquet", data_files=str(path), split="train")
            few = min(len(every), rows if column == "text" else rows // 20)
            loaded[name] = every.shuffle(seed=1).select(range(few)).flatten_indices()
        original = loaded[name]
        try:
            transform.fit(original)
        except ValueError as error:  # so few rows of a class have too few words for some settings
            print(json.dumps({"dataset": name, "transform": repr(transform), "refused": str(error)[:100]}), flush=True)
            scans["refused"] += 1
            continue
        protected = original.map(transform, batched=True, load_from_cache_file=False)
        for given in ({"key": transform.key}, {"key": transform.key, "original": {"train": original}}):
            findings = found(protected, column, **given)
            scans["scans"] += 1
            scans["with findings"] += bool(findings)
            for one in findings:
                print(json.dumps({"dataset": name, "transform": repr(transform), "given": list(given),
                                  "finding": str(one)[:100]}), flush=True)  # fmt: skip
    print(json.dumps(scans))


def once(rows: int) -> None:
    """Scans texts beside other columns with the code that is imported; prints the seconds of processor time."""
    from hf_unlearnable import RegTextTransform
    from hf_unlearnable.publish.leaks import scan

    every = datasets.load_dataset("parquet", data_files=str(DATA / "imdb" / "train.parquet"), split="train")
    original = every.shuffle(seed=1).select(range(min(rows, len(every)))).flatten_indices()
    cloak = RegTextTransform(seed=SEED).fit(original)
    protected = original.map(cloak, batched=True)
    for name, dataset in {
        "text": protected, "text and a title": protected.map(lambda row: {"title": row["text"][:60]}),
    }.items():  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            dataset.to_parquet(Path(folder, "train-00000-of-00001.parquet"), batch_size=1000)
            start = time.process_time()
            scan(folder, protected_columns=["text"], key=cloak.key, original={"train": original}, num_proc=1)
            print(json.dumps({"data": name, "seconds": round(time.process_time() - start, 3)}), flush=True)


def timed(rows: int, other: str, runs: int) -> None:
    """Both checkouts in turn, in fresh processes."""
    here = str(Path(__file__).parents[2])
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(runs):
        for checkout in (other, here):
            command = [sys.executable, __file__, "once", "--rows", str(rows)]
            environment = {**os.environ, "PYTHONPATH": checkout, "HF_UNLEARNABLE_DATA": str(DATA)}
            lines = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
            for line in map(json.loads, lines.splitlines()):
                seconds.setdefault((line["data"], checkout), []).append(line["seconds"])
    for name in dict.fromkeys(name for name, _ in seconds):
        before, now = min(seconds[name, other]), min(seconds[name, here])
        print(json.dumps({"data": name, "rows": rows, "before": before, "now": now, "ratio": round(now / before, 2)}))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["planted", "clean", "time", "once"])
    parser.add_argument("--rows", type=int, default=8000, help="of a dataset of texts")
    parser.add_argument("--other", default=".", help="the checkout to compare with")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    if arguments.what == "planted":
        planted()
    elif arguments.what == "clean":
        clean(arguments.rows)
    elif arguments.what == "once":
        once(arguments.rows)
    else:
        timed(arguments.rows, arguments.other, arguments.runs)


if __name__ == "__main__":
    main()
