"""How data is read: options that several commands have."""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds them to a parser."""
    group = parser.add_argument_group("how CSV files are read")
    group.add_argument("--separator", help="letter between two values (default: found)")
    group.add_argument(
        "--quoting", choices=("minimal", "none"), help="whether quotes enclose values or are letters (default: found)"
    )
    group.add_argument("--encoding", dest="file_encoding", help="of the text, such as latin-1 (default: UTF-8)")


def add_skipping(parser: argparse.ArgumentParser) -> None:
    """Adds the option that leaves broken files out."""
    parser.add_argument(
        "--skip-broken", action="store_true", help="name files that do not open or are of no class, and go on"
    )


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given for them, as `load_rows` takes them."""
    names = {"separator": "separator", "quoting": "quoting", "encoding": "file_encoding"}
    return {name: getattr(arguments, option, None) for name, option in names.items()}
