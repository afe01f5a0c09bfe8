"""What a grid holds: the versions that a countermeasure is tried on, and compositions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hf_unlearnable.adversary import Countermeasure

if TYPE_CHECKING:
    from hf_unlearnable.audit.records import Cell


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
