# /// script
# dependencies = ["hf-unlearnable[attack,audio,image]"]
# ///
"""What protections leave of real datasets, and what attackers make of that: the result tables of docs/results.

    python recipes/bench/protection.py --config recipes/configs/text_protection.yaml
    python recipes/bench/protection.py --config recipes/configs/image_attack.yaml --store cells

Victims train on a sample of the training split, as large as two cores bear, and are tested on a sample of clean test
rows. The parts of the configuration: `input_column`, `label_column` (if the rows are asked for something else than
their label), `fit_on` (whether a method learns from the whole split or from the sample), `classes` (the labels to
keep), `versions` (a method, or `module:class`, with its parameters, `paper: true` for the paper's, `strength: 2` for
twice the usual one, `role: random` for a baseline, `share: 0.4` to protect that share of the rows, drawn by the seed,
and `drop: true` beside it for the clean part alone, `then:` for a method that protects the same rows once more, with
its own parameters; `fit_on: {rows: 600, classes: [0, 5], own: true, gray: true}` has its key made on 600 further rows
of these classes and the study's own ones of them, seen in gray; each part may be left out), `sweep` (`methods` at each
of `strengths`, named "texture x 0.5"), `datasets` (rows, test rows and settings of each victim, `victim` where it has
another name, `only`, the versions to run if not all, and `test_on`, other datasets of the same classes that the same
trainings are tested on too), `countermeasures` ("all" or names; none if left out), `wear` (names; none if left out),
`corpus` (a file of texts from elsewhere), `labelled_by` (the victim and settings of a model that the attacker labels
with as it is, named by `--model labelled_by=FOLDER`) and `seeds`, one training each with a key of its own. The
attacker's own clean rows, a fifth of the published ones, come from the rest of the training split.

A dataset is a folder of `--data`, "digits" (scikit-learn's, enlarged to 32 pixels), or an id of the Hub.

Every cell goes to the output, a line each, as soon as its trainings are done. A run leaves out the cells that stand
there with the same protocol, of the method's version of today, of the same seeds or more: a run that was stopped goes
on, in the middle of a cell too, whose finished trainings are files in `--store`. The same command started twice shares
the work. The last line says how much of the grid there is.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets, disable_progress_bars, load_dataset
from drawn import NUMBER, learned_from, mixed, numbered, of_classes, own_rows, sample
from filelock import FileLock
from study import known, method_of, protected_by, read, steps

from hf_unlearnable import __version__
from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, Victim, Wear, composed
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.plan import roles_of
from hf_unlearnable.audit.records import NONE, Audit, Cell, Version
from hf_unlearnable.audit.report import as_json, grid_table, library_versions, markdown_table, verdict
from hf_unlearnable.audit.statistics import accuracy_interval
from hf_unlearnable.audit.store import digest
from hf_unlearnable.data import load_rows, whole_or_nothing, write_file
from hf_unlearnable.registry import countermeasures_of, modality_of, victims_of, wear_of
from hf_unlearnable.samples import load_digits

logger = logging.getLogger("protection")


def split_of(folder: str, name: str, split: str) -> Dataset:
    """The rows of a dataset's split: the package's digits, a folder of files, or else a dataset of the Hub."""
    if name == "digits":
        return load_digits(split)
    if "/" in name and not Path(folder, name).exists():
        return load_dataset(name, split=split)
    return load_dataset("parquet", data_files=str(Path(folder, name, f"{split}.parquet")), split="train")


def asked_for(column: str, train: Dataset, test: Dataset) -> tuple[Dataset, Dataset]:
    """The rows with another column as their label."""
    train, test = (part.remove_columns("label").rename_column(column, "label") for part in (train, test))
    train = train.class_encode_column("label")
    return train, test.cast_column("label", train.features["label"])


def parted(cell: Cell, others: dict[str, Dataset]) -> tuple[Cell, dict[str, dict[str, list[float]]]]:
    """A cell of its dataset's own test rows, and "elsewhere": accuracy and interval on others, whose rows are last.

    Curves are left out where there are others: they are of all rows together.
    """
    if not others:
        return cell, {}
    own, *rest = np.split(cell.correct, np.cumsum([-len(rows) for rows in reversed(others.values())])[::-1], axis=1)
    found = {name: accuracy_interval(correct) for name, correct in zip(others, rest, strict=True)}
    accuracy = {name: [round(x, 4) for x in (one.mean, one.low, one.high)] for name, one in found.items()}
    return replace(cell, correct=own, curves=[[] for _ in cell.seeds]), {"elsewhere": accuracy}


def version(name: str, parameters: Any, rows: Dataset, source: Dataset, folder: Path, cost: list) -> Version:
    """A version of the rows; a protected one has a key of its own for each seed, made on the source.

    What each key took goes to `cost`.
    """
    if parameters == "clean":
        return Version(name, rows, "clean", share=0.0)
    if not isinstance(parameters, dict):
        return Version(name, rows.select([]), parameters)
    share = parameters.get("share", 1.0)
    role = parameters.get("role", "protected" if share == 1 else "dropped" if parameters.get("drop") else "partly")

    whole = {key: value for key, value in parameters.items() if key not in ("share", "drop")}

    @cache
    def made(seed: int) -> Dataset:
        place = folder / digest(
            __version__, method_version(parameters), whole, rows._fingerprint, source._fingerprint, seed
        )
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):  # another process may share the work
            if not place.exists():
                start = time.perf_counter()
                own = {"id_column": NUMBER} if NUMBER in source.column_names else {}
                given = numbered(rows) if own else rows
                protected, cloaks = protected_by(parameters, given, source, seed=2026 + seed, **own)
                protected = protected.remove_columns(list(own.values()))
                took = {"seconds": round(time.perf_counter() - start, 1)}
                passes = sum(getattr(cloak, "image_passes", 0) for cloak in cloaks)
                took["passes_an_image"] = round(passes / len(rows), 1)
                with whole_or_nothing(place) as scratch:
                    protected.save_to_disk(scratch)
                    Path(scratch, "cost.json").write_text(json.dumps(took))
        cost.append(json.loads(Path(place, "cost.json").read_text()))
        return mixed(rows, load_rows(place), seed, share, role == "dropped")

    return Version(name, made, role, share)


def main() -> None:
    """Runs the trainings that are missing, writes the cells and prints the tables."""
    arguments = parsed()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("hf_unlearnable.audit").setLevel(logging.INFO)
    disable_progress_bars()
    config = read(arguments.config)
    corpus = None
    if "corpus" in config:
        corpus = sample(load_rows(Path(arguments.data, config["corpus"])), 20_000)["text"][:]
    for name, settings in config["datasets"].items():
        if arguments.only and name not in arguments.only:
            continue
        split, test = (split_of(arguments.data, name, part) for part in ("train", "test"))
        if "label_column" in config:
            split, test = asked_for(config["label_column"], split, test)
        train = split
        if "classes" in config:
            train, test = (of_classes(part, config["classes"]) for part in (split, test))
        for victim, protocol in settings["victims"].items():
            if not arguments.victims or victim in arguments.victims:
                study(arguments, config, (name, split, train, test), victim, protocol, corpus)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument(
        "--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"), help="folder of files"
    )
    parser.add_argument("--model", nargs="+", default=[], help="VICTIM=FOLDER: the pretrained model of a victim")
    parser.add_argument("--language_model", help="causal language model that looks for words out of place")
    parser.add_argument("--only", nargs="+", help="datasets to run")
    parser.add_argument("--versions", nargs="+", help="versions to run")
    parser.add_argument("--victims", nargs="+", help="victims to run")
    parser.add_argument("--countermeasures", nargs="+", help="countermeasures and wear to run, none, and a+b")
    parser.add_argument("--seeds", nargs="+", type=int, help="seeds to run")
    parser.add_argument("--store", default="cells", help="folder of finished trainings (default: %(default)s)")
    parser.add_argument("--output", help="default: the name of the configuration, .jsonl, here")
    return parser.parse_args()


def study(
    arguments: argparse.Namespace, config: dict, data: tuple[str, Dataset, Dataset, Dataset], victim: str,
    protocol: dict, corpus: list[str] | None,
) -> None:  # fmt: skip
    """Runs the cells of one dataset and victim that are missing, and writes each as it comes."""
    name, split, train, test = data
    columns = config.get("input_column", "text"), "label"
    kind = modality_of(train.features, columns[0])
    victims = victims_of(kind.name)
    known(arguments.config, "victim", [protocol.get("victim", victim)], victims)
    countermeasures, wear = tried(arguments, config, kind.name)
    asked = set(protocol.get("only", config["versions"])) & set(arguments.versions or config["versions"])
    protocol = {name: value for name, value in protocol.items() if name != "only"}
    options = dict(protocol)
    function = victims[options.pop("victim", victim)]
    count, test_count = options.pop("rows"), options.pop("test_rows")
    max_words = options.pop("max_words", None)
    rows, test = sample(train, count, max_words), sample(test, test_count, max_words)
    others = {
        other: sample(split_of(arguments.data, other, "test").cast(test.features), test_count, max_words)
        for other in options.pop("test_on", [])
    }
    models = dict(pair.split("=", 1) for pair in arguments.model)
    if victim in models:
        options["model"] = models[victim]
    run = Victim.of(partial(function, **options))
    usual = rows if config.get("fit_on") == "sample" else train
    wanted = {k: v for k, v in config["versions"].items() if k in asked}
    costs: dict[str, list] = {key: [] for key in wanted}
    folder = Path(arguments.store, "versions")
    sources = {key: learned_from(parameters, rows, split, usual, columns[0]) for key, parameters in wanted.items()}
    versions = [version(key, wanted[key], rows, source, folder, costs[key]) for key, source in sources.items()]
    numbers = {key: method_version(parameters) for key, parameters in wanted.items()}
    seeds = arguments.seeds or config["seeds"]
    output = Path(arguments.output or Path(arguments.config).with_suffix(".jsonl").name)
    found: list[Cell] = []

    def done(cell: Cell) -> None:
        own, of_others = parted(cell, others)
        found.append(own)
        line = {"data": name, **as_json(Audit(found, [], 0), own), **of_others, "cost": costs[cell.version.name],
                "protocol": protocol, "method_version": numbers[cell.version.name],
                "versions": library_versions()}  # fmt: skip
        if not others and own.confusions and all(own.confusions):
            line["confusion"] = np.sum(own.confusions, axis=0).tolist()
        write(output, line)

    clean = own_rows(train, rows, columns, max_words) if countermeasures else None
    result = audit(
        versions, concatenate_datasets([test, *others.values()]), {victim: run}, countermeasures,
        attacker=attacker_of(arguments, config, models, victims, clean, corpus), seeds=seeds,
        input_column=columns[0], store=arguments.store, on_cell=done,
        skip=known_cells(output, name, protocol, numbers, seeds), wear=wear,
    )  # fmt: skip
    if result.cells:
        show(name, replace(result, cells=found))
    grid = planned(versions, victim, run, countermeasures, wear)
    there = grid & known_cells(output, name, protocol, numbers, seeds)
    print(f"\n{name}, {victim}: {len(there)} of {len(grid)} cells are in {output}.")


def attacker_of(
    arguments: argparse.Namespace, config: dict, models: Mapping[str, str], victims: Mapping[str, Any],
    clean: Rows | None, corpus: list[str] | None,
) -> Attacker:  # fmt: skip
    """The attacker of a run. A model that labels is asked as it is, about the classes of the attacker's own rows."""
    label = None
    if clean is not None and "labelled_by" in config and "labelled_by" in models:
        options, classes = dict(config["labelled_by"]), sorted(set(clean.labels))
        asked = partial(victims[options.pop("victim")], model=models["labelled_by"], epochs=0, seed=0, **options)
        label = partial(asked, [""] * len(classes), classes)
    return Attacker(clean=clean, corpus=corpus, language_model=arguments.language_model, label=label)


def tried(arguments: argparse.Namespace, config: dict, kind: str) -> tuple[dict[str, Countermeasure], dict[str, Wear]]:
    """The countermeasures and the wear of a run, by name."""
    every = countermeasures_of(kind)
    only = arguments.countermeasures
    wear = {name: wear_of(kind)[name] for name in config.get("wear", []) if name in (only or [name])}
    chosen = only or config.get("countermeasures", [])
    names = [name for name in (every if chosen == "all" else chosen) if name != NONE and name not in wear]
    known(arguments.config, "countermeasure", [part for name in names for part in name.split("+")], every)
    return {name: composed(name, every) for name in names}, wear


def method_version(parameters: Any) -> int | list[int] | None:
    """Of the method of a version in the configuration, or of each of several; None for rows that no method changed."""
    if not isinstance(parameters, dict):
        return None
    numbers = [method_of(step).method_version for step in steps(parameters)]
    return numbers if len(numbers) > 1 else numbers[0]


def planned(
    versions: list[Version], name: str, victim: Victim, countermeasures: dict[str, Countermeasure],
    wear: Mapping[str, Wear],
) -> set[tuple[str, str, str]]:  # fmt: skip
    """The cells of a victim's grid: version, victim, countermeasure or wear."""
    tried = {**countermeasures, **{one: Countermeasure(worn.on_rows) for one, worn in wear.items()}}
    return {(version.name, name, NONE) for version in versions} | {
        (version.name, name, one)
        for one, countermeasure in tried.items()
        for version in versions
        if version.role in roles_of(countermeasure)
        and (countermeasure.in_training is None or "in_training" in victim.takes)
    }


def known_cells(
    output: Path, data: str, protocol: dict, numbers: dict[str, Any], seeds: list[int]
) -> set[tuple[str, str, str]]:
    """The cells in the output that need not be run."""
    return {
        (line["version"], line["victim"], line["countermeasure"])
        for line in lines_of(output)
        if (line["data"], line["protocol"]) == (data, protocol)
        and line["version"] in numbers
        and line.get("method_version") == numbers[line["version"]]
        and set(seeds) <= set(line["seeds"])
    }


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


def write(output: Path, line: dict) -> None:
    """Puts a cell into the output, in place of an older one of its names; the file is whole at any time."""

    def name(cell: dict) -> tuple:
        return cell["data"], cell["version"], cell["victim"], cell["countermeasure"]

    with FileLock(output.with_name(f".{output.name}.lock")):
        kept = [one for one in lines_of(output) if name(one) != name(line)]
        write_file(output, "".join(json.dumps(one) + "\n" for one in [*kept, line]))


def show(data: str, found: Audit) -> None:
    """Prints the tables of one dataset and victim."""
    print(f"\n{data}\n\n{markdown_table(found)}")
    for name in dict.fromkeys(cell.version.name for cell in found.cells if cell.version.role == "protected"):
        if any(cell.countermeasure != "none" for cell in found.cells):
            print(f"\n{verdict(found, name)}\n\n{grid_table(found, name)}")


if __name__ == "__main__":
    main()
