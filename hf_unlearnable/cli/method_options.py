"""The options of `protect` that come from a method's class: names, types, choices, help; and the input beside them."""

from __future__ import annotations

import argparse
import inspect
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import takewhile
from typing import Any

from hf_unlearnable._words import as_option, in_options
from hf_unlearnable.cli import reading
from hf_unlearnable.cli.parser import Parser
from hf_unlearnable.transform import Transform

_LEVELS = 255  # a change of pixels is a share of them


class MethodParser(Parser):
    """A parser that finds the input wherever it stands, also behind an option that takes several values."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `argparse` does, the input first."""
        return super().parse_known_args(None if args is None else _input_first(self, list(args)), namespace)


def _input_first(parser: argparse.ArgumentParser, argv: list[str]) -> list[str]:
    """The arguments with the input in front where an option took it for one of its values.

    In `--text-column title body a.csv` the last value is the input, if nothing else is: of all options that were
    given two values or more it is the values at the end of one that are files or folders, or else the one last value
    that is an id on the Hub, "owner/name".
    """
    options = {name: action for action in parser._actions for name in action.option_strings}
    room: float = 0  # for values of the option that stands in front
    groups: list[list[int]] = []  # places of the second and further values of each option
    taken = 0
    for place, token in enumerate(argv):
        if token == "--":
            return argv
        if token.startswith("-") and not re.fullmatch(r"-\d*\.?\d+|-", token):
            name, equals, _ = token.partition("=")
            action = options.get(name) or next((one for full, one in options.items() if full.startswith(name)), None)
            room = 0 if equals or action is None or action.nargs == 0 else math.inf if action.nargs == "+" else 1
            taken = 0
        elif not room:
            return argv
        else:
            room, taken = room - 1, taken + 1
            if taken == 2:
                groups.append([])
            if taken > 1:
                groups[-1].append(place)
    there = [list(takewhile(lambda place: reading.matching(argv[place]), group[::-1])) for group in groups]
    ids = [group[-1:] for group in groups if re.fullmatch(r"[\w.-]+/[\w.-]+", argv[group[-1]])]
    found = list(filter(None, there)) or ids
    if len(found) != 1:
        return argv
    return [*(argv[i] for i in sorted(found[0])), *(token for i, token in enumerate(argv) if i not in found[0])]


def add_options(group: argparse._ArgumentGroup, cls: type[Transform]) -> None:
    """Adds an option for each argument of a method's constructor, as `option_NAME`, absent unless it is given."""
    described = cls.arguments()
    signature = inspect.signature(cls.__init__).parameters
    for parameter in list(signature.values())[1:]:
        group.add_argument(
            "--" + parameter.name.rstrip("_").replace("_", "-"),
            dest=f"option_{parameter.name}",
            default=argparse.SUPPRESS,
            help=_help(described.get(parameter.name, ""), parameter.default, set(signature)),
            **_type(str(parameter.annotation), parameter.default, cls.choices.get(parameter.name)),
        )


def _help(text: str, default: Any, names: set[str]) -> str:
    """What the class says of an argument, in the words of the command line."""
    text = re.sub(r"`(\w+)`", lambda m: as_option(m[1]) if m[1] in names else m[0], text)
    text = in_options(text.replace("`", ""), names)
    if default is None:
        text = re.sub(r"\bNone\b", "leaving it out", re.sub(r"\bNone for\b", "leave it out for", text))
    else:
        text = re.sub(r"\bNone\b", "none", text)
    text = re.sub(r"(?:^|(?<=\. ))[a-z]", lambda first: first[0].upper(), text)
    shown = "" if default in (None, ()) else f" (default: {_shown(default)})"
    return (text + shown).replace("%", "%%")


def _shown(value: Any) -> Any:
    """8/255 for the float that it is, yes or no for a bool."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float) or len(repr(value)) <= 8:
        return value
    levels = value * _LEVELS
    return f"{round(levels)}/{_LEVELS}" if math.isclose(levels, round(levels)) else value


def _type(annotation: str, default: Any, choices: Sequence[str] | None) -> dict[str, Any]:
    """By the first type in an annotation: "int | None", "typing.Optional[int]" and "<class 'int'>" are one."""
    if re.search(r"\b(Sequence|list|tuple)\b", annotation):
        return {"nargs": "+", "metavar": "VALUE"}
    named = re.search(r"\b(bool|int|float|str)\b", annotation)
    name = named[0] if named else "str"
    if name == "bool":
        return {"action": argparse.BooleanOptionalAction}
    if choices:
        return {"choices": choices}
    kinds: dict[str, Callable[[str], Any]] = {"float": _number, "int": int}
    kind = kinds.get(name, str)
    if default is not None and re.search(r"\b(None|Optional)\b", annotation):
        return {"type": _or_none(kind), "metavar": "VALUE"}
    return {"type": kind, "metavar": "VALUE"}


def _number(text: str) -> float:
    """A number, or a fraction like 8/255."""
    try:
        above, _, below = text.replace(" ", "").partition("/")
        return float(Fraction(Decimal(above)) / Fraction(Decimal(below or 1)))
    except ArithmeticError as error:
        raise ValueError(str(error)) from None


def _or_none(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Reads "none" as None, where an argument takes that and something else is the default."""

    def read(text: str) -> Any:
        return None if text.lower() == "none" else kind(text)

    read.__name__ = kind.__name__.strip("_")  # "invalid number value"
    return read


_number.__name__ = "number"


def plain(cls: type[Transform], name: str, value: Any, dataset: Any, options: dict[str, Any]) -> Any:
    """A value as the class takes it: single names out of their list, class names as the labels they stand for.

    Args:
        cls: The method.
        name: Of the argument.
        value: What was given for its option.
        dataset: The rows, whose labels `classes` names.
        options: All arguments that are known.
    """
    from datasets import ClassLabel

    if name == "classes":
        feature = (dataset.features or {}).get(options.get("label_column", "label"))
        if isinstance(feature, ClassLabel):
            return [feature.str2int(label) for label in value]
        if getattr(feature, "dtype", "").startswith(("int", "uint")):
            return [int(label) if re.fullmatch(r"[+-]?\d+", label) else label for label in value]
        return [label == "True" for label in value] if getattr(feature, "dtype", "") == "bool" else value
    single = name.endswith("_column") or (isinstance(value, list) and value[0] in cls.choices.get(name, ()))
    return value[0] if isinstance(value, list) and len(value) == 1 and single else value
