"""What the protecting recipes share: options that stand in a YAML file, and the command line overrides them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from hf_unlearnable.registry import METHODS


def new_parser(description: str, method: str) -> argparse.ArgumentParser:
    """The options that say what is protected and how.

    Args:
        description: Of the recipe.
        method: The default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="YAML file with any of the options below")
    parser.add_argument("--dataset_name", help="Hub id, file or folder")
    parser.add_argument("--dataset_config", help="configuration of a dataset on the Hub")
    parser.add_argument("--method", default=method, choices=list(METHODS))
    parser.add_argument("--parameters", type=yaml.safe_load, default={}, help="arguments of the method, as YAML")
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Options from the command line, on top of those of the YAML file; the key is beside the output by default.

    Args:
        parser: Of `new_parser`, with `--output` and `--key` added.
        argv: Of the command line; None for the process's own.
    """
    known, _ = parser.parse_known_args(argv)
    if known.config:
        options = yaml.safe_load(Path(known.config).read_text(encoding="utf-8"))
        unknown = set(options) - set(vars(known))
        if unknown:
            parser.error(f"{known.config} has unknown options: {', '.join(sorted(unknown))}")
        parser.set_defaults(**options)
    arguments = parser.parse_args(argv)
    if not (arguments.dataset_name and arguments.output):
        parser.error("dataset_name and output are needed, on the command line or in the YAML file")
    arguments.key = Path(arguments.key or f"{arguments.output}.key")
    return arguments


def run(main: Callable[[], None]) -> None:
    """Runs a recipe. What it cannot do is one sentence, as on the command line."""
    try:
        main()
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, yaml.YAMLError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {' '.join(str(error).split())}")
