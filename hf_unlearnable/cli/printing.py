"""What a command prints: lines for a person, one JSON object for a program (`--json`), or nothing (`--quiet`)."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any

from hf_unlearnable._progress import without_progress_bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds both options to a parser."""
    group = parser.add_argument_group("what is printed")
    group.add_argument(
        "--json", action="store_true", help="print one JSON object, and everything else to standard error"
    )
    group.add_argument("--quiet", action="store_true", help="print errors and warnings only")


@contextmanager
def printing(as_json: bool, quiet: bool) -> Iterator[None]:
    """Sends what is printed where these options say: with `--json` standard output is kept free for the object."""
    with ExitStack() as stack:
        if quiet:
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
            stack.enter_context(without_progress_bars())
        elif as_json:
            stack.enter_context(redirect_stdout(sys.stderr))
        yield


def print_json(found: Mapping[str, Any]) -> None:
    """Prints one object on a line of its own; numbers that JSON has none for are null."""
    print(json.dumps(_plain(found), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
