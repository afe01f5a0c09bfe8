"""What an audit is made of: versions of a dataset, cells that ran, and trainings that did not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._words import counted
from hf_unlearnable.audit.statistics import Interval, accuracy_interval, paired_difference

if TYPE_CHECKING:
    from datasets import Dataset

NONE = "none"  # the countermeasure that changes nothing
ROLES = ("clean", "protected", "partly", "random", "dropped")


@dataclass(frozen=True)
class Version:
    """Rows that a victim may be trained on.

    Args:
        name: As the report shows it.
        rows: A dataset, or a function from a seed to one: every training then meets a key of its own, and the
            interval tells how much keys differ.
        role: "clean", "protected", "partly" (some rows protected, the others clean), "random" (the same dose of a
            change that tells nothing) or "dropped" (without the protected rows).
        share: How much of the rows is protected, from 0 to 1.
    """

    name: str
    rows: Dataset | Callable[[int], Dataset] = field(repr=False)
    role: str
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"The role {self.role!r} is none of {', '.join(ROLES)}.")


@dataclass(frozen=True, eq=False)
class Cell:
    """What one victim learned from one version after one countermeasure.

    Args:
        version: Whose rows it was trained on.
        victim: Name of the victim.
        countermeasure: Name of what was done about the protection, "none" for nothing.
        correct: Boolean [seeds, test rows]: which test rows each seed labelled rightly.
        seeds: The seeds that were run, in the order of `correct`.
        curves: For each seed, (training accuracy, test accuracy) after each epoch; empty where nothing was trained.
        train_rows: How many rows it was trained on, the countermeasure done.
        seconds: What the trainings took, all seeds together.
        made: Of a `Generator`, what `Modality.judge` tells of each seed's images; `correct` then says which of them
            it recognised.
        confusions: For each seed, how often each true class (down) was taken for each class (across), classes
            sorted; empty for what was stored before there were any.
    """

    version: Version
    victim: str
    countermeasure: str
    correct: np.ndarray = field(repr=False)
    seeds: list[int]
    curves: list[list[tuple[float, float]]] = field(default_factory=list, repr=False)
    train_rows: int = 0
    seconds: float = 0.0
    made: list[dict[str, Any]] = field(default_factory=list, repr=False)
    confusions: list[list[list[int]]] = field(default_factory=list, repr=False)

    @property
    def accuracy(self) -> Interval:
        """On the clean test rows after the last epoch, with its interval over seeds and rows."""
        return accuracy_interval(self.correct)

    @property
    def by_seed(self) -> list[float]:
        """Accuracy of each seed."""
        return self.correct.mean(axis=1).round(4).tolist()

    @property
    def peak(self) -> float:
        """Mean over the seeds of the best accuracy after any epoch: for an attacker who knows when to stop."""
        best = [
            max([final, *(test for _, test in curve)]) for final, curve in zip(self.by_seed, self.curves, strict=True)
        ]
        return float(np.mean(best))


@dataclass(frozen=True, eq=False)
class Missing:
    """Trainings that were planned and did not run.

    Args:
        version, victim, countermeasure: As of a `Cell`.
        seeds: Those that did not run; others of the same cell may have.
        reason: Why, such as "out of time".
        part: The victim or the countermeasure that lacks something, if that is why.
    """

    version: Version
    victim: str
    countermeasure: str
    seeds: list[int]
    reason: str
    part: str = ""


@dataclass(frozen=True, repr=False)
class Audit:
    """What was found.

    Args:
        cells: One for each version, victim and countermeasure that was run.
        not_run: What was not and why, a line per reason: for people; `missing` has every training.
        classes: Number of classes in the test.
        protocol: How it was measured: data, rows, parameters that may be published.
        warnings: What a reader should know of the data.
        fingerprints: `data.fingerprint` of the clean and the protected column, by which a report finds its data again.
        missing: The trainings that were planned and did not run.
        wear: Which of the countermeasures are none, by name: what happens to data without an attacker.
        contrastive: Which of the victims learn features by telling rows apart, by name.
        certificates: What is certified of a network of each version, see `certify.certified`.
        distance: How far the protected training is from a clean one, see `distance.looked_into`; empty if not asked.
    """

    cells: list[Cell]
    not_run: list[str]
    classes: int
    protocol: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    wear: list[str] = field(default_factory=list)
    contrastive: list[str] = field(default_factory=list)
    certificates: list[dict[str, Any]] = field(default_factory=list)
    distance: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        warned = f", {len(self.warnings)} warnings" if self.warnings else ""
        return f"Audit({self.ran} of {self.planned} trainings ran, {len(self.cells)} cells{warned})"

    @property
    def ran(self) -> int:
        """How many trainings ran."""
        return sum(len(cell.seeds) for cell in self.cells)

    @property
    def planned(self) -> int:
        """How many trainings the grid holds, those that did not run too."""
        return self.ran + sum(len(one.seeds) for one in self.missing)

    @property
    def measured(self) -> bool:
        """Whether any training on protected rows ran; else nothing is known of the protection."""
        return any(cell.version.role == "protected" for cell in self.cells)

    @property
    def versions(self) -> list[Version]:
        """The versions in the plan, whether or not a training on them ran."""
        every: list[Cell | Missing] = [*self.cells, *self.missing]
        return list({one.version.name: one.version for one in every}.values())

    @property
    def protected(self) -> list[str]:
        """Names of the protected versions in the plan."""
        return [version.name for version in self.versions if version.role == "protected"]

    @property
    def victims(self) -> list[str]:
        """The victims in the plan, whether or not a training of them ran: the order of all tables and plots."""
        every: list[Cell | Missing] = [*self.cells, *self.missing]
        return list(dict.fromkeys(one.victim for one in every))

    def cell(self, version: str, victim: str, countermeasure: str = NONE) -> Cell | None:
        """The cell of these names, if it was run."""
        wanted = (version, victim, countermeasure)
        return next((c for c in self.cells if (c.version.name, c.victim, c.countermeasure) == wanted), None)

    def of_role(self, role: str, victim: str, countermeasure: str = NONE) -> Cell | None:
        """The first cell of that role, such as that of the clean version."""
        names = [version.name for version in self.versions if version.role == role]
        return self.cell(names[0], victim, countermeasure) if names else None

    def lacking(self, version: str, victim: str, countermeasure: str = NONE) -> int:
        """How many trainings of a cell were planned and did not run."""
        wanted = (version, victim, countermeasure)
        return sum(
            len(one.seeds) for one in self.missing if (one.version.name, one.victim, one.countermeasure) == wanted
        )

    def learned(self, victim: str) -> bool:
        """Whether the clean rows taught a victim more than those the protection left alone; else it proves nothing."""
        clean, nothing = self.of_role("clean", victim), self.of_role("dropped", victim)
        if clean is None:
            return False
        if nothing is None:
            return clean.accuracy.low > 1 / self.classes
        return paired_difference(clean.correct, nothing.correct).low > 0

    def worst_first(self, versions: Sequence[str], *, wear: bool = False) -> list[str]:
        """The countermeasures, or the wear, that ran on any of these versions, by the best accuracy that one reached.

        Victims that prove nothing count only where all are such.
        """
        cells = [cell for cell in self.cells if cell.version.name in versions]
        cells = [cell for cell in cells if (cell.countermeasure in self.wear) == wear]
        learned = {victim: self.learned(victim) for victim in {cell.victim for cell in cells}}
        best: dict[str, float] = {}
        for cell in cells:
            counts = learned[cell.victim] or not any(learned.values())
            best[cell.countermeasure] = max(best.get(cell.countermeasure, 0.0), counts * cell.accuracy.mean)
        return sorted(best, key=lambda name: -best[name])


def reasons(missing: Sequence[Missing]) -> list[str]:
    """A line per reason: the part that lacks something, or the victim and all that it was to be trained after."""
    found: dict[tuple[str, str], list[Missing]] = {}
    for one in missing:
        found.setdefault((one.part or one.victim, one.reason), []).append(one)
    lines = []
    for (part, reason), some in found.items():
        after = ", ".join(dict.fromkeys(one.countermeasure for one in some if not one.part))
        count = sum(len(one.seeds) for one in some)
        named = f"{part} after {after}" if after not in ("", NONE) else part
        lines.append(f"{named}: {reason} ({counted(count, 'training')})")
    return lines


def confusion(truth: np.ndarray, predicted: np.ndarray) -> list[list[int]]:
    """How often each true class was taken for each class.

    Args:
        truth, predicted: Labels of the test rows, int [rows]. A prediction that is no true class of any row counts
            nowhere.

    Returns:
        Counts, true classes down and predicted ones across, the classes of `truth` sorted; empty for more than 20
        classes, of which nobody reads a matrix.
    """
    classes, places = np.unique(truth, return_inverse=True)
    if len(classes) > 20:
        return []
    counts = np.zeros((len(classes), len(classes)), int)
    known = np.isin(predicted, classes)
    np.add.at(counts, (places[known], np.searchsorted(classes, predicted[known])), 1)
    return counts.tolist()
