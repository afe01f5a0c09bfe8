"""`hf-unlearnable list`: names what there is."""

from __future__ import annotations

import argparse
from typing import Any

from hf_unlearnable.registry import METHODS, MODALITIES, countermeasures_of, victims_of, wear_of


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("list", help="list the methods, victims, countermeasures and wear there are")
    parser.description = (
        "Lists the methods with what each does, and the victims, countermeasures and wear for each kind of data. What "
        "other installed packages add is listed too."
    )
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    methods = [{"name": name, "data": cls.modality, "summary": cls.described()["summary"]}
               for name, cls in METHODS.items()]  # fmt: skip
    victims = {modality: list(victims_of(modality)) for modality in MODALITIES}
    countermeasures = {modality: list(countermeasures_of(modality)) for modality in MODALITIES}
    wear = {modality: list(wear_of(modality)) for modality in MODALITIES}
    for method in methods:
        print(*method.values(), sep="  ")
    for modality in MODALITIES:
        print(f"\nvictims, {modality}: {', '.join(victims[modality])}")
        print(f"countermeasures, {modality}: {', '.join(countermeasures[modality])}")
        if wear[modality]:
            print(f"wear, {modality}: {', '.join(wear[modality])}")
    return {"methods": methods, "victims": victims, "countermeasures": countermeasures, "wear": wear}
