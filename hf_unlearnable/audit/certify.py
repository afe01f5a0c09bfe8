"""The certificate as a part of an attack: the curve over radii, what the recovery attack reaches, the Bayes error."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hf_unlearnable._version import __version__
from hf_unlearnable.adversary import Rows
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.page import Table
from hf_unlearnable.audit.records import Version
from hf_unlearnable.audit.store import Store, digest
from hf_unlearnable.modality import Modality

if TYPE_CHECKING:
    from datasets import Dataset

# In units of sigma. 2 takes some 9,000 draws; nothing is certified at 50, and the recovery attack gets somewhere.
RADII = (0.0, 0.25, 0.5, 1.0, 2.0, 50.0)


def certified(
    modality: Modality, versions: Sequence[Version], columns: tuple[str, str], test: Dataset, clean: Rows | None,
    draws: int, store: str | os.PathLike | None, seed: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Certifies a network of each version, and attacks it within the same radii.

    Args:
        modality: The kind of data, which trains the network.
        versions: Whose rows it is trained on, datasets each.
        columns: Of inputs and labels.
        test: Clean rows to test on.
        clean: What the recovery attack has; None leaves it out.
        draws: Noisy copies of each network.
        store: Folder where finished ones stand, or None.
        seed: Of the trainings and of the draws.

    Returns:
        Of each version JSON values: "version", "accuracy" of the network, "bayes_error" of its features of the test
        rows, the settings, and "curve", with "radius", "learnability" (None where it abstains), "said" and "recovered"
        (None where there was no such attack).

    Raises:
        ValueError: Nothing is certified of this kind of data.
    """
    tested, kept, found = rows_of(test, columns), Store(store), []
    for version in versions:
        assert not callable(version.rows)
        rows = rows_of(version.rows, columns)
        own = None if clean is None else (clean.inputs, clean.labels)
        name = digest(
            __version__, "certificate", rows.inputs, rows.labels, tested.inputs, tested.labels, own, draws, seed
        )
        result = kept.get(name)
        if result is None:
            result = _of_network(
                *modality.network(rows, [tested, *([] if clean is None else [clean])], seed), draws, seed
            )
            kept.put(name, result)
        found.append({"version": version.name, **result})
    return found


def _of_network(model: Any, others: Sequence[tuple[Any, Any]], draws: int, seed: int) -> dict[str, Any]:
    import torch

    from hf_unlearnable.audit.certificate import certified_learnability
    from hf_unlearnable.audit.recovery import recovered_accuracy
    from hf_unlearnable.bayes import bayes_error
    from hf_unlearnable.image.learning.features import headless

    test, *given = others
    clean = [(inputs[labels >= 0], labels[labels >= 0]) for inputs, labels in given]  # of classes that it knows
    first = certified_learnability(model, test, draws=draws, seed=seed)
    with torch.inference_mode():
        features = torch.cat([headless(model)(part) for part in test[0].split(128)])
    curve = []
    for radius in (share * first.sigma for share in RADII):
        there = first.at(radius)
        curve.append({
            "radius": radius, "learnability": there.learnability, "said": str(there),
            "recovered": recovered_accuracy(model, clean[0], test, radius, seed=seed) if clean else None,
        })  # fmt: skip
    return {
        "accuracy": first.accuracy, "bayes_error": bayes_error(features, test[1].cpu()), "sigma": first.sigma,
        "quantile": first.quantile, "confidence": first.confidence, "draws": draws, "curve": curve,
    }  # fmt: skip


def explained(found: dict[str, Any]) -> str:
    """What a certificate says, before its table."""
    sigma, quantile, confidence = found["sigma"], 100 * found["quantile"], 100 * found["confidence"]
    return (
        f"Weights are drawn around those of a small network (normal, standard deviation {sigma:g}), or around others "
        f"within the radius. {quantile:g} % of such models reach at most what is certified, with {confidence:g} % "
        f"confidence for each radius. {found['draws']:,} were tested. The recovery attack looks for a better model "
        "within the radius, with the attacker's own clean rows. It may get further, and neither speaks of models "
        "farther away."
    )


def curve_table(certificates: Sequence[dict[str, Any]]) -> Table:
    """Radii as rows; of each version what is certified and what was recovered, in percent."""
    header, columns = ["radius"], []
    for one in certificates:
        header += [f"{one['version']}, certified", f"{one['version']}, recovered"]
        columns.append([point["said"] for point in one["curve"]])
        columns.append([_percent(point["recovered"]) for point in one["curve"]])
    radii = [f"{point['radius']:g}" for point in certificates[0]["curve"]]
    own = ["itself", *(cell for one in certificates for cell in (_percent(one["accuracy"]), ""))]
    bayes = ["Bayes error", *(cell for one in certificates for cell in (_percent(one["bayes_error"]), ""))]
    return Table(header, [own, bayes, *([radius, *cells] for radius, *cells in zip(radii, *columns, strict=True))])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
