"""`hf-unlearnable demo`: protection and attack of the embedded data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("demo", help="protect embedded notes and digits, train on them, show the effect")
    parser.add_argument(
        "--output", default="demo-output", help="new folder for data and results (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from hf_unlearnable import demo

    output, number = Path(arguments.output), 1
    while output.exists() or any(
        output.with_name(f"{output.name}-{part}.key").exists() for part in ("text", "images")
    ):
        number += 1
        output = Path(f"{arguments.output}-{number}")
    demo.run(output, report=lambda line: print(line, flush=True))
