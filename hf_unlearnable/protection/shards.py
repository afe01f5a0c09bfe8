"""Protecting a dataset that outgrows one machine: shard by shard, by one process or many, on one machine or many.

Every shard of the input becomes a shard of the output under its own name, whole or not at all. So a run that was
killed goes on with what is missing, and processes share the work without talking to each other (see `run`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._files import whole_or_nothing
from hf_unlearnable._words import spelled
from hf_unlearnable.data import HubFile, load_splits
from hf_unlearnable.protection import Located, check_unmarked
from hf_unlearnable.protection.run import Run, Shard, check_files, parquet, unchanged
from hf_unlearnable.registry import MODALITIES, load_transform
from hf_unlearnable.transform import Transform

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_ROW_GROUP = 16 << 20  # bytes of rows that are written at once
_LOOKED_AT = 200  # rows at the beginning of a shard, before and after
_SPARE = 4  # times its share of the sample, that is counted in a shard at first
_CODECS = {"UNCOMPRESSED": "none", "LZ4_RAW": "lz4"}  # as a file says, and as its writer takes it


@dataclass(frozen=True)
class ShardsProtected:
    """What one process did.

    Args:
        transform: The fitted transform; None where other processes have not counted their shards yet.
        written: Names of the shards that it wrote.
        missing: Names of the shards that are not in the output yet.
        rows: How many rows it wrote.
        changed: How many of these are stored otherwise than before.
        fidelity: How far the first rows of the first shard that it wrote are from the originals, by column.
        example: One of these rows before and after, in lines for the owner.
    """

    transform: Transform | None
    written: Sequence[str]
    missing: Sequence[str]
    rows: int = 0
    changed: int = 0
    fidelity: Mapping[str, Any] = field(default_factory=dict)
    example: Sequence[str] = ()


def protect_shards(
    shards: Mapping[str, str | os.PathLike | HubFile],
    transform: Transform,
    output: str | os.PathLike,
    *,
    key: str | os.PathLike,
    rank: int = 0,
    world_size: int = 1,
    num_proc: int | None = None,
) -> ShardsProtected:
    """Protects the shards that fall to this process, and makes the key before if it is not there.

    The bytes of every row are those that one `map` over all shards gives. Memory holds a few thousand rows per
    process, the disk one scratch shard per process beside the output and its counts.

    A method that counts reads the shards twice. The process that has counted last makes the key; the others
    return without one where counts are missing, and go on when they are called again.

    Args:
        shards: Parquet files of one table, by the names that they get in the output. Those of `hub_shards` are read
            on the Hub, twice by a method that counts.
        transform: Not fitted: it then learns from all shards. Or fitted, such as one of `load_transform(key)`.
        output: A folder: a new one, or that of an earlier run with the same files and key.
        key: Folder of the key: where it is saved, or where that of `transform` is.
        rank: Number of this process, from 0.
        world_size: How many processes share the shards: one takes the first, the next one the second, and so on.
        num_proc: How many processes this one starts on its machine.

    Returns:
        What was written, and what is missing still.

    Raises:
        FileExistsError: `output` is there, and no run that goes on.
        ValueError: The files differ in columns or types or have no rows, one was changed during the run, the run
            began with other files, options or another key, or a row cannot be protected. The message names it.
    """
    if not 0 <= rank < world_size:
        raise ValueError(
            f"rank is {rank} of world_size={world_size}: ranks are the whole numbers from 0 on, below it."
        )
    files = {name: path if isinstance(path, HubFile) else Path(path) for name, path in shards.items()}
    output, key = Path(output), Path(key)
    check_files(files, transform)
    run = Run.begun(files, transform, output, key)
    mine = list(files)[rank::world_size]
    is_new = not key.exists()
    if is_new and not _make_key(run, transform, key, mine, num_proc):
        return ShardsProtected(None, [], run.missing())
    transform = run.with_key(load_transform(key) if is_new else transform, key)
    todo = [name for name in mine if name in run.missing()]
    if todo and not is_new:
        _check_first_rows(files[todo[0]], transform)
    rows, changed, first = 0, 0, None
    tasks = [(transform, files[name], run.stamps[name], output / name) for name in todo]
    for found in _each(_protect_shard, tasks, num_proc, "Protecting"):
        rows, changed, first = rows + found[0], changed + found[1], first or (found if found[2] else None)
    if rows and not changed and transform.classes:
        logger.warning("No row of these shards has one of %s: nothing was protected.", spelled("classes"))
    missing = run.missing()
    if not missing:
        run.end()
    return ShardsProtected(transform, todo, missing, rows, changed, *(first[2:] if first else ()))


# ---------------------------------------------------------------------- the key
def _make_key(run: Run, transform: Transform, key: Path, mine: Sequence[str], num_proc: int | None) -> bool:
    """Learns and saves the key; False where other processes have to count their shards first."""
    if transform.needs_training:
        raise ValueError(
            f"{transform.method} trains a model on all rows at once. Learn the key first, without "
            f"{spelled('world_size')}."
        )
    made: Any = type(transform)(**{**transform.get_params(), "seed": run.seed})
    if not getattr(made, "learns_by_counting", False):
        made.fit(load_splits(list(map(str, run.files.values())), streaming=True)["train"])
    elif not _count(run, made, mine, num_proc):
        return False
    try:
        made.key.save(key)
    except OSError:  # another process was the first
        if not key.exists():
            raise
    return True


def _count(run: Run, made: Any, mine: Sequence[str], num_proc: int | None) -> bool:
    """Counts the shards of this process, and adds the counts of all; False where some are missing."""
    from hf_unlearnable.text.counting.counts import WordCounts

    full = []
    for name, file in run.files.items():
        with parquet(file) as opened:
            full += [name] if opened.metadata.num_rows else []
    least = getattr(made, "sample_words", None)
    few = {} if least is None else {"sample_words": min(least, -(-_SPARE * least // max(1, len(full))))}
    wanted = {name: few for name in full if name in mine and not run.counts(name).exists()}
    while True:
        tasks = [
            (type(made), {**made.get_params(), **own}, run.files[name], run.stamps[name], run.counts(name))
            for name, own in wanted.items()
        ]
        for _ in _each(_count_shard, tasks, num_proc, "Counting"):
            pass
        if not all(run.counts(name).exists() for name in full):
            return False
        levels = {}
        made.forget()
        for name in full:
            part = WordCounts.load(run.counts(name))
            levels[name] = part.level
            made.merge(part)
        wanted = {name: {} for name in full if levels[name] > made.counts.level}  # too few of its texts were counted
        if not wanted:
            return True


def _count_shard(cls: type[Any], options: dict[str, Any], file: Shard, stamp: list, place: Path) -> None:
    part = cls(**options)
    with unchanged(file, stamp), parquet(file) as opened:
        part.partial_fit(_Rows(opened, [*part._columns(), part.label_column, *filter(None, (part.mask_column,))]))
    with whole_or_nothing(place, replace=True) as scratch:
        part.counts.save(scratch)


class _Rows:
    """The rows of an opened file for `partial_fit`: a stream that starts neither torch nor a cache, as others do."""

    def __init__(self, opened: Any, column_names: list[str]):
        from datasets import Features

        self.opened, self.column_names = opened, column_names
        self.features = Features.from_arrow_schema(opened.schema_arrow)

    def with_format(self, name: str) -> _Rows:
        """As it is: its tables are of Arrow."""
        return self

    def iter(self, batch_size: int) -> Iterator[pa.Table]:
        """The rows in tables of so many."""
        return _tables(self.opened, batch_size, self.column_names)


# ---------------------------------------------------------------------- the shards
def _context() -> Any:
    """How processes start: from a clean one that has imported what they need, where there is that."""
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([__name__, "polars", "datasets", "pyarrow.parquet"])
    return context


def _check_first_rows(file: Shard, transform: Transform) -> None:
    from datasets import Dataset

    with parquet(file) as opened:
        table = next(_tables(opened, _LOOKED_AT), None)
    if table is not None:
        check_unmarked(transform, {file.name: Dataset(table)})


def _each(function: Callable, tasks: Sequence[tuple], num_proc: int | None, told: str) -> Iterator[Any]:
    """What a function returns for each shard, as they are done."""
    from datasets.utils import tqdm

    if (num_proc or 1) == 1 or len(tasks) < 2:
        yield from (function(*task) for task in tqdm(tasks, desc=told, unit=" shards", disable=not tasks or None))
        return
    pool = ProcessPoolExecutor(min(int(num_proc or 1), len(tasks)), _context())
    try:
        futures = [pool.submit(function, *task) for task in tasks]
        for future in tqdm(as_completed(futures), total=len(futures), desc=told, unit=" shards"):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _protect_shard(
    transform: Transform, file: Shard, stamp: list, place: Path
) -> tuple[int, int, dict[str, Any], list[str]]:
    """Writes one shard: how many rows it has, how many were changed, and what its first rows look like."""
    rows = changed = 0
    first: pa.Table | None = None
    modality, change = MODALITIES[transform.modality], Located(transform)
    try:
        with whole_or_nothing(place) as scratch, unchanged(file, stamp), parquet(file) as opened:
            with _writer(scratch, opened) as write:
                for table in _tables(opened, modality.batch_size):
                    made = change(table, range(rows, rows + len(table)))
                    write(made)
                    first = table if first is None else first
                    rows, changed = rows + len(table), changed + _changed(table, made, transform._columns())
            fidelity, example = _looked_at(first, scratch, transform)
    except OSError:
        if not place.exists():
            raise
        logger.warning("%s was written by another process meanwhile. Start every rank once.", place)
        return 0, 0, {}, []
    return rows, changed, fidelity, example


def _tables(opened: Any, rows: int, columns: list[str] | None = None) -> Iterator[pa.Table]:
    import pyarrow as pa

    for batch in opened.iter_batches(rows, columns=columns):
        yield pa.Table.from_batches([batch]).replace_schema_metadata(opened.schema_arrow.metadata)


@contextmanager
def _writer(place: Path, source: Any) -> Iterator[Callable[[Any], None]]:
    """What writes tables to a file like the one that they come from, in row groups of some megabytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features
    from datasets.features.features import require_storage_embed
    from datasets.table import embed_table_storage

    schema = source.schema_arrow
    held: list[pa.Table] = []
    embeds = any(map(require_storage_embed, Features.from_arrow_schema(schema).values()))
    groups = source.metadata.num_row_groups and source.metadata.num_columns
    codec = source.metadata.row_group(0).column(0).compression if groups else "SNAPPY"
    with pq.ParquetWriter(place, schema, compression=_CODECS.get(codec, codec.lower())) as writer:

        def flush() -> None:
            if held:
                whole = pa.concat_tables(held)
                writer.write_table(whole, row_group_size=len(whole))
            held.clear()

        def write(table: Any) -> None:
            held.append(embed_table_storage(table) if embeds else table)
            if sum(one.nbytes for one in held) >= _ROW_GROUP:
                flush()

        yield write
        flush()


def _changed(before: pa.Table, after: pa.Table, columns: Sequence[str]) -> int:
    """How many rows are stored otherwise than before."""
    import pyarrow as pa

    if before.select(columns).equals(after.select(columns)):
        return 0
    if len(columns) == 1 and pa.types.is_string(before[columns[0]].type):
        import pyarrow.compute as pc

        return int(pc.sum(pc.not_equal(before[columns[0]], after[columns[0]])).as_py())  # null stays null
    pairs = zip(before.select(columns).to_pylist(), after.select(columns).to_pylist(), strict=True)
    return sum(a != b for a, b in pairs)


def _looked_at(first: pa.Table | None, written: Path, transform: Transform) -> tuple[dict[str, Any], list[str]]:
    """The first rows, read from where they were written, against the originals; a ValueError for a broken bound."""
    from datasets import Dataset

    if first is None:
        return {}, []
    first = first.slice(0, _LOOKED_AT)
    with parquet(written) as opened:
        before, after = Dataset(first), Dataset(next(_tables(opened, len(first))))
    modality, columns = MODALITIES[transform.modality], transform._columns()
    fidelity = {column: modality.fidelity(before, after, column, transform) for column in columns}
    for row, (one, other) in enumerate(zip(before.data[columns[0]], after.data[columns[0]], strict=True)):
        if one != other:
            return fidelity, modality.example(before, after, columns[0], row)
    return fidelity, []
