"""What a study is told: its configuration, read, checked and written out in full before anything is trained.

`protection.py` runs it. A fault names the configuration, the entry and what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from hf_unlearnable._words import either
from hf_unlearnable.registry import METHODS, method_class

PARTS = {
    "seeds", "input_column", "label_column", "fit_on", "classes", "countermeasures", "versions", "sweep", "datasets",
    "corpus", "labelled_by", "wear",
}  # fmt: skip
FIT = {"rows", "classes", "own", "gray"}  # of a version's `fit_on`
OURS = ("method", "paper", "role", "strength", "share", "drop", "fit_on", "then")  # of a version; else the method's


def read(path: str | Path) -> dict[str, Any]:
    """A configuration with its sweep written out as versions.

    Args:
        path: The YAML file.

    Raises:
        ValueError: It holds something that is not known, or a share that is no part of the rows.
    """
    config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if unknown := sorted(set(config) - PARTS):
        raise ValueError(f"{path}: {unknown[0]!r} is no part of a study. Its parts are {', '.join(sorted(PARTS))}.")
    config["versions"] = dict(config.get("versions") or {})
    sweep = config.get("sweep") or {}
    for method in sweep.get("methods", ()):
        for strength in sweep.get("strengths", (1,)):
            config["versions"][swept(method, strength)] = {"method": method, "strength": strength}
    for name, parameters in config["versions"].items():
        if isinstance(parameters, dict):
            _check(f"{path}: the version {name!r}", parameters)
    return config


def swept(method: str, strength: float) -> str:
    """How a version of a sweep is called: the method, and at so many times its usual strength."""
    return f"{method} x {strength:g}"


def known(path: str | Path, what: str, names: Iterable[str], there: Iterable[str]) -> None:
    """Raises for a name that is not there.

    Args:
        path: Of the configuration.
        what: What is named, such as "victim".
        names: Those that the configuration names.
        there: Those that there are.
    """
    kept = list(there)
    if unknown := [name for name in names if name not in kept]:
        raise ValueError(f"{path}: no {what} is called {unknown[0]!r}. Write {either(sorted(kept))}.")


def method_of(parameters: Mapping[str, Any]) -> Any:
    """The class of a version's method: a registered one, or `module:class`."""
    module, _, design = parameters["method"].partition(":")
    return getattr(import_module(module), design) if design else method_class(module)


def transform_of(parameters: Mapping[str, Any], **more: Any) -> Any:
    """The unfitted method of a version.

    Args:
        parameters: The version, as in a configuration.
        more: Further arguments of the method.
    """
    cls = method_of(parameters)
    options = {name: value for name, value in parameters.items() if name not in OURS}
    if "strength" in parameters:
        options = {**cls.strength(parameters["strength"]), **options}
    return (cls.paper if parameters.get("paper") else cls)(**options, **more)


def steps(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A version's method and those that protect its rows once more, in turn."""
    return [parameters, *(steps(parameters["then"]) if "then" in parameters else [])]


def protected_by(parameters: Mapping[str, Any], rows: Any, learned_from: Any, **more: Any) -> tuple[Any, list[Any]]:
    """Rows protected as a version says, each of its methods fitted on what those before it made.

    Args:
        parameters: The version, as in a configuration.
        rows: A `Dataset`.
        learned_from: The `Dataset` to fit on.
        more: Further arguments of every method.

    Returns:
        The protected rows, and the fitted methods.
    """
    fitted: list[Any] = []
    for step in steps(parameters):
        if fitted:
            own = learned_from is rows
            rows = rows.map(fitted[-1], batched=True)
            learned_from = rows if own else learned_from.map(fitted[-1], batched=True)
        fitted.append(transform_of(step, **more).fit(learned_from))
    return rows.map(fitted[-1], batched=True), fitted


def _check(where: str, parameters: Mapping[str, Any]) -> None:
    for step in steps(parameters)[1:]:
        if wrong := sorted({"role", "share", "drop", "fit_on"} & set(step)):
            raise ValueError(
                f"{where} says {wrong[0]!r} of a method that follows. Say it of the first one, for the whole."
            )
        _check(where, {name: value for name, value in step.items() if name != "then"})
    if ":" not in parameters.get("method", ""):
        known(where, "method", [parameters.get("method", "")], METHODS)
    share = parameters.get("share", 0.5)
    if not 0 < share < 1:
        raise ValueError(
            f"{where} has the share {share}. Give a number between 0 and 1: at 0 it is the clean version, at 1 leave "
            "the share out."
        )
    fit = parameters.get("fit_on", {"rows": 1})
    if unknown := sorted(set(fit) - FIT):
        raise ValueError(f"{where}: {unknown[0]!r} is no part of `fit_on`. Its parts are {', '.join(sorted(FIT))}.")
    if not (fit.get("rows") or fit.get("own", True)):
        raise ValueError(f"{where} learns from no rows. Give `rows` in `fit_on`, or leave `own` out.")
    if parameters.get("drop") and "share" not in parameters:
        raise ValueError(f"{where} drops the protected rows, but all are protected. Write `dropped` for it instead.")
