"""The table of docs/results/feature-shift.md, from the cells of `feature_shift.py`; `tables.py` writes it."""

from __future__ import annotations

import numpy as np
from attack_tables import lines
from feature_shift import TREATMENTS, VICTIMS

from hf_unlearnable.markdown import table

VERSIONS = {"clean": "clean", "shift 16/255": "shifted", "shift 8/255": "shifted, 8/255", "texture 16/255": "texture"}


def feature_shift() -> str:
    """Treatments down, victims and versions across: accuracy on the test photos, the mean over keys."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for cell in lines("feature_shift.jsonl"):
        if cell["split"] == "test":
            found.setdefault((cell["victim"], cell["version"], cell["treatment"]), []).append(cell["accuracy"])
    columns = [
        (victim, one) for victim in VICTIMS for one in VERSIONS if any(key[:2] == (victim, one) for key in found)
    ]
    treatments = [one for one in (*TREATMENTS, "adversarial-training-4") if any(key[2] == one for key in found)]

    def told(values: list[float] | None) -> str:
        if not values:
            return ""
        return f"{100 * np.mean(values):.1f}" + (f" ({len(values)} keys)" if len(values) > 1 else "")

    rows = [[one, *(told(found.get((*column, one))) for column in columns)] for one in treatments]
    return table([["before training", *(f"{victim}: {VERSIONS[one]}" for victim, one in columns)], *rows])
