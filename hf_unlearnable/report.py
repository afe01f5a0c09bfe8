"""What an audit found, as a table that a person reads and as JSON that a program reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_unlearnable.attack.audit import Cell


def markdown_table(cells: Sequence[Cell]) -> str:
    """Versions as rows, victims as columns, accuracy in percent with its 95 % interval."""
    victims = list(dict.fromkeys(cell.victim for cell in cells))
    versions = list(dict.fromkeys(cell.version for cell in cells))
    found = {(cell.version, cell.victim): str(cell.accuracy) for cell in cells}
    rows = [["trained on", *victims]]
    rows += [[name, *(found.get((name, victim), "") for victim in victims)] for name in versions]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write_report(folder: Path, cells: Sequence[Cell], protocol: Mapping[str, Any]) -> None:
    """Writes `results.json` (all numbers, the protocol, versions of the libraries) and `results.md` into a folder.

    Args:
        folder: Exists already.
        cells: What the audit found.
        protocol: How it was measured: data, rows, parameters that may be published, seeds.
    """
    contents = {"protocol": {**protocol, "versions": library_versions()}, "cells": [asdict(cell) for cell in cells]}
    Path(folder, "results.json").write_text(json.dumps(contents, indent=1, default=str) + "\n", encoding="utf-8")
    lines = [f"- {name}: {value}" for name, value in protocol.items()]
    Path(folder, "results.md").write_text(markdown_table(cells) + "\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


def library_versions() -> dict[str, str]:
    """Versions of what a result depends on, those that are installed."""
    found = {}
    for name in ("hf-unlearnable", "datasets", "polars", "scikit-learn", "torch", "transformers", "tokenizers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
