"""The argument parser of every command."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any


class Parser(argparse.ArgumentParser):
    """A parser whose help keeps names and options such as `no-training` on one line, so that they can be copied."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"formatter_class": _Formatter, **options})


class _Formatter(argparse.HelpFormatter):
    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.fill(
            " ".join(text.split()), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )
