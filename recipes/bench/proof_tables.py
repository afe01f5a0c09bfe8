"""The tables of docs/results/proof.md, from the cells of `proof.py`; `tables.py` writes them."""

from __future__ import annotations

from attack_tables import lines

from hf_unlearnable.markdown import table


def shown(values: list[float]) -> str:
    """The mean in percent, and each value where there are several."""
    if not values:
        return ""
    mean = f"{100 * sum(values) / len(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({', '.join(f'{100 * value:.1f}' for value in values)})"


def by_method(study: str) -> dict[str, list[dict]]:
    """The cells of a study, those of a method together, in the order of their seeds."""
    found: dict[str, list[dict]] = {}
    for cell in sorted((one for one in lines("proof.jsonl") if one["study"] == study), key=lambda one: one["seed"]):
        found.setdefault(cell["method"], []).append(cell)
    return found


def certificates() -> str:
    """What is certified of a small CNN, by what it was trained on: radii across, every seed."""
    rows: list[list[str]] = []
    radii: list[str] = []
    for method, cells in by_method("certificate").items():
        curves = [[point for point in cell["curve"] if point["learnability"] is not None] for cell in cells]
        radii = [f"certified, radius {point['radius']:g}" for point in curves[0]]
        certified = [shown([curve[i]["learnability"] for curve in curves]) for i in range(len(radii))]
        recovered = [shown([cell["recovered"][radius] for cell in cells]) for radius in cells[0]["recovered"]]
        rows.append([method, shown([cell["accuracy"] for cell in cells]),
                     shown([cell["bayes_error"] for cell in cells]), *certified, *recovered])  # fmt: skip
    reached = [
        f"recovered, radius {radius}" for radius in next(iter(by_method("certificate").values()))[0]["recovered"]
    ]
    return table([["trained on", "accuracy", "Bayes error", *radii, *reached], *rows])


def schedules() -> str:
    """Passes of a schedule of PUE against what it protects, fewest passes first."""
    rows = [
        [method, f"{cells[0]['passes']}", shown([cell["accuracy"] for cell in cells]),
         shown([cell["curve"][2]["learnability"] for cell in cells])]
        for method, cells in sorted(by_method("schedule").items(), key=lambda one: one[1][0]["passes"])
    ]  # fmt: skip
    return table([["schedule", "passes per image", "accuracy", "certified, radius 0.008"], *rows])


def mixtures() -> str:
    """Accuracy by method, shares of protected rows across, every seed."""
    found = by_method("mixture")
    shares = sorted({cell["share"] for cells in found.values() for cell in cells})
    rows = [
        [method, *(shown([cell["accuracy"] for cell in cells if cell["share"] == share]) for share in shares)]
        for method, cells in found.items()
    ]
    return table([["method", *(f"{100 * share:g} % protected" for share in shares)], *rows])
