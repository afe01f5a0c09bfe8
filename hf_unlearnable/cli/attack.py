"""`hf-unlearnable attack`: trains on protected data in many ways, and reports what is left of it."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import Any

from hf_unlearnable._words import spelled
from hf_unlearnable.cli import reading
from hf_unlearnable.data import load_rows
from hf_unlearnable.registry import METHODS, countermeasures_of, modality_of, usual_column
from hf_unlearnable.rows import require_columns


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "attack", help="train on protected data in many ways, and report how far the protection holds"
    )
    parser.description = (
        "Trains models (victims) on the clean rows, the protected ones, what is left without these, and a random "
        "change of the same size. It does so after each countermeasure, and reports the worst case. Finished "
        "trainings are kept in the report's folder: run the command again to go on. The exit status is 0 if protected "
        "rows were trained on, whatever was found, and 1 if not."
    )
    parser.set_defaults(run=run)
    _add_data(parser)
    _add_effort(parser)
    _add_networks(parser)
    _add_attacker(parser)
    reading.add_skipping(parser)
    reading.add_arguments(parser)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    """Adds what is compared, and where the report goes."""
    for name, text in {
        "clean": "rows before the protection: a file, a quoted pattern, a folder, or an id on the Hub",
        "protected": "rows after it, in the same order",
        "test": "clean rows to test on, which are in neither",
    }.items():
        parser.add_argument(f"--{name}", required=True, metavar="DATA", help=text)
    parser.add_argument(
        "--report",
        required=True,
        metavar="FOLDER",
        help="folder for the report and its plots; what stands there is not trained again",
    )
    reading.add_columns(parser, usual="{column}", old="--input-column")
    parser.add_argument("--label-column", default="label", help="column of labels (default: %(default)s)")
    parser.add_argument("--split", default="train", help="split of --clean and --protected (default: %(default)s)")
    parser.add_argument("--test-split", help="split of --test (default: test if it is there, else train)")


def _add_effort(parser: argparse.ArgumentParser) -> None:
    """Adds what is tried, and how long."""
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", dest="effort", action="store_const", const="quick", help="take under three minutes")
    effort.add_argument(
        "--full", dest="effort", action="store_const", const="full", help="try everything, for hours, on a GPU"
    )
    parser.set_defaults(effort="laptop")
    parser.add_argument(
        "--method",
        choices=METHODS,
        metavar="NAME",
        help="method of the protection: the countermeasures against it are tried first",
    )
    parser.add_argument(
        "--victims",
        nargs="+",
        metavar="NAME",
        help="train these models and no others (hf-unlearnable list names them)",
    )
    parser.add_argument(
        "--countermeasures",
        nargs="+",
        metavar="NAME",
        help="try these, and with --method those against it, and no others (hf-unlearnable list names them; a+b is a, "
        "then b; none for none)",
    )
    parser.add_argument(
        "--wear",
        nargs="*",
        metavar="NAME",
        help="try what happens to data without an attacker too: codecs, resizers, cleaning pipelines; these names, "
        "or without names those of the effort",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        default=[],
        metavar="NAME=ID",
        help="model that a pretrained victim starts from, or tokenizer of a wear: a folder, or an id on the Hub",
    )
    parser.add_argument("--seeds", type=int, help="trainings of each combination (default: 3, with --quick 1)")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        help="stop after this time (default: 60, with --quick 2.5, with --full never)",
    )


def _add_networks(parser: argparse.ArgumentParser) -> None:
    """Adds what is measured of a network besides its accuracy."""
    parser.add_argument(
        "--certify",
        nargs="?",
        type=int,
        const=1000,
        default=0,
        metavar="DRAWS",
        help="bound the accuracy of most models near a small CNN by so many random ones (default: 1,000; images only)",
    )
    parser.add_argument(
        "--distance",
        action="store_true",
        help="measure how learnable the layers of a small CNN are, without the test (SAL, Unlearnable Distance; "
        "images only)",
    )


def _add_attacker(parser: argparse.ArgumentParser) -> None:
    """Adds what the attacker has of its own, and the key."""
    parser.add_argument(
        "--own-clean", metavar="DATA", help="clean rows that the attacker has (default: some of --clean are set aside)"
    )
    parser.add_argument(
        "--key", help="folder of the key: tells the method and the columns, and notices a protected test"
    )
    parser.add_argument(
        "--corpus", metavar="DATA", help="texts from elsewhere that tell how often words are used (texts only)"
    )
    parser.add_argument(
        "--language-model", metavar="ID", help="causal model that finds words out of place (texts only)"
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    from hf_unlearnable.audit.certify import curve_table
    from hf_unlearnable.audit.distance import summary
    from hf_unlearnable.audit.report import coverage, markdown_table, verdict, wear_table, write_report
    from hf_unlearnable.audit.run import attack

    report = Path(arguments.report)
    if report.exists() and not (report / "cells").is_dir() and (report.is_file() or any(report.iterdir())):
        raise FileExistsError(f"{report} exists and holds something else. Give another --report, or move it away.")
    if any("=" not in pair for pair in arguments.model):
        raise ValueError("--model takes NAME=ID, such as finetuned_encoder=my/encoder.")
    given = {**reading.options(arguments), "skip_broken": arguments.skip_broken}
    clean, protected = (
        load_rows(reading.named(source), split=arguments.split, **given)
        for source in (arguments.clean, arguments.protected)
    )
    reading.require_labels(clean, arguments.label_column, arguments.clean, what="attack")
    test = _test_rows(reading.named(arguments.test), arguments.test_split, given)
    column = arguments.protected_column or usual_column(clean.column_names)
    modality = modality_of(clean.features, column)
    own_clean = load_rows(reading.named(arguments.own_clean), **given) if arguments.own_clean else None
    attacker = _attacker(arguments, modality, column, given)
    (report / "cells").mkdir(parents=True, exist_ok=True)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    found = attack(
        clean, protected, test, input_column=column, label_column=arguments.label_column, method=arguments.method,
        key=arguments.key,
        effort=arguments.effort, victims=arguments.victims, countermeasures=arguments.countermeasures,
        attacker=attacker, own_clean=own_clean,
        models=dict(pair.split("=", 1) for pair in arguments.model), seeds=arguments.seeds,
        budget=None if arguments.budget is None else 60 * arguments.budget, store=report / "cells",
        on_cell=lambda cell: print(
            f"{cell.version.name}, {cell.victim}, {cell.countermeasure}: {cell.accuracy}", flush=True
        ),
        on_plan=partial(print, flush=True), wear=arguments.wear or arguments.wear is not None,
        certify=arguments.certify, distance=arguments.distance,
    )  # fmt: skip
    write_report(report, found)
    for reason in found.not_run:
        print(f"Not run: {reason}")
    if not found.measured:
        raise RuntimeError(
            f"Nothing was measured, for no training on the protected rows ran. {coverage(found)} Reasons stand in "
            f"{report / 'report.md'}; give more --budget, or other --victims."
        )
    print(f"\nAccuracy on clean test rows in percent [95 % interval]:\n\n{markdown_table(found)}")
    if found.wear:
        print(f"\nAfter wear, which nobody chooses (in parentheses: clean rows):\n\n{wear_table(found, 'protected')}")
    if found.certificates:
        print(f"\nCertified learnability in percent:\n\n{curve_table(found.certificates).markdown()}")
    if found.distance:
        print(f"\n{summary(found.distance)}")
    print(f"\n{verdict(found, 'protected')}\n\nThe whole report: {report / 'report.html'}")
    return {
        "report": report / "report.json", "verdict": verdict(found, "protected"),
        "trainings": {"ran": found.ran, "planned": found.planned}, "warnings": found.warnings,
        "not_run": found.not_run,
    }  # fmt: skip


def _attacker(arguments: argparse.Namespace, modality: Any, column: str, given: dict[str, Any]) -> Any:
    """What the attacker has besides the published rows, of what the countermeasures of this kind of data use."""
    from hf_unlearnable.adversary import Attacker

    used = {need for measure in countermeasures_of(modality.name).values() for need in measure.needs}
    for need in ("corpus", "language_model"):
        if getattr(arguments, need) and need not in used:
            raise ValueError(f"{spelled(need)}: no countermeasure for {modality.plural} uses it. Leave it out.")
    corpus = load_rows(reading.named(arguments.corpus), **given) if arguments.corpus else None
    if corpus is not None:
        require_columns(corpus.column_names, [column])
    return Attacker(
        corpus=None if corpus is None else [text for text in corpus[column] if text is not None],
        language_model=arguments.language_model,
    )


def _test_rows(source: str | list[str], split: str | None, given: dict[str, Any]) -> Any:
    if split is not None:
        return load_rows(source, split=split, **given)
    try:
        return load_rows(source, split="test", **given)
    except ValueError:
        return load_rows(source, split="train", **given)
