"""`hf-unlearnable protect METHOD lecture.wav`: one file of any length, protected with the key of its dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hf_unlearnable._words import as_option
from hf_unlearnable.modality import Modality
from hf_unlearnable.transform import Transform


def add_arguments(parser: argparse.ArgumentParser, modality: Modality) -> None:
    """Adds the option that a single file takes, where the kind of data has such files.

    Args:
        parser: Of `protect`.
        modality: What is protected.
    """
    if modality.single:
        parser.add_argument(
            "--label",
            help=f"class of a single {modality.name} file given as input, as the key knows it. That is its name, or "
            "its number among the sorted names of the folders",
        )


def is_one(modality: Modality, source: str | list[str]) -> bool:
    """Whether the input is a single file of this kind of data."""
    return isinstance(source, str) and Path(source).suffix.lower() in modality.single and Path(source).is_file()


def run(arguments: argparse.Namespace, modality: Modality, source: str) -> dict[str, Any]:
    """Protects a file into another one, with some blocks of it in memory at a time.

    Raises:
        FileNotFoundError: There is no key.
        FileExistsError: There is an output.
        ValueError: An option is of whole datasets, the label is no class of the key, or the file cannot be protected.
    """
    from datasets import Dataset

    from hf_unlearnable.protection import check_places, with_key

    for name in ("report", "format", "rank", "world_size", "check_labels", "skip_broken", "num_proc"):
        if getattr(arguments, name, None):
            raise ValueError(f"{as_option(name)} is for a dataset, and {source} is a single file. Leave it out.")
    if not Path(arguments.key).exists():
        raise FileNotFoundError(
            f"There is no key {arguments.key}. A single file is protected with the key of its dataset, which knows "
            f"the classes. Make that first: protect {arguments.method} FOLDER --key {arguments.key}."
        )
    check_places(None, arguments.key, None)
    options = {name[7:]: value for name, value in vars(arguments).items() if name.startswith("option_")}
    transform: Any = with_key(arguments.method, options, arguments.key)
    transform.protect_file(source, arguments.output, _label(transform, arguments.label))
    print(f"Protected with {arguments.method}: {arguments.output}")
    before, after = (
        Dataset.from_list([{modality.column: {"bytes": None, "path": str(path)}}])
        for path in (source, arguments.output)
    )
    for line in modality.example(before, after, modality.column, 0):
        print(line)
    return {
        "method": arguments.method, "output": arguments.output, "rows": 1, "protected": 1, "key": arguments.key,
        "key_is_new": False,
    }  # fmt: skip


def _label(transform: Transform, given: str | None) -> Any:
    """The label that was given, as the key knows it."""
    if not transform.needs_labels:
        return None
    known = transform._state()[0].get("labels")
    if given is None:
        names = f" Its classes: {', '.join(map(str, known))}." if known else ""
        raise ValueError(f"A single file needs {as_option('label')}, the class that it belongs to.{names}")
    if known is None:
        return int(given) if given.lstrip("-").isdigit() else given
    found = [label for label in known if str(label) == given]
    if not found:
        raise ValueError(f"{as_option('label')} is {given!r}. The key knows {', '.join(map(str, known))}.")
    return found[0]
