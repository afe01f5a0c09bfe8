"""Words that a card and a report hold whatever the key is: they are no secret there.

A protection may insert "training" or "accuracy", and every report says both. They are gathered from what is loaded,
not from source files: names in the registries, the parameters behind them, and the texts in the compiled code.
"""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from importlib.abc import InspectLoader
from importlib.util import find_spec
from types import CodeType
from typing import Any

from hf_unlearnable.publish.card import Facts, Wishes, render
from hf_unlearnable.registry import METHODS, MODALITIES, countermeasures_of, victims_of


def public_words(facts: Facts) -> str:
    """What the card and a report say in any case.

    Args:
        facts: What the card says; the report's own findings are left out, for they may tell a secret.

    Returns:
        The card without the report, the texts of the code that writes reports, and the names of all methods, victims
        and countermeasures, those of other packages too.
    """
    return "\n".join([render(replace(facts, report=None), Wishes()), *_names(), *_texts()])


def _names() -> Iterator[str]:
    """What can be attacked with what, and how each of them is set."""
    for method, cls in METHODS.items():
        yield from (method, *inspect.signature(cls).parameters)
    for name, modality in MODALITIES.items():
        yield from (name, modality.plural, *countermeasures_of(name))
        for victim, record in victims_of(name).items():
            settings = (field.name for field in fields(record.training))
            yield from (victim, *settings, *inspect.signature(record.train).parameters)


def _texts() -> Iterator[str]:
    """All that the modules can say that write a report, fail in its making, or write the card around it."""
    from hf_unlearnable import adversary, audit

    modules = {
        f"{package.__name__}.{module.name}"
        for package in (adversary, audit)
        for module in pkgutil.iter_modules(package.__path__)
    }
    modules.add("hf_unlearnable.publish.card")
    for name, _ in MODALITIES.items():
        for measure in countermeasures_of(name).values():
            modules |= {part.__module__ for part in (measure.on_rows, measure.in_training) if part is not None}
    for module in sorted(modules):
        yield from _texts_of(module)


@cache
def _texts_of(module: str) -> tuple[str, ...]:
    """The texts of a module's code; of what a notebook or a script defines there is no code to be found."""
    loaded = sys.modules.get(module)
    spec = find_spec(module) if loaded is None else loaded.__spec__
    code = spec.loader.get_code(module) if spec and isinstance(spec.loader, InspectLoader) else None
    return tuple(_constants(code))


def _constants(value: Any) -> Iterator[str]:
    """The texts among the constants of code, of the functions within it too."""
    if isinstance(value, str):
        yield value
    for one in value.co_consts if isinstance(value, CodeType) else value if isinstance(value, tuple) else ():
        yield from _constants(one)
