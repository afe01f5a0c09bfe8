"""The finished run that the proof tab shows at first, stored with what made it. This makes it again:

python -m hf_unlearnable.space.example
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from hf_unlearnable._version import __version__
from hf_unlearnable.registry import method_class
from hf_unlearnable.samples import load_notes

from .training import NONE, Proof, countermeasures, sample_proof, trainings, watched

COMMAND = "python -m hf_unlearnable.space.example"
STORED = Path(__file__).with_name("example.json")
CLEAN = "clean"


def made(seed: int = 1) -> dict[str, Any]:
    """Trains on the sample notes: clean, protected, and protected after each countermeasure of the tab.

    Args:
        seed: Of the key.

    Returns:
        What made it, and for each training the accuracy after every epoch.
    """
    proof = sample_proof("notes", seed)
    curves = {}
    for name in (CLEAN, NONE, *countermeasures(proof.kind)):
        runs = trainings(proof, {name: None if name == CLEAN else name})
        curves[name] = [round(accuracy, 4) for _, accuracy in watched(runs, proof.test_labels, lambda: False)]
        print(name, curves[name])  # noqa: T201, a run of minutes tells where it is
    return {
        "version": __version__, "command": COMMAND, "seed": seed, "method": proof.method,
        "method_version": method_class(proof.method).method_version, "curves": curves,
    }  # fmt: skip


def example_proof() -> Proof:
    """What the stored run was of, without the inputs: its kind, its method and the labels."""
    labels, held = (load_notes(split)["label"][:] for split in ("train", "test"))
    return Proof("text", stored()["method"], (), (), labels, (), held)


@cache
def stored() -> dict[str, Any]:
    """The run that is stored."""
    return json.loads(STORED.read_text(encoding="utf-8"))


if __name__ == "__main__":
    STORED.write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")
