"""The Unlearnable Distance as a part of an attack: SAL of layers while a network trains, and its loss landscape."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._version import __version__
from hf_unlearnable.adversary import Rows
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.page import Heading, Paragraph, Part, Table
from hf_unlearnable.audit.records import Version
from hf_unlearnable.audit.sharpness import learnable_above, sharpness_aware_learnability, unlearnable_distance
from hf_unlearnable.audit.store import Store, digest
from hf_unlearnable.modality import Modality

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVERY = 3  # epochs from one look to the next
LOOKED_AT = 128  # training rows at most, and no more than half of them


def looked_into(
    modality: Modality, versions: Sequence[Version], columns: tuple[str, str], store: str | os.PathLike | None,
    seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Trains a network on the clean and on the protected rows, and measures how learnable its layers are.

    Args:
        modality: The kind of data, which trains the networks.
        versions: The clean rows, then the protected ones, datasets each.
        columns: Of inputs and labels.
        store: Folder where finished ones stand, or None.
        seed: Of the trainings, and of the rows that SAL is measured on.

    Returns:
        JSON values: "distance" (None where the clean training has no learnable layer), "threshold", and "versions",
        each with "version", "epochs" of the looks, "sal" (by layer, for each look), "passes" over the training rows
        per epoch, "rows" that were looked at, and "landscape" with "positions" and "losses" by direction.

    Raises:
        ValueError: No network of this kind of data is looked into, or its training diverged.
    """
    kept, found = Store(store), []
    for version in versions:
        assert not callable(version.rows)
        rows = rows_of(version.rows, columns)
        name = digest(__version__, "distance", rows.inputs, rows.labels, seed)
        result = kept.get(name)
        if result is None:
            result = _of_training(modality, rows, seed)
            kept.put(name, result)
        found.append({"version": version.name, **result})
    clean, protected = (one["sal"] for one in found)
    threshold = learnable_above(clean)
    learnable = any(sal > threshold for look in clean for sal in look.values())
    distance = unlearnable_distance(protected, clean) if learnable else None
    return {"distance": distance, "threshold": threshold, "versions": found}


def _of_training(modality: Modality, rows: Rows, seed: int) -> dict[str, Any]:
    from hf_unlearnable.audit.landscape import loss_slices

    places = np.random.default_rng(seed).permutation(len(rows))[: max(1, min(LOOKED_AT, len(rows) // 2))]
    some = Rows([rows.inputs[i] for i in places], [rows.labels[i] for i in places])
    networks: list[Any] = []
    model, (looked_at,) = modality.network(rows, [some], seed, lambda network: networks.append(deepcopy(network)))
    epochs = [*range(EVERY, len(networks) + 1, EVERY)] or [len(networks)]
    looks = [sharpness_aware_learnability(networks[epoch - 1], looked_at) for epoch in epochs]
    positions, losses = loss_slices(model, looked_at, seed=seed)
    passes = 22 * len(looks[0]) * len(looks) / len(networks) * len(some) / len(rows)  # 10 steps and a look, both ways
    return {
        "epochs": epochs, "sal": looks, "rows": len(some), "passes": round(passes, 2),
        "landscape": {"positions": positions.tolist(), "losses": losses.tolist()},
    }  # fmt: skip


def summary(found: dict[str, Any]) -> str:
    """The distance in a sentence."""
    if found["distance"] is None:
        return "Unlearnable Distance: not known, for no layer of the clean training stands out."
    return f"Unlearnable Distance: {found['distance']:.2f} (0: no layer learns, 1: as many as from the clean rows)."


def distance_parts(found: dict[str, Any]) -> list[Part]:
    """What the report says of it; nothing where there is nothing."""
    if not found:
        return []
    clean = found["versions"][0]
    said = (
        f"{summary(found)} The sharpness-aware learnability (SAL) of a layer is how far the loss on training rows "
        "moves when its weights move by up to 5 % and all others stay. A layer counts as learnable above "
        f"{found['threshold']:.2f}. Mean over epochs {', '.join(map(str, clean['epochs']))} of a small network, on "
        f"{clean['rows']} training rows, in {clean['passes']:g} passes over the training rows per epoch. No test rows "
        "were needed. Where accuracy was measured too, the two did not go together (docs/results/distance.md), so go "
        "by the accuracy."
    )
    return [Heading("Unlearnable Distance"), Paragraph(said), sal_table(found)]


def sal_table(found: dict[str, Any]) -> Table:
    """Layers down, versions across: the mean SAL, and at how many of the looks it was above the threshold."""
    rows = []
    for layer in found["versions"][0]["sal"][0]:
        cells = []
        for one in found["versions"]:
            values = [look[layer] for look in one["sal"]]
            above = sum(value > found["threshold"] for value in values)
            cells.append(f"{np.mean(values):.2f} ({above} of {len(values)})")
        rows.append([layer, *cells])
    return Table(["layer", *(f"{one['version']}, SAL (learnable)" for one in found["versions"])], rows)


def draw(figure: Figure, found: dict[str, Any], colors: Sequence[Any]) -> None:
    """Draws the loss along each direction and, beside it, the mean SAL of each layer.

    Args:
        figure: An empty one.
        found: What `looked_into` gives.
        colors: One per version.
    """
    figure.set_size_inches(9.0, 4.0)
    slices, layers = figure.subplots(1, 2)
    for place, (one, color) in enumerate(zip(found["versions"], colors, strict=True)):
        for losses, style in zip(one["landscape"]["losses"], ("-", "--"), strict=True):
            label = one["version"] if style == "-" else None
            slices.plot(one["landscape"]["positions"], losses, style, color=color, label=label)
        means = [np.mean([look[layer] for look in one["sal"]]) for layer in one["sal"][0]]
        layers.bar(np.arange(len(means)) + 0.4 * place - 0.2, means, 0.4, color=color, label=one["version"])
    slices.set_xticks([-1, -0.5, 0, 0.5, 1])
    slices.set(xlabel="distance from the last weights, in norms of each filter", ylabel="loss on training rows")
    layers.axhline(found["threshold"], color="0.5", linestyle=":", label="learnable above")
    layers.set_xticks(range(len(found["versions"][0]["sal"][0])), found["versions"][0]["sal"][0])
    layers.set(xlabel="layer", ylabel="SAL, mean over epochs")
    for axes in (slices, layers):
        axes.set_yscale("symlog")
    figure.legend(*layers.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
