"""The tables and the plot of docs/results/distance.md, from the cells of `distance.py` and `tasks.py`.

`tables.py` writes the tables.

    python recipes/bench/distance_tables.py    # the plot
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attack_tables import BENCH, lines

from hf_unlearnable import unlearnable_distance
from hf_unlearnable.image.victims.tasks import TaskScore
from hf_unlearnable.markdown import table

PLOT = BENCH.parents[1] / "docs/assets/distance.png"
SHORT = 12  # epochs of the cells that are compared


def of_epochs(epochs: int) -> list[dict]:
    """The cells of trainings so long, each with its "distance" from the clean one without a countermeasure."""
    cells = [cell for cell in lines("distance.jsonl") if cell["epochs"] == epochs]
    clean = next(cell for cell in cells if (cell["method"], cell["countermeasure"]) == ("clean", "none"))
    return [
        {**cell, **{name: unlearnable_distance(cell[key], clean[key]) for name, key in _SAL.items() if key in cell}}
        for cell in cells
    ]


_SAL = {"distance": "sal", "distance_by_passes": "sal_by_passes"}


def mean_sal(cell: Mapping[str, Any], key: str = "sal") -> float:
    """Over layers and looks."""
    return float(np.mean([[*look.values()] for look in cell[key]]))


def spearman(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Spearman's rank correlation, and the ends of its 95 % interval, from a bootstrap over pairs.

    Args:
        one, other: Pairs of values.
    """
    from scipy.stats import rankdata

    pairs = np.array([one, other])
    drawn = np.random.default_rng(0).integers(0, len(one), (2000, len(one)))
    drawn = np.concatenate([np.arange(len(one))[None], drawn])  # the pairs themselves first
    ranks = rankdata(pairs[:, drawn], axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # a draw of equal values has no correlation
        found = (ranks[0] * ranks[1]).sum(-1) / np.sqrt((ranks**2).sum(-1).prod(0))
    return [float(found[0]), *np.nanquantile(found[1:], [0.025, 0.975]).tolist()]


def correlations() -> str:
    """Measures down: their rank correlation with test accuracy over all cells of the study."""
    cells = of_epochs(SHORT)
    measures: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "Unlearnable Distance": lambda cell: cell["distance"], "mean SAL": mean_sal,
        "training accuracy": lambda cell: cell["training_accuracy"],
    }  # fmt: skip
    rows = [["measure, without a test", "cells", "rank correlation with test accuracy"]]
    for name, measure in measures.items():
        found = spearman([measure(cell) for cell in cells], [cell["accuracy"] for cell in cells])
        rows.append([name, str(len(cells)), "{:.2f} [{:.2f}, {:.2f}]".format(*found)])
    return table(rows)


def distances() -> str:
    """Methods down, countermeasures across: the Unlearnable Distance, and test accuracy in percent."""
    cells = {(cell["method"], cell["countermeasure"]): cell for cell in of_epochs(SHORT)}
    across = list(dict.fromkeys(key[1] for key in cells))
    rows = []
    for method in dict.fromkeys(key[0] for key in cells):
        found = [cells.get((method, one)) for one in across]
        rows.append(
            [method, *(f"{one['distance']:.2f} ({100 * one['accuracy']:.0f})" if one else "" for one in found)]
        )
    return table([["trained on", *across], *rows])


def longer() -> str:
    """Methods down: distances after a short and a long training, and with SAL by passes of small batches."""
    rows = [["trained on", "12 epochs", "48 epochs", "48 epochs, SAL by passes"]]
    cells = {(cell["epochs"], cell["method"]): cell for epochs in (SHORT, 48) for cell in of_epochs(epochs)
             if cell["countermeasure"] == "none"}  # fmt: skip
    for epochs, method in cells:
        if epochs != SHORT:
            told = [cells[SHORT, method], cells[48, method]]
            shown = [f"{one['distance']:.2f} ({100 * one['accuracy']:.0f})" for one in told]
            rows.append([method, *shown, f"{told[1]['distance_by_passes']:.2f}"])
    return table(rows)


def tasks(data: str) -> str:
    """Methods down, tasks across: the clean score, then the share of what clean rows teach that is left.

    Args:
        data: Name of the dataset in `tasks.py`.
    """
    cells = [cell for cell in lines("tasks.jsonl") if cell["data"] == data]
    by_method: dict[str, dict[int, dict[str, TaskScore]]] = {}
    for cell in cells:
        scores = {name: TaskScore(**score) for name, score in cell["scores"].items()}
        by_method.setdefault(cell["method"], {})[cell["seed"]] = scores
    clean = by_method["clean"]
    names = list(clean[min(clean)])
    rows = [["trained on", *names]]
    first = [[clean[seed][name] for seed in clean] for name in names]
    rows.append(["clean: score (a guess)", *(
        f"{np.mean([one.score for one in some]):.2f} ({np.mean([one.guess for one in some]):.2f})" for some in first
    )])  # fmt: skip
    for method, seeds in by_method.items():
        if method != "clean":
            shares = [[scores[name].left(clean[seed][name]) for seed, scores in seeds.items()] for name in names]
            rows.append([method, *map(_spread, shares)])
    return table(rows)


def distance_tables() -> dict[str, str]:
    """All tables of the page by name."""
    return {
        "distance_correlations": correlations(), "distances": distances(), "distance_longer": longer(),
        "tasks_digits": tasks("digits"), "tasks_flowers": tasks("flowers"),
    }  # fmt: skip


def _spread(values: Sequence[float]) -> str:
    """The mean, and the least and the most where there are several."""
    several = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{several}"


def draw() -> None:
    """Writes the plot: a point per cell, its distance and mean SAL against test accuracy."""
    from matplotlib.figure import Figure

    from hf_unlearnable.audit.plots import colors

    cells = of_epochs(SHORT)
    names = list(dict.fromkeys(cell["countermeasure"] for cell in cells))
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for name, color, marker in zip(names, colors(len(names)), "os^vDP", strict=False):
        some = [cell for cell in cells if cell["countermeasure"] == name]
        accuracy = [100 * cell["accuracy"] for cell in some]
        left.plot([cell["distance"] for cell in some], accuracy, marker, color=color, label=name)
        right.semilogx([mean_sal(cell) for cell in some], accuracy, marker, color=color)
    left.set(xlabel="Unlearnable Distance", ylabel="accuracy on clean test rows (%)")
    right.set(xlabel="mean SAL of the layers")
    right.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    right.minorticks_off()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(names), fontsize=8)
    figure.savefig(PLOT, dpi=110)


def agreement() -> str:
    """How SAL by one step per pass goes with SAL by passes of small batches, over the layers and looks with both."""
    one, other = (
        [sal for cell in of_epochs(48) for look in cell[key] for sal in look.values()] for key in _SAL.values()
    )
    return "SAL by steps and by passes: rank correlation {:.2f} [{:.2f}, {:.2f}]".format(*spearman(one, other))


if __name__ == "__main__":
    draw()
    print(agreement())
