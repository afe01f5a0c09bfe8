"""Parameters as the user knows them: by name in Python, as options on the command line."""

from contextvars import ContextVar

COMMAND_LINE: ContextVar[bool] = ContextVar("COMMAND_LINE", default=False)


def spelled(parameter: str) -> str:
    """The name of a parameter in a message: `label_column`, or `--label-column` while a command runs."""
    return "--" + parameter.strip("_").replace("_", "-") if COMMAND_LINE.get() else parameter
