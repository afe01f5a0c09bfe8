"""How data is read: options that several commands have."""

from __future__ import annotations

import argparse
from typing import Any

from hf_unlearnable.data.sources import held
from hf_unlearnable.registry import MODALITIES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds those of CSV files to a parser."""
    group = parser.add_argument_group("how CSV files are read")
    group.add_argument("--separator", help="character between two values (default: found)")
    group.add_argument(
        "--quoting",
        choices=("minimal", "none"),
        help="whether quotes enclose values (minimal) or are characters like others (none) (default: found)",
    )
    group.add_argument("--encoding", dest="file_encoding", help="of the text, such as latin-1 (default: UTF-8)")


def add_skipping(parser: argparse.ArgumentParser) -> None:
    """Adds the option that leaves broken files out."""
    parser.add_argument(
        "--skip-broken", action="store_true", help="list files that do not open or belong to no class, and go on"
    )


def add_columns(parser: argparse.ArgumentParser, usual: str, old: str | None = None) -> None:
    """Adds the options that name the protected column: `--text-column`, `--image-column`, one per kind of data.

    Args:
        parser: Of a command that is told from the data, or from the key, what kind it is.
        usual: Which column is taken when none is named, for the help.
        old: An earlier name of the option, which is still read.
    """
    group = parser.add_mutually_exclusive_group()
    for _, modality in MODALITIES.items():
        group.add_argument(
            f"--{modality.column}-column",
            dest="protected_column",
            metavar="NAME",
            help=f"column of protected {modality.plural} (default: {usual})",
        )
    if old is not None:
        group.add_argument(old, dest="protected_column", help=argparse.SUPPRESS)


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given for them, as `load_rows` takes them."""
    names = {"separator": "separator", "quoting": "quoting", "encoding": "file_encoding"}
    return {name: getattr(arguments, option, None) for name, option in names.items()}


def require_labels(dataset: Any, column: str, source: str, what: str) -> None:
    """Raises for a folder of files that gives no labels; the ValueError says how folders tell them.

    Args:
        dataset: What was read.
        column: Of labels.
        source: Where it was read from.
        what: Needs them.
    """
    modality = held(source)
    if modality is not None and column not in dataset.column_names:
        told = modality.without_labels(source)
        raise ValueError(f"{what} needs labels, and there is no column {column!r}. {told}")
