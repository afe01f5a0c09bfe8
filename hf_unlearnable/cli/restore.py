"""`hf-unlearnable restore`: gives the originals of protected rows back."""

from __future__ import annotations

import argparse
from typing import Any

from hf_unlearnable.cli import reading, writing
from hf_unlearnable.data import format_of, load_rows, shards_of, source_form
from hf_unlearnable.key import Key
from hf_unlearnable.registry import method_class


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds the command to the subparsers of the command line."""
    parser = commands.add_parser("restore", help="give the originals of protected texts back, with the key")
    parser.description = (
        "Gives the originals of protected rows back, exactly, with the key. Only texts can be restored, and "
        "not those whose words regtext replaced: keep the originals of these, and of images."
    )
    reading.add_source(parser, "protected data", old="--data")
    parser.add_argument("--key", required=True, help="folder of the key that the data was protected with")
    writing.add_arguments(parser, ())
    parser.add_argument("--config-name", help="configuration of a dataset on the Hub")
    parser.add_argument("--split", default="train", help="split to restore (default: %(default)s)")
    reading.add_columns(parser, usual="that of the key")
    parser.add_argument("--label-column", help="column of labels (default: that of the key)")
    reading.add_arguments(parser)
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command."""
    from hf_unlearnable.protection import restore, with_key

    method = Key.load(arguments.key).method
    named = {
        method_class(method).column_parameter: arguments.protected_column, "label_column": arguments.label_column
    }  # fmt: skip
    transform = with_key(method, {name: value for name, value in named.items() if value}, arguments.key)
    transform.check_restorable()
    given, source = reading.options(arguments), reading.source(arguments)
    dataset = load_rows(
        source, config=arguments.config_name, split=arguments.split, need_labels=False, **given
    )  # fmt: skip
    kind = arguments.format or format_of(source, arguments.output)
    done = restore(
        {arguments.split: dataset}, transform, arguments.output,
        format=kind, form=source_form(source, kind, **given),
        shards=shards_of(source, arguments.output, kind, arguments.split, **given), num_proc=arguments.num_proc,
    )  # fmt: skip
    rows, changed = done.rows[arguments.split], done.changed[arguments.split]
    print(f"{changed} of {rows} rows restored: {arguments.output}")
    return {"output": arguments.output, "format": kind, "rows": rows, "restored": changed}
