"""`hf-unlearnable verify`: tells from a key whether data was protected with it."""

from __future__ import annotations

import argparse
from typing import Any

from hf_unlearnable.cli import reading
from hf_unlearnable.data import load_rows


def add(commands: Any) -> None:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("verify", help="tell from a key whether data was protected with it")
    parser.add_argument("--key", required=True, help="the owner's secret")
    parser.add_argument("--data", required=True, help="the suspect: file, folder, or id on the Hub")
    parser.add_argument("--split", default="train", help="which split (default: %(default)s)")
    parser.add_argument("--column", help="the protected column, where it has another name than in the key")
    reading.add_skipping(parser)
    reading.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from hf_unlearnable.ownership import verify

    suspect = load_rows(
        arguments.data, split=arguments.split, need_labels=False, skip_broken=arguments.skip_broken,
        **reading.options(arguments),
    )  # fmt: skip
    print(verify(arguments.key, suspect, column=arguments.column))
