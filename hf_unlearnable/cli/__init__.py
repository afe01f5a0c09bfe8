"""The command line: `hf-unlearnable protect | attack | publish | verify | space | demo | list`, a module each."""

from __future__ import annotations

import argparse
import inspect
import logging
import sys
from collections.abc import Sequence

from hf_unlearnable import __version__
from hf_unlearnable._words import COMMAND_LINE, in_options
from hf_unlearnable.cli import attack, demo, listing, protect, publish, space, verify
from hf_unlearnable.registry import method_class


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0 when it did what was asked, 1 when it could not (a sentence on standard error says why, and a line each what
        a leak scan found), 2 for a command line that does not parse, 130 when it was interrupted.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(argv).parse_args(argv)
    token = COMMAND_LINE.set(True)
    parameters = _parameters(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(parameters))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        print("Interrupted; nothing half-written was left.", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError, RuntimeError) as error:
        print(f"hf-unlearnable: {in_options(_sentence(error), parameters)}", file=sys.stderr)
        return 1
    finally:
        COMMAND_LINE.reset(token)
    return 0


# Options of `protect` that messages of other commands name too, such as those on a key.
_OF_PROTECT = ("id_column", "image_column", "label_column", "mask_column", "mode", "noise", "position", "skip_broken",
               "text_column")  # fmt: skip


def _parameters(arguments: argparse.Namespace) -> set[str]:
    """The names of parameters in messages that are options here."""
    names = {*_OF_PROTECT, *vars(arguments), "encoding"} - {"run", "private"}  # --public is what private=False is
    if arguments.run is protect.run:
        names |= {*inspect.signature(method_class(arguments.method)).parameters}
    return names


class _Formatter(logging.Formatter):
    """Warnings in the words of the command line."""

    def __init__(self, parameters: set[str]):
        super().__init__("%(levelname)s: %(message)s")
        self.parameters = parameters

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name that logging calls
        return in_options(super().formatMessage(record), self.parameters)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hf-unlearnable",
        description="Protect a dataset from training, attack the result to know what it is worth, and publish it.",
    )
    parser.add_argument("--version", action="version", version=f"hf-unlearnable {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    protect.add(commands, argv)
    for command in (attack, publish, verify, space, demo, listing):
        command.add(commands)
    return parser


def _sentence(error: BaseException) -> str:
    if hasattr(error, "findings"):  # of a leak scan: a line each
        return str(error)
    text = " ".join(str(error).split()) or type(error).__name__
    cause = error.__cause__
    return f"{text} ({' '.join(str(cause).split())})" if cause is not None and str(cause) not in text else text
