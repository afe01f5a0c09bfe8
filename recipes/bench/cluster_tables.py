"""The tables of photos without labels, from `clusters.jsonl` and `cluster_batches.jsonl`; see `tables.py`."""

from __future__ import annotations

from attack_tables import lines

from hf_unlearnable.markdown import table


def clusters() -> str:
    """Versions without labels down, victims across: accuracy by kind and, for the probe, by colour; seeds counted."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for cell in lines("clusters.jsonl"):
        found.setdefault((cell["version"], cell["victim"], cell["labels"]), []).append(100 * cell["accuracy"])
    columns = list(dict.fromkeys(key[1:] for key in found))
    head = [victim if labels == "kind" else f"{victim}, labels are colours" for victim, labels in columns]
    rows = [["photos, trained on", *head]]
    for version in dict.fromkeys(key[0] for key in found):
        cells = [found.get((version, *column), []) for column in columns]
        told = [f"{sum(one) / len(one):.1f}" + f" ({len(one)})" * (len(one) > 1) if one else "" for one in cells]
        rows.append([version, *told])
    return table(rows)


def cluster_batches() -> str:
    """Datasets down, batch sizes across: accuracy, and in parentheses the share of images that noise moved over."""
    sizes = (None, 8, 32, 128, 512)
    found = {(cell["data"], cell["batch_size"], cell["seed"]): cell for cell in lines("cluster_batches.jsonl")}
    rows = [["data, seed", *("clean" if size is None else str(size) for size in sizes)]]
    for data, seed in sorted({(data, seed) for data, _, seed in found}):
        cells = [found.get((data, size, seed)) for size in sizes]
        moved = ["" if one is None or "moved" not in one else f" ({100 * one['moved']:.0f})" for one in cells]
        told = ["" if one is None else f"{100 * one['accuracy']:.1f}" for one in cells]
        rows.append([f"{data}, {seed}", *(a + b for a, b in zip(told, moved, strict=True))])
    return table(rows)
