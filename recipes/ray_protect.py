# /// script
# dependencies = ["hf-unlearnable[ray]"]
# ///
"""Protects texts inside Ray Data: the key is the function that `map_batches` calls on tables.

    python recipes/ray_protect.py --input in --output out --key my.key --workers 2
    python recipes/ray_protect.py --input hf://datasets/me/my-data/data --output out --key my.key

On a cluster, `ray job submit` starts it and every node takes batches. Each row gets the bytes that `map` gives it. A
new key is learned first, on the machine that starts the job, from a stream of the same files. Put `map_batches`
between readers and writers of your own. A key of images or audio goes the same way, with smaller batches.

Ray names the written files itself and drops the names of classes. `hf-unlearnable protect` keeps both, for Parquet
files without a pipeline of your own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_unlearnable import RegTextTransform, load_transform
from hf_unlearnable.transform import Transform

BATCH = 1000  # rows that are changed at once


def learned(files: Sequence[str], key: str, **parameters: Any) -> Transform:
    """The transform of a key, which is learned and saved where it is not there yet.

    Args:
        files: Parquet files, here or at `hf://`.
        key: Folder of the key.
        parameters: Arguments of `RegTextTransform` for a new key.
    """
    from datasets import load_dataset

    if not Path(key).exists():
        rows = load_dataset("parquet", data_files=list(files), split="train", streaming=True)
        RegTextTransform(**parameters).fit(rows).key.save(key)
    return load_transform(key)


def protected(rows: Any, cloak: Transform, workers: int) -> Any:
    """A dataset of Ray with its rows protected, as many batches at a time as there are workers."""
    return rows.map_batches(cloak, batch_format="pyarrow", batch_size=BATCH, concurrency=workers)


def main(argv: list[str] | None = None) -> None:
    """Reads Parquet files, protects and writes them."""
    import ray
    from huggingface_hub import HfFileSystem

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, help="folder of Parquet files with `text` and `label`, or hf://...")
    parser.add_argument("--output", required=True, help="new folder")
    parser.add_argument("--key", required=True, help="folder of the key, which is learned where it is not there")
    parser.add_argument("--workers", type=int, default=2, help="batches that are changed at the same time")
    arguments = parser.parse_args(argv)
    remote = HfFileSystem() if arguments.input.startswith("hf://") else None
    if remote:
        files = [f"hf://{path}" for path in sorted(remote.glob(f"{arguments.input}/**/*.parquet"))]
    else:
        files = [str(path) for path in sorted(Path(arguments.input).rglob("*.parquet"))]
    if not files:
        raise SystemExit(f"There is no Parquet file in {arguments.input}.")
    cloak = learned(files, arguments.key)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    rows = ray.data.read_parquet([file.removeprefix("hf://") for file in files], filesystem=remote)
    protected(rows, cloak, arguments.workers).write_parquet(arguments.output)


if __name__ == "__main__":
    main()
