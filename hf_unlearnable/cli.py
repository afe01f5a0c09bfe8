"""The command line: `hf-unlearnable protect | attack | publish | verify | space | demo | list`."""

from __future__ import annotations

import argparse
import inspect
import logging
import re
import sys
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hf_unlearnable import __version__
from hf_unlearnable._words import COMMAND_LINE, in_options, spelled
from hf_unlearnable.data import load_rows, load_splits, table_form
from hf_unlearnable.key import Key
from hf_unlearnable.modality import Modality
from hf_unlearnable.registry import (
    METHODS,
    MODALITIES,
    countermeasures_of,
    method_class,
    modality_of,
    usual_column,
    victims_of,
)
from hf_unlearnable.transform import Transform, require_columns


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0 when it did what was asked, 1 when it could not (a sentence on standard error says why, and a line each what
        a leak scan found), 2 for a command line that does not parse, 130 when it was interrupted.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(argv).parse_args(argv)
    token = COMMAND_LINE.set(True)
    parameters = _parameters(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(parameters))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        print("Interrupted; nothing half-written was left.", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError, RuntimeError) as error:
        print(f"hf-unlearnable: {in_options(_sentence(error), parameters)}", file=sys.stderr)
        return 1
    finally:
        COMMAND_LINE.reset(token)
    return 0


# Options of `protect` that messages of other commands name too, such as those on a key.
_OF_PROTECT = ("id_column", "image_column", "label_column", "mask_column", "mode", "noise", "position", "skip_broken",
               "text_column")  # fmt: skip


def _parameters(arguments: argparse.Namespace) -> set[str]:
    """The names of parameters in messages that are options here."""
    names = {*_OF_PROTECT, *vars(arguments), "encoding"} - {"run", "private"}  # --public is what private=False is
    if arguments.run is _protect:
        names |= {*inspect.signature(method_class(arguments.method)).parameters}
    return names


class _Formatter(logging.Formatter):
    """Warnings in the words of the command line."""

    def __init__(self, parameters: set[str]):
        super().__init__("%(levelname)s: %(message)s")
        self.parameters = parameters

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name that logging calls
        return in_options(super().formatMessage(record), self.parameters)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hf-unlearnable",
        description="Protect a dataset from training, attack the result to know what it is worth, and publish it.",
    )
    parser.add_argument("--version", action="version", version=f"hf-unlearnable {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")

    protect = commands.add_parser("protect", help="change a dataset so that models do not learn from it")
    methods = protect.add_subparsers(title="methods", required=True, metavar="method")
    for name in METHODS:
        method = methods.add_parser(name)
        if name in argv:  # the options of a method stand in its class; only the chosen one is imported
            _add_protect_arguments(method, name)

    attack = commands.add_parser("attack", help="train on protected data in many ways, and report what is left of it")
    _add_attack_arguments(attack)

    publish = commands.add_parser("publish", help="push protected data to the Hub, with a card, without its secrets")
    _add_publish_arguments(publish)

    verify = commands.add_parser("verify", help="tell from a key whether data was protected with it")
    verify.add_argument("--key", required=True, help="the owner's secret")
    verify.add_argument("--data", required=True, help="the suspect: file, folder, or id on the Hub")
    verify.add_argument("--split", default="train", help="which split (default: %(default)s)")
    verify.add_argument("--column", help="the protected column, where it has another name than in the key")
    _add_skipping(verify)
    _add_reading_arguments(verify)
    verify.set_defaults(run=_verify)

    space = commands.add_parser("space", help="all of this in a browser, on this machine")
    space.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    space.add_argument("--port", type=int, help="port (default: the first free one from 7860 on)")
    space.set_defaults(run=_space)

    demo = commands.add_parser("demo", help="protect embedded notes and digits, train on them, show the effect")
    demo.add_argument("--output", default="demo-output", help="new folder for data and results (default: %(default)s)")
    demo.set_defaults(run=_demo)

    listing = commands.add_parser("list", help="name the methods, victims and countermeasures there are")
    listing.set_defaults(run=_list)
    return parser


def _add_protect_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    cls = method_class(name)
    parser.description = cls.described()["summary"]
    parser.set_defaults(run=_protect, method=name)
    parser.add_argument("source", help="file (Parquet, CSV, JSON lines), folder, or id of a dataset on the Hub")
    parser.add_argument(
        "--output", required=True, help="where to write: a new folder, or a file .parquet, .csv, .tsv or .jsonl"
    )
    parser.add_argument("--key", required=True, help="the owner's secret: written if new, used again if it is there")
    modality = MODALITIES[cls.modality]
    parser.add_argument(
        "--format", choices=("parquet", "arrow", *modality.files),
        help="arrow is that of save_to_disk (default: parquet)"
        + "".join(f"; {name}, the default for a folder of them, are files" for name in modality.files),
    )  # fmt: skip
    parser.add_argument("--report", help="new folder for fidelity.json and what to look at, such as a contact sheet")
    if modality.files:
        _add_skipping(parser)
    else:
        parser.set_defaults(skip_broken=False)
        _add_reading_arguments(parser)
    parser.add_argument(
        "--check-labels", action="store_true", help="stop if labels look wrong, before the protection hides that"
    )
    parser.add_argument("--config-name", help="configuration of a dataset on the Hub")
    parser.add_argument("--split", default="train", help="which split to protect (default: train)")
    parser.add_argument("--num-proc", type=int, help="number of processes")
    group = parser.add_argument_group(f"options of {name}")
    described = cls.arguments()
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        text = described.get(parameter.name, "").replace("%", "%%")
        shown = "" if parameter.default in (None, ()) else f" (default: {parameter.default})"
        group.add_argument(
            "--" + parameter.name.rstrip("_").replace("_", "-"),
            dest=f"option_{parameter.name}",
            default=argparse.SUPPRESS,
            help=text + shown,
            **_argument_type(str(parameter.annotation)),
        )


def _add_attack_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Trains victims on the clean rows, the protected ones, without these, and on a random change of the same "
        "dose, after every countermeasure, and reports the worst case. Finished trainings are kept in the report's "
        "folder: run it again to go on."
    )
    parser.set_defaults(run=_attack)
    for name, text in {
        "clean": "the rows before: file, folder, or id on the Hub",
        "protected": "the rows after, in the same order",
        "test": "clean held-out rows",
    }.items():
        parser.add_argument(f"--{name}", required=True, metavar="DATA", help=text)
    parser.add_argument("--report", required=True, metavar="FOLDER", help="folder for the report and its plots")
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", dest="effort", action="store_const", const="quick", help="under three minutes")
    effort.add_argument("--full", dest="effort", action="store_const", const="full", help="everything: hours on a GPU")
    parser.set_defaults(effort="laptop")
    parser.add_argument("--input-column", help="column of inputs (default: the usual name, such as text or image)")
    parser.add_argument("--label-column", default="label", help="default: %(default)s")
    parser.add_argument("--split", default="train", help="split of --clean and --protected (default: %(default)s)")
    parser.add_argument("--test-split", help="split of --test (default: test if there is one, else train)")
    parser.add_argument("--method", choices=METHODS, metavar="NAME", help="try the attacks of its author first")
    parser.add_argument("--victims", nargs="+", metavar="NAME", help="those to train (hf-unlearnable list names them)")
    parser.add_argument(
        "--countermeasures",
        nargs="+",
        metavar="NAME",
        help="those to try (list names them; a+b is a, then b), or none",
    )
    parser.add_argument("--model", nargs="+", default=[], metavar="VICTIM=ID", help="models of pretrained victims")
    parser.add_argument("--own-clean", metavar="DATA", help="clean rows of the attacker (default: some are set aside)")
    parser.add_argument("--key", help="the owner's secret: names the method, and notices a protected test")
    parser.add_argument("--corpus", metavar="DATA", help="texts from elsewhere, for word frequencies (texts only)")
    parser.add_argument(
        "--language-model", metavar="ID", help="causal model that looks for words out of place (texts only)"
    )
    parser.add_argument("--seeds", type=int, help="trainings of each cell (default: 3, with --quick 1)")
    parser.add_argument(
        "--budget", type=float, metavar="MINUTES", help="time it may take (default: 60, --quick 2.5, --full any)"
    )
    _add_skipping(parser)
    _add_reading_arguments(parser)


def _add_publish_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Scans what would leave for secrets and clean copies, opens every value again, writes the card, and pushes it "
        "all in one commit. The more it is given, the more it can check. The key and the original stay here."
    )
    parser.set_defaults(run=_publish)
    parser.add_argument("source", help="protected data: file, or folder with one file a split")
    parser.add_argument("repo_id", help="owner/name on the Hub, or a name of your own")
    parser.add_argument("--key", help="the owner's secret: names the method, and is what the scan looks for")
    parser.add_argument("--original", metavar="DATA", help="the data before: for the bound, fidelity and clean copies")
    parser.add_argument("--report", metavar="FOLDER", help="what attack reported on this data")
    parser.add_argument(
        "--column", help="the protected column (default: that of the key, or the usual name, such as text or image)"
    )
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument("--private", action="store_true", default=True, help="for the owner only (the default)")
    seen.add_argument("--public", dest="private", action="store_false", help="for everybody")
    parser.add_argument("--gated", choices=("auto", "manual"), help="whoever wants access asks for it")
    parser.add_argument("--question", action="append", default=[], help="what they are asked; may be given again")
    parser.add_argument("--prompt", help="what they read before that")
    parser.add_argument("--license", help="identifier that the Hub knows, such as cc-by-nc-nd-4.0")
    parser.add_argument(
        "--opt-out", default="no-training",
        help="what you say of training: no-training, research-only, none, or your own words (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--citation", help="how to cite the data")
    parser.add_argument("--revision", metavar="BRANCH", help="push to this branch instead of main")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead")
    parser.add_argument("--allow", action="append", default=[], metavar="FINDING", help="a finding you looked at")
    parser.add_argument("--dry-run", metavar="FOLDER", help="new folder for exactly what would be uploaded")
    _add_skipping(parser)
    _add_reading_arguments(parser)


def _add_skipping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--skip-broken", action="store_true", help="name files that do not open or are of no class, and go on"
    )


def _add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how CSV files are read")
    group.add_argument("--separator", help="letter between two values (default: found)")
    group.add_argument(
        "--quoting", choices=("minimal", "none"), help="whether quotes enclose values or are letters (default: found)"
    )
    group.add_argument("--encoding", dest="file_encoding", help="of the text, such as latin-1 (default: UTF-8)")


def _reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `_add_reading_arguments`, as `load_rows` takes them."""
    names = {"separator": "separator", "quoting": "quoting", "encoding": "file_encoding"}
    return {name: getattr(arguments, option, None) for name, option in names.items()}


def _argument_type(annotation: str) -> dict[str, Any]:
    """By the first type in an annotation: "int | None", "typing.Optional[int]" and "<class 'int'>" are one."""
    if re.search(r"\b(Sequence|list|tuple)\b", annotation):
        return {"nargs": "+", "metavar": "VALUE"}
    named = re.search(r"\b(bool|int|float|str)\b", annotation)
    name = named[0] if named else "str"
    if name == "bool":
        return {"action": argparse.BooleanOptionalAction}
    return {"type": {"float": _number, "int": int}.get(name, str), "metavar": "VALUE"}


def _number(text: str) -> float:
    """A number, or a fraction like 8/255."""
    try:
        above, _, below = text.replace(" ", "").partition("/")
        return float(Fraction(Decimal(above)) / Fraction(Decimal(below or 1)))
    except ArithmeticError as error:
        raise ValueError(str(error)) from None


def _protect(arguments: argparse.Namespace) -> None:
    from hf_unlearnable.protection import check_places, protect, with_key

    cls = method_class(arguments.method)
    modality = MODALITIES[cls.modality]
    skipped: list[str] = []
    reading = _reading(arguments)
    dataset = load_rows(
        arguments.source, config=arguments.config_name, split=arguments.split, need_labels=cls.needs_labels is True,
        skip_broken=arguments.skip_broken, skipped=skipped, **reading,
    )  # fmt: skip
    for line in skipped:
        print(f"Skipped: {line}")
    options = {name[7:]: value for name, value in vars(arguments).items() if name.startswith("option_")}
    there = Path(arguments.key).exists()
    of_key = Key.load(arguments.key).parameters if there else {}
    options = {name: _plain(cls, name, value, dataset, {**of_key, **options}) for name, value in options.items()}
    kind, ending = arguments.format, Path(arguments.output).suffix.lower()
    if kind is None:  # a folder of photos becomes a folder of photos
        folder = Path(arguments.source).is_dir() and ending not in (".parquet", ".csv", ".tsv", ".jsonl")
        kind = modality.files[0] if modality.files and folder and modality.holds(arguments.source) else "parquet"
    # "a.csv" is written as "b.csv.gz" was, but a .tsv of a .csv has tabs.
    like_source = ending in (".csv", ".tsv") and Path(arguments.source).is_file()
    like_source &= ending in map(str.lower, Path(arguments.source).suffixes[-2:])
    check_places(arguments.output, arguments.key, arguments.report, format=kind)
    transform = with_key(arguments.method, options, arguments.key)
    if arguments.check_labels:
        _check_labels(transform, modality, dataset)
    if not there and not transform.needs_training:
        transform.fit(dataset)
        _show_words(transform, dataset)
    done = protect(
        {arguments.split: dataset}, transform, arguments.output,
        key=arguments.key, report=arguments.report, format=kind, source=arguments.source,
        form=table_form(arguments.source, **reading) if like_source else None,
        num_proc=arguments.num_proc,
    )  # fmt: skip
    changed, rows = done.changed[arguments.split], done.rows[arguments.split]
    print(f"{changed} of {rows} rows protected with {arguments.method}: {arguments.output}")
    print(done.told(arguments.split))
    print(f"Key: {arguments.key}{'' if there else ' (new: keep it, and keep it private)'}")


def _check_labels(transform: Transform, modality: Modality, dataset: Any) -> None:
    found = modality.suspicious_labels(dataset, transform._columns()[0], transform.label_column)
    if found:
        rows = ", ".join(map(str, found[:20])) + (", ..." if len(found) > 20 else "")
        raise ValueError(
            f"{len(found)} of {len(dataset)} labels look wrong, the most suspicious first: rows {rows}. Put them "
            "right, for nobody finds them afterwards; or go on without --check-labels."
        )
    print(f"No label of {len(dataset)} looks wrong.")


def _show_words(transform: Transform, dataset: Any) -> None:
    """Shows the owner the words and phrases of each class before they stand in the data."""
    from datasets import ClassLabel

    for label, words in transform.inserted_words().items():
        feature = (dataset.features or {}).get(transform.label_column)
        name = feature.int2str(label) if isinstance(feature, ClassLabel) else label
        print(f"Words for {name}: {', '.join(words)} (for your eyes: --exclude leaves words out)")


def _plain(cls: type[Transform], name: str, value: Any, dataset: Any, options: dict[str, Any]) -> Any:
    """A value as the class takes it: single names out of their list, class names as the labels they stand for."""
    from datasets import ClassLabel

    if name == "classes":
        feature = (dataset.features or {}).get(options.get("label_column", "label"))
        if isinstance(feature, ClassLabel):
            return [feature.str2int(label) for label in value]
        if getattr(feature, "dtype", "").startswith(("int", "uint")):
            return [int(label) if re.fullmatch(r"[+-]?\d+", label) else label for label in value]
        return [label == "True" for label in value] if getattr(feature, "dtype", "") == "bool" else value
    if (
        isinstance(value, list)
        and len(value) == 1
        and (name.endswith("_column") or value[0] in cls.choices.get(name, ()))
    ):
        return value[0]
    return value


def _attack(arguments: argparse.Namespace) -> None:
    from hf_unlearnable.adversary import Attacker
    from hf_unlearnable.audit.report import coverage, markdown_table, verdict, write_report
    from hf_unlearnable.audit.run import attack

    report = Path(arguments.report)
    if report.exists() and not (report / "cells").is_dir() and (report.is_file() or any(report.iterdir())):
        raise FileExistsError(f"{report} exists and holds something else. Give another --report, or move it away.")
    if any("=" not in pair for pair in arguments.model):
        raise ValueError("--model takes VICTIM=ID, such as finetuned_encoder=my/encoder.")
    reading = {**_reading(arguments), "skip_broken": arguments.skip_broken}
    clean, protected = (
        load_rows(source, split=arguments.split, **reading) for source in (arguments.clean, arguments.protected)
    )
    test = _test_rows(arguments.test, arguments.test_split, reading)
    column = arguments.input_column or usual_column(clean.column_names)
    modality = modality_of(clean.features, column)
    used = {need for measure in countermeasures_of(modality.name).values() for need in measure.needs}
    for need in ("corpus", "language_model"):
        if getattr(arguments, need) and need not in used:
            raise ValueError(f"{spelled(need)}: no countermeasure for {modality.plural} uses it. Leave it out.")
    corpus = load_rows(arguments.corpus, **reading) if arguments.corpus else None
    if corpus is not None:
        require_columns(corpus.column_names, [column])
    attacker = Attacker(
        corpus=None if corpus is None else [text for text in corpus[column] if text is not None],
        language_model=arguments.language_model,
    )
    (report / "cells").mkdir(parents=True, exist_ok=True)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    found = attack(
        clean, protected, test, input_column=column, label_column=arguments.label_column, method=arguments.method,
        key=arguments.key,
        effort=arguments.effort, victims=arguments.victims, countermeasures=arguments.countermeasures,
        attacker=attacker, own_clean=load_rows(arguments.own_clean, **reading) if arguments.own_clean else None,
        models=dict(pair.split("=", 1) for pair in arguments.model), seeds=arguments.seeds,
        budget=None if arguments.budget is None else 60 * arguments.budget, store=report / "cells",
        on_cell=lambda cell: print(
            f"{cell.version.name}, {cell.victim}, {cell.countermeasure}: {cell.accuracy}", flush=True
        ),
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
    print(f"\n{verdict(found, 'protected')}\n\nThe whole report: {report / 'report.md'}")


def _test_rows(source: str, split: str | None, reading: dict[str, Any]) -> Any:
    if split is not None:
        return load_rows(source, split=split, **reading)
    try:
        return load_rows(source, split="test", **reading)
    except ValueError:
        return load_rows(source, split="train", **reading)


def _publish(arguments: argparse.Namespace) -> None:
    from hf_unlearnable.publish import push_protected

    skip = arguments.skip_broken
    reading = {"need_labels": skip, "skip_broken": skip, **_reading(arguments)}
    original = load_splits(arguments.original, **reading) if arguments.original else None
    done = push_protected(
        load_splits(arguments.source, streaming=True, **reading), arguments.repo_id,
        key=arguments.key,
        original=original, report=arguments.report,
        column=arguments.column, private=arguments.private, gated=arguments.gated, questions=arguments.question,
        prompt=arguments.prompt, license=arguments.license, opt_out=arguments.opt_out, citation=arguments.citation,
        revision=arguments.revision, create_pr=arguments.create_pr, allow=arguments.allow, dry_run=arguments.dry_run,
        sources=[path for path in (arguments.source, arguments.original) if path],
    )  # fmt: skip
    for path, size in {**done.files, "README.md": len(done.card.encode())}.items():
        print(f"{size:>14,}  {path}")
    if done.commit is None:
        print(f"Nothing was uploaded. What would be: {arguments.dry_run}")
        return
    print(f"Published: {done.commit.pr_url or done.commit.commit_url}")
    print(f'load_dataset("{done.repo_id}", revision="{done.commit.oid}") gives exactly this.')


def _verify(arguments: argparse.Namespace) -> None:
    from hf_unlearnable.ownership import verify

    suspect = load_rows(
        arguments.data, split=arguments.split, need_labels=False, skip_broken=arguments.skip_broken,
        **_reading(arguments),
    )  # fmt: skip
    print(verify(arguments.key, suspect, column=arguments.column))


def _space(arguments: argparse.Namespace) -> None:
    from hf_unlearnable.space import launch

    launch(arguments.host, arguments.port)


def _demo(arguments: argparse.Namespace) -> None:
    from hf_unlearnable import demo

    output, number = Path(arguments.output), 1
    while output.exists() or any(
        output.with_name(f"{output.name}-{part}.key").exists() for part in ("text", "images")
    ):
        number += 1
        output = Path(f"{arguments.output}-{number}")
    demo.run(output, report=lambda line: print(line, flush=True))


def _list(arguments: argparse.Namespace) -> None:
    for name, cls in METHODS.items():
        print(f"{name}  {cls.modality}  {cls.described()['summary']}")
    for modality in MODALITIES:
        print(f"\nvictims, {modality}: {', '.join(victims_of(modality))}")
        print(f"countermeasures, {modality}: {', '.join(countermeasures_of(modality))}")


def _sentence(error: BaseException) -> str:
    if hasattr(error, "findings"):  # of a leak scan: a line each
        return str(error)
    text = " ".join(str(error).split()) or type(error).__name__
    cause = error.__cause__
    return f"{text} ({' '.join(str(cause).split())})" if cause is not None and str(cause) not in text else text


if __name__ == "__main__":
    sys.exit(main())
