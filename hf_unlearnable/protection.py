"""Protecting a dataset to disk: what the command line, the recipes and the Space call.

A run leaves everything or nothing: key, report and data stand under their names only when all of it was written and
the data was opened again and checked.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._files import all_or_nothing, remove_left
from hf_unlearnable._words import spelled
from hf_unlearnable.data import check_ending, is_file_name, load_rows, load_splits, write_rows
from hf_unlearnable.key import Key
from hf_unlearnable.mark import NoMarkError
from hf_unlearnable.ownership import SIGNIFICANT, verify
from hf_unlearnable.registry import MODALITIES, load_transform, method_class
from hf_unlearnable.transform import NotFittedError, Rows, Transform, require_columns

if TYPE_CHECKING:
    import os

    from accelerate import Accelerator
    from datasets import Dataset

    from hf_unlearnable.data import Form
    from hf_unlearnable.modality import Modality

logger = logging.getLogger(__name__)

_LOOKED_AT = 200  # rows of a split that a key's mark is looked for in, before they are protected
_SURELY = -6.0  # log10 of p from which on they are refused
# Two classes with a pattern each never give so small a p: less will do where nearly all of some rows carry the mark.
_LIKELY, _NEARLY_ALL, _SOME_ROWS = -1.5, 0.9, 8
_ROW_OF_BATCH = re.compile(r"Row (\d+) of this batch")


@dataclass(frozen=True)
class Protected:
    """What `protect` made; with several processes, the part of this one.

    Args:
        transform: The fitted transform; `transform.key` is the secret.
        rows: How many there are, by split.
        changed: How many of them are stored otherwise than before, by split.
        fidelity: How far the protected values are from the originals, by split and column.
        memory: The protected rows by split, where they were not written.
        output: Where they were written, or None.
    """

    transform: Transform
    rows: Mapping[str, int]
    changed: Mapping[str, int]
    fidelity: Mapping[str, Mapping[str, Any]]
    memory: Mapping[str, Dataset] | None = None
    output: Path | None = None

    def told(self, split: str) -> str:
        """What it costs a reader or viewer of a split, in a line per column."""
        columns = self.fidelity[split]
        return "\n".join(f"{name}: {one}" if len(columns) > 1 else str(one) for name, one in columns.items())

    @property
    def data(self) -> dict[str, Dataset]:
        """The protected rows by split, read from the output where they were written."""
        if self.memory is not None:
            return dict(self.memory)
        assert self.output is not None
        if self.output.is_file():
            return {name: load_rows(self.output) for name in self.rows}
        return {name: load_rows(self.output, split=name) for name in self.rows}


def protect(
    data: Dataset | Mapping[str, Dataset],
    transform: Transform,
    output: str | os.PathLike | None = None,
    *,
    key: str | os.PathLike | None = None,
    report: str | os.PathLike | None = None,
    format: str = "parquet",
    source: str | os.PathLike | None = None,
    form: Form | None = None,
    num_proc: int | None = None,
    accelerator: Accelerator | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
) -> Protected:
    """Protects a dataset, opens what was written, checks it and saves the key.

    Args:
        data: A `Dataset`, or several splits by name.
        transform: Not fitted: it then learns from the first split. Or fitted, such as one of `load_transform(key)`.
        output: A new folder, or for a single split and one process a file that ends in .parquet, .csv, .tsv or .jsonl;
            None keeps the rows in memory.
        key: Where the key is saved. One that is there already has to be that of `transform`.
        report: A new folder for fidelity.json and what a person should look at, such as a contact sheet.
        format: "parquet", "arrow" as `save_to_disk` writes it, or the modality's own: "images" for a folder of files.
        source: The folder of files that the rows were read from, whose names "images" keeps.
        form: How a CSV or TSV file is written, as `data.table_form` tells of the source; None for the usual form.
        num_proc: Processes that `map` uses.
        accelerator: Of `accelerate`, with one process or several on one machine or many: each learns from and protects
            a part of the rows, and writes a file of its own.
        checkpoint_dir: Folder from which a fit that was killed goes on, seen by all processes; removed at the end. The
            key is then saved as soon as it is learned.

    Returns:
        The protected rows, the fitted transform and what was measured.

    Raises:
        FileExistsError: `output` or `report` is there, or `key` is there and another one.
        ValueError: A row cannot be protected, broke the bound or is not stored exactly; the message names it. Or
            nothing was protected, or `key` or `report` lies within `output`, or `output` is one file for several
            splits or processes.
    """
    splits = dict(data) if isinstance(data, Mapping) else {"train": data}
    modality = MODALITIES[transform.modality]
    if format not in ("parquet", "arrow", *modality.files):
        raise ValueError(f"There is no format {format!r} for {modality.plural}.")
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    check_places(output, key, report, checkpoint_dir, format, parts=len(splits) * world)
    _check_unmarked(transform, splits)
    transform = _fitted(transform, next(iter(splits.values())), key, accelerator, checkpoint_dir)
    if output is None:
        made = {name: _mapped(rows, transform, modality, num_proc=num_proc) for name, rows in splits.items()}
        return replace(_checked(splits, made, made, transform, modality), memory=made)
    new_key = None if key is None or Path(key).exists() else key
    # In this order: where the output is there, all that belongs to it is.
    with _scratch([new_key, report, output], accelerator) as (place_of_key, folder, scratch):
        assert scratch is not None
        before, made, written = {}, {}, {}
        for name, rows in splits.items():
            name_of_part = name
            if accelerator:
                from datasets.distributed import split_dataset_by_node

                rows, name_of_part = split_dataset_by_node(rows, rank, world), f"{name}-{rank:05d}-of-{world:05d}"
            place = _place(scratch, name_of_part, format, len(splits))
            place.parent.mkdir(parents=True, exist_ok=True)
            before[name] = rows
            made[name] = _mapped(rows, transform, modality, num_proc, scratch.with_name(f"{name}.{rank}.arrow"))
            if format in modality.files:
                modality.write_files(made[name], rows, place, transform._columns()[0], source)
                written[name] = made[name]
            else:
                write_rows(made[name], place, format=format, form=form)
                written[name] = load_splits(place, streaming=True, **(form.options if form else {}))["train"]
        found = _checked(before, made, written, transform, modality)
        if folder is not None:
            _write_report(folder, before, made, found, modality, accelerator)
        if place_of_key is not None and rank == 0:
            transform.key.save(place_of_key)
    if checkpoint_dir is not None and rank == 0:
        shutil.rmtree(checkpoint_dir, ignore_errors=True)
    return replace(found, output=Path(output))


def with_key(method: str, parameters: Mapping[str, Any], key: str | os.PathLike) -> Transform:
    """The transform of a key that is there already, or an unfitted one.

    Args:
        method: Name of the method.
        parameters: Arguments of the method that were given. A key leaves those open that say where things stand in
            the data and which rows are protected (`Transform.open_parameters`).
        key: Folder of the key, there or not.

    Raises:
        ValueError: The key is of another method, or fixes a parameter to another value.
    """
    cls = method_class(method)
    if not Path(key).exists():
        return cls(**parameters)
    known = Key.load(key)
    closed = {name: value for name, value in parameters.items() if name not in cls.open_parameters}
    values = {**known.parameters, "seed": known.seed}
    fixed = sorted(name for name, value in closed.items() if values.get(name, value) != value)
    if fixed:
        raise ValueError(
            f"The key {key} is there already and fixes {', '.join(map(spelled, fixed))}. Leave that out to protect "
            f"with this key, or give a new {spelled('key')}."
        )
    opened = {name: value for name, value in parameters.items() if name in cls.open_parameters}
    cls.from_key(known)  # raises for a damaged key: what is wrong after that is wrong with what was given
    transform = cls._of_key(replace(known, parameters={**known.parameters, **opened}))
    transform._check_parameters()
    return transform


# ---------------------------------------------------------------------- before
def check_places(
    output: str | os.PathLike | None,
    key: str | os.PathLike | None,
    report: str | os.PathLike | None,
    checkpoint_dir: str | os.PathLike | None = None,
    format: str = "parquet",
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


def _check_unmarked(transform: Transform, splits: Mapping[str, Dataset]) -> None:
    """Rows that carry the key's mark would be changed a second time."""
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
        if one.log10_p <= SIGNIFICANT:
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
        eligible += transform._eligible(Rows(table, columns, None), len(table))
    return rows.select([row for row, wanted in enumerate(eligible) if wanted])


def _fitted(
    transform: Transform, rows: Any, key: Any, accelerator: Accelerator | None, checkpoint_dir: Any
) -> Transform:
    """The fitted transform, the same in all processes."""
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


# ---------------------------------------------------------------------- the work
class _Located:
    """A transform whose errors name the row of the dataset instead of the row of a batch."""

    def __init__(self, transform: Transform):
        self.transform = transform

    def __call__(self, batch: Any, indices: list[int]) -> Any:
        try:
            return self.transform(batch)
        except ValueError as error:
            raise ValueError(_ROW_OF_BATCH.sub(lambda found: f"Row {indices[int(found[1])]}", str(error))) from None


def _mapped(
    rows: Dataset, transform: Transform, modality: Modality, num_proc: int | None, cache: Path | None = None
) -> Dataset:
    """The protected rows, in a cache file of this run or in memory: the cache of `datasets` gets no copy."""
    return rows.map(
        _Located(transform), with_indices=True, batched=True, batch_size=modality.batch_size,
        writer_batch_size=modality.batch_size, num_proc=num_proc, desc="Protecting", load_from_cache_file=False,
        keep_in_memory=cache is None, cache_file_name=None if cache is None else str(cache),
    )  # fmt: skip


@contextmanager
def _scratch(outputs: Sequence[Any], accelerator: Accelerator | None) -> Iterator[list[Path | None]]:
    """For each output a path that all processes write to and that takes its name when all are done; None for None."""
    with ExitStack() as stack:
        paths: list[Path | None] = []
        if accelerator is None or accelerator.is_main_process:
            made = iter(stack.enter_context(all_or_nothing(*(output for output in outputs if output is not None))))
            paths = [None if output is None else next(made) for output in outputs]
        if accelerator is not None and accelerator.num_processes > 1:
            from accelerate.utils import broadcast_object_list

            (paths,) = broadcast_object_list([paths])
        yield paths
        if accelerator is not None:
            accelerator.wait_for_everyone()  # until all have written
    if accelerator is not None:
        accelerator.wait_for_everyone()  # until the first has given the names


def _place(scratch: Path, split: str, format: str, splits: int) -> Path:
    """Where a split goes: a file in the output, or the output itself."""
    if format == "parquet":
        return scratch if is_file_name(scratch) and splits == 1 else scratch / f"{split}.parquet"
    return scratch if splits == 1 else scratch / split


# ---------------------------------------------------------------------- after
def _checked(
    before: Mapping[str, Dataset], made: Mapping[str, Dataset], written: Mapping[str, Any], transform: Transform,
    modality: Modality,
) -> Protected:  # fmt: skip
    """Compares what was written with the originals: a broken promise fails the run."""
    columns = transform._columns()
    changed = {name: _changed(before[name], made[name], columns, modality.batch_size) for name in before}
    strong = getattr(transform, transform.strength_parameter) != 0 and transform.fraction
    if strong and transform.classes and not any(changed.values()):
        raise ValueError(f"No row has one of {spelled('classes')}: nothing would be protected.")
    fidelity = {
        name: {column: modality.fidelity(before[name], written[name], column, transform) for column in columns}
        for name in before
    }
    return Protected(transform, {name: len(rows) for name, rows in before.items()}, changed, fidelity)


def _changed(before: Dataset, after: Dataset, columns: list[str], size: int) -> int:
    """How many rows are stored otherwise than before."""
    changed = 0
    pairs = (data.select_columns(columns).with_format("arrow").iter(batch_size=size) for data in (before, after))
    for a, b in zip(*pairs, strict=True):
        if not a.equals(b):
            changed += sum(x != y for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True))
    return changed


def _write_report(
    report: Path, before: Mapping[str, Dataset], made: Mapping[str, Dataset], found: Protected, modality: Modality,
    accelerator: Accelerator | None,
) -> None:  # fmt: skip
    """The numbers and what a person should look at; of several splits in a folder each."""
    number = "" if accelerator is None else f"-{accelerator.process_index:05d}"
    for name in before:
        folder = report if len(before) == 1 else report / name
        folder.mkdir(parents=True, exist_ok=True)
        columns = {column: asdict(one) for column, one in found.fidelity[name].items()}
        numbers = json.dumps(columns if len(columns) > 1 else next(iter(columns.values())), indent=1)
        Path(folder, f"fidelity{number}.json").write_text(numbers + "\n", encoding="utf-8")
        if accelerator is None or accelerator.is_main_process:
            modality.write_fidelity(folder, before[name], made[name], next(iter(columns)))
