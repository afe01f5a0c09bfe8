"""What a folder of data that is about to be published tells that it should not: the last look before the upload.

A protection is worth nothing when the clean text stands in the next column, when the seed is on the card or the words
are listed in a JSON file beside the data. `scan` reads the folder as it would go out and names every such thing by
kind, place and row, never the secret itself.

A value is decoded first, once (`readings`): base64, hexadecimal, URL escapes, markup, UTF-16, archives, arrays that
are images. Every search then looks at the value and at all that it reads as. Seeds, words, paths and tokens are
searched in every value: one pass over a column finds the few texts that may hold any, and only these are looked at one
by one. Clean copies are found in three steps, the cheap ones first. Values that equal the original of a protected row,
in any split, row or column, are found by 64-bit hashes: of the bytes, and in other columns and splits also of the
letters and digits alone. Values in the same row that hold most of the original's pieces of twelve letters are near
copies, as are images in the same row that look alike, mirrored or turned by quarters too. What counts as the original
is the dataset that the owner gives, else the protected texts without the key's words, else the protected values
themselves. What looks like a list of words, or like another row's original, is looked at again beside its own
(`before`).

What it does not find: a near copy in another row or split (paraphrases, re-encoded images in another order), the first
half of a text, texts shorter than twenty letters, the carriers of an order code, images whose originals only the key
could tell or that lie in a flat list of numbers; short paths among the compressed pixels of a PNG; with the key alone,
a copy in another row of one of the rare texts that held a word before it was inserted; a secret that is encrypted or
spelled backwards, and seeds below 1,000.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable.publish.before import Before
from hf_unlearnable.publish.copies import CleanCopies
from hf_unlearnable.publish.findings import Finding, Hits
from hf_unlearnable.publish.patterns import Patterns
from hf_unlearnable.publish.readings import read
from hf_unlearnable.publish.secrets import UNREAD, Secrets
from hf_unlearnable.publish.values import leaves_of
from hf_unlearnable.publish.words import Words

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from hf_unlearnable.key import Key

_CHUNK_BYTES = 8 << 20  # row groups that a thread takes at a time
_BATCH_BYTES = 5 << 20  # and rows of them: each batch takes some milliseconds, whatever it holds


def scan(
    folder: str | os.PathLike,
    *,
    protected_columns: Sequence[str],
    key: Key | None = None,
    original: Mapping[str, Dataset] | None = None,
    sources: Sequence[str | os.PathLike] = (),
    public: str = "",
    notes: Mapping[str, bytes] | None = None,
    num_proc: int | None = None,
    changed: dict[tuple[str, str], int] | None = None,
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
        notes: Further small files to look at, by name: those that a repository holds already.
        num_proc: Threads; None for as many as there are cores, at most four. Each holds a row group, of 8 MB at most.
        changed: Gets how many rows differ from their original, by split and protected column.

    Returns:
        Findings in the order of their names; none if all is well.

    Raises:
        FileNotFoundError: `folder` is not there.
        ValueError: A split has another number of rows than its original, the key's method is not known, or a changed
            file is stored with loss.
    """
    import pyarrow.parquet as pq

    from hf_unlearnable.registry import MODALITIES, load_transform

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder. Stage the data first.")
    tables = sorted(folder.rglob("*.parquet"))
    shards, groups, rows = _shards(tables)
    for split, dataset in (original or {}).items():
        if len(dataset) != rows.get(split, len(dataset)):
            raise ValueError(
                f"Split {split!r} has {rows[split]} rows and its original has {len(dataset)}. Give the original of "
                "exactly these rows, in the same order."
            )
    transform = load_transform(key) if key else None
    known = transform.secrets() if transform else {"seed": None, "words": []}
    patterns = Patterns(known["seed"], [folder, *sources])
    schemas = [pq.read_schema(path) for path in tables]
    hits, kinds, protected = Hits(), dict(MODALITIES.items()), list(protected_columns)
    words = Words(known["words"])
    words = words.without_public(_look_at_names(words, schemas, list(rows), key, original or {}, hits))
    words_in_notes = words.without_public(re.findall(r"\w+", public))
    labels = (key.parameters.get("label_column"), key.state.get("labels", ())) if key else (None, ())
    known_files = [kind.copies for kind in kinds.values() if kind.copies]
    secrets = Secrets(patterns, words, words_in_notes, labels, known["seed"], known_files, hits)
    copies = CleanCopies(protected, original, words, kinds, hits)
    copies.expect(schemas, len(rows))

    _look_at_files(folder, notes or {}, secrets, copies)

    _look_at_shards(shards, secrets, copies, hits, protected, num_proc)
    copies.finish()
    if changed is not None:
        changed.update(copies.changed)
    secrets.finish()
    before = Before(groups, original or {}, transform, words)
    return hits.findings(before, lambda place: words.hidden(patterns.hidden(place)))


def _look_at_shards(
    shards: Sequence[tuple], secrets: Secrets, copies: CleanCopies, hits: Hits, protected: list[str],
    num_proc: int | None,
) -> None:  # fmt: skip
    """Searches the rows of all shards, several at a time."""
    from datasets.utils import tqdm

    def look(path: Path, split: str, numbers: list[int], start: int) -> None:
        for batch in _batches(path, numbers):
            leaves, unread = read(leaves_of(batch), secrets.knows)
            for leaf, row in unread:
                hits.add("unread", f"{split}/{leaf.path}", row + start, UNREAD)
            secrets.look_at_rows(leaves, protected, split, start)
            copies.look_at_rows(leaves, split, start, len(batch))
            start += len(batch)

    workers = max(1, num_proc or min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(shards), desc="Looking for leaks") as bar:
        for _ in pool.map(lambda shard: look(*shard), shards):
            bar.update(1)


def _shards(tables: Sequence[Path]) -> tuple[list[tuple], dict[str, list[tuple[Path, int, int]]], dict[str, int]]:
    """What is looked at in one go (file, split, row groups, first row); each split's row groups; and its rows."""
    import pyarrow.parquet as pq

    shards: list[tuple] = []
    groups: dict[str, list[tuple[Path, int, int]]] = {}
    rows: dict[str, int] = {}
    for path in tables:
        split = re.sub(r"-\d{5}-of-\d{5}$", "", path.stem)
        metadata = pq.read_metadata(path)
        for numbers in _together(metadata):
            shards.append((path, split, numbers, rows.get(split, 0)))
            for number in numbers:
                groups.setdefault(split, []).append((path, number, rows.get(split, 0)))
                rows[split] = rows.get(split, 0) + metadata.row_group(number).num_rows
    return shards, groups, rows


def _look_at_names(
    words: Words,
    schemas: Sequence[pa.Schema],
    splits: Sequence[str],
    key: Key | None,
    original: Mapping[str, Dataset],
    hits: Hits,
) -> list[str]:
    """Searches the names of splits, columns, fields and classes for words.

    Returns:
        Those names that are public: that the data had before, or that are no word.
    """
    from datasets import Features

    columns, classes = set(splits), set[str]()
    for schema in schemas:
        for name, feature in Features.from_arrow_schema(schema).items():
            columns.add(name)
            _gather(feature, columns, classes)
    had: set[str] = set() if key is None else {str(one) for one in key.parameters.values() if isinstance(one, str)}
    for split, dataset in original.items():
        had.add(split)
        for name, feature in dataset.features.items():
            had.add(name)
            _gather(feature, had, had)
    told = set(words.named(sorted(columns - had)))
    # Without the data before, one class may well be called as a word is.
    named = words.named(sorted(classes - had))
    told |= set(named) if original or len(named) > 1 else set()
    if told:
        hits.add("words", "names", [], "Splits, columns, fields or classes are named by words that are inserted.")
    return sorted((columns | classes | had) - told)


def _gather(feature: Any, fields: set[str], classes: set[str]) -> None:
    """Names of fields and of classes within a feature."""
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        classes.update(feature.names or ())
    elif isinstance(feature, dict):
        fields.update(feature)
        for inner in feature.values():
            _gather(inner, fields, classes)
    elif hasattr(feature, "feature"):
        _gather(feature.feature, fields, classes)
    elif isinstance(feature, list):
        _gather(feature[0], fields, classes)


def _look_at_files(folder: Path, notes: Mapping[str, bytes], secrets: Secrets, copies: CleanCopies) -> None:
    """Searches the names of all files, the schemas of tables, and what stands in other files and in `notes`."""
    others = dict(notes)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        secrets.look_at_note(name, f"{name} (its name)", public=False)
        if path.suffix == ".parquet":
            _look_at_schema(path, name, secrets)
        else:
            others[name] = path.read_bytes()
    for name, data in others.items():
        for text in secrets.look_at_file(data, name):
            copies.look_at_note(text, name)


def _look_at_schema(path: Path, name: str, secrets: Secrets) -> None:
    """Names of columns and metadata of a table."""
    import pyarrow.parquet as pq
    from datasets import Features

    schema = pq.read_schema(path)
    columns = [schema.field(i) for i in range(len(schema.names))]
    secrets.look_at_note(
        "\n".join(f"{column.name}\n{column.type}" for column in columns), f"{name} (columns)", public=False
    )
    usual = Features.from_arrow_schema(schema).arrow_schema.metadata  # what `datasets` writes of these columns
    stored = dict(pq.read_metadata(path).metadata or {})
    stored.pop(b"ARROW:schema", None)  # the same again, encoded
    for entries in (stored, schema.metadata or {}, *(column.metadata or {} for column in columns)):
        for key, value in entries.items():
            if (usual or {}).get(key) != value:
                text = f"{key.decode('utf-8', 'replace')}\n{value.decode('utf-8', 'replace')}"
                secrets.look_at_note(text, f"{name} (schema)", public=False)


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
        yield from file.iter_batches(max(1, min(100_000, _BATCH_BYTES * rows // max(1, size))), groups)
