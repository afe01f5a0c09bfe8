"""`hf-unlearnable demo`: protection and attack of the embedded data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("demo", help="protect embedded notes and digits, train on them, show the effect")
    parser.description = (
        "Protects embedded notes and digits, trains on them, and shows the effect. It takes some minutes on two cores "
        "and needs no network."
    )
    parser.add_argument(
        "--output", default="demo-output", help="new folder for data and results (default: %(default)s)"
    )
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    from hf_unlearnable import demo
    from hf_unlearnable.audit.report import as_dict

    output, number = Path(arguments.output), 1
    while output.exists() or any(
        output.with_name(f"{output.name}-{part}.key").exists() for part in ("text", "images")
    ):
        number += 1
        output = Path(f"{arguments.output}-{number}")
    audits = demo.run(output, report=lambda line: print(line, flush=True))
    return {"output": output, "verdicts": [one for audit in audits for one in as_dict(audit)["verdict"]]}
