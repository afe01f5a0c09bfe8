"""The data as it will be uploaded, on disk: what is scanned and checked there is, byte for byte, what leaves later.

Rows pass through in batches, so memory stays bounded, for a `Dataset` as for a stream. Nothing is read twice: a stream
could give other rows the second time.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable.data import holds_files

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

logger = logging.getLogger(__name__)

_ROW_GROUP = 8 << 20  # bytes in a row group at most; larger ones would be read as a whole by who needs one row
_NAME = re.compile(r"\w+(\.\w+)*")
_ROWS = 1000  # and rows in it


@dataclass(frozen=True)
class Staged:
    """One split on disk.

    Args:
        split: Its name.
        files: Its Parquet files, in order.
        rows: How many rows they hold.
        num_bytes: Bytes of the rows in memory.
        features: Their columns.
    """

    split: str
    files: list[Path]
    rows: int
    num_bytes: int
    features: Features


def splits_of(dataset: Any, split: str) -> dict[str, Any]:
    """The splits of a `DatasetDict` or `IterableDatasetDict`; anything else is one, and `split` is its name.

    Raises:
        ValueError: There are none, or one has a name that `datasets` does not read.
    """
    if not isinstance(dataset, Mapping):
        own = str(getattr(dataset, "split", None) or split)
        return splits_of({own if _NAME.fullmatch(own) else split: dataset}, split)  # "train[:20]" is no name
    if not dataset:
        raise ValueError("This dataset has no splits: there is nothing to publish.")
    for name in dataset:
        if not _NAME.fullmatch(str(name)):
            raise ValueError(f"A split cannot be named {str(name)!r}: use letters, digits, _ and dots.")
    return dict(dataset)


def stage(dataset: Any, folder: Path, split: str, max_shard_size: int, features: Features | None = None) -> Staged:
    """Writes a split as Parquet files that `load_dataset` reads, with the contents of files that it points at.

    Args:
        dataset: A `Dataset` or an `IterableDataset`.
        folder: Where `data/` goes.
        split: Name of the split.
        max_shard_size: Bytes after which a file ends.
        features: Those of a stream that does not know its own, as after `map`.

    Raises:
        ValueError: There are no rows, or nobody knows what a column of files is.
    """
    import pyarrow.parquet as pq
    from datasets import Features, config

    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    parts: list[Path] = []
    rows = num_bytes = 0
    features, writer = dataset.features or features, None
    try:
        for table in _tables(dataset, features, split):
            features = features or Features.from_arrow_schema(table.schema)
            if writer is not None and parts[-1].stat().st_size >= max_shard_size:
                writer.close()
                writer = None
            if writer is None:
                parts.append(data / f"{split}-{len(parts):05d}.parquet")
                chunking = config.DEFAULT_CDC_OPTIONS  # equal rows stay equal chunks: a second push uploads little
                writer = pq.ParquetWriter(
                    parts[-1], features.arrow_schema, use_content_defined_chunking=chunking, write_page_index=True,
                    **_stored(features.arrow_schema),
                )  # fmt: skip
            writer.write_table(table)
            rows += len(table)
            num_bytes += table.nbytes
    finally:
        if writer is not None:
            writer.close()
    if features is None or not rows:
        raise ValueError(f"Split {split!r} is empty: there is nothing to publish. Leave it out.")
    files = [part.rename(data / f"{part.stem}-of-{len(parts):05d}.parquet") for part in parts]
    return Staged(split, files, rows, num_bytes, features)


def _stored(schema: pa.Schema) -> dict[str, Any]:
    """How the writer stores the columns: files as they are, for they are compressed, all others as it always does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = {f"{field.name}.bytes" for field in schema if holds_files(field.type)}
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    paths = [parquet.column(i).path for i in range(len(parquet))]
    return {
        "compression": {path: "none" if path in files else "snappy" for path in paths},
        "use_dictionary": [path for path in paths if path not in files],
    }


def _forgotten(stream: Any) -> Mapping[str, Any]:
    """The features that a stream had before `map`, which returns one that does not know them; none if they are gone.

    `datasets` has no public way to ask. Should its inner objects change, a warning tells of lost class names.
    """
    inner = getattr(stream, "_ex_iterable", None)
    while inner is not None:
        if getattr(inner, "features", None):
            return inner.features
        inner = getattr(inner, "ex_iterable", None)
    return {}


def _tables(dataset: Any, features: Features | None, split: str) -> Iterator[pa.Table]:
    """The rows in tables of a row group each, with the contents of the files that they point at."""
    import pyarrow as pa
    from datasets.features.features import require_storage_embed
    from datasets.table import embed_table_storage, table_cast

    heavy = features is None or any(map(require_storage_embed, features.values()))
    waiting: list[pa.Table] = []

    def group() -> pa.Table:
        nonlocal features
        if features is not None:
            return pa.concat_tables(waiting)
        table = pa.concat_tables(waiting, promote_options="permissive")
        features = _inferred(table, _forgotten(dataset), split)
        return embed_table_storage(table_cast(table, features.arrow_schema))

    schema = None if features is None else features.arrow_schema
    batches = dataset.with_format("arrow").iter(batch_size=8 if heavy else _ROWS)
    for batch in _together(batches) if heavy and features is not None else batches:
        if features is not None:
            schema = schema or features.arrow_schema
            batch = table_cast(batch, schema)
            batch = embed_table_storage(batch) if heavy else batch
        waiting.append(batch)
        if sum(table.nbytes for table in waiting) >= _ROW_GROUP or sum(map(len, waiting)) >= _ROWS:
            yield group()
            waiting = []
    if waiting:
        yield group()


def _together(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Small batches put together, up to some megabytes; none with files elsewhere, for nothing tells their sizes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    waiting: list[pa.Table] = []
    for batch in batches:
        waiting.append(batch)
        here = [
            holds_files(column.type) and not pc.struct_field(column, "bytes").null_count
            for column in batch.columns
            if pa.types.is_nested(column.type)
        ]
        if not all(here) or sum(table.nbytes for table in waiting) >= _ROW_GROUP / 2:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _inferred(table: pa.Table, known: Mapping[str, Any], split: str) -> Features:
    """The features of a stream that does not know its own: those of the types, and from before `map` where they fit.

    Types alone do not tell an image or a sound from how it is stored, nor a class from an integer.
    """
    from datasets import Features
    from datasets.features.features import get_nested_type

    found = Features.from_arrow_schema(table.schema)
    for field in table.schema:
        before = known.get(field.name)
        if before is not None and (
            holds_files(get_nested_type(before)) if holds_files(field.type) else _fits(before, field)
        ):
            found[field.name] = before
        elif holds_files(field.type):
            raise ValueError(
                f"Column {field.name!r} of this stream may hold files, such as images, but the stream does not say so "
                "after map. Give map(..., features=stream.features), with the stream from before."
            )
        elif not known and str(field.type) == "int64":
            logger.warning(
                "Split %r: the stream does not say after map whether %r has class names, they would be lost. Give "
                "map(..., features=stream.features), with the stream from before.", split, field.name,
            )  # fmt: skip
    return found


def _fits(feature: Any, field: pa.Field) -> bool:
    """Whether a column may still be what it was: values of the same type, or none at all."""
    from datasets.features.features import get_nested_type

    return str(field.type) == "null" or get_nested_type(feature) == field.type
