"""Parameters as the user knows them: by name in Python, as options on the command line. Values as prose."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

COMMAND_LINE: ContextVar[bool] = ContextVar("COMMAND_LINE", default=False)


def spelled(parameter: str) -> str:
    """The name of a parameter in a message: `label_column`, or `--label-column` while a command runs."""
    return "--" + parameter.strip("_").replace("_", "-") if COMMAND_LINE.get() else parameter


def plain(value: Any) -> str:
    """A value without the punctuation of Python, a list from JSON like the tuple that it was."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(one)}".strip() for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
