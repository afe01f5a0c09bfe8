# /// script
# dependencies = ["hf-unlearnable[attack,audio,image,speech]"]
# ///
"""The price list: what each method costs a person and its owner, against what attackers leave of it.

    python recipes/bench/protection.py --config recipes/configs/compare_image.yaml    # and compare_text, compare_audio
    python recipes/bench/compare.py measure
    python recipes/bench/compare.py write

The first command trains, see there. `measure` protects the same rows once more, each version in a process of its own,
for what a person meets, processor time and memory, and adds a line each to `compare.jsonl`; versions that nothing was
trained on are left out. `write` joins both into `hf_unlearnable/comparison.jsonl`, which `hf-unlearnable list
--compare` prints, and draws `docs/assets/compare-*.png`. Cells of other studies with these protocols count too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from attack_tables import BENCH, binomial, lines
from datasets import Dataset, disable_progress_bars
from drawn import sample
from memory import peak
from protection import lines_of, split_of
from study import method_of, read, swept, transform_of

from hf_unlearnable.audit.records import NONE
from hf_unlearnable.comparison import Point, front, points
from hf_unlearnable.data import write_file
from hf_unlearnable.registry import MODALITIES, modality_of

ROOT = BENCH.parents[1]
PACKAGED = ROOT / "hf_unlearnable/comparison.jsonl"
KINDS = ("image", "text", "audio")
ROWS = 500  # that prices are measured on
# Versions of earlier studies with the same protocols, by the names of the sweep. Those of `distance.jsonl` name
# epsilon in 255ths, usually 8.
SAME = {
    "image": {"one-pixel": swept("one-pixel", 1), "convolution": swept("convolution", 1)},
    "text": {"word-balance": swept("word-balance", 1), "order-code": swept("order-code", 1),
             "RegText, our defaults": swept("regtext", 1)},
    "audio": {"equalizer": swept("equalizer", 1), "position-convolution (PosCUDA)": swept("position-convolution", 1),
              "convolution (CUDA)": swept("audio-convolution", 1), "random noise": swept("audio-noise", 1)},
}  # fmt: skip
STORED = {"image": (), "text": ("text_attack", "order_code_attack"), "audio": ("audio_attack",)}
NUMBERS = {"regtext": 3, "order-code": 2}  # versions of methods, of cells that do not say
BASELINES = ("clean", "protected rows dropped")


def config_of(kind: str) -> dict[str, Any]:
    """The study of a kind of data."""
    return read(BENCH.parent / f"configs/compare_{kind}.yaml")


def cells_of(kind: str) -> dict[str, dict[tuple[str, str], dict]]:
    """The trainings of a kind of data: by version, then by victim and countermeasure, the latest study last."""
    data = next(iter(config_of(kind)["datasets"]))
    found: dict[str, dict[tuple[str, str], dict]] = {}
    if kind == "image":
        for line in lines("distance.jsonl"):
            if line["epochs"] == 12:
                accuracy = [line["accuracy"], *binomial(line["accuracy"], 1000)]
                cell = {"accuracy": accuracy, "method_version": line["method_version"]}
                found.setdefault(of_sweep(line["method"]), {})["small_cnn", line["countermeasure"]] = cell
    for name in STORED[kind]:
        for line in lines(f"{name}.jsonl"):
            if line["data"] == data:
                version = SAME[kind].get(line["version"], line["version"])
                found.setdefault(version, {})[line["victim"], line["countermeasure"]] = line
    for line in lines_of(BENCH / f"compare_{kind}.jsonl"):
        found.setdefault(line["version"], {})[line["victim"], line["countermeasure"]] = line
    return found


def of_sweep(name: str) -> str:
    """A version of `distance.jsonl` by its name in the sweep, if it has one."""
    if name.endswith("/255") and name.count(",") == 1:
        method, levels = name.removesuffix("/255").split(", ")
        return swept(method, int(levels) / 8)
    return SAME["image"].get(name, name)


def rows_of_study(folder: str, config: dict[str, Any]) -> tuple[str, Dataset, Dataset]:
    """The dataset's name, the rows that prices are measured on, and those that methods learn from."""
    name = next(iter(config["datasets"]))
    train = split_of(folder, name, "train")
    if "classes" in config:
        train = train.select(np.flatnonzero(np.isin(train["label"][:], config["classes"])))
    rows = sample(train, ROWS)
    return name, rows, rows if config.get("fit_on") == "sample" else train


def priced(folder: str, kind: str, version: str) -> dict[str, Any]:
    """What one version costs; to be run in a process that has done nothing else.

    Args:
        folder: Of the data.
        kind: Of the data, such as "image".
        version: Of the study.
    """
    disable_progress_bars()
    config = config_of(kind)
    parameters = config["versions"][version]
    name, rows, source = rows_of_study(folder, config)
    cloak = transform_of(parameters, seed=2026)
    column = config.get("input_column", "text")
    before, start = peak(), time.process_time()
    cloak.fit(source)
    protected = rows.map(cloak, batched=True, load_from_cache_file=False)
    took, grown = time.process_time() - start, peak() - before
    modality = modality_of(rows.features, column)
    found = modality.fidelity(modality.undecoded(rows, column), modality.undecoded(protected, column), column, cloak)
    price = {field: getattr(found, field) for field in modality.prices}
    parameter = cloak.strength_parameter
    return {
        "kind": kind, "data": name, "version": version, "method": parameters["method"],
        "method_version": method_of(parameters).method_version, "strength": parameters["strength"],
        "setting": f"{parameter} {said(parameter, getattr(cloak, parameter))}",
        "price": {field: None if value is None else round(float(value), 4) for field, value in price.items()},
        "rows": len(rows), "seconds": round(took, 2), "memory": round(grown, 1),
        "passes": round(getattr(cloak, "image_passes", 0) / len(rows), 1),
    }  # fmt: skip


def said(parameter: str, value: Any) -> str:
    """A strength as a reader knows it: epsilon in 255ths."""
    if value is None:
        return "by size"
    return f"{255 * value:.0f}/255" if parameter == "epsilon" else f"{value:g}"


def measure(folder: str, output: Path, only: list[str] | None) -> None:
    """Adds the prices that are missing.

    Args:
        folder: Of the data.
        output: Lines, one per version.
        only: Kinds of data; None for all.
    """
    processes = multiprocessing.get_context("forkserver")  # each version in one of its own, with the imports done
    processes.set_forkserver_preload(["__main__", "torch"])
    for kind in only or KINDS:
        trained, config = cells_of(kind), config_of(kind)
        for version, parameters in config["versions"].items():
            if not isinstance(parameters, dict) or version not in trained:
                continue
            number = method_of(parameters).method_version
            known = {(one["kind"], one["version"], one["method_version"]) for one in lines_of(output)}
            if (kind, version, number) in known:
                continue
            with processes.Pool(1) as pool:
                line = pool.apply(priced, (folder, kind, version))
            print(json.dumps(line), flush=True)
            kept = [one for one in lines_of(output) if (one["kind"], one["version"]) != (kind, version)]
            write_file(output, "".join(json.dumps(one) + "\n" for one in [*kept, line]))


def joined(kind: str, prices: list[dict]) -> list[Point]:
    """The points of a kind of data that have a price, and trainings with and without a countermeasure.

    The worst case is over victims and countermeasures; an attacker's own clean rows are none, since they teach alone.

    Args:
        kind: Of the data.
        prices: Lines of `compare.jsonl`.
    """
    trained, found = cells_of(kind), []
    for line in prices:
        cells = {
            key: cell for key, cell in trained.get(line["version"], {}).items() if not key[1].startswith("clean-")
        }
        today = {key: cell for key, cell in cells.items() if _number(cell, line) == line["method_version"]}
        if len(today) > 1 and any(one == NONE for _, one in today):
            cells = today  # those of earlier versions count only where there is nothing else
        plain = [cell["accuracy"][0] for (_, one), cell in cells.items() if one == NONE]
        if line["kind"] != kind or not plain or len(cells) < 2:
            continue
        (victim, after), worst = max(cells.items(), key=lambda pair: pair[1]["accuracy"][0])
        clean, dropped = (trained[name] for name in BASELINES)
        guess = dropped.get((victim, NONE)) or next(cell for (_, one), cell in dropped.items() if one == NONE)  # any's
        numbers = [_number(cell, line) for cell in cells.values()]
        found.append(Point(
            modality=kind, **{name: line[name] for name in (
                "data", "method", "setting", "strength", "price", "rows", "seconds", "memory", "passes",
            )},
            method_version=min(numbers), accuracy=max(plain), worst=worst["accuracy"][0], worst_after=after,
            interval=(worst["accuracy"][1], worst["accuracy"][2]), tried=len(cells) - 1, victim=victim,
            clean=clean[victim, NONE]["accuracy"][0], guess=guess["accuracy"][0],
        ))  # fmt: skip
    return found


def _number(cell: dict, line: dict) -> int:
    """The method's version that a cell is of; early cells of images do not say it."""
    return cell.get("method_version") or NUMBERS[line["method"]]


def draw(kind: str, some: list[Point]) -> None:
    """Draws a curve per method, its price against its worst case, and the front.

    Args:
        kind: Of the data.
        some: Its points.
    """
    from matplotlib.figure import Figure

    from hf_unlearnable.audit.plots import colors

    measure, (label, more) = next(iter(MODALITIES[kind].prices.items()))
    best = front(some, measure, more)
    names = list(dict.fromkeys(point.method for point in some))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, color, marker in zip(names, colors(len(names)), "os^vD<>pP*Xhd8H1", strict=False):
        own = sorted((p for p in some if p.method == name and p.price[measure] is not None), key=lambda p: p.strength)
        axes.plot([p.price[measure] for p in own], [100 * p.worst for p in own], "-", marker=marker, color=color,
                  markersize=5, linewidth=1, label=name)  # fmt: skip
    chosen = sorted((some[place] for place in best), key=lambda p: p.price[measure] or 0)
    axes.step([p.price[measure] for p in chosen], [100 * p.worst for p in chosen], "k:", linewidth=2,
              where="post" if not more else "pre", label="the front")  # fmt: skip
    axes.axhline(100 * max(p.clean for p in some), color="0.6", linestyle="--", label="clean rows")
    axes.axhline(100 * min(p.guess for p in some), color="0.6", linestyle="-.", label="a guess")
    axes.set(xlabel=f"{label}: {'more' if more else 'less'} is better for a person",
             ylabel="worst case over countermeasures (accuracy, %)")  # fmt: skip
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(ROOT / f"docs/assets/compare-{kind}.png", dpi=110)


def main() -> None:
    """Measures prices, or writes what is packaged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("measure", "write"))
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--only", nargs="+", choices=KINDS, help="kinds of data to measure")
    parser.add_argument("--output", type=Path, default=BENCH / "compare.jsonl")
    arguments = parser.parse_args()
    if arguments.do == "measure":
        measure(arguments.data, arguments.output, arguments.only)
        return
    prices, every = lines_of(arguments.output), []
    for kind in KINDS:
        some = joined(kind, prices)
        every += some
        draw(kind, some)
    write_file(PACKAGED, "".join(json.dumps(vars(point)) + "\n" for point in every))
    print(f"{len(points())} points are in {PACKAGED}.")


if __name__ == "__main__":
    main()
