"""Checks of what a constructor was given, and of what a key holds."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from types import NoneType
from typing import Any, ClassVar, Protocol

import numpy as np

# What a word of an annotation lets in; a whole number is as good as a float, and the other way round.
_NUMBER = (Number, np.generic)
_KINDS: dict[str, tuple[type, ...]] = {
    "None": (NoneType,), "Optional": (NoneType,), "bool": _NUMBER, "int": _NUMBER, "float": _NUMBER, "str": (str,),
    "Sequence": (Iterable,), "Mapping": (Mapping,), "list": (Iterable,), "tuple": (Iterable,), "Any": (), "typing": (),
    "collections": (), "abc": (), "class": (),
}  # fmt: skip


class NotFittedError(ValueError, AttributeError):
    """A transform was used before `fit`.

    Args:
        transform: The transform, or a message of your own.
    """

    def __init__(self, transform: Any):
        name = type(transform).__name__
        super().__init__(
            transform if isinstance(transform, str) else
            f"This {name} is not fitted: what it inserts is learned from the whole dataset first. Write "
            f"cloak = {name}(...).fit(ds), then ds.map(cloak, batched=True), and cloak.key.save('my.key')."
        )  # fmt: skip


class _Parameters(Protocol):
    """The constructor arguments that every method takes."""

    seed: int | None
    classes: Sequence[Any] | None
    fraction: float
    choices: ClassVar[Mapping[str, tuple[str, ...]]]


def check_parameters(transform: _Parameters) -> None:
    """Checks the constructor arguments that every method takes, and the words of `choices`.

    Args:
        transform: Fitted or not.

    Raises:
        ValueError: An argument makes no sense; the message names it and what it takes.
    """
    _check_kinds(transform)
    if not 0 <= transform.fraction <= 1:
        raise ValueError(
            f"fraction is {transform.fraction}, but it is a share of the rows: give a number from 0 to 1."
        )
    if transform.seed is not None and not 0 <= transform.seed < 2**64:
        raise ValueError("seed must be a whole number from 0 to 2**64 - 1, or None for a fresh secret one.")
    if not all(isinstance(label, int | str | np.generic) for label in transform.classes or ()):
        raise ValueError("classes holds something else than labels: whole numbers, names or booleans.")
    for name, allowed in transform.choices.items():
        value = getattr(transform, name)
        if value not in allowed if isinstance(value, str) else not isinstance(value, Sequence | Mapping):
            own = inspect.signature(type(transform).__init__).parameters[name].annotation
            more = " or a list of your own" if "Sequence" in str(own) else ""
            raise ValueError(f"{name} is {value!r}. Choose one of {', '.join(map(repr, allowed))}{more}.")


def _check_kinds(transform: _Parameters) -> None:
    """Raises for a text where a number belongs, and the like: by the annotations of the constructor."""
    for name, parameter in inspect.signature(type(transform).__init__).parameters.items():
        kinds = set(re.findall(r"\w+", str(parameter.annotation)))
        allowed = tuple(kind for word in kinds & _KINDS.keys() for kind in _KINDS[word])
        if name == "self" or not kinds <= _KINDS.keys() or not allowed:
            continue  # an annotation of a method's own
        value = getattr(transform, name)
        by_name = isinstance(value, Mapping)
        fits = isinstance(value, allowed) and (not by_name or "Mapping" in kinds)
        fits = fits and not (isinstance(value, str) and "str" not in kinds)
        if fits and kinds >= {"Sequence", "str"} and isinstance(value, Iterable) and not by_name:
            fits = all(isinstance(entry, str) for entry in value)
        if not fits or value != value:
            shown = "not a number" if isinstance(value, float) else f"of type {type(value).__name__}"
            raise ValueError(f"{name} is {shown}, but it takes {parameter.annotation}.")


def check_labels(labels: Any, least: int = 1) -> None:
    """Raises a ValueError for what is no list of labels as a `fit` keeps them: of a damaged key.

    Args:
        labels: Whole numbers, names or booleans, each once.
        least: How many there are at least.
    """
    kinds = all(isinstance(label, int | str) for label in labels)
    if not isinstance(labels, list) or not kinds or len(set(labels)) != len(labels) or len(labels) < least:
        raise ValueError(f"its labels are not {least} or more classes, each once")


def check_words(words: Any) -> None:
    """Raises a ValueError for what is no list of words or phrases to insert: of a damaged key."""
    texts = isinstance(words, list) and words and all(isinstance(word, str) for word in words)
    if not texts or not all(word and " ".join(word.split()) == word and "\0" not in word for word in words):
        raise ValueError("the words of a label are not one or more texts, none of them empty")
