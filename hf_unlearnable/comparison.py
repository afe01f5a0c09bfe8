"""What methods cost a person and what attackers leave of them: a packaged table to choose a method by.

`recipes/bench/compare.py` makes the table from stored trainings; `hf-unlearnable list --compare` prints it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from importlib.resources import files

from hf_unlearnable.markdown import table
from hf_unlearnable.registry import METHODS, MODALITIES


@dataclass(frozen=True, kw_only=True)
class Point:
    """One method at one strength, measured.

    Args:
        modality: The kind of data.
        data: The dataset that was protected.
        method, method_version: What was measured.
        setting: The parameter that decides the strength, such as "epsilon 8/255".
        strength: That parameter, as a multiple of its usual value.
        price: What a person meets, by field of the modality's `fidelity`; None where nothing changed.
        accuracy: The best of any victim on clean test rows, without a countermeasure, from 0 to 1.
        worst: The best accuracy of any victim after any countermeasure that ran, or without one.
        worst_after: That countermeasure, or "none".
        interval: Ends of the 95 % interval of `worst`.
        tried: How many attacks ran beside the first: other victims, and countermeasures on each.
        clean: Accuracy of the victim of the worst case on clean rows.
        guess: The same without the protected rows.
        victim: That victim.
        rows: How many were protected, for price, time and memory.
        seconds: Processor time of `fit` and `map`, all rows.
        memory: Megabytes of memory that `fit` and `map` took at most, beyond those of the process before.
        passes: Forward and backward passes of a surrogate, per row.
    """

    modality: str
    data: str
    method: str
    method_version: int
    setting: str
    strength: float
    price: dict[str, float | None]
    accuracy: float
    worst: float
    worst_after: str
    interval: tuple[float, float]
    tried: int
    clean: float
    guess: float
    victim: str
    rows: int
    seconds: float
    memory: float
    passes: float


def points(text: str | None = None) -> list[Point]:
    """The measured methods.

    Args:
        text: Lines of JSON; None for those in the package.

    Raises:
        ValueError: A line lacks a field or has one that is not known: it is of another version of the package.
    """
    if text is None:
        text = files("hf_unlearnable").joinpath("comparison.jsonl").read_text(encoding="utf-8")
    names = {field.name for field in fields(Point)}
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        values = json.loads(line)
        if strange := sorted(set(values) ^ names):
            raise ValueError(
                f"Line {number} of the comparison has another shape ({strange[0]}): it is of another version. Write "
                "it anew with `python recipes/bench/compare.py write`."
            )
        found.append(Point(**{**values, "interval": tuple(values["interval"])}))
    return found


def front(some: Sequence[Point], measure: str, more_is_better: bool) -> set[int]:
    """The places of the points that no other point beats: none asks less of a person and leaves an attacker less.

    They hold something back: the interval of the worst case ends below clean rows. And they met at least half as many
    attacks as the point with most, for what few were tried on would look strong.

    Args:
        some: Of one modality and dataset.
        measure: Which price counts.
        more_is_better: Whether a person wants much of it, as of PSNR, or little, as of inserted words.

    Returns:
        Places in `some`. A point without that price is never one.
    """
    sign = -1 if more_is_better else 1
    most = max(point.tried for point in some)
    costs = [
        (place, sign * price, point.worst)
        for place, point in enumerate(some)
        if (price := point.price.get(measure)) is not None
        and 2 * point.tried >= most
        and point.interval[1] < point.clean
    ]
    return {
        place
        for place, price, worst in costs
        if not any(p <= price and w <= worst and (p, w) != (price, worst) for _, p, w in costs)
    }


def compared(some: Iterable[Point] | None = None) -> dict[str, list[dict]]:
    """The measured methods by kind of data, the registered ones, each said to be on the front or not.

    Args:
        some: What was measured; None for what the package holds.

    Returns:
        Of each modality with any: a row per method and strength, the fields of `Point`, `on_front`, and `earlier`,
        whether the method has changed since.
    """
    kept = list(points() if some is None else some)
    found = {}
    for name in MODALITIES:
        own = [point for point in kept if point.modality == name and point.method in METHODS]
        if not own:
            continue
        measure, (_, more_is_better) = next(iter(MODALITIES[name].prices.items()))
        best = front(own, measure, more_is_better)
        found[name] = [
            {
                **vars(point),
                "on_front": place in best,
                "earlier": point.method_version != METHODS[point.method].method_version,
            }
            for place, point in enumerate(own)
        ]
    return found


def page(modality: str, rows: Sequence[dict]) -> str:
    """The table of one kind of data: the strongest protection first.

    Args:
        modality: Its name.
        rows: As of `compared`.
    """
    prices = MODALITIES[modality].prices
    head = ["method", "setting", *(label for label, _ in prices.values()), "alone", "worst case", "by", "after",
            "tried", "seconds", "MB", "passes", "front"]  # fmt: skip
    shown = []
    for row in sorted(rows, key=lambda row: (row["worst"], row["accuracy"])):
        told = [row["price"].get(field) for field in prices]
        low, high = row["interval"]
        shown.append([
            row["method"] + (f" v{row['method_version']}" if row["earlier"] else ""), row["setting"],
            *("-" if value is None else f"{value:.3g}" for value in told),
            f"{100 * row['accuracy']:.1f}", f"{100 * row['worst']:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
            row["victim"], row["worst_after"], str(row["tried"]), f"{row['seconds']:.1f}", f"{row['memory']:.0f}",
            f"{row['passes']:.0f}", "*" if row["on_front"] else "",
        ])  # fmt: skip
    return table([head, *shown])


def protocol(rows: Sequence[dict]) -> str:
    """What the numbers of one kind of data are of, in two sentences.

    Args:
        rows: As of `compared`.
    """
    first, clean, guess = rows[0], max(row["clean"] for row in rows), min(row["guess"] for row in rows)
    return (
        f"{first['data']}. Clean rows give {100 * clean:.1f} % at best, a guess {100 * guess:.1f} %. "
        "Accuracy on clean test rows in percent. Seconds of processor time and memory for "
        f"{first['rows']} rows, passes of a surrogate per row."
    )
