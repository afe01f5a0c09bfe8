"""`hf-unlearnable protect`: protects a dataset to disk."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hf_unlearnable.cli import reading
from hf_unlearnable.data import load_rows, table_form
from hf_unlearnable.key import Key
from hf_unlearnable.modality import Modality
from hf_unlearnable.registry import METHODS, MODALITIES, method_class
from hf_unlearnable.transform import Transform


def add(commands: Any, argv: Sequence[str]) -> None:
    """Adds the command.

    Args:
        commands: The subparsers of the command line.
        argv: What was typed: the options of a method stand in its class, and only the chosen one is imported.
    """
    parser = commands.add_parser("protect", help="change a dataset so that models do not learn from it")
    methods = parser.add_subparsers(title="methods", required=True, metavar="method")
    for name in METHODS:
        method = methods.add_parser(name)
        if name in argv:
            _add_arguments(method, name)


def _add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    cls = method_class(name)
    parser.description = cls.described()["summary"]
    parser.set_defaults(run=run, method=name)
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
        reading.add_skipping(parser)
    else:
        parser.set_defaults(skip_broken=False)
        reading.add_arguments(parser)
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


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from hf_unlearnable.protection import check_places, protect, with_key

    cls = method_class(arguments.method)
    modality = MODALITIES[cls.modality]
    skipped: list[str] = []
    given = reading.options(arguments)
    dataset = load_rows(
        arguments.source, config=arguments.config_name, split=arguments.split, need_labels=cls.needs_labels is True,
        skip_broken=arguments.skip_broken, skipped=skipped, **given,
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
        form=table_form(arguments.source, **given) if like_source else None,
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
