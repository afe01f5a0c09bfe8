"""`hf-unlearnable list`: names what there is."""

from __future__ import annotations

import argparse
from typing import Any

from hf_unlearnable.registry import METHODS, MODALITIES, countermeasures_of, victims_of


def add(commands: Any) -> None:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("list", help="name the methods, victims and countermeasures there are")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    for name, cls in METHODS.items():
        print(f"{name}  {cls.modality}  {cls.described()['summary']}")
    for modality in MODALITIES:
        print(f"\nvictims, {modality}: {', '.join(victims_of(modality))}")
        print(f"countermeasures, {modality}: {', '.join(countermeasures_of(modality))}")
