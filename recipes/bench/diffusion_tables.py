"""The tables of docs/results/diffusion.md, from the cells of `diffusion.py`; `tables.py` writes them."""

from __future__ import annotations

from attack_tables import lines
from diffusion import COUNTERMEASURES

from hf_unlearnable.markdown import table

_MEASURES = ("kid", "fid", "precision", "recall", "nearest")


def generators() -> str:
    """What a generator learned by what it was trained on: the mean of the seeds, and the share of each."""
    found: dict[tuple, list[dict]] = {}
    for cell in lines("diffusion.jsonl"):
        if cell["study"] == "generator":
            found.setdefault(
                (cell["data"], cell.get("victim", "from nothing"), cell["levels"], cell["version"]), []
            ).append(cell)
    rows = []
    for (data, victim, levels, version), cells in sorted(found.items(), key=lambda one: one[0][:3]):
        own = [f"{100 * cell['recognised']:.1f}" for cell in sorted(cells, key=lambda cell: cell["seed"])]
        mean = f"{sum(100 * cell['recognised'] for cell in cells) / len(cells):.1f}"
        rows.append([
            data, victim, version, f"{levels}/255", mean if len(own) == 1 else f"{mean} ({', '.join(own)})",
            *(f"{sum(cell[name] for cell in cells) / len(cells):.3f}" for name in _MEASURES),
        ])  # fmt: skip
    return table([["data", "model", "trained on", "epsilon", "recognised (each seed)", *_MEASURES], *rows])


def purification() -> str:
    """Accuracy by protection, countermeasures across."""
    found: dict[str, dict[str, float]] = {}
    for cell in lines("diffusion.jsonl"):
        if cell["study"] == "purification":
            found.setdefault(cell["version"], {})[cell["countermeasure"]] = cell["accuracy"]
    rows = [
        [version, *(f"{100 * own[name]:.1f}" if name in own else "" for name in COUNTERMEASURES)]
        for version, own in found.items()
    ]
    return table([["trained on", *COUNTERMEASURES], *rows])


def diffusion_tables() -> dict[str, str]:
    """Both tables by name."""
    return {"generators": generators(), "purification": purification()}
