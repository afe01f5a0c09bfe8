"""The tables of photos without labels, from `clusters.jsonl` and `cluster_batches.jsonl`; see `tables.py`."""

from __future__ import annotations

from statistics import mean

from attack_tables import Cells, lines, over_keys
from clusters import JPEG, VERSIONS

from hf_unlearnable.markdown import table


def clusters() -> str:
    """Versions without labels down, victims across: accuracy by kind and, for the probe, by colour; seeds counted."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for cell in lines("clusters.jsonl"):
        found.setdefault((cell["version"], cell["victim"], cell["labels"]), []).append(100 * cell["accuracy"])
    columns = list(dict.fromkeys(key[1:] for key in found))
    head = [victim if labels == "kind" else f"{victim}, labels are colours" for victim, labels in columns]
    rows = [["photos, trained on", *head]]
    for version in VERSIONS:
        cells = [found.get((version, *column), []) for column in columns]
        told = [f"{sum(one) / len(one):.1f}" + f" ({len(one)})" * (len(one) > 1) if one else "" for one in cells]
        rows.append([version, *told])
    return table(rows)


def without_labels() -> Cells:
    """The cells of victims that learn the kinds of flowers, as other studies have them."""
    found: dict[tuple[str, str, str], list[dict]] = {}
    for cell in lines("clusters.jsonl"):
        victim, jpeg, _ = cell["victim"].partition(JPEG)
        if cell["labels"] == "kind":
            found.setdefault((victim, cell["version"], "jpeg-10" if jpeg else "none"), []).append(cell)
    return over_keys(found)


def cluster_batches() -> str:
    """Datasets down, batch sizes across: mean accuracy and range over the keys, and the share that noise moved."""
    sizes = (None, 8, 32, 128, 512)
    found: dict[tuple[str, int | None], list[dict]] = {}
    for cell in lines("cluster_batches.jsonl"):
        found.setdefault((cell["data"], cell["batch_size"]), []).append(cell)
    rows = [["data", *("clean" if size is None else str(size) for size in sizes)]]
    for data in sorted({data for data, _ in found}):
        every = [found.get((data, size), []) for size in sizes]
        reached = [[100 * cell["accuracy"] for cell in cells] for cells in every]
        moved = [[100 * cell["moved"] for cell in cells if "moved" in cell] for cells in every]
        told = [
            f"{mean(one):.0f}" + f" [{min(one):.0f}, {max(one):.0f}]" * (max(one) > min(one)) if one else ""
            for one in reached
        ]
        rows.append([data, *told])
        rows.append([f"{data}, moved", *(f"{mean(one):.0f}" if one else "" for one in moved)])
    return table(rows)
