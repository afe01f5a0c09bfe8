"""How data is read: options that several commands have."""

from __future__ import annotations

import argparse
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_unlearnable.data.on_the_hub import is_remote
from hf_unlearnable.data.sources import held
from hf_unlearnable.registry import MODALITIES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds those of CSV files to a parser."""
    group = parser.add_argument_group("how CSV files are read")
    group.add_argument("--separator", help="character between two values (default: told from the file)")
    group.add_argument(
        "--quoting",
        choices=("minimal", "none"),
        help="whether quotes enclose values (minimal) or are characters like others (none) (default: told from the "
        "file)",
    )
    group.add_argument(
        "--encoding", dest="file_encoding", help="encoding of the text, such as latin-1 (default: UTF-8)"
    )


def add_source(parser: argparse.ArgumentParser, what: str, old: str | None = None, more: str = "") -> None:
    """Adds the input, in front of the options or behind them.

    Args:
        parser: Of a command that reads one dataset.
        what: The input is, for the help.
        old: An option that named it earlier, which is still read.
        more: What this command reads besides, for the help.
    """
    text = (
        f"{what}: one or more files (Parquet, CSV, TSV, JSON lines), a quoted pattern, a folder, or an id on the Hub"
        f"{more}"
    )
    if old is None:
        parser.add_argument("source", nargs="+", metavar="input", help=text)
        return
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("source", nargs="*", default=[], metavar="input", help=text)
    group.add_argument(old, nargs="+", dest="source_of_option", help=argparse.SUPPRESS)


def source(arguments: argparse.Namespace) -> str | list[str]:
    """The input as `load_rows` takes it.

    Raises:
        FileNotFoundError: No file matches a pattern.
    """
    return named(*(arguments.source or arguments.source_of_option))


def named(*names: str) -> str | list[str]:
    """Data as `load_rows` takes it; "data/*.parquet" is a pattern where no file has this name.

    Args:
        names: Files, folders, ids on the Hub or patterns, as they were given.

    Returns:
        The one that is there, or several files.

    Raises:
        FileNotFoundError: No file matches a pattern.
    """
    found: list[str] = []
    for name in names:
        matches = [name] if is_remote(name) else matching(name)
        if not matches and set("*?[") & set(name):
            raise FileNotFoundError(f"There is no file or folder {name}, and as a pattern it matches none.")
        found += matches or [name]
    return found[0] if len(found) == 1 else found


def matching(name: str) -> list[str]:
    """The files that a name stands for: the one of this very name, else those that match it as a pattern."""
    return [name] if Path(name).exists() else sorted(glob.glob(name))


def add_skipping(parser: argparse.ArgumentParser) -> None:
    """Adds the option that leaves broken files out."""
    parser.add_argument(
        "--skip-broken", action="store_true", help="list files that do not open or belong to no class, and go on"
    )


def add_columns(parser: argparse.ArgumentParser, usual: str, old: str | None = None) -> None:
    """Adds the options that name the protected column: `--text-column`, `--image-column`, one per kind of data.

    Args:
        parser: Of a command that is told from the data, or from the key, what kind it is.
        usual: Which column is taken when none is named, for the help; "{column}" stands for the modality's own.
        old: An earlier name of the option, which is still read.
    """
    group = parser.add_mutually_exclusive_group()
    plurals: dict[str, str] = {}
    for _, modality in MODALITIES.items():  # that of another package may have the same usual column
        plurals.setdefault(modality.column, modality.plural)
    for column, plural in plurals.items():
        group.add_argument(
            f"--{column}-column",
            dest="protected_column",
            metavar="NAME",
            help=f"column of protected {plural} (default: {usual.format(column=column)})",
        )
    if old is not None:
        group.add_argument(old, dest="protected_column", help=argparse.SUPPRESS)


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given for them, as `load_rows` takes them."""
    names = {"separator": "separator", "quoting": "quoting", "encoding": "file_encoding"}
    return {name: getattr(arguments, option, None) for name, option in names.items()}


def require_labels(dataset: Any, column: str, source: str | Sequence[str], what: str, otherwise: str = "") -> None:
    """Raises for a folder of files that gives no labels; the ValueError says how folders tell them.

    Args:
        dataset: What was read.
        column: Of labels.
        source: Where it was read from.
        what: Needs them.
        otherwise: What to do without labels, in a sentence's end.
    """
    modality = held(source)
    if modality is not None and isinstance(source, str) and column not in dataset.column_names:
        told = modality.without_labels(source)
        without = f" Without labels, {otherwise}." if otherwise else ""
        raise ValueError(f"{what} needs labels, and there is no column {column!r}. {told}{without}")
