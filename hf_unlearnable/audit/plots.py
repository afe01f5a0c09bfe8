"""Plots of an audit. Their colours differ in lightness too, so that they can be read in black and white."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.audit.records import NONE

if TYPE_CHECKING:
    from hf_unlearnable.audit.records import Audit


def write_plots(folder: Path, audit: Audit) -> list[Path]:
    """The plots that the cells allow.

    Args:
        folder: Where they go.
        audit: What was found.

    Returns:
        The files; none when matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    made = []
    for name, (title, draw) in PLOTS.items():
        figure = Figure(layout="constrained")
        path = Path(folder, f"{name}.png")
        path.unlink(missing_ok=True)  # of an earlier report, with other cells
        if draw(figure, audit):
            made.append(path)
            figure.suptitle(title, fontsize=10)
            figure.savefig(path, dpi=150)
    return made


def colors(count: int) -> list[Any]:
    """Colours from dark to light that stand out from white paper and from each other, in gray too.

    Args:
        count: How many.

    Returns:
        RGBA tuples of floats from 0 to 1, of a colour map that people with any colour vision read alike.
    """
    from matplotlib import colormaps

    return list(colormaps["cividis"](np.linspace(0, 0.62, count)))


def _grid_plot(figure: Any, audit: Audit) -> bool:
    """A heat map per version, clean beside protected: countermeasures down, the worst first as in the table."""
    names, victims = audit.worst_first(audit.protected), audit.victims
    if len(names) < 2:
        return False
    shown = [*audit.protected, *(version.name for version in audit.versions if version.role == "clean")]
    figure.set_size_inches(3.2 + max(1.4, 0.75 * len(victims)) * len(shown), 2.2 + 0.3 * len(names))
    panels = np.ravel(figure.subplots(1, len(shown), sharey=True))
    for axes, version in zip(panels, shown, strict=True):
        cells = [[audit.cell(version, victim, name) for victim in victims] for name in names]
        values = np.array([[np.nan if cell is None else 100 * cell.accuracy.mean for cell in row] for row in cells])
        image = axes.imshow(values, cmap="cividis_r", vmin=0, vmax=100, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", color=_ink(value), fontsize=8)
            else:  # the hatched background shows through
                said = "not run" if audit.lacking(version, victims[j], names[i]) else "not in\nthe grid"
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
                axes.text(j, i, said, ha="center", va="center", fontsize=6, bbox=box)
        axes.patch.set(hatch="////", edgecolor="0.7")
        axes.set_xticks(range(len(victims)), victims, rotation=60, ha="right", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(version, fontsize=9)
        axes.set_xlabel("victim", fontsize=8)
    panels[0].set_ylabel("countermeasure, the worst first", fontsize=8)
    bar = figure.colorbar(image, ax=panels.tolist(), fraction=0.05)
    bar.set_label("accuracy on clean test rows (%)", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return True


def _ink(value: float) -> str:
    """The colour of a number on its field of the heat map, the one that stands out more."""
    return "white" if value > 53 else "black"


def _curves_plot(figure: Any, audit: Audit) -> bool:
    """By epoch and victim: training accuracy dotted, test accuracy solid; protected versions dark, clean light."""
    shown = [c for c in audit.cells if c.countermeasure == NONE and c.version.role in ("clean", "protected")]
    shown = [c for c in shown if min(map(len, c.curves), default=0) > 1]
    victims = [victim for victim in audit.victims if any(cell.victim == victim for cell in shown)]
    if not victims:
        return False
    figure.set_size_inches(max(4.8, 3.2 * len(victims)), 4.0)
    names = [v.name for role in ("protected", "clean") for v in audit.versions if v.role == role]
    color = dict(zip(names, colors(len(names)), strict=True))
    markers = dict(zip(names, "os^vD<>pP*Xh", strict=False))
    for axes, victim in zip(np.ravel(figure.subplots(1, len(victims), sharey=True)), victims, strict=True):
        for cell in (c for c in shown if c.victim == victim):
            epochs = min(map(len, cell.curves))
            mean = 100 * np.mean([curve[:epochs] for curve in cell.curves], axis=0)
            style = {"color": color[cell.version.name], "marker": markers.get(cell.version.name, "."), "markersize": 4}
            axes.plot(range(1, epochs + 1), mean[:, 1], "-", label=f"{cell.version.name}, test", **style)
            axes.plot(range(1, epochs + 1), mean[:, 0], ":", label=f"{cell.version.name}, training", **style)
        axes.set(title=victim, xlabel="epoch", ylim=(0, 102))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.title.set_fontsize(9)
    _finish(figure)
    return True


def _share_plot(figure: Any, audit: Audit) -> bool:
    """Accuracy against the share that is protected, beside that of the same rows dropped."""
    plain = [c for c in audit.cells if c.countermeasure == NONE]
    if not any(c.version.role == "partly" for c in plain):
        return False
    victims = [victim for victim in audit.victims if any(cell.victim == victim for cell in plain)]
    dark, light = colors(2)
    figure.set_size_inches(max(4.8, 3.2 * len(victims)), 4.0)
    for axes, victim in zip(np.ravel(figure.subplots(1, len(victims), sharey=True)), victims, strict=True):
        clean = [(0.0, c) for c in plain if c.victim == victim and c.version.role == "clean"]
        for label, roles, style, color in (
            ("protected", ("partly", "protected"), "o-", dark), ("dropped", ("dropped",), "s--", light),
        ):  # fmt: skip
            of_role = [(c.version.share, c) for c in plain if c.victim == victim and c.version.role in roles]
            points = sorted([*clean, *of_role], key=lambda point: point[0])
            values = [c.accuracy for _, c in points]
            means = np.array([100 * v.mean for v in values])
            ends = np.abs(np.array([[100 * v.low, 100 * v.high] for v in values]).T - means)
            axes.errorbar([100 * share for share, _ in points], means, ends, fmt=style, color=color, capsize=2,
                          label=f"these rows {label}")  # fmt: skip
        axes.set(title=victim, xlabel="protected rows (% of all)", ylim=(0, 102))
        axes.title.set_fontsize(9)
    _finish(figure)
    return True


def _certificate_plot(figure: Any, audit: Audit) -> bool:
    """By radius: what is certified up to where it abstains, what the recovery attack reached, the network itself."""
    radii = [point["radius"] for one in audit.certificates for point in one["curve"]]
    if not radii:
        return False
    figure.set_size_inches(5.6, 4.6)
    axes = figure.subplots()
    # The network of the clean rows comes first, and is light as in the other plots.
    shades = colors(len(audit.certificates))[::-1]
    for one, color, marker in zip(audit.certificates, shades, "s^ov", strict=False):
        for name, key, style in (("certified", "learnability", "-"), ("recovered", "recovered", "--")):
            points = [(point["radius"], 100 * point[key]) for point in one["curve"] if point[key] is not None]
            if points:
                axes.plot(*zip(*points, strict=True), style, color=color, marker=marker, markersize=4,
                          label=f"{one['version']}, {name}")  # fmt: skip
        axes.axhline(100 * one["accuracy"], linestyle=":", color=color, label=f"{one['version']}, the network itself")
    axes.set_xscale("symlog", linthresh=min((radius for radius in radii if radius > 0), default=1.0))
    shown = sorted(set(radii))
    axes.set_xticks(shown, [f"{radius:g}" for radius in shown], rotation=60, fontsize=8)
    axes.minorticks_off()
    axes.set(title="certified up to where the draws suffice", xlabel="radius (L2 distance of the weights)")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.title.set_fontsize(9)
    _finish(figure)
    return True


def _finish(figure: Any) -> None:
    """The label of the y axis of all panels, and one legend of all that any of them shows."""
    figure.axes[0].set_ylabel("accuracy (%)")
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        entries |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2, fontsize=7)


def _distance_plot(figure: Any, audit: Audit) -> bool:
    """The loss along random directions around the last weights, beside the SAL of each layer."""
    if not audit.distance:
        return False
    from hf_unlearnable.audit.distance import draw

    draw(figure, audit.distance, colors(len(audit.distance["versions"]))[::-1])
    return True


# File name to title and what draws it.
PLOTS = {
    "grid": ("Accuracy on clean test rows after each countermeasure", _grid_plot),
    "curves": ("Accuracy by epoch, without a countermeasure", _curves_plot),
    "share": ("Accuracy by share of protected rows", _share_plot),
    "certificate": ("Certified learnability and recovery by radius", _certificate_plot),
    "distance": ("Loss around the last weights, and how learnable each layer is (SAL)", _distance_plot),
}
