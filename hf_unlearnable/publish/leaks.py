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
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.publish.cells import Leaf, leaves_of, one_a_row
from hf_unlearnable.publish.copies import (
    cell_hashes,
    file_of,
    images_of,
    is_image,
    letter_hashes,
    likeness_of,
    near_copies,
    stand_out,
    thumbnail,
    told_by_image,
)
from hf_unlearnable.publish.patterns import ABSOLUTE, EXIF, LARGE, Patterns, Words

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from hf_unlearnable.key import Key

_CHUNK_BYTES = 4 << 20  # data looked at in one go

_REMEDIES = {
    "seed": "Remove it. Who has seen it can undo the protection: protect the data again with a fresh key.",
    "words": "Remove the list of words. If others have seen it, protect the data again with a fresh key.",
    "clean-copy": "Remove the column or the rows, or protect them too.",
    "path": "Remove it, or write a path that tells nothing of this machine.",
    "gps": "Store the image without its metadata: open it and save its pixels alone.",
    "camera": "Store the image without its metadata: open it and save its pixels alone.",
    "token": "Remove it and revoke the token where it was issued.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that must not be published.

    Args:
        kind: "seed", "words", "clean-copy", "path", "gps", "camera" or "token".
        place: Where: "train/text" (split and column), "train/column names", "train/schema", or a file's name.
        row: The first row, counted from 0 within the split; None in a file.
        count: How many rows.
        what: What was found, in a sentence that does not give it away.
        remedy: What to do.
    """

    kind: str
    place: str
    row: int | None
    count: int
    what: str
    remedy: str

    @property
    def name(self) -> str:
        """What `--allow` takes."""
        return f"{self.kind}:{self.place}"

    def __str__(self) -> str:
        where = "" if self.row is None else f", row {self.row}"
        where += f" and {self.count - 1} more" if self.count > 1 else ""
        return f"{self.name}{where}: {self.what} {self.remedy}"


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

    from hf_unlearnable.registry import load_transform

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
    secrets = load_transform(key).secrets() if key else {"seed": None, "words": []}
    patterns = Patterns(secrets["seed"], [folder, *sources])
    words, words_in_notes = Words(secrets["words"], key), Words(secrets["words"], key)
    words_in_notes.forget(re.findall(r"\w+", public))
    scanner = _Scanner(patterns, words, words_in_notes, secrets["seed"], list(protected_columns), original)
    scanner.expect(tables, list(splits))
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        scanner.look_at_file(path, path.relative_to(folder).as_posix())
    workers = max(1, num_proc or min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(shards), desc="Looking for leaks") as bar:
        for _ in pool.map(lambda shard: scanner.look_at_shard(*shard), shards):
            bar.update(1)
    return scanner.findings()


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


class _Scanner:
    """Gathers what is found in shards, in any order and from several threads."""

    def __init__(
        self,
        patterns: Patterns,
        words: Words,
        words_in_notes: Words,
        seed: int | None,
        protected: list[str],
        original: Mapping | None,
    ):
        self._patterns, self._words, self._words_in_notes, self._seed = patterns, words, words_in_notes, seed
        self._protected = protected
        self._original = None if original is None else {split: self._own(data) for split, data in original.items()}
        self._reads_letters = False  # whether there are texts elsewhere, to be compared by their letters alone
        self._opens_images = False  # whether images are compared by what they show, wherever they stand
        self._lock = threading.Lock()
        self._hits: dict[tuple[str, str], list] = {}
        self._originals: list[np.ndarray] = []  # hashes of the originals of protected rows
        self._cells: list[tuple[str, np.ndarray | None, np.ndarray]] = []  # place, rows, hashes
        self._bare: dict[str, list] = {}  # place: how many words alone, how many of them secret, their rows
        self._alike: dict[str, list[tuple[int, float]]] = {}  # place: rows and how like the protected image
        self._equal: dict[str, list] = {}  # place: protected rows, how many of them equal their original, their rows

    def _own(self, data: Dataset) -> Dataset:
        """The protected columns alone, as Arrow tables."""
        return data.select_columns([name for name in self._protected if name in data.column_names]).with_format(
            "arrow"
        )

    def _hit(self, kind: str, place: str, rows: Any, what: str) -> None:
        with self._lock:
            self._hits.setdefault((kind, place), [what, []])[1].append(np.atleast_1d(rows))

    def expect(self, tables: list[Path], splits: list[str]) -> None:
        """Looks at the columns first: which names are public, and where copies of images may stand."""
        import pyarrow.parquet as pq
        from datasets import ClassLabel, Features

        schemas = [pq.read_schema(path) for path in tables]
        features = [feature for schema in schemas for feature in Features.from_arrow_schema(schema).items()]
        labels = [name for _, feature in features if isinstance(feature, ClassLabel) for name in feature.names or ()]
        for words in (self._words, self._words_in_notes):
            words.forget(labels + [name for name, _ in features])
        leaves = [leaf for schema in schemas for leaf in leaves_of(schema.empty_table()) if leaf.part != "path"]
        texts, files = (
            {leaf.path for leaf in leaves if kind(leaf)} for kind in (lambda x: x.is_text, lambda x: x.is_binary)
        )
        self._reads_letters = bool(texts) and (len(splits) > 1 or len(texts) > 1)
        self._opens_images = bool(self._original) and bool(files) and (len(splits) > 1 or len(files) > 1)

    # ------------------------------------------------------------------ files
    def look_at_file(self, path: Path, name: str) -> None:
        """Names, the card, metadata of tables, anything small."""
        self._look_at_note(name, f"{name} (its name)", public=False)
        if path.suffix == ".parquet":
            self._look_at_schema(path, name)
            return
        data = path.read_bytes()
        if is_image(data):
            for kind, what in told_by_image(data):
                self._hit(kind, name, [], what)
        text = data.decode("utf-8", "replace")
        self._look_at_note(text, name, public=re.fullmatch(r"dataset_infos?\.json|state\.json", path.name) is None)
        pieces = re.split(r"[\n|`]", text) + [match[1] for match in re.finditer(r'"((?:[^"\\]|\\.)*)"', text)]
        self._keep_cells(name, None, [piece.strip(" \t>*-\"'") for piece in pieces] + [text])

    def _look_at_schema(self, path: Path, name: str) -> None:
        import pyarrow.parquet as pq

        schema = pq.read_schema(path)
        columns = [schema.field(i) for i in range(len(schema.names))]
        names = "\n".join(f"{column.name}\n{column.type}" for column in columns)
        self._look_at_note(names, f"{name} (columns)", public=False)
        stored = dict(pq.read_metadata(path).metadata or {})
        stored.pop(b"ARROW:schema", None)  # the same again, encoded
        for entries in (stored, schema.metadata or {}, *(column.metadata or {} for column in columns)):
            for key, value in entries.items():
                text = f"{key.decode('utf-8', 'replace')}\n{value.decode('utf-8', 'replace')}"
                self._look_at_note(text, f"{name} (schema)", public=False)

    def _look_at_note(self, text: str, place: str, public: bool) -> None:
        found = self._patterns.found(text)
        if not public and ABSOLUTE.search(text):
            found.append(("path", "A path of a machine is told."))
        words = self._words_in_notes
        if words.all and (words.alone(text) or words.listed(text, gap=3)):
            found.append(("words", "Words that the protection inserts are listed."))
        for kind, what in found:
            self._hit(kind, place, [], what)

    # ------------------------------------------------------------------ rows
    def look_at_shard(self, path: Path, split: str, groups: list[int], start: int) -> None:
        """Some row groups, a few megabytes at a time."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            sizes = [file.metadata.row_group(group) for group in groups]
            rows, size = sum(one.num_rows for one in sizes), sum(one.total_byte_size for one in sizes)
            for batch in file.iter_batches(max(1, min(100_000, _CHUNK_BYTES * rows // max(1, size))), groups):
                self._look_at_batch(batch, split, start)
                start += len(batch)

    def _look_at_batch(self, batch: pa.RecordBatch, split: str, start: int) -> None:
        leaves = leaves_of(batch)
        before = None
        if self._original is not None and split in self._original:
            table = self._original[split][start : start + len(batch)]
            before = {(leaf.path, leaf.part): leaf for leaf in leaves_of(table)}
        own: list[Leaf] = []
        others: list[Leaf] = []
        for leaf in leaves:
            place = f"{split}/{leaf.path}"
            is_own = leaf.root in self._protected and (leaf.path == leaf.root or leaf.path.endswith(".content"))
            if leaf.is_text:
                self._look_at_texts(leaf, place, start, is_own)
            elif leaf.is_binary:
                self._look_at_bytes(leaf, place, start)
            else:
                self._look_at_numbers(leaf, place, start)
            if leaf.part != "path" and (leaf.is_text or leaf.is_binary):
                (own if is_own else others).append(leaf)
        for leaf in others:
            self._keep_cells(f"{split}/{leaf.path}", leaf.rows + start, leaf.values)
            if leaf.is_binary:
                hashes = self._pixel_hashes(leaf.values.to_pylist())
                self._keep_hashes(f"{split}/{leaf.path}", leaf.rows + start, hashes)
        for leaf in own:
            if leaf.is_text:
                self._compare_texts(leaf, before, others, split, start)
            else:
                self._compare_images(leaf, before, others, split, start)

    def _look_at_texts(self, leaf: Leaf, place: str, start: int, is_own: bool) -> None:
        import polars as pl

        texts, words = pl.Series(leaf.values), self._words
        if leaf.part == "path":
            for i, path in enumerate(texts.to_list()):
                if path and ABSOLUTE.match(path):
                    self._hit("path", place, leaf.rows[i] + start, "The path of a file is stored with the image.")
        for i in texts.str.contains(self._patterns.search).fill_null(False).arg_true().to_list():
            for kind, what in self._patterns.found(texts[i]):
                self._hit(kind, place, leaf.rows[i] + start, what)
        if not words.all or leaf.path == words.label_column:
            return
        for i in words.candidates(texts, is_own):
            if words.listed(texts[i], share=1 / 2 if is_own else 1 / 4):
                self._hit("words", place, leaf.rows[i] + start, "Words that the protection inserts are listed.")
        if not is_own:
            short = (texts.str.len_bytes() <= max(map(len, words.lower)) * 4 + 8).fill_null(False)
            index = short.arg_true()
            bare = texts.gather(index).str.strip_chars(" \t\n\"'.,;:()[]{}`").str.to_lowercase()
            single = bare.str.contains(r"^\S+$")
            secret = bare.is_in(words.lower)
            with self._lock:
                count = self._bare.setdefault(place, [0, 0, []])
                count[0] += int(single.sum())
                count[1] += int(secret.sum())
                count[2].append(leaf.rows[index.filter(secret).to_numpy()] + start)

    def _look_at_numbers(self, leaf: Leaf, place: str, start: int) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        seed = self._seed
        if seed is None or (seed < LARGE and not (seed >= 1000 and "seed" in leaf.path.lower())):
            return
        kind = leaf.values.type
        if pa.types.is_floating(kind):
            wanted: Any = float(seed)
        else:
            bits = kind.bit_width
            wanted = seed - 2**64 if bits == 64 and pa.types.is_signed_integer(kind) and seed >= 2**63 else seed
            if wanted >= 2 ** (bits - pa.types.is_signed_integer(kind)):
                return
        if pa.types.is_float16(kind):
            return
        hits = pc.fill_null(pc.equal(leaf.values, pa.scalar(wanted, kind)), False).to_numpy(zero_copy_only=False)
        if hits.any():
            self._hit("seed", place, leaf.rows[hits] + start, "The seed of the key stands here.")

    def _look_at_bytes(self, leaf: Leaf, place: str, start: int) -> None:
        import pyarrow.compute as pc

        mask = pc.match_substring_regex(leaf.values, f"{EXIF}|{self._patterns.search}")
        for i in np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist():
            data = leaf.values[i].as_py()
            found = self._patterns.found(data.decode("latin-1") + data.decode("utf-8", "replace"))
            for kind, what in found + (told_by_image(data) if is_image(data) else []):
                self._hit(kind, place, leaf.rows[i] + start, what)
        for i, head in enumerate(pc.binary_slice(leaf.values, 0, 12).to_pylist()):
            if head is not None and head[:4] in (b"II*\0", b"MM\0*"):  # a TIFF's own fields stand behind no mark
                for kind, what in told_by_image(leaf.values[i].as_py()):
                    self._hit(kind, place, leaf.rows[i] + start, what)

    # ------------------------------------------------------------------ copies
    @property
    def _knows_originals(self) -> bool:
        return self._original is not None or bool(self._words.all)

    def _keep_cells(self, place: str, rows: np.ndarray | None, values: Any, letters: bool = True) -> None:
        """Hashes of cells that may be copies, to be looked up when all originals are known."""
        import pyarrow as pa

        if not self._knows_originals:
            return
        values = pa.array(values, pa.large_string()) if isinstance(values, list) else values
        self._keep_hashes(place, rows, cell_hashes(values))
        if letters and self._reads_letters and pa.types.is_large_string(values.type):
            self._keep_hashes(place, rows, letter_hashes(values))

    def _keep_hashes(self, place: str, rows: np.ndarray | None, hashes: np.ndarray) -> None:
        kept = hashes != 0
        with self._lock:
            self._cells.append((place, None if rows is None else rows[kept], hashes[kept]))

    def _pixel_hashes(self, files: list[bytes | None]) -> np.ndarray:
        """A hash of what each image shows; 0 where there is none, and where no other column or split holds images."""
        import xxhash

        from hf_unlearnable.image.codec import ImageError, decode

        hashes = np.zeros(len(files), np.uint64)
        for i, data in enumerate(files if self._opens_images else ()):
            try:
                hashes[i] = xxhash.xxh3_64_intdigest(decode(data).content) if is_image(data) else 0
            except ImageError:  # it shows nothing that could have been protected
                hashes[i] = 0
        return hashes

    def _compare_texts(self, leaf: Leaf, before: dict | None, others: list[Leaf], split: str, start: int) -> None:
        import pyarrow as pa

        after = leaf.values
        changed = np.ones(len(after), bool)
        if before is not None:
            original = before[leaf.path, leaf.part].values
            if len(original) != len(after):
                raise ValueError(
                    f"Split {split!r}, column {leaf.path!r}: rows {start} and on hold another number of texts than "
                    "their original. Give the original of exactly these rows, in the same order."
                )
        elif self._words.all:
            original = self._words.without(after)
        else:
            original = after
        known = before is not None or bool(self._words.all)
        place = f"{split}/{leaf.path}"
        if known:
            first, second = cell_hashes(original, 0), cell_hashes(after, 0)
            changed = first != second
            index = pa.array(np.flatnonzero(changed))
            with self._lock:
                self._originals.append(np.where(changed, cell_hashes(original), np.uint64(0)))
            if self._reads_letters and changed.any():
                hashes = letter_hashes(original.take(index))
                with self._lock:
                    self._originals.append(hashes)
            self._keep_cells(place, leaf.rows + start, after, letters=False)
            same = np.flatnonzero(~changed)
            if len(same):
                self._keep_cells(place, leaf.rows[same] + start, after.take(pa.array(same)))
        else:  # a split that nothing is known of may hold what is protected in another
            self._keep_cells(place, leaf.rows + start, after)
        for other in others:
            if not other.is_text:
                continue
            texts = one_a_row(other, int(leaf.rows[-1]) + 1 if len(leaf.rows) else 0).take(pa.array(leaf.rows))
            elsewhere = f"{split}/{other.path}"
            if known:
                equal = changed & (cell_hashes(texts, 0) == first)
                with self._lock:
                    count = self._equal.setdefault(elsewhere, [0, 0, []])
                    count[0] += int(changed.sum())
                    count[1] += int(equal.sum())
                    count[2].append(leaf.rows[equal] + start)
            near = near_copies(original, after, texts, changed, known=known)
            if near.any():
                self._hit(
                    "clean-copy", elsewhere, leaf.rows[near] + start, f"A clean copy of {leaf.path!r} stands here."
                )

    def _compare_images(self, leaf: Leaf, before: dict | None, others: list[Leaf], split: str, start: int) -> None:
        import pyarrow as pa

        own = leaf.values.to_pylist()
        place = f"{split}/{leaf.path}"
        changed = [True] * len(own)
        if before is not None:
            files = {key: one.values.to_pylist() for key, one in before.items() if key[0] == leaf.path}
            paths = files.get((leaf.path, "path"), [None] * len(own))
            originals = [file_of(*pair) for pair in zip(files[leaf.path, leaf.part], paths, strict=True)]
            changed = [one != two for one, two in zip(originals, own, strict=True)]
            kept = [one for one, new in zip(originals, changed, strict=True) if new]
            with self._lock:
                self._originals += [cell_hashes(pa.array(kept, pa.large_binary())), self._pixel_hashes(kept)]
        self._keep_cells(place, leaf.rows + start, leaf.values)
        unchanged = [None if new and before is not None else data for data, new in zip(own, changed, strict=True)]
        self._keep_hashes(place, leaf.rows + start, self._pixel_hashes(unchanged))
        by_row: dict[int, list[bytes]] = {}
        for row, data, new in zip(leaf.rows.tolist(), own, changed, strict=True):
            if data and new:
                by_row.setdefault(row, []).append(data)
        for row, group in by_row.items():
            for data in group:
                # A JPEG is no protected image, but a row that was left alone.
                if (before is not None or data[:3] != b"\xff\xd8\xff") and thumbnail(data):
                    self._hit("clean-copy", place, row + start, "The file holds a thumbnail, of the clean image.")
        for other in others:
            for row, data in images_of(other):
                group = by_row.get(row, [])
                views = [view for view in (data, thumbnail(data)) if view and view not in group]
                if group and views:
                    likeness = max(likeness_of(one, view) for one in group for view in views)
                    with self._lock:
                        found = self._alike.setdefault(f"{split}/{other.path}", [])
                        found.append((row + start, likeness))

    # ------------------------------------------------------------------ result
    def findings(self) -> list[Finding]:
        """Everything found, by name."""
        known = np.unique(np.concatenate(self._originals)) if self._originals else np.zeros(0, np.uint64)
        known = known[known != 0]
        for place, rows, hashes in self._cells if len(known) else ():
            at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            same = known[at] == hashes
            if same.any():
                what = "The original of a protected row stands here."
                self._hit("clean-copy", place, [] if rows is None else rows[same], what)
        for place, (compared, equal, found) in self._equal.items():
            if equal >= max(3, compared / 2):
                what = "Originals of the protected rows stand here."
                self._hit("clean-copy", place, np.concatenate(found), what)
        for place, (single, secret, found) in self._bare.items():
            if secret and secret >= single / 2:
                self._hit("words", place, np.concatenate(found), "Words that the protection inserts stand here alone.")
        for place, pairs in self._alike.items():
            rows = np.array([row for row, _ in pairs])[stand_out(np.array([likeness for _, likeness in pairs]))]
            if len(rows):
                self._hit("clean-copy", place, rows, "An image like the protected one, but not it, stands here.")
        findings = []
        for (kind, place), (what, parts) in sorted(self._hits.items()):
            rows = np.unique(np.concatenate(parts))
            first = int(rows[0]) if len(rows) else None
            findings.append(
                Finding(kind, self._patterns.hidden(place), first, max(1, len(rows)), what, _REMEDIES[kind])
            )
        return findings
