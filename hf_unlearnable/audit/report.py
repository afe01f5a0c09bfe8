"""What an audit found: a sentence on the worst case, tables, plots, and JSON that a program reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._files import files_into
from hf_unlearnable.audit.statistics import Interval, paired_difference, recovered_share

if TYPE_CHECKING:
    from hf_unlearnable.audit.grid import Audit, Cell

NONE = "none"


# ---------------------------------------------------------------------- what the numbers say
def learned(audit: Audit, victim: str) -> bool:
    """Whether the clean rows taught a victim more than what the protection left alone did; else it proves nothing."""
    clean, nothing = audit.of_role("clean", victim), audit.of_role("dropped", victim)
    if clean is None:
        return False
    if nothing is None:
        return clean.accuracy.low > 1 / audit.classes
    return paired_difference(clean.correct, nothing.correct).low > 0


def recovered(audit: Audit, cell: Cell) -> Interval | None:
    """The share of what clean rows teach this victim that the attack got out of the protected ones, if it is known."""
    clean, nothing = audit.of_role("clean", cell.victim), audit.of_role("dropped", cell.victim)
    if clean is None or nothing is None or not learned(audit, cell.victim):
        return None
    without = audit.of_role("dropped", cell.victim, cell.countermeasure) or nothing
    return recovered_share(cell.correct, without.correct, clean.correct, nothing.correct)


def worst_case(audit: Audit, protected: str) -> Cell | None:
    """The attack on this version that reached the highest accuracy, of those whose victim learns from clean rows.

    What an attacker's own clean rows are worth without the protected ones does not count.
    """

    def reached(cell: Cell) -> float:
        own = audit.of_role("dropped", cell.victim, cell.countermeasure)
        nothing = audit.of_role("dropped", cell.victim)
        brought = own.accuracy.mean - nothing.accuracy.mean if own is not None and nothing is not None else 0.0
        return cell.accuracy.mean - brought

    cells = [cell for cell in audit.cells if cell.version.name == protected and learned(audit, cell.victim)]
    return max(cells, key=reached, default=None)


def verdict(audit: Audit, protected: str) -> str:
    """One sentence on the worst cell of a protected version."""
    cell = worst_case(audit, protected)
    if cell is None:
        if not any(one.version.name == protected for one in audit.cells):
            return f"{protected}: proves nothing, because no attack on it was run."
        return (
            f"{protected}: proves nothing, because no victim learned more from the clean rows than without the "
            "protected ones."
        )
    clean, nothing = audit.of_role("clean", cell.victim), audit.of_role("dropped", cell.victim)
    assert clean is not None
    beside = [f"clean {clean.accuracy}"]
    if nothing is not None:
        beside.append(f"protected rows dropped {nothing.accuracy}")
    own = audit.of_role("dropped", cell.victim, cell.countermeasure)
    if cell.countermeasure != NONE and own is not None:
        beside.append(f"its own clean rows alone {own.accuracy}")
    share = recovered(audit, cell)
    cells = [c for c in audit.cells if c.version.name == protected]
    gained = "" if share is None else f", which is {share} % of what clean rows teach it"
    return (
        f"{protected}: at worst, {_said(cell)} reaches {cell.accuracy} % on clean test rows{gained} "
        f"({', '.join(beside)}); {_judged(audit, share, cells)}."
    )


def _judged(audit: Audit, share: Interval | None, cells: Sequence[Cell]) -> str:
    """What is to be said of the worst cell; weaker victims, who reach less, may have got more of what they can."""
    if share is None:
        return "without the dropped rows beside it nobody can say how much that is"
    if share.low > 0.5:
        return "the protection does not hold against this attack"
    shares = [recovered(audit, cell) for cell in cells]
    if share.high < 0.25 and not any(other is not None and other.low > 0.25 for other in shares):
        plain = all(cell.countermeasure == NONE for cell in cells)
        return f"it holds against {'training alone, and nothing else' if plain else 'everything that'} was tried here"
    return "it holds in part"


def _said(cell: Cell) -> str:
    return cell.victim if cell.countermeasure == NONE else f"{cell.victim} after {cell.countermeasure}"


# ---------------------------------------------------------------------- tables
def markdown_table(audit: Audit, countermeasure: str = NONE) -> str:
    """Versions as rows, victims as columns, accuracy in percent with its 95 % interval."""
    cells = [cell for cell in audit.cells if cell.countermeasure == countermeasure]
    victims = list(dict.fromkeys(cell.victim for cell in cells))
    found = {(cell.version.name, cell.victim): str(cell.accuracy) for cell in cells}
    names = dict.fromkeys(cell.version.name for cell in cells)
    return _table(["trained on", *victims], [[name, *(found.get((name, v), "") for v in victims)] for name in names])


def grid_table(audit: Audit, protected: str) -> str:
    """Countermeasures as rows, the worst first, victims as columns: accuracy (and that on clean rows)."""
    cells = [cell for cell in audit.cells if cell.version.name == protected]
    victims = list(dict.fromkeys(cell.victim for cell in cells))
    rows: dict[str, float] = {}
    for cell in cells:
        rows[cell.countermeasure] = max(rows.get(cell.countermeasure, 0.0), cell.accuracy.mean)

    def entry(countermeasure: str, victim: str) -> str:
        cell, clean = audit.cell(protected, victim, countermeasure), audit.of_role("clean", victim, countermeasure)
        cost = "" if clean is None else f" ({100 * clean.accuracy.mean:.1f})"
        return "" if cell is None else f"{cell.accuracy}{cost}"

    order = sorted(rows, key=lambda name: -rows[name])
    return _table(["countermeasure", *victims], [[name, *(entry(name, v) for v in victims)] for name in order])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
             for row in [header, *rows]]  # fmt: skip
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


# ---------------------------------------------------------------------- files
def write_report(folder: Path, audit: Audit) -> None:
    """Writes `report.json`, `report.md` and, with matplotlib installed, the plots.

    `grid.png` is every countermeasure and victim, `curves.png` training and test accuracy by epoch of clean and
    protected rows, `share.png` accuracy against the protected share where there are versions protected in part.

    Args:
        folder: Made if it is not there.
        audit: What was found.
    """
    with files_into(folder) as scratch:
        _write_files(scratch, audit)


def _write_files(folder: Path, audit: Audit) -> None:
    contents = as_dict(audit)
    Path(folder, "report.json").write_text(json.dumps(contents, indent=1, default=str) + "\n", encoding="utf-8")
    parts = [*contents["verdict"], *(f"**Mind:** {warning}" for warning in audit.warnings)]
    parts += ["Accuracy on clean test rows in percent [95 % interval].", contents["table"]]
    hopeless = [v for v in dict.fromkeys(c.victim for c in audit.cells) if not learned(audit, v)]
    if hopeless:
        parts.append(
            "These learned no more from the clean rows than without the protected ones, so their cells prove nothing: "
            f"{', '.join(hopeless)}."
        )
    for name, table in contents["attacks"].items():
        parts += [f"## Attacks on: {name}", "The worst first; in parentheses the same on clean rows: what the "
                  "countermeasure costs the attacker.", table]  # fmt: skip
    if audit.not_run:
        parts += ["## Not run", "\n".join(f"- {reason}" for reason in audit.not_run)]
    parts += ["## Protocol", "\n".join(f"- {name}: {value}" for name, value in contents["protocol"].items())]
    plots = write_plots(folder, audit)
    if plots:
        parts += ["## Plots", "\n".join(f"![{plot.stem}]({plot.name})" for plot in plots)]
    Path(folder, "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def as_dict(audit: Audit) -> dict[str, Any]:
    """The whole report as JSON values: what `report.json` holds, and what a card is made of.

    Returns:
        "verdict", "warnings", "table" (Markdown, without countermeasures), "attacks" (Markdown by protected version,
        where there were countermeasures), "protocol", "fingerprints" of the data, "cells" and "not_run".
    """
    protected = [version.name for version in _versions(audit) if version.role == "protected"]
    tried = {cell.version.name for cell in audit.cells if cell.countermeasure != NONE}
    return {
        "verdict": [verdict(audit, name) for name in protected],
        "warnings": audit.warnings,
        "table": markdown_table(audit),
        "attacks": {name: grid_table(audit, name) for name in protected if name in tried},
        "protocol": {**audit.protocol, "versions": library_versions()},
        "fingerprints": audit.fingerprints,
        "cells": [as_json(audit, cell) for cell in audit.cells],
        "not_run": audit.not_run,
    }


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
    }  # fmt: skip


def _versions(audit: Audit) -> list:
    return list({cell.version.name: cell.version for cell in audit.cells}.values())


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


# ---------------------------------------------------------------------- plots
def write_plots(folder: Path, audit: Audit) -> list[Path]:
    """The plots that the cells allow, readable in black and white.

    Returns:
        The files; none when matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    made = []
    for name, draw in {"grid": _grid_plot, "curves": _curves_plot, "share": _share_plot}.items():
        figure = Figure(layout="constrained")
        path = Path(folder, f"{name}.png")
        path.unlink(missing_ok=True)  # of an earlier report, with other cells
        if draw(figure, audit):
            made.append(path)
            figure.savefig(path, dpi=150)
    return made


def _grid_plot(figure: Any, audit: Audit) -> bool:
    """A heat map a protected version: countermeasures down, victims across, dark where the attacker learns."""
    protected = [v.name for v in _versions(audit) if v.role == "protected"]
    names = list(dict.fromkeys(c.countermeasure for c in audit.cells if c.version.role == "protected"))
    victims = list(dict.fromkeys(cell.victim for cell in audit.cells))
    if len(names) < 2 or not protected:
        return False
    clean = next((v.name for v in _versions(audit) if v.role == "clean"), "clean")
    shown = [clean, *protected]
    figure.set_size_inches(2.5 + 0.8 * len(victims) * len(shown), 1.8 + 0.28 * len(names))
    for axes, name in zip(np.ravel(figure.subplots(1, len(shown), sharey=True)), shown, strict=True):
        cells = [[audit.cell(name, victim, countermeasure) for victim in victims] for countermeasure in names]
        values = np.array([[np.nan if c is None else 100 * c.accuracy.mean for c in row] for row in cells])
        axes.imshow(values, cmap="Greys", vmin=0, vmax=100, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "white" if value > 60 else "black"
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", color=color, fontsize=8)
        axes.set_xticks(range(len(victims)), victims, rotation=60, ha="right", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(name, fontsize=9)
    figure.suptitle("Accuracy on clean test rows in percent", fontsize=10)
    return True


def _curves_plot(figure: Any, audit: Audit) -> bool:
    """By epoch and victim: training accuracy dotted, test accuracy solid; clean in gray, protected in black."""
    shown = [c for c in audit.cells if c.countermeasure == NONE and c.version.role in ("clean", "protected")]
    shown = [c for c in shown if c.curves and len(c.curves[0]) > 1]
    victims = list(dict.fromkeys(cell.victim for cell in shown))
    if not victims:
        return False
    figure.set_size_inches(max(4.0, 3.2 * len(victims)), 4.0)
    markers = dict(zip(dict.fromkeys(c.version.name for c in shown), "os^vD<>pP*Xh", strict=False))
    for axes, victim in zip(np.ravel(figure.subplots(1, len(victims), sharey=True)), victims, strict=True):
        for cell in (c for c in shown if c.victim == victim):
            epochs = min(map(len, cell.curves))
            mean = 100 * np.mean([curve[:epochs] for curve in cell.curves], axis=0)
            style = {"color": "0.6" if cell.version.role == "clean" else "black", "markersize": 4,
                     "marker": markers.get(cell.version.name, ".")}  # fmt: skip
            axes.plot(range(1, epochs + 1), mean[:, 1], "-", label=f"{cell.version.name}, test", **style)
            axes.plot(range(1, epochs + 1), mean[:, 0], ":", label=f"{cell.version.name}, training", **style)
        axes.set(title=victim, xlabel="epoch", ylim=(0, 102))
        axes.title.set_fontsize(9)
    _finish(figure)
    return True


def _share_plot(figure: Any, audit: Audit) -> bool:
    """Accuracy against the share that is protected, beside that of the same rows dropped."""
    plain = [c for c in audit.cells if c.countermeasure == NONE]
    if not any(c.version.role == "partly" for c in plain):
        return False
    victims = list(dict.fromkeys(cell.victim for cell in plain))
    figure.set_size_inches(max(4.0, 3.2 * len(victims)), 4.0)
    for axes, victim in zip(np.ravel(figure.subplots(1, len(victims), sharey=True)), victims, strict=True):
        clean = [(0.0, c) for c in plain if c.victim == victim and c.version.role == "clean"]
        for label, roles, style in (("protected", ("partly", "protected"), "o-"), ("dropped", ("dropped",), "s--")):
            of_role = [(c.version.share, c) for c in plain if c.victim == victim and c.version.role in roles]
            points = sorted([*clean, *of_role], key=lambda point: point[0])
            values = [c.accuracy for _, c in points]
            means = np.array([100 * v.mean for v in values])
            ends = np.abs(np.array([[100 * v.low, 100 * v.high] for v in values]).T - means)
            axes.errorbar([100 * share for share, _ in points], means, ends, fmt=style, color="black", capsize=2,
                          mfc="black" if label == "protected" else "white", label=f"these rows {label}")  # fmt: skip
        axes.set(title=victim, xlabel="protected share in percent", ylim=(0, 102))
        axes.title.set_fontsize(9)
    _finish(figure)
    return True


def _finish(figure: Any) -> None:
    axes = figure.axes[0]
    axes.set_ylabel("accuracy in percent")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7)
