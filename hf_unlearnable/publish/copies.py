"""The search for clean copies: whether what was protected stands anywhere as it was, or nearly.

Values are texts or files. Copies of texts are told by their letters (`text.copies`); of files, the kind of data that
they belong to is asked what they show and how alike two of them are.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.data import stored_bytes
from hf_unlearnable.publish.values import Leaf, leaves_of, one_a_row, sizes, value_hashes
from hf_unlearnable.text.copies import SHORT, letters, near_copies

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from hf_unlearnable.copies import Copies
    from hf_unlearnable.modality import Modality
    from hf_unlearnable.publish.findings import Hits
    from hf_unlearnable.publish.words import Words

_LOSES = (
    "Split {!r}: Row {}, column {!r}: the changed {} is stored as {}, which loses the protection. Store it as the "
    "transform returned it."
)


class CleanCopies:
    """Compares one file or batch after the other, in any order and from several threads.

    Args:
        protected: The columns that were protected.
        original: The data before, by split, if the owner gave it.
        words: What the key inserts: without it, the protected texts are about the originals.
        kinds: All kinds of data, by name.
        hits: Gathers what is found.

    Attributes:
        changed: How many rows differ from their original, by split and column; where the owner gave these.
    """

    def __init__(
        self,
        protected: Sequence[str],
        original: Mapping[str, Dataset] | None,
        words: Words,
        kinds: Mapping[str, Modality],
        hits: Hits,
    ):
        self._protected, self._words, self._hits = protected, words, hits
        self.changed: Counter[tuple[str, str]] = Counter()
        self._kinds = kinds
        self._copies = {name: kind.copies for name, kind in kinds.items() if kind.copies}
        self._original = None if original is None else {split: self._own(data) for split, data in original.items()}
        self._kind_of_column: dict[str, str] = {}
        self._reads_letters = False  # whether there are texts elsewhere, to be compared by their letters alone
        self._opens_files = False  # whether files are compared by what they show, wherever they stand
        self._lock = threading.Lock()
        self._originals: list[np.ndarray] = []  # hashes of the originals of protected rows
        self._elsewhere: list[tuple[str, tuple | None, np.ndarray | None, np.ndarray]] = []
        self._alike: dict[tuple[str, str], list[tuple[int, float]]] = {}  # place, kind: rows, how like the protected
        self._equal: dict[str, list] = {}  # place: protected rows, how many of them equal their original, their rows

    def _own(self, data: Dataset) -> Dataset:
        """The protected columns alone, as Arrow tables."""
        return data.select_columns([name for name in self._protected if name in data.column_names]).with_format(
            "arrow"
        )

    def expect(self, schemas: Sequence[pa.Schema], splits: int) -> None:
        """Looks at the columns first: what kinds they are of, and where copies may stand."""
        from datasets import Features

        for schema in schemas:
            for name, feature in Features.from_arrow_schema(schema).items():
                for kind in self._copies:
                    if self._kinds[kind].accepts(feature):
                        self._kind_of_column[name] = kind
        leaves = [leaf for schema in schemas for leaf in leaves_of(schema.empty_table()) if leaf.part != "path"]
        texts, files = (
            {leaf.path for leaf in leaves if kind(leaf)} for kind in (lambda x: x.is_text, lambda x: x.is_binary)
        )
        arrays = {leaf.path for leaf in leaves if len(leaf.lists) > 1 and not leaf.is_text}
        self._reads_letters = bool(texts) and (splits > 1 or len(texts | files) > 1)
        self._opens_files = bool(self._original) and bool(files) and (splits > 1 or len(files | arrays) > 1)

    def look_at_note(self, text: str, name: str) -> None:
        """The card, a report, anything small: each line, each part of a table, each text in quotes."""
        pieces = re.split(r"[\n|`]", text) + [match[1] for match in re.finditer(r'"((?:[^"\\]|\\.)*)"', text)]
        self._keep_values(name, None, None, [piece.strip(" \t>*-\"'") for piece in pieces] + [text])

    def look_at_rows(self, leaves: Sequence[Leaf], split: str, start: int, count: int) -> None:
        """The values of a batch of `count` rows that begins at this row of its split."""
        before = None
        if self._original is not None and split in self._original:
            table = self._original[split][start : start + count]
            before = {(leaf.path, leaf.part): leaf for leaf in leaves_of(table)}
        values = [
            leaf for leaf in leaves if leaf.reading != "plain" and leaf.is_compared
        ]  # fmt: skip
        own = [leaf for leaf in values if leaf.is_own(self._protected)]
        others = [leaf for leaf in values if not leaf.is_own(self._protected)]
        for leaf in others:
            place = f"{split}/{leaf.path}"
            self._keep_values(place, None, leaf.rows + start, leaf.values)
            if leaf.is_binary:
                self._keep_hashes(place, None, leaf.rows + start, self._shown_hashes(leaf.files, leaf.root))
        rows: dict[str, list[np.ndarray]] = {}
        for leaf in own:
            compare = self._compare_texts if leaf.is_text else self._compare_files
            rows.setdefault(leaf.root, []).append(leaf.rows[compare(leaf, before, others, split, start)])
        with self._lock:
            for root, parts in rows.items() if before is not None else ():
                self.changed[split, root] += len(np.unique(np.concatenate(parts)))

    # ------------------------------------------------------------------ hashes
    def _keep_values(self, place: str, column: tuple[str, str] | None, rows: np.ndarray | None, values: Any) -> None:
        """Hashes of values that may be copies, to be looked up when all originals are known."""
        import pyarrow as pa

        if self._original is None and not self._words.all:
            return
        values = pa.array(values, pa.large_string()) if isinstance(values, list) else values
        self._keep_hashes(place, column, rows, value_hashes(values, SHORT))
        if self._reads_letters and pa.types.is_large_string(values.type):
            self._keep_hashes(place, column, rows, value_hashes(letters(values), SHORT))

    def _keep_hashes(self, place: str, column: tuple | None, rows: np.ndarray | None, hashes: np.ndarray) -> None:
        kept = hashes != 0
        with self._lock:
            self._elsewhere.append((place, column, None if rows is None else rows[kept], hashes[kept]))

    def _shown_hashes(self, files: Sequence[bytes | None], column: str) -> np.ndarray:
        """A hash of what each file shows; 0 where there is none, and where no other column or split holds files."""
        import xxhash

        hashes = np.zeros(len(files), np.uint64)
        for i, data in enumerate(files if self._opens_files else ()):
            kind = self._kind_of(data, column)
            if kind is None or data is None:
                continue
            try:
                hashes[i] = xxhash.xxh3_64_intdigest(self._kinds[kind].content({"bytes": data, "path": None}))
            except self._kinds[kind].errors:  # it shows nothing that could have been protected
                hashes[i] = 0
        return hashes

    def _kind_of(self, data: bytes | None, column: str) -> str | None:
        """The kind of data that a file is of, by its column or its first bytes."""
        if column in self._kind_of_column:
            return self._kind_of_column[column]
        return next((kind for kind, copies in self._copies.items() if data is not None and copies.knows(data)), None)

    # ------------------------------------------------------------------ texts
    def _compare_texts(
        self, leaf: Leaf, before: dict | None, others: list[Leaf], split: str, start: int
    ) -> np.ndarray:
        """Which texts differ from their original, bool [n]; all of them where there is none."""
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
        place, column = f"{split}/{leaf.path}", (split, leaf.root)
        if known:
            first, second = value_hashes(original, 0), value_hashes(after, 0)
            changed = first != second
            originals = [np.where(changed & (sizes(original) >= SHORT), first, np.uint64(0))]
            if self._reads_letters and changed.any():
                originals.append(value_hashes(letters(original.take(pa.array(np.flatnonzero(changed)))), SHORT))
            with self._lock:
                self._originals += originals
            kept = changed & (sizes(after) >= SHORT)
            self._keep_hashes(place, column, leaf.rows[kept] + start, second[kept])
            same = np.flatnonzero(~changed)
            if len(same):
                self._keep_values(place, None, leaf.rows[same] + start, after.take(pa.array(same)))
        else:  # a split that nothing is known of may hold what is protected in another
            self._keep_values(place, None, leaf.rows + start, after)
        for other in others:
            if not other.is_text:
                continue
            texts = one_a_row(other, int(leaf.rows[-1]) + 1 if len(leaf.rows) else 0).take(pa.array(leaf.rows))
            elsewhere = f"{split}/{other.path}"
            if known:
                equal = changed & (value_hashes(texts, 0) == first)
                with self._lock:
                    count = self._equal.setdefault(elsewhere, [0, 0, []])
                    count[0] += int(changed.sum())
                    count[1] += int(equal.sum())
                    count[2].append(leaf.rows[equal] + start)
            near = near_copies(original, after, texts, changed, known=known)
            if near.any():
                what = f"A clean copy of {leaf.path!r} stands here."
                self._hits.add("clean-copy", elsewhere, leaf.rows[near] + start, what)
        return changed

    # ------------------------------------------------------------------ files
    def _compare_files(
        self, leaf: Leaf, before: dict | None, others: list[Leaf], split: str, start: int
    ) -> np.ndarray:
        """Which files differ from their original, bool [n]; all of them where there is none.

        Raises:
            ValueError: One that differs is stored in a way that loses its protection.
        """
        import pyarrow as pa

        own = leaf.files
        place = f"{split}/{leaf.path}"
        changed = [True] * len(own)
        if before is not None:
            files = {key: one.files for key, one in before.items() if key[0] == leaf.path}
            paths = files.get((leaf.path, "path"), [None] * len(own))
            pairs = zip(files[leaf.path, leaf.part], paths, strict=True)
            originals = [stored_bytes({"bytes": data, "path": path}) for data, path in pairs]
            changed = [one != two for one, two in zip(originals, own, strict=True)]
            kept = [one for one, new in zip(originals, changed, strict=True) if new]
            hashes = [value_hashes(pa.array(kept, pa.large_binary()), SHORT), self._shown_hashes(kept, leaf.root)]
            with self._lock:
                self._originals += hashes
        self._keep_values(place, None, leaf.rows + start, leaf.values)
        unchanged = [None if new and before is not None else data for data, new in zip(own, changed, strict=True)]
        self._keep_hashes(place, None, leaf.rows + start, self._shown_hashes(unchanged, leaf.root))
        by_kind: dict[str, dict[int, list[bytes]]] = {}
        for row, data, new in zip(leaf.rows.tolist(), own, changed, strict=True):
            kind = self._kind_of(data, leaf.root)
            if kind is not None and data and new:
                if before is not None and (stored := self._copies[kind].loses(data)):
                    raise ValueError(_LOSES.format(split, row + start, leaf.path, kind, stored))
                by_kind.setdefault(kind, {}).setdefault(row, []).append(data)
        for kind, by_row in by_kind.items():
            copies = self._copies[kind]
            for row, group in by_row.items():
                if any((before is not None or not copies.lossy(data)) and copies.smaller(data) for data in group):
                    what = f"The file holds a small version of itself, of the clean {kind}."
                    self._hits.add("clean-copy", place, row + start, what)
            for other in others:
                if not other.is_binary:
                    continue
                found = list(_likenesses(copies, by_row, other, self._kind_of_column.get(other.root) == kind))
                if found:
                    with self._lock:
                        rows = self._alike.setdefault((f"{split}/{other.path}", kind), [])
                        rows += [(row + start, likeness) for row, likeness in found]
        return np.array(changed, bool)

    # ------------------------------------------------------------------ result
    def finish(self) -> None:
        """Adds what only all rows together show."""
        known = np.unique(np.concatenate(self._originals)) if self._originals else np.zeros(0, np.uint64)
        known = known[known != 0]
        for place, column, rows, hashes in self._elsewhere if len(known) else ():
            at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            same = known[at] == hashes
            if same.any():
                what = "The original of a protected row stands here."
                self._hits.add("clean-copy", place, [] if rows is None else rows[same], what, column)
        for place, (compared, equal, found) in self._equal.items():
            if equal >= max(3, compared / 2):
                what = "Originals of the protected rows stand here."
                self._hits.add("clean-copy", place, np.concatenate(found), what)
        for (place, kind), pairs in self._alike.items():
            alike = self._copies[kind].stand_out(np.array([likeness for _, likeness in pairs]))
            rows = np.array([row for row, _ in pairs])[alike]
            if len(rows):
                what = f"What stands here is like the protected {kind}, but not the same."
                self._hits.add("clean-copy", place, rows, what)


def _likenesses(
    copies: Copies, by_row: Mapping[int, list[bytes]], other: Leaf, is_column: bool
) -> Iterator[tuple[int, float]]:
    """How like the protected files of its row each file in another column is, or what lies within it; and the row."""
    for row, data in zip(other.rows.tolist(), other.files, strict=True):
        group = by_row.get(row, [])
        if not group or not data or not (is_column or copies.knows(data)):
            continue
        views = [view for view in (data, copies.smaller(data)) if view and view not in group]
        if views:
            yield row, max(copies.likeness(one, view) for one in group for view in views)
