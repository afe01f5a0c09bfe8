"""How data is written: options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hf_unlearnable.data import FORMATS


def add_arguments(parser: argparse.ArgumentParser, files: Sequence[str]) -> None:
    """Adds them to a parser.

    Args:
        parser: Of a command that writes a dataset.
        files: Formats in which a dataset is a folder of files, such as "images".
    """
    parser.add_argument(
        "--output", required=True,
        help="where to write: a new folder, or a file that ends in .parquet, .csv, .tsv or .jsonl",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=(*FORMATS, *files),
        help="format of the files in a new folder: arrow is what load_from_disk reads"
        + "".join(f", {name} one file per row" for name in files) + " (default: that of the input, else parquet)",
    )  # fmt: skip
    parser.add_argument("--num-proc", type=int, help="number of processes (default: 1)")
