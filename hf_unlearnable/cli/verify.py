"""`hf-unlearnable verify`: tells from a key whether data was protected with it."""

from __future__ import annotations

import argparse
from typing import Any

from hf_unlearnable.cli import reading
from hf_unlearnable.data import load_rows


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("verify", help="tell from a key whether data was protected with it")
    parser.description = (
        "Tells from a key whether data, or a part of it, was protected with it. The exit status is 0 if rows were. It "
        "is 1 if there is no sign of it, or the data is too little to tell. It is 2 if the question could not be "
        "asked: wrong options, data that does not open, a key that leaves no mark."
    )
    reading.add_source(parser, "the suspect", old="--data")
    parser.add_argument("--key", required=True, help="folder of the owner's key")
    parser.add_argument("--split", default="train", help="split to look at (default: %(default)s)")
    reading.add_columns(parser, usual="that of the key", old="--column")
    reading.add_skipping(parser)
    reading.add_arguments(parser)
    parser.set_defaults(run=run, failed=2)
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    from hf_unlearnable.ownership import verify

    suspect = load_rows(
        reading.source(arguments), split=arguments.split, need_labels=False, skip_broken=arguments.skip_broken,
        **reading.options(arguments),
    )  # fmt: skip
    found = verify(arguments.key, suspect, column=arguments.protected_column)
    print(found)
    return {
        "status": 0 if found.shown else 1, "shown": found.shown, "rows": found.rows, "marked": found.marked,
        "expected": found.expected, "p_value": found.p_value, "log10_p": found.log10_p, "sentence": str(found),
    }  # fmt: skip
