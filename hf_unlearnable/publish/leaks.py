"""What a folder of data that is about to be published tells that it should not: the last look before the upload.

A protection is worth nothing when the clean text stands in the next column, when the seed is on the card or the words
are listed in a JSON file beside the data. `scan` reads the folder as it would go out and names every such thing by
kind, place and row, never the secret itself.

Seeds, words, paths and tokens are searched in every cell, in one pass of one expression whose alternatives all start
with fixed letters. Clean copies are found in three steps, the cheap ones first. Cells that equal the original of a
protected row, in any split, row or column, are found by 64-bit hashes: of the bytes, and in other columns and splits
also of the letters and digits alone. Cells in the same row that hold most of the original's pieces of twelve letters
are near copies, as are images in the same row that look alike. What counts as the original is the dataset that the
owner gives, else the protected texts without the key's words, else the protected cells themselves.

What it does not find: a near copy in another row or split (paraphrases, re-encoded images in another order), the first
half of a text, texts shorter than twenty letters, the carriers of an order code, images whose originals only the key
could tell; with the key alone, a copy in another row of one of the rare texts that held a word before it was inserted;
a secret that is encrypted or spelled backwards, and seeds below 1,000.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable.publish.cells import leaves_of
from hf_unlearnable.publish.copies import CleanCopies
from hf_unlearnable.publish.findings import Finding, Hits
from hf_unlearnable.publish.patterns import Patterns, Words
from hf_unlearnable.publish.secrets import Secrets

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from hf_unlearnable.key import Key

_CHUNK_BYTES = 4 << 20  # data looked at in one go


def scan(
    folder: str | os.PathLike,
    *,
    protected_columns: Sequence[str],
    key: Key | None = None,
    original: Mapping[str, Dataset] | None = None,
    sources: Sequence[str | os.PathLike] = (),
    public: str = "",
    num_proc: int | None = None,
) -> list[Finding]:
    """Reads everything that would be uploaded and reports what must not be.

    Args:
        folder: Parquet files named `<split>-00000-of-00003.parquet` at any depth, the card and other small files.
        protected_columns: The columns that the protection changed.
        key: The owner's secret; without it, seed and words are not looked for.
        original: The data before, by split, rows in the same order. A split that is not named is taken to hold no
            protected rows.
        sources: Files or folders that the data came from, whose paths must not be told.
        public: What the card and the report say in any case: their words are no secret in such a file.
        num_proc: Threads; None for as many as there are cores, at most four. Each holds a row group, of 8 MB at most.

    Returns:
        Findings in the order of their names; none if all is well.

    Raises:
        FileNotFoundError: `folder` is not there.
        ValueError: A split has another number of rows than its original, or the key's method is not known.
    """
    import pyarrow.parquet as pq
    from datasets.utils import tqdm

    from hf_unlearnable.registry import MODALITIES, load_transform

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder. Stage the data first.")
    splits: dict[str, int] = {}
    shards = []
    tables = sorted(folder.rglob("*.parquet"))
    for path in tables:
        split = re.sub(r"-\d{5}-of-\d{5}$", "", path.stem)
        metadata = pq.read_metadata(path)
        for groups in _together(metadata):
            shards.append((path, split, groups, splits.get(split, 0)))
            splits[split] = splits.get(split, 0) + sum(metadata.row_group(group).num_rows for group in groups)
    for split, dataset in (original or {}).items():
        if len(dataset) != splits.get(split, len(dataset)):
            raise ValueError(
                f"Split {split!r} has {splits[split]} rows and its original has {len(dataset)}. Give the original of "
                "exactly these rows, in the same order."
            )
    known = load_transform(key).secrets() if key else {"seed": None, "words": []}
    patterns = Patterns(known["seed"], [folder, *sources])
    words, words_in_notes = Words(known["words"], key), Words(known["words"], key)
    words_in_notes.forget(re.findall(r"\w+", public))
    schemas = [pq.read_schema(path) for path in tables]
    for one in (words, words_in_notes):
        one.forget(_names(schemas))
    hits, kinds, protected = Hits(), dict(MODALITIES.items()), list(protected_columns)
    secrets = Secrets(
        patterns, words, words_in_notes, known["seed"], [kind.copies for kind in kinds.values() if kind.copies], hits
    )
    copies = CleanCopies(protected, original, words, kinds, hits)
    copies.expect(schemas, len(splits))
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        secrets.look_at_note(name, f"{name} (its name)", public=False)
        if path.suffix == ".parquet":
            secrets.look_at_schema(path, name)
            continue
        data = path.read_bytes()
        secrets.look_at_file(data, name)
        copies.look_at_file(data, name)

    def look_at_shard(path: Path, split: str, groups: list[int], start: int) -> None:
        for batch in _batches(path, groups):
            leaves = leaves_of(batch)
            secrets.look_at_rows(leaves, protected, split, start)
            copies.look_at_rows(leaves, split, start, len(batch))
            start += len(batch)

    workers = max(1, num_proc or min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(shards), desc="Looking for leaks") as bar:
        for _ in pool.map(lambda shard: look_at_shard(*shard), shards):
            bar.update(1)
    copies.finish()
    secrets.finish()
    return hits.findings(patterns)


def _names(schemas: Sequence[pa.Schema]) -> list[str]:
    """Names of columns and classes, which are public."""
    from datasets import ClassLabel, Features

    features = [feature for schema in schemas for feature in Features.from_arrow_schema(schema).items()]
    labels = [name for _, feature in features if isinstance(feature, ClassLabel) for name in feature.names or ()]
    return labels + [name for name, _ in features]


def _together(metadata: Any) -> Iterator[list[int]]:
    """Row groups of a file, as many at a time as are looked at in one go."""
    groups: list[int] = []
    size = 0
    for group in range(metadata.num_row_groups):
        size += metadata.row_group(group).total_byte_size
        if groups and size > _CHUNK_BYTES:
            yield groups
            groups, size = [], metadata.row_group(group).total_byte_size
        groups.append(group)
    if groups:
        yield groups


def _batches(path: Path, groups: list[int]) -> Iterator[pa.RecordBatch]:
    """The rows of some row groups, a few megabytes at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
        sizes = [file.metadata.row_group(group) for group in groups]
        rows, size = sum(one.num_rows for one in sizes), sum(one.total_byte_size for one in sizes)
        yield from file.iter_batches(max(1, min(100_000, _CHUNK_BYTES * rows // max(1, size))), groups)
