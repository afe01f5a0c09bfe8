"""What a grid holds: trainings, the versions that a countermeasure is tried on, and compositions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING

from hf_unlearnable._words import COMMAND_LINE
from hf_unlearnable.adversary import Countermeasure
from hf_unlearnable.audit.records import NONE, Missing, Version

if TYPE_CHECKING:
    from hf_unlearnable.adversary import Victim
    from hf_unlearnable.audit.records import Cell


@dataclass(frozen=True, eq=False)
class Planned:
    """One training of the grid.

    Args:
        version: What it trains on.
        victim, countermeasure: By name.
        seed: Of both.
    """

    version: Version
    victim: str
    countermeasure: str
    seed: int

    @property
    def key(self) -> tuple[str, str, str]:
        """The cell that it belongs to."""
        return self.version.name, self.victim, self.countermeasure

    def __str__(self) -> str:
        after = "" if self.countermeasure == NONE else f", {self.countermeasure}"
        return f"{self.version.name}, {self.victim}{after}"


def roles_of(countermeasure: Countermeasure) -> tuple[str, ...]:
    """The roles of the versions that a countermeasure is tried on."""
    return ("clean", "protected", "dropped") if "clean" in countermeasure.needs else ("clean", "protected")


def best_pairs(cells: Sequence[Cell], countermeasures: Mapping[str, Countermeasure]) -> dict[str, list[str]]:
    """The compositions of two that promise most.

    For each victim and protected version they are the two countermeasures that reached most there by themselves, the
    best strength of each. Compositions, and clean rows of the attacker's own, are no part of one.

    Args:
        cells: What was run.
        countermeasures: All that were tried, by name, in the order in which they are composed.

    Returns:
        Names "a+b" that `countermeasures` does not hold, each with its victims.
    """
    place = list(countermeasures).index
    best: dict[tuple[str, str], dict[str, str]] = {}
    for cell in sorted(cells, key=lambda cell: -cell.accuracy.mean):
        name = cell.countermeasure
        single = name != "none" and "+" not in name and "clean" not in countermeasures[name].needs
        if cell.version.role == "protected" and single:
            kind = re.sub(r"-[0-9]+%?$", "", name)  # "jpeg" for "jpeg-10"
            best.setdefault((cell.victim, cell.version.name), {}).setdefault(kind, name)
    pairs: dict[str, list[str]] = {}
    for (victim, _), found in best.items():
        pair = "+".join(sorted(list(found.values())[:2], key=place))
        if len(found) > 1 and pair not in countermeasures and victim not in pairs.get(pair, ()):
            pairs.setdefault(pair, []).append(victim)
    return pairs


def lacks(name: str, victim: Victim) -> str:
    """Why a victim that needs settings cannot run, for a sentence that begins with its name."""
    if victim.needs == ("model",):
        return f"it starts from a pretrained model, and none is given ({_given_model(name)})"
    return f"it has no default for {', '.join(victim.needs)}, and nothing is given (victims of an Effort)"


def why(part: str, error: Exception, does: Callable | None = None) -> str:
    """Why something cannot be had, on a line; where it starts from a model, how another one is given.

    Args:
        part: Its name.
        error: What was raised.
        does: The function of the victim or wear.
    """
    line = " ".join(str(error).split()) or type(error).__name__
    if does is None or not isinstance(error, OSError) or "model" not in signature(does).parameters:
        return line
    return f"{line.rstrip('.')}. Give another model, or its folder: {_given_model(part)}"


def _given_model(name: str) -> str:
    return f"--model {name}=ID" if COMMAND_LINE.get() else f"models={{{name!r}: ...}}"


def grouped(missed: Mapping[Planned, tuple[str, str]]) -> list[Missing]:
    """Trainings that were not run, seeds that lack the same part for the same reason together.

    Args:
        missed: To the part that a training lacks, if any, and the reason.
    """
    seeds: dict[tuple, list[int]] = {}
    for one, why in missed.items():
        seeds.setdefault((one.version, one.victim, one.countermeasure, *why), []).append(one.seed)
    return [
        Missing(version, victim, countermeasure, some, reason, part)
        for (version, victim, countermeasure, part, reason), some in seeds.items()
    ]


def together(countermeasure: str, victim: str) -> str:
    """The name of a countermeasure on a victim, where neither alone lacks anything."""
    return f"{countermeasure} on {victim}"
