"""The parts of a card's section that depend on what is known: counts, the attack, the licence, what to cite."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_unlearnable._version import __version__
from hf_unlearnable._words import plain
from hf_unlearnable.markdown import table

if TYPE_CHECKING:
    from hf_unlearnable.publish.staging import Staged
    from hf_unlearnable.transform import Transform

_TOOL = f"[hf-unlearnable](https://pypi.org/project/hf-unlearnable/) {__version__}"
_ONLY_WITH_COUNTERMEASURES = ("attacks of the method's author",)  # of a report's protocol


def made(cls: type[Transform] | None, parameters: Mapping[str, Any]) -> str:
    """How the data was made: the method with its public parameters, and the tool.

    Args:
        cls: The method's class; None where nobody said.
        parameters: Its public parameters.
    """
    if cls is None:
        return f"Made with {_TOOL}. The method is not named."
    signature = inspect.signature(cls).parameters
    shown = [
        f"{name}={_short(value)}" for name, value in parameters.items()
        if name == cls.strength_parameter or plain(value) != plain(signature[name].default)
    ]  # fmt: skip
    said = f" ({', '.join(shown)}; every other parameter at its default)" if shown else ""
    return f"Made with the method `{cls.method}`{said} of {_TOOL}."


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_short, value))
    if isinstance(value, str) and (os.path.isabs(value) or os.path.isdir(value)):
        return os.path.basename(os.path.normpath(value))  # of a model's folder: where it lies is nobody's business
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def splits(staged: Sequence[Staged], changed: Mapping[str, int]) -> str:
    """A table of the splits: how many rows, and how many of them are protected.

    Args:
        staged: The splits.
        changed: Protected rows by split, where that is known.
    """
    rows = [["split", "rows", "protected"]]
    for part in staged:
        count = f"{changed[part.split]:,}" if part.split in changed else "not counted"
        rows.append([part.split, f"{part.rows:,}", count])
    return table(rows)


def attack(report: Mapping[str, Any] | None, plots: Mapping[str, str], countermeasures: bool) -> str:
    """What an attack found, or that there was none.

    Args:
        report: As in report.json, or None.
        plots: Those that are published: path in the repository to title.
        countermeasures: Whether it is told what undoes the protection.
    """
    if report is None or not report["measured"]:
        tried = ""
        if report is not None:
            reasons = f": {'; '.join(report['not_run'])}" if countermeasures else ""
            tried = f" An attack was begun, but no training on the protected rows ran{reasons}."
        return (
            "**Not measured.** This dataset was published without a finished attack on it. Assume that an attacker "
            f"gets through.{tried}"
        )
    parts = [f"**{sentence}**" for sentence in report["verdict" if countermeasures else "verdict_unnamed"]]
    parts += [f"**Mind:** {warning}" for warning in report["warnings"]]
    if report["not_run"] and countermeasures:
        parts += ["Not run:", "\n".join(f"- {reason}" for reason in report["not_run"])]
    parts += ["Accuracy on clean test rows in percent [95 % interval], after training on:", report["table"]]
    if countermeasures:
        for name, table in report["attacks"].items():
            parts += [f"{name} after every countermeasure that ran, the worst first (in parentheses: clean rows):",
                      table]  # fmt: skip
        for name, table in report.get("wear", {}).items():  # which reports of earlier versions do not have
            parts += [f"{name} after wear, what codecs, resizers and cleaning do without an attacker, the worst first "
                      "(in parentheses: clean rows):", table]  # fmt: skip
    parts += [f"![{title}]({path})" for path, title in plots.items()]
    hidden = () if countermeasures else _ONLY_WITH_COUNTERMEASURES
    told = [f"{name} {plain(value)}" for name, value in report["protocol"].items() if name not in hidden]
    whole = ["The whole report is [report/report.md](report/report.md)."] if countermeasures else []
    return "\n\n".join([*parts, f"Protocol: {'; '.join(told)}.", *whole])


def licence(identifier: str | Sequence[str] | None) -> str:
    """The licence in a sentence.

    Args:
        identifier: From the card's metadata, where several may stand.
    """
    if not identifier:
        return "Licence: none is named. Ask the owner before any use."
    return f"Licence: {identifier if isinstance(identifier, str) else ', '.join(identifier)}."


def citation(own: str | None, method: str | None, paper: str) -> str:
    """The heading and what to cite, empty where there is nothing.

    Args:
        own: How to cite the data.
        method: Name of the method.
        paper: The method's section "Paper", which names it in its first paragraph.
    """
    cited = [own] if own else []
    named = " ".join(paper.partition("\n\n")[0].split())
    cited += [f"Method `{method}`: {named}"] if named else []
    return "\n\n".join(["### Citation", *cited]) if cited else ""
