"""The tables of docs/results/feature-shift.md, from the cells of `feature_shift.py`; `tables.py` writes them."""

from __future__ import annotations

import numpy as np
from attack_tables import Cells, lines, over_keys
from feature_shift import ALONE, BOTH, TREATMENTS, VICTIMS

from hf_unlearnable.markdown import table

VERSIONS = ("clean", "shift 16/255", "shift 12/255", "shift 8/255", "shift 4/255", BOTH, "texture 16/255", ALONE)


def cells() -> list[dict]:
    """The cells of the test photos."""
    return [cell for cell in lines("feature_shift.jsonl") if cell["split"] == "test"]


def by_key() -> dict[tuple[str, str, str], list[dict]]:
    """The cells of each victim, version and treatment, one per key."""
    found: dict[tuple[str, str, str], list[dict]] = {}
    for cell in cells():
        found.setdefault((cell["victim"], cell["version"], cell["treatment"]), []).append(cell)
    return found


def comparable() -> Cells:
    """The same as other studies have it."""
    return over_keys(by_key())


def feature_shift() -> str:
    """Victims and versions down, treatments across: accuracy on the test photos, the mean over keys."""
    found = by_key()
    treatments = [
        one for one in (*TREATMENTS, "adversarial-training-4", "clean-20%") if any(key[2] == one for key in found)
    ]

    def told(keys: list[dict] | None) -> str:
        if not keys:
            return ""
        mean = np.mean([cell["accuracy"] for cell in keys])
        return f"{100 * mean:.1f}" + (f" ({len(keys)} keys)" if len(keys) > 1 else "")

    rows = [
        [victim, version, *(told(found.get((victim, version, one))) for one in treatments)]
        for victim in VICTIMS
        for version in VERSIONS
        if any(key[:2] == (victim, version) for key in found)
    ]
    return table([["victim", "photos", *treatments], *rows])


def feature_shift_prices() -> str:
    """Versions down: PSNR, SSIM and the processor time of a fit, of one key."""
    told = {cell["version"]: cell for cell in cells() if "psnr" in cell and not cell["seed"]}
    rows = [
        [version, f"{one['psnr']:.1f}", f"{one['ssim']:.2f}" if "ssim" in one else "", f"{one['fit_cpu_s'] / 60:.0f}"]
        for version, one in ((version, told[version]) for version in VERSIONS if version in told)
    ]
    return table([["photos", "PSNR (dB)", "SSIM", "minutes of processor time"], *rows])


def feature_shift_tables() -> dict[str, str]:
    """All tables by name."""
    return {"feature_shift": feature_shift(), "feature_shift_prices": feature_shift_prices()}
