"""`hf-unlearnable protect`: protects a dataset to disk."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._words import as_option
from hf_unlearnable.cli import one_file, printing, reading, writing
from hf_unlearnable.cli.method_options import MethodParser, add_options, plain
from hf_unlearnable.data import (
    format_of,
    hub_shards,
    is_file_name,
    is_remote,
    load_rows,
    shards_of,
    source_form,
)  # fmt: skip
from hf_unlearnable.data.sources import tables_of
from hf_unlearnable.data.tables import reader_of
from hf_unlearnable.key import Key
from hf_unlearnable.modality import Modality
from hf_unlearnable.registry import METHODS, MODALITIES, method_class
from hf_unlearnable.transform import Transform

if TYPE_CHECKING:
    from hf_unlearnable.protection.run import Shard

_SHOWN = 12  # words of each class


def add(commands: Any, argv: Sequence[str]) -> None:
    """Adds the command.

    Args:
        commands: The subparsers of the command line.
        argv: What was typed: the options of a method stand in its class, and only the chosen one is imported.
    """
    parser = commands.add_parser("protect", help="change a dataset so that models learn less from it")
    parser.description = (
        "Changes a dataset so that models learn less from it. Options stand before or after the input. "
        "hf-unlearnable list says what each method does, and protect METHOD --help lists its options."
    )
    methods = parser.add_subparsers(
        title="methods", required=True, metavar="METHOD", parser_class=MethodParser, help=", ".join(METHODS)
    )
    for name in METHODS:
        method = methods.add_parser(name)
        if name in argv:
            _add_arguments(method, name)


def _add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    cls = method_class(name)
    parser.description = cls.described()["summary"]
    parser.set_defaults(run=run, method=name)
    reading.add_source(parser, "what is protected", more=". Parquet files on the Hub: hf://datasets/OWNER/NAME/...")
    parser.add_argument(
        "--key", required=True, help="folder of the key, which is secret: written if new, used again if it is there"
    )
    modality = MODALITIES[cls.modality]
    writing.add_arguments(parser, modality.files)
    parser.add_argument(
        "--report", metavar="FOLDER", help="new folder for fidelity.json and what to look at, such as a contact sheet"
    )
    if modality.files:
        reading.add_skipping(parser)
    else:
        parser.set_defaults(skip_broken=False)
        reading.add_arguments(parser)
    parser.add_argument(
        "--check-labels", action="store_true", help="stop if labels look wrong, before the protection hides that"
    )
    parser.add_argument("--config-name", help="configuration of a dataset on the Hub")
    parser.add_argument("--split", default="train", help="split to protect (default: %(default)s)")
    group = parser.add_argument_group("several Parquet files, by several processes or machines")
    group.add_argument("--rank", type=int, help="number of this process, from 0 (default: 0)")
    group.add_argument(
        "--world-size", type=int, help="how many processes share the files; run all of them until no file is missing"
    )
    one_file.add_arguments(parser, modality)
    printing.add_arguments(parser)
    add_options(parser.add_argument_group(f"options of {name}"), cls)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    from hf_unlearnable.protection import check_places, protect, with_key

    cls = method_class(arguments.method)
    modality = MODALITIES[cls.modality]
    skipped: list[str] = []
    given, source = reading.options(arguments), reading.source(arguments)
    if one_file.is_one(modality, source):
        return one_file.run(arguments, modality, str(source))
    files = _shards(arguments, source)
    if files:
        return _run_shards(arguments, files)
    options = {name[7:]: value for name, value in vars(arguments).items() if name.startswith("option_")}
    there = Path(arguments.key).exists()
    of_key = Key.load(arguments.key).parameters if there else {}
    typed = cls(**{name: value for name, value in {**of_key, **options}.items() if name in cls.arguments()})
    dataset = load_rows(
        source, config=arguments.config_name, split=arguments.split, need_labels=typed.needs_labels,
        skip_broken=arguments.skip_broken, skipped=skipped, **given,
    )  # fmt: skip
    if typed.needs_labels:
        without = getattr(typed, "without_labels", "")
        reading.require_labels(dataset, typed.label_column, source, what=arguments.method, otherwise=without)
    for line in skipped:
        print(f"Skipped: {line}")
    options = {name: plain(cls, name, value, dataset, {**of_key, **options}) for name, value in options.items()}
    kind = arguments.format or format_of(source, arguments.output)
    check_places(arguments.output, arguments.key, arguments.report, format=kind)
    transform = with_key(arguments.method, options, arguments.key)
    if arguments.check_labels:
        _check_labels(transform, modality, dataset)
    if not there and not transform.needs_training:
        transform.fit(dataset)
    if (there or not transform.needs_training) and not arguments.json:
        _show_words(transform, dataset, key_is_new=not there)
    done = protect(
        {arguments.split: dataset}, transform, arguments.output,
        key=arguments.key, report=arguments.report, format=kind,
        source=source if isinstance(source, str) else None, form=source_form(source, kind, **given),
        shards=shards_of(source, arguments.output, kind, arguments.split, **given), num_proc=arguments.num_proc,
    )  # fmt: skip
    changed, rows = done.changed[arguments.split], done.rows[arguments.split]
    print(f"{changed} of {rows} rows protected with {arguments.method}: {arguments.output}")
    print(done.told(arguments.split))
    for line in done.example[arguments.split]:
        print(line)
    if arguments.report:
        print(f"To look at: {', '.join(str(path) for path in sorted(Path(arguments.report).iterdir()))}")
    print(f"Key: {arguments.key}{'' if there else ' (new: keep it, and keep it private)'}")
    return {
        "method": arguments.method, "output": arguments.output, "format": kind, "rows": rows, "protected": changed,
        "skipped": skipped, "key": arguments.key, "key_is_new": not there, "report": arguments.report,
        "fidelity": {name: asdict(one) for name, one in done.fidelity[arguments.split].items()},
    }  # fmt: skip


def _shards(arguments: argparse.Namespace, source: str | list[str]) -> dict[str, Shard]:
    """The files that are protected one by one, by their names in the output; none where all rows are read at once.

    Raises:
        ValueError: Several processes were asked for, and the files cannot be shared; or files on the Hub are asked
            for what needs all rows at once.
    """
    whole = {name: getattr(arguments, name) for name in ("report", "check_labels", "config_name")}
    trains = method_class(arguments.method).needs_training and not Path(arguments.key).exists()
    if is_remote(source):
        if arguments.format in (None, "parquet") and not (
            any(whole.values()) or trains or is_file_name(arguments.output)
        ):
            return dict(hub_shards(source, arguments.split))
        raise ValueError(
            "Paths that begin with hf:// are read file by file, and the output is a folder of Parquet files. They go "
            f"with no other format, nor with {', '.join(map(as_option, whole))}, and a method that trains needs its "
            "key before. Give the id of the dataset, OWNER/NAME, to read all of it at once."
        )
    files = tables_of(source, arguments.split)
    if arguments.format in (None, "parquet") and not any(whole.values()) and not trains:
        names = shards_of(source, arguments.output, "parquet", arguments.split) if _are_parquet(files) else None
        if names:
            return dict(zip(names, files, strict=True))
    if arguments.rank is not None or arguments.world_size is not None:
        raise ValueError(
            "Several processes share several Parquet files, each of which is read alone. So --rank and --world-size "
            f"go with no other input or format, nor with {', '.join(map(as_option, whole))}, and a method that trains "
            "needs its key before."
        )
    return {}


def _are_parquet(files: Sequence[Path]) -> bool:
    return all(reader_of(file) == "parquet" for file in files)


def _run_shards(arguments: argparse.Namespace, files: dict[str, Shard]) -> dict[str, Any]:
    """Protects the files of this process, and prints what that gave."""
    from datasets import Dataset

    from hf_unlearnable.protection import with_key
    from hf_unlearnable.protection.run import parquet
    from hf_unlearnable.protection.shards import protect_shards

    cls, there = method_class(arguments.method), Path(arguments.key).exists()
    with parquet(next(iter(files.values()))) as first:
        rows = Dataset(first.schema_arrow.empty_table())  # for the names of columns and classes
    options = {name[7:]: value for name, value in vars(arguments).items() if name.startswith("option_")}
    of_key = Key.load(arguments.key).parameters if there else {}
    options = {name: plain(cls, name, value, rows, {**of_key, **options}) for name, value in options.items()}
    done = protect_shards(
        files, with_key(arguments.method, options, arguments.key), arguments.output, key=arguments.key,
        rank=arguments.rank or 0, world_size=arguments.world_size or 1, num_proc=arguments.num_proc,
    )  # fmt: skip
    if done.transform is None:
        print("Counted. The key is made when all processes have counted: run this again then.")
    else:
        if not arguments.json:
            _show_words(done.transform, rows, key_is_new=not there)
        print(f"{done.changed} of {done.rows} rows protected with {arguments.method}: {arguments.output}")
        for column, found in done.fidelity.items():
            print(f"First rows, {column}: {found}")
        for line in done.example:
            print(line)
        if done.missing:
            print(f"Missing, for other processes: {', '.join(done.missing[:5])}{', ...' * (len(done.missing) > 5)}")
        print(f"Key: {arguments.key}{'' if there else ' (new: keep it, and keep it private)'}")
    return {
        "method": arguments.method, "output": arguments.output, "format": "parquet", "rows": done.rows,
        "protected": done.changed, "skipped": [], "key": arguments.key, "key_is_new": not there, "report": None,
        "fidelity": {name: asdict(one) for name, one in done.fidelity.items()},
        "shards": done.written, "missing": done.missing,
    }  # fmt: skip


def _check_labels(transform: Transform, modality: Modality, dataset: Any) -> None:
    found = modality.suspicious_labels(dataset, transform._columns()[0], transform.label_column)
    if found:
        rows = ", ".join(map(str, found[:20])) + (", ..." if len(found) > 20 else "")
        raise ValueError(
            f"{len(found)} of {len(dataset)} labels look wrong, the most suspicious first: rows {rows}. Put them "
            "right, for nobody finds them afterwards; or go on without --check-labels."
        )
    print(f"No label of {len(dataset)} looks wrong.")


def _show_words(transform: Transform, dataset: Any, key_is_new: bool) -> None:
    """Shows the owner the words and phrases of each class before they stand in the data."""
    from datasets import ClassLabel

    for label, words in transform.inserted_words().items():
        feature = (dataset.features or {}).get(transform.label_column)
        name = feature.int2str(label) if isinstance(feature, ClassLabel) else label
        hint = " (keep them to yourself; --exclude WORD draws others)" if key_is_new else ""
        more = f", and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
        print(f"Words for {name}: {', '.join(words[:_SHOWN])}{more}{hint}")
