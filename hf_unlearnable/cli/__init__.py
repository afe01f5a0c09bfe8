"""The command line: `hf-unlearnable protect | restore | attack | publish | verify | space | demo | list`.

A command is a module with `add`, which describes its options, and `run`, which prints lines for a person and returns
what `--json` prints. Its "status" is the exit status where that is not 0.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import sys
from collections.abc import Sequence
from typing import Any

from hf_unlearnable import __version__
from hf_unlearnable._words import COMMAND_LINE, in_options
from hf_unlearnable.cli import attack, demo, listing, printing, protect, publish, restore, space, verify
from hf_unlearnable.cli.parser import Parser
from hf_unlearnable.registry import method_class


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0 when it did what was asked, 1 when it could not (a sentence on standard error says why, and a line each what
        a leak scan found), 2 for a command line that is empty or does not parse, 130 when it was
        interrupted. `verify` returns 1 for data that does not show the key's mark, and 2 when it could not look.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = _parser(argv)
    if not argv:
        parser.print_help(sys.stderr)
        return 2
    arguments = parser.parse_args(argv)
    token = COMMAND_LINE.set(True)
    try:
        found = _carried_out(arguments, _parameters(arguments))
    finally:
        COMMAND_LINE.reset(token)
    wait = found.pop("wait", None)  # of a server, which is told of before it ends
    if arguments.json:
        printing.print_json({"command": arguments.command, "status": 0, **found})
    if wait is not None:
        with printing.printing(arguments.json, arguments.quiet):
            wait()
    return found.get("status", 0)


def _carried_out(arguments: argparse.Namespace, parameters: set[str]) -> dict[str, Any]:
    """What the command found, or the error and its status."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(parameters))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        with printing.printing(arguments.json, arguments.quiet):
            return arguments.run(arguments)
    except KeyboardInterrupt:
        told = "Interrupted; nothing half-written was left."
        print(told, file=sys.stderr)
        return {"status": 130, "error": told}
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError, RuntimeError) as error:
        told = in_options(_sentence(error), parameters)
        print(f"hf-unlearnable: {told}", file=sys.stderr)
        return {"status": arguments.failed, "error": told}


# Options of `protect` that messages of other commands name too, such as those on a key.
_OF_PROTECT = ("audio_column", "id_column", "image_column", "label_column", "mask_column", "mode", "noise", "position",
               "skip_broken", "text_column")  # fmt: skip


def _parameters(arguments: argparse.Namespace) -> set[str]:
    """The names of parameters in messages that are options here."""
    names = {*_OF_PROTECT, *vars(arguments), "encoding"}
    names -= {"run", "failed", "command", "json", "quiet", "protected_column", "private"}  # private=False is --public
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
    parser = Parser(
        prog="hf-unlearnable",
        description="Protect a dataset from training, attack the result to know what it is worth, and publish it.",
    )
    parser.add_argument("--version", action="version", version=f"hf-unlearnable {__version__}")
    parser.set_defaults(failed=1)
    commands = parser.add_subparsers(title="commands", required=True, metavar="command", dest="command")
    protect.add(commands, argv)
    for command in (restore, attack, publish, verify, space, demo, listing):
        printing.add_arguments(command.add(commands))
    return parser


def _sentence(error: BaseException) -> str:
    if hasattr(error, "findings"):  # of a leak scan: a line each
        return str(error)
    text = " ".join(str(error).split()) or type(error).__name__
    cause = error.__cause__
    return f"{text} ({' '.join(str(cause).split())})" if cause is not None and str(cause) not in text else text
