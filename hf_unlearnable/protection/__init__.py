"""Protecting a dataset to disk: what the command line, the recipes and the Space call.

A run leaves everything or nothing: key, report and data stand under their names only when all of it was written and
the data was opened again and checked.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._files import all_or_nothing
from hf_unlearnable._words import spelled
from hf_unlearnable.data import FORMATS, is_file_name, load_splits, write_rows
from hf_unlearnable.key import Key
from hf_unlearnable.protection.after import Protected, Restored, changed_rows, checked, write_report
from hf_unlearnable.protection.before import check_places, check_unmarked, fitted
from hf_unlearnable.registry import MODALITIES, load_transform, method_class
from hf_unlearnable.rows import require_columns
from hf_unlearnable.transform import Transform

if TYPE_CHECKING:
    import os

    from accelerate import Accelerator
    from datasets import Dataset

    from hf_unlearnable.data import Form
    from hf_unlearnable.modality import Modality

_ROW_OF_BATCH = re.compile(r"Row (\d+) of this batch")


def protect(
    data: Dataset | Mapping[str, Dataset],
    transform: Transform,
    output: str | os.PathLike | None = None,
    *,
    key: str | os.PathLike | None = None,
    report: str | os.PathLike | None = None,
    format: str | None = None,
    source: str | os.PathLike | None = None,
    form: Form | None = None,
    shards: Mapping[str, int] | None = None,
    num_proc: int | None = None,
    accelerator: Accelerator | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
) -> Protected:
    """Protects a dataset, opens what was written, checks it and saves the key.

    Args:
        data: A `Dataset`, or several splits by name.
        transform: Not fitted: it then learns from the first split. Or fitted, such as one of `load_transform(key)`.
        output: A new folder. For a single split and one process also a file that ends in .parquet, .csv, .tsv or
            .jsonl. None keeps the rows in memory.
        key: Where the key is saved. One that is there already has to be that of `transform`.
        report: A new folder for fidelity.json and what a person should look at, such as a contact sheet.
        format: "parquet", "csv", "tsv", "jsonl", "arrow" as `save_to_disk` writes it, or the modality's own: "images"
            for a folder of files. None is what the ending of `output` says, and "parquet" in a folder.
        source: The folder of files that the rows were read from, whose names "images" keeps.
        form: How a CSV or TSV file is written, as `data.table_form` tells of the source; None for the usual form.
        shards: Of a single split: names of the files in `output` and how many rows each gets, as `data.shards_of`
            tells of the source. None for one file per split and process.
        num_proc: Processes that `map` uses.
        accelerator: Of `accelerate`, with one process or several, on one machine or many. Each learns from and
            protects a part of the rows, and writes a file of its own.
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
    if format not in (None, *FORMATS, *modality.files):
        raise ValueError(
            f"There is no format {format!r} for {modality.plural}. Formats: {', '.join((*FORMATS, *modality.files))}."
        )
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    check_places(output, key, report, checkpoint_dir, format, parts=len(splits) * world)
    check_unmarked(transform, splits)
    transform = fitted(transform, next(iter(splits.values())), key, accelerator, checkpoint_dir)
    if output is None:
        made = {name: _mapped(rows, transform, modality, num_proc=num_proc) for name, rows in splits.items()}
        return replace(checked(splits, made, made, transform, modality), memory=made)
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
            place = scratch if shards else _place(scratch, name_of_part, format, len(splits))
            place.parent.mkdir(parents=True, exist_ok=True)
            before[name] = rows
            beside = scratch.with_name(f"{name}.{rank}")
            change = modality.to_files(transform, beside) if format in modality.files else transform
            made[name] = _mapped(rows, change, modality, num_proc, beside.with_name(f"{beside.name}.arrow"))
            if format in modality.files:
                modality.write_files(made[name], rows, place, transform._columns()[0], source)
                written[name] = made[name]
            else:
                write_rows(made[name], place, format=format, form=form, shards=shards)
                files = [str(place / file) for file in shards] if shards else place
                written[name] = load_splits(files, streaming=True, **(form.options if form else {}))["train"]
        found = checked(before, made, written, transform, modality)
        if folder is not None:
            write_report(folder, before, made, found, modality, accelerator)
        if place_of_key is not None and rank == 0:
            transform.key.save(place_of_key)
    if checkpoint_dir is not None and rank == 0:
        shutil.rmtree(checkpoint_dir, ignore_errors=True)
    return replace(found, output=Path(output))


def restore(
    data: Dataset | Mapping[str, Dataset],
    key: Key | Transform | str | os.PathLike,
    output: str | os.PathLike | None = None,
    *,
    format: str | None = None,
    form: Form | None = None,
    shards: Mapping[str, int] | None = None,
    num_proc: int | None = None,
) -> Restored:
    """Gives the originals of protected rows back, exactly, where the method can be undone.

    Args:
        data: A `Dataset`, or several splits by name, as it was published.
        key: The key that it was protected with, its folder, or the fitted transform.
        output: As for `protect`; None keeps the rows in memory.
        format: As for `protect`, without the modality's own.
        form, shards: As for `protect`.
        num_proc: Processes that `map` uses.

    Returns:
        The original rows, and how many had been changed.

    Raises:
        FileExistsError: `output` is there.
        ValueError: The method cannot be undone, or a row was not protected with this key or was edited since; the
            message names it.
    """
    splits = dict(data) if isinstance(data, Mapping) else {"train": data}
    transform = key if isinstance(key, Transform) else load_transform(key)
    transform.check_restorable()
    modality, columns = MODALITIES[transform.modality], transform._columns()
    for rows in splits.values():
        require_columns(rows.column_names, columns)
    if format not in (None, *FORMATS):
        raise ValueError(f"There is no format {format!r} for restored rows. Formats: {', '.join(FORMATS)}.")
    check_places(output, None, None, format=format, parts=len(splits))
    made: dict[str, Dataset] = {}
    changed = {}
    with _scratch([output], None) as (scratch,):
        for name, rows in splits.items():
            cache = None if scratch is None else scratch.with_name(f"{name}.arrow")
            made[name] = _mapped(rows, transform.restore, modality, num_proc, cache, "Restoring")
            changed[name], _ = changed_rows(rows, made[name], columns, modality.batch_size)
            if scratch is not None:
                place = scratch if shards else _place(scratch, name, format, len(splits))
                place.parent.mkdir(parents=True, exist_ok=True)
                write_rows(made[name], place, format=format, form=form, shards=shards)
    written = {"memory": made} if output is None else {"output": Path(output)}
    return Restored(columns, {name: len(rows) for name, rows in splits.items()}, changed, **written)


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


class _Located:
    """A map function whose errors name the row of the dataset instead of the row of a batch."""

    def __init__(self, change: Callable[[Any], Any]):
        self.change = change

    def __call__(self, batch: Any, indices: list[int]) -> Any:
        try:
            return self.change(batch)
        except ValueError as error:
            raise ValueError(_ROW_OF_BATCH.sub(lambda found: f"Row {indices[int(found[1])]}", str(error))) from None


def _mapped(
    rows: Dataset, change: Callable[[Any], Any], modality: Modality, num_proc: int | None, cache: Path | None = None,
    told: str = "Protecting",
) -> Dataset:  # fmt: skip
    """The changed rows, in a cache file of this run or in memory: the cache of `datasets` gets no copy."""
    return rows.map(
        _Located(change), with_indices=True, batched=True, batch_size=modality.batch_size,
        writer_batch_size=modality.batch_size, num_proc=num_proc, desc=told, load_from_cache_file=False,
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


def _place(scratch: Path, split: str, format: str | None, splits: int) -> Path:
    """Where a split goes: a file in the output, or the output itself."""
    if is_file_name(scratch) or (format not in (None, *FORMATS) or format == "arrow"):
        return scratch if splits == 1 else scratch / split
    return scratch / f"{split}.{format or 'parquet'}"
