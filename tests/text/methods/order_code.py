"""Order codes on made-up texts."""

import re

from datasets import Dataset

from hf_unlearnable import OrderCodeTransform
from tests.examples import tiny

OWN = ["alpha one", "beta two", "gamma three", "delta four", "epsilon"]
LABELS = ["neg", "pos"] * 30
TEXTS = [f"text{i} " + " ".join("pqrstuvwxyzklmnoh"[(i * j) % 17] * 3 for j in range(1, 12)) for i in range(60)]
DATA = tiny(TEXTS, LABELS)
DESIGNS = [
    {"code": "place"},
    {"code": "refrain"},
    {"code": "place", "carriers_per_code": 2},
    {"code": "refrain", "num_codes": 2, "carrier_source": "words", "min_share": 0.0, "max_share": 1.0},
]


def found(text: str, carriers: list[str]) -> list[str]:
    """The carriers that a text holds, in order."""
    return re.findall("|".join(map(re.escape, carriers)), text)


def fitted(data: Dataset = DATA, **parameters) -> OrderCodeTransform:
    return OrderCodeTransform(**{"carrier_source": OWN, "code": "refrain", "seed": 1, **parameters}).fit(data)


def protect(cloak: OrderCodeTransform, data: Dataset = DATA) -> list[str]:
    return cloak({"text": data["text"][:], "label": data["label"][:]})["text"]


def codes(cloak: OrderCodeTransform) -> dict:
    return {label: own["codes"] for label, own in zip(cloak.key.state["labels"], cloak.key.state["words"])}


def sides(cloak: OrderCodeTransform) -> dict:
    """The carriers of each label's first code that stand at the start, and those at the end."""
    return {
        label: [[c for i, c in enumerate(own["codes"][0]) if (i in own["late"]) == late] for late in (False, True)]
        for label, own in zip(cloak.key.state["labels"], cloak.key.state["words"])
    }
