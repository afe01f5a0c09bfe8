"""Parameters as the user knows them: by name in Python, as options on the command line. Values as prose."""

import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

COMMAND_LINE: ContextVar[bool] = ContextVar("COMMAND_LINE", default=False)


def spelled(parameter: str) -> str:
    """The name of a parameter in a message: `label_column`, or `--label-column` while a command runs."""
    return as_option(parameter) if COMMAND_LINE.get() else parameter


def in_options(text: str, parameters: Iterable[str]) -> str:
    """A message written for Python in the words of the command line.

    Args:
        text: The message. Names in quotes and in paths are the user's own, and stay.
        parameters: Those that are options. `label_column` becomes `--label-column`, `rate=0` becomes `--rate 0`, and a
            single word only where it opens a sentence as a name: `rate is 2` becomes `--rate is 2`.
    """
    names = sorted(parameters, key=len, reverse=True)
    every, long = "|".join(names), "|".join(name for name in names if "_" in name)
    text = re.sub(rf"(?<![\w./'\"-])({every})=(['\"]?)([\w+/.-]*\w)\2", lambda m: f"{as_option(m[1])} {m[3]}", text)
    if long:
        text = re.sub(rf"(?<![\w./'\"-])({long})(?![\w'\"/=(]|\.\w)", lambda m: as_option(m[1]), text)
    return re.sub(rf"(^|[.:] )({every})(?= (?:is|has|holds|names) )", lambda m: f"{m[1]}{as_option(m[2])}", text)


def as_option(parameter: str) -> str:
    """The option of a parameter: `--label-column` of `label_column`."""
    return "--" + parameter.strip("_").replace("_", "-")


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 file, 2 files.

    Args:
        count: How many.
        one: What follows the number 1.
        many: What follows any other; None for `one` with an s.
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def either(names: Iterable[str]) -> str:
    """Alternatives as prose: a, b or c."""
    *before, last = names
    return f"{', '.join(before)} or {last}" if before else last


def plain(value: Any) -> str:
    """A value without the punctuation of Python, a list from JSON like the tuple that it was."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(one)}".strip() for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
