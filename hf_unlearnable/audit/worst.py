"""What got through: of one attack, and the worst of all of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from hf_unlearnable.audit.records import NONE
from hf_unlearnable.audit.statistics import Interval, recovered_share

if TYPE_CHECKING:
    from hf_unlearnable.audit.records import Audit, Cell


def learned(audit: Audit, victim: str) -> bool:
    """Whether the clean rows taught a victim more than what the protection left alone did; else it proves nothing."""
    return audit.learned(victim)


def recovered(audit: Audit, cell: Cell) -> Interval | None:
    """The share of what clean rows teach this victim that the attack got out of the protected ones, if it is known."""
    clean, nothing = audit.of_role("clean", cell.victim), audit.of_role("dropped", cell.victim)
    if clean is None or nothing is None or not learned(audit, cell.victim):
        return None
    without = audit.of_role("dropped", cell.victim, cell.countermeasure) or nothing
    return recovered_share(cell.correct, without.correct, clean.correct, nothing.correct)


def worst_case(audit: Audit, protected: str, victims: Collection[str] | None = None) -> Cell | None:
    """The attack on this version that reached the highest accuracy, of those whose victim learns from clean rows.

    What an attacker's own clean rows are worth without the protected ones does not count.

    Args:
        audit: What was found.
        protected: Name of the version.
        victims: Those that count; None for all.
    """

    def reached(cell: Cell) -> float:
        own = audit.of_role("dropped", cell.victim, cell.countermeasure)
        nothing = audit.of_role("dropped", cell.victim)
        brought = own.accuracy.mean - nothing.accuracy.mean if own is not None and nothing is not None else 0.0
        return cell.accuracy.mean - brought

    counted = [name for name in (audit.victims if victims is None else victims) if learned(audit, name)]
    cells = [cell for cell in audit.cells if cell.version.name == protected and cell.victim in counted]
    return max(cells, key=reached, default=None)


def by_family(audit: Audit, protected: str, name_countermeasure: bool) -> str:
    """A sentence on the worst of the supervised and of the contrastive learners, where both are in the grid."""
    supervised = [name for name in audit.victims if name not in audit.contrastive]
    worst = worst_case(audit, protected, supervised), worst_case(audit, protected, audit.contrastive)
    if worst[0] is None or worst[1] is None:
        return ""
    one, other = (f"{named(audit, cell, name_countermeasure)} ({cell.accuracy} %)" for cell in worst if cell)
    return f"The worst of the supervised learners is {one}, that of the contrastive ones {other}. "


def named(audit: Audit, cell: Cell, name_countermeasure: bool = True) -> str:
    """The victim of a cell, and after what it was trained."""
    if cell.countermeasure == NONE:
        return cell.victim
    unnamed = "wear" if cell.countermeasure in audit.wear else "a countermeasure"
    return f"{cell.victim} after {cell.countermeasure if name_countermeasure else unnamed}"
