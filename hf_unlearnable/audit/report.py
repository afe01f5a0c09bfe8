"""What an audit found: the worst case in words, tables, plots, a page for people and JSON for programs."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable import _words
from hf_unlearnable._files import files_into
from hf_unlearnable.audit.certify import curve_table, explained
from hf_unlearnable.audit.distance import distance_parts
from hf_unlearnable.audit.generated import generated_parts, told
from hf_unlearnable.audit.page import Heading, Items, Paragraph, Part, Picture, Table, as_markdown, as_page
from hf_unlearnable.audit.plots import PLOTS, write_plots
from hf_unlearnable.audit.records import NONE
from hf_unlearnable.audit.statistics import Interval, paired_difference
from hf_unlearnable.audit.worst import by_family, learned, named, recovered, worst_case

if TYPE_CHECKING:
    from hf_unlearnable.audit.records import Audit, Cell, Missing

__all__ = [
    "as_dict", "as_json", "coverage", "grid_table", "learned", "library_versions", "markdown_table", "recovered",
    "verdict", "wear_table", "worst_case", "write_plots", "write_report",
]  # fmt: skip


def coverage(audit: Audit) -> str:
    """A sentence on how much of the grid ran: what did not run may get through."""
    if audit.ran == audit.planned:
        return f"All {audit.planned} trainings ran." if audit.planned else "No training was planned."
    if not audit.ran:
        return f"None of the {_words.counted(audit.planned, 'training')} ran."
    return f"Only {audit.ran} of {audit.planned} trainings ran: those that did not may get further."


def verdict(audit: Audit, protected: str, *, name_countermeasure: bool = True) -> str:
    """A protected version in words: whether it holds, the worst cell, and how much of the grid ran.

    Args:
        audit: What was found.
        protected: Name of the version.
        name_countermeasure: Whether the countermeasure of the worst cell is named.
    """
    return (
        f"{protected}: {_judged(audit, protected)}. {_worst(audit, protected, name_countermeasure)}{coverage(audit)}"
    )


def _worst(audit: Audit, protected: str, name_countermeasure: bool) -> str:
    """Sentences on the worst cell, if there is one."""
    cell = worst_case(audit, protected)
    if cell is None:
        return ""
    clean, nothing = audit.of_role("clean", cell.victim), audit.of_role("dropped", cell.victim)
    assert clean is not None
    beside = [f"clean rows {clean.accuracy} %"]
    if nothing is not None:
        beside.append(f"protected rows dropped {nothing.accuracy} %")
    own = audit.of_role("dropped", cell.victim, cell.countermeasure)
    if cell.countermeasure != NONE and own is not None:
        beside.append(f"its own clean rows alone {own.accuracy} %")
    share = recovered(audit, cell)
    gained = "" if share is None else f": {share} % of what clean rows teach it"
    return (
        f"At worst, {named(audit, cell, name_countermeasure)} reaches {cell.accuracy} % on clean test rows{gained}. "
        f"For comparison: {', '.join(beside)}. {by_family(audit, protected, name_countermeasure)}"
    )


def _judged(audit: Audit, protected: str) -> str:
    """What is to be said of the worst cell; weaker victims, who reach less, may have got more of what they can."""
    cells = [cell for cell in audit.cells if cell.version.name == protected]
    worst = worst_case(audit, protected)
    if not cells:
        return "not measured, for no training on it ran"
    if worst is None:
        if any(cell.version.role == "clean" for cell in audit.cells):
            return (
                "this proves nothing, for no victim learned more from the clean rows than without the protected ones"
            )
        return "this proves nothing, for no training on the clean rows ran"
    share = recovered(audit, worst)
    if share is None:
        return "how much gets through is not known, for the rows without the protected ones were not trained on"
    if share.low > 0.5:
        return "the protection does not hold"
    shares = [recovered(audit, cell) for cell in cells]
    if share.high >= 0.25 or any(other is not None and other.low > 0.25 for other in shares):
        return "the protection holds in part"
    plain = all(cell.countermeasure in (NONE, *audit.wear) for cell in cells)
    if audit.ran < audit.planned:
        tried = "no countermeasure ran" if plain else "nothing that ran got through"
        return f"{tried}, which does not show that the protection holds"
    if plain:
        return "the protection holds against training alone, and no countermeasure was tried"
    return "the protection holds against everything that was tried here"


# ---------------------------------------------------------------------- tables
def markdown_table(audit: Audit, countermeasure: str = NONE) -> str:
    """Versions as rows, victims as columns, accuracy in percent with its 95 % interval."""
    return _versions_table(audit, countermeasure).markdown()


def grid_table(audit: Audit, protected: str) -> str:
    """Countermeasures as rows, in the order of the plot, victims as columns: accuracy (and that on clean rows)."""
    return _grid_table(audit, protected).markdown()


def _versions_table(audit: Audit, countermeasure: str = NONE) -> Table:
    every: list[Cell | Missing] = [*audit.cells, *audit.missing]
    tried = {(one.version.name, one.victim) for one in every if one.countermeasure == countermeasure}
    victims = [victim for victim in audit.victims if any(victim == one for _, one in tried)]
    names = [version.name for version in audit.versions if any(version.name == one for one, _ in tried)]
    rows = [[name, *(_entry(audit, name, victim, countermeasure) for victim in victims)] for name in names]
    return Table(["trained on", *victims], rows)


def wear_table(audit: Audit, protected: str) -> str:
    """As `grid_table`, of the wear."""
    return _grid_table(audit, protected, wear=True).markdown()


def _grid_table(audit: Audit, protected: str, *, wear: bool = False) -> Table:
    """What was tried on a version, rows and columns in the order of the plot, which shows all versions."""

    def entry(countermeasure: str, victim: str) -> str:
        clean = audit.of_role("clean", victim, countermeasure)
        cost = "" if clean is None else f" ({100 * clean.accuracy.mean:.1f})"
        return _entry(audit, protected, victim, countermeasure) + cost

    here = {cell.countermeasure for cell in audit.cells if cell.version.name == protected}
    order = [name for name in audit.worst_first(audit.protected, wear=wear) if name in here]
    return Table(
        ["wear" if wear else "countermeasure", *audit.victims],
        [[name, *(entry(name, v) for v in audit.victims)] for name in order],
    )


def _entry(audit: Audit, version: str, victim: str, countermeasure: str) -> str:
    """The accuracy of a cell, with what of it did not run."""
    cell, lacking = audit.cell(version, victim, countermeasure), audit.lacking(version, victim, countermeasure)
    if cell is None:
        return "not run" if lacking else "-"
    seeds = len(cell.seeds)
    return f"{cell.accuracy}{f', {seeds} of {seeds + lacking} seeds' if lacking else ''}"


# ---------------------------------------------------------------------- files
_INTRODUCTION = (
    "An audit trains models on the clean rows, on the protected ones, and on these after each countermeasure. It "
    'tests all of them on the same clean rows. "Protected rows dropped" is what a model learns without them. Where '
    "the protection works, the protected rows teach hardly more than that. The strongest attack decides."
)
_KEY = (
    'On clean test rows, in percent, with the 95 % interval. A blank is explained where it stands: "not run" was '
    'planned (reasons above), "-" is not in the grid.'
)
_ORDER = (
    "The worst first, as in the plot. In parentheses: the same countermeasure on clean rows, which is what it costs "
    "the attacker."
)


_WEAR = (
    "Apart from countermeasures, for nobody chooses these: what codecs, resizers and cleaning pipelines do before any "
    "training. The worst first. In parentheses: the same wear on clean rows."
)


def write_report(folder: Path, audit: Audit) -> None:
    """Writes `report.html`, `report.md`, `report.json` and, with matplotlib installed, the plots.

    `report.html` is one file that holds the plots too and opens by a double click. `grid.png` is every countermeasure
    and victim, `curves.png` training and test accuracy by epoch of clean and protected rows, `share.png` accuracy
    against the protected share where there are versions protected in part, `certificate.png` what is certified and
    recovered by radius where anything was certified, `samples-*.png` what generators made.

    Args:
        folder: Made if it is not there.
        audit: What was found.
    """
    with files_into(folder) as scratch:
        contents = as_dict(audit)
        parts = _parts(audit, contents, write_plots(scratch, audit), generated_parts(scratch, audit))
        as_text = json.dumps(contents, indent=1, default=str) + "\n"
        for name, text in {
            "report.json": as_text,
            "report.md": as_markdown(parts),
            "report.html": as_page(parts),
        }.items():
            Path(scratch, name).write_text(text, encoding="utf-8")
        written = {path.name for path in scratch.iterdir()}
    for path in [*(Path(folder, f"{name}.png") for name in PLOTS), *Path(folder).glob("samples-*.png")]:
        if path.name not in written:  # of an earlier report, with other cells
            path.unlink(missing_ok=True)


def _parts(audit: Audit, contents: dict[str, Any], plots: list[Path], made: list[Part]) -> list[Part]:
    """The report from top to bottom."""
    parts: list[Part] = [Heading("What models learn from the protected rows", 1), Paragraph(_INTRODUCTION)]
    parts += [Paragraph(sentence, bold=True) for sentence in contents["verdict"]]
    parts += [Paragraph(warning, lead="Mind:") for warning in audit.warnings]
    if audit.not_run:
        parts += [Heading("Not run"), Items(audit.not_run)]
    if audit.ran:
        parts += [Heading("Accuracy"), Paragraph(_KEY), _versions_table(audit)]
    taught = dict.fromkeys(cell.victim for cell in audit.cells if cell.version.role == "clean")
    hopeless = [victim for victim in taught if not learned(audit, victim)]
    if hopeless:
        parts.append(Paragraph(
            "These learned no more from the clean rows than without the protected ones, so their cells prove nothing: "
            f"{', '.join(hopeless)}."
        ))  # fmt: skip
    for name in contents["attacks"]:
        parts += [Heading(f"Attacks on: {name}"), Paragraph(_ORDER), _grid_table(audit, name)]
    parts += made
    for name in contents["wear"]:
        parts += [Heading(f"Wear: {name}"), Paragraph(f"{_WEAR} {_wear_ran(audit)}")]
        parts += [_grid_table(audit, name, wear=True)]
    if audit.certificates:
        parts += [Heading("Certified learnability"), Paragraph(explained(audit.certificates[0]))]
        parts += [curve_table(audit.certificates)]
    parts += distance_parts(audit.distance)
    if plots:
        parts += [Heading("Plots"), *(Picture(plot, PLOTS[plot.stem][0]) for plot in plots)]
    protocol = [f"{name}: {_words.plain(value)}" for name, value in contents["protocol"].items()]
    return [*parts, Heading("Protocol"), Items(protocol)]


def _wear_ran(audit: Audit) -> str:
    """How much of the wear was tried."""
    ran = {cell.countermeasure for cell in audit.cells if cell.countermeasure in audit.wear}
    return f"{len(ran)} of {len(audit.wear)} ran."


def as_dict(audit: Audit) -> dict[str, Any]:
    """The whole report as JSON values: what `report.json` holds, and what a card is made of.

    Returns:
        "measured" (whether any training on protected rows ran), "trainings" (how many "ran" and were "planned"),
        "verdict", "verdict_unnamed" (which names no countermeasure), "warnings", "table" (Markdown, without
        countermeasures), "attacks" and "wear" (Markdown by protected version, where there were any), "protocol",
        "fingerprints" of the data, "cells", "certificates" and "distance" (where there are any), "not_run" (a line
        per reason) and "missing" (every training that did not run).
    """
    tried = {cell.version.name for cell in audit.cells if cell.countermeasure not in (NONE, *audit.wear)}
    worn = {cell.version.name for cell in audit.cells if cell.countermeasure in audit.wear}
    verdicts = [
        [verdict(audit, name, name_countermeasure=named) for name in audit.protected]
        or [f"Not measured. {coverage(audit)}"]
        for named in (True, False)
    ]
    return {
        "measured": audit.measured,
        "trainings": {"ran": audit.ran, "planned": audit.planned},
        "verdict": verdicts[0],
        "verdict_unnamed": verdicts[1],
        "warnings": audit.warnings,
        "table": markdown_table(audit),
        "attacks": {name: grid_table(audit, name) for name in audit.protected if name in tried},
        "wear": {name: wear_table(audit, name) for name in audit.protected if name in worn},
        "protocol": {**audit.protocol, "versions": library_versions()},
        "fingerprints": audit.fingerprints,
        "cells": [as_json(audit, cell) for cell in audit.cells],
        **({"certificates": audit.certificates} if audit.certificates else {}),
        **({"distance": audit.distance} if audit.distance else {}),
        "not_run": audit.not_run,
        "missing": [
            {"version": one.version.name, "victim": one.victim, "countermeasure": one.countermeasure,
             "seeds": one.seeds, "reason": one.reason}
            for one in audit.missing
        ],
    }  # fmt: skip


def as_json(audit: Audit, cell: Cell) -> dict[str, Any]:
    """All numbers of a cell, with what it is compared with."""

    def interval(found: Interval | None) -> list[float] | None:
        return None if found is None else [round(x, 4) for x in (found.mean, found.low, found.high)]

    def above(role: str) -> list[float] | None:
        other = audit.of_role(role, cell.victim)
        return interval(None if other is None else paired_difference(cell.correct, other.correct))

    return {
        "version": cell.version.name, "role": cell.version.role, "share": cell.version.share, "victim": cell.victim,
        "countermeasure": cell.countermeasure, "accuracy": interval(cell.accuracy), "by_seed": cell.by_seed,
        "peak": round(cell.peak, 4), "recovered": interval(recovered(audit, cell)), "above_dropped": above("dropped"),
        "above_random": above("random"), "seeds": cell.seeds, "train_rows": cell.train_rows,
        "test_rows": cell.correct.shape[1], "seconds": cell.seconds, "curves": cell.curves,
        **({"made": told(cell.made)} if cell.made else {}),
    }  # fmt: skip


def library_versions() -> dict[str, str]:
    """Versions of what a result depends on, those that are installed."""
    found = {}
    for name in ("hf-unlearnable", "datasets", "polars", "scikit-learn", "torch", "transformers", "tokenizers", "peft",
                 "kornia"):  # fmt: skip
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
