"""What is done before rows are protected: places and rows are looked at, and the transform is fitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._files import remove_left
from hf_unlearnable._words import spelled
from hf_unlearnable.data import check_ending
from hf_unlearnable.key import Key
from hf_unlearnable.mark import NoMarkError
from hf_unlearnable.ownership import verify
from hf_unlearnable.registry import load_transform
from hf_unlearnable.rows import Batch, require_columns
from hf_unlearnable.transform import NotFittedError, Transform

if TYPE_CHECKING:
    import os

    from accelerate import Accelerator
    from datasets import Dataset

logger = logging.getLogger(__name__)

_LOOKED_AT = 200  # rows of a split that a key's mark is looked for in, before they are protected
_SURELY = -6.0  # log10 of p from which on they are refused
# Two classes with a pattern each never give so small a p: less will do where nearly all of some rows carry the mark.
_LIKELY, _NEARLY_ALL, _SOME_ROWS = -1.5, 0.9, 8


def check_places(
    output: str | os.PathLike | None,
    key: str | os.PathLike | None,
    report: str | os.PathLike | None,
    checkpoint_dir: str | os.PathLike | None = None,
    format: str | None = None,
    parts: int = 1,
) -> None:
    """Raises for places that `protect` cannot write to, and clears what a killed run left there: before the work.

    Args:
        output, key, report, checkpoint_dir, format: As for `protect`.
        parts: How many files are written to `output`.

    Raises:
        FileExistsError: `output` or `report` is there.
        ValueError: One place lies within another, or `output` ends as no file of this format does, or as one file
            where several are written.
    """
    for path in (output, report, key):
        if path is not None:
            remove_left(Path(path).parent, Path(path).name)
    for name, path in {"output": output, "report": report}.items():
        if path is not None and Path(path).exists():
            raise FileExistsError(f"{path} exists. Give another {spelled(name)}, or move it away.")
    places = {"key": key, "report": report, "checkpoint_dir": checkpoint_dir, "output": output}
    absolute = {name: Path(path).absolute() for name, path in places.items() if path is not None}
    for inner, outer in permutations(absolute, 2):
        if absolute[inner].is_relative_to(absolute[outer]):
            raise ValueError(f"{spelled(inner)} is within {spelled(outer)}. Give it a place of its own.")
    if output is not None:
        check_ending(output, format, parts)


def check_unmarked(transform: Transform, splits: Mapping[str, Dataset]) -> None:
    """Refuses rows that carry the key's mark: they would be changed a second time.

    Args:
        transform: Only one that may have protected rows already is asked.
        splits: The rows by split.

    Raises:
        ValueError: A split was protected with this key.
    """
    if not transform._used:
        return
    try:
        wanted = {name: _to_protect(transform, rows) for name, rows in splits.items()}
        found = {name: verify(transform, rows, max_rows=_LOOKED_AT) for name, rows in wanted.items() if len(rows)}
    except NoMarkError as error:
        logger.warning("Whether rows were protected with this key already is not known: protect originals. %s", error)
        return
    for name, one in found.items():
        nearly_all = one.rows >= _SOME_ROWS and one.marked >= _NEARLY_ALL * one.rows
        if one.log10_p <= _SURELY or (one.log10_p <= _LIKELY and nearly_all):
            raise ValueError(
                f"Split {name!r} was protected with this key already: of {one.rows} rows that were looked at, "
                f"{one.marked} carry its mark. Protecting twice changes rows twice as much. Give the originals, "
                f"or leave these rows out with {spelled('mask_column')}."
            )
        if one.shown:
            logger.warning(
                "Split %r may hold rows that were protected with this key already, and would be changed twice: %s",
                name, one,
            )  # fmt: skip


def _to_protect(transform: Transform, rows: Dataset) -> Dataset:
    """The rows that `classes` and `mask_column` leave to be protected."""
    columns = [transform.label_column] if transform.classes is not None else []
    columns += [transform.mask_column] if transform.mask_column is not None else []
    if not columns:
        return rows
    require_columns(rows.column_names, columns)
    eligible: list[bool] = []
    for table in rows.select_columns(columns).with_format("arrow").iter(batch_size=1000):
        eligible += transform._eligible(Batch(table, columns, None), len(table))
    return rows.select([row for row, wanted in enumerate(eligible) if wanted])


def fitted(
    transform: Transform, rows: Any, key: Any, accelerator: Accelerator | None, checkpoint_dir: Any
) -> Transform:
    """The fitted transform, the same in all processes.

    Args:
        transform: Fitted or not.
        rows: What it learns from.
        key: Where the key is saved, or is already.
        accelerator, checkpoint_dir: As for `protect`.

    Raises:
        FileExistsError: Another key is there.
        ValueError: Several processes have no key to share.
    """
    there = key is not None and Path(key).exists()
    try:
        mine = transform.key
    except NotFittedError:
        if there:
            raise FileExistsError(
                f"{key} exists, and a key is never overwritten. Give another {spelled('key')}, or the transform of "
                "that one."
            ) from None
    else:
        if there and not mine.same_secret(Key.load(key)):
            raise FileExistsError(f"{key} is another key, and a key is never overwritten. Give another one.")
        return transform
    if accelerator is None:
        return transform.fit(rows)
    if key is None:
        raise ValueError("With an accelerator give a key: the processes share it.")
    if transform.needs_training:
        transform.fit(rows, accelerator=accelerator, checkpoint_dir=checkpoint_dir)  # type: ignore[call-arg]
    elif accelerator.is_main_process:
        transform.fit(rows)
    if accelerator.is_main_process:
        transform.key.save(key)  # now: what took hours to learn is there when the rest is killed
    accelerator.wait_for_everyone()
    return transform if accelerator.num_processes == 1 else load_transform(key)
