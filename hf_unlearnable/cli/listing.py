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
    parser.add_argument(
        "--compare", action="store_true",
        help="print what each method costs a person and what attackers leave of it, as measured",
    )  # fmt: skip
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    if arguments.compare:
        return _compare()
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


def _compare() -> dict[str, Any]:
    from hf_unlearnable.comparison import compared, page, protocol

    found = compared()
    for modality, rows in found.items():
        print(f"{modality}: {protocol(rows)}\n\n{page(modality, rows)}\n")
    measured = {row["method"] for rows in found.values() for row in rows}
    if lacking := [name for name in METHODS if name not in measured]:
        print(f"Not measured: {', '.join(lacking)}.")
    print(
        "A method with a star is on the front: no other one asks less of a person and leaves an attacker less, of "
        "those that hold something back and met enough attacks. What was not tried is not known to hold."
    )
    return {"compared": found, "not_measured": lacking}
