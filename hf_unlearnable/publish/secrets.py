"""The search for what only the owner may know: the seed, lists of words, paths and tokens, what a camera wrote."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.publish.cells import Leaf
from hf_unlearnable.publish.patterns import ABSOLUTE, LARGE, Patterns, Words

if TYPE_CHECKING:
    from hf_unlearnable.modality import Copies
    from hf_unlearnable.publish.findings import Hits


class Secrets:
    """Looks at one file or batch after the other, in any order and from several threads.

    Args:
        patterns: What is searched as letters.
        words: What is searched as a list, in rows.
        words_in_notes: The same in the card and other small files, less what these say in any case.
        seed: Of the key; None if it is not known.
        copies: Of all kinds of files, to be asked what one tells.
        hits: Gathers what is found.
    """

    def __init__(
        self,
        patterns: Patterns,
        words: Words,
        words_in_notes: Words,
        seed: int | None,
        copies: Sequence[Copies],
        hits: Hits,
    ):
        self._patterns, self._words, self._words_in_notes, self._seed = patterns, words, words_in_notes, seed
        self._copies, self._hits = copies, hits
        self._marks = "|".join([*(one.marks for one in copies), patterns.search])
        self._lock = threading.Lock()
        self._bare: dict[str, list] = {}  # place: how many words alone, how many of them secret, their rows

    # ------------------------------------------------------------------ files
    def look_at_file(self, data: bytes, name: str) -> None:
        """The card, a report, anything small."""
        for kind, what in self._told(data):
            self._hits.add(kind, name, [], what)
        public = re.fullmatch(r"dataset_infos?\.json|state\.json", name.rsplit("/", 1)[-1]) is None
        self.look_at_note(data.decode("utf-8", "replace"), name, public=public)

    def look_at_schema(self, path: Path, name: str) -> None:
        """Names of columns and metadata of a table."""
        import pyarrow.parquet as pq

        schema = pq.read_schema(path)
        columns = [schema.field(i) for i in range(len(schema.names))]
        names = "\n".join(f"{column.name}\n{column.type}" for column in columns)
        self.look_at_note(names, f"{name} (columns)", public=False)
        stored = dict(pq.read_metadata(path).metadata or {})
        stored.pop(b"ARROW:schema", None)  # the same again, encoded
        for entries in (stored, schema.metadata or {}, *(column.metadata or {} for column in columns)):
            for key, value in entries.items():
                text = f"{key.decode('utf-8', 'replace')}\n{value.decode('utf-8', 'replace')}"
                self.look_at_note(text, f"{name} (schema)", public=False)

    def look_at_note(self, text: str, place: str, public: bool) -> None:
        """A text that is no row; in a public one examples of paths are allowed."""
        found = self._patterns.found(text)
        if not public and ABSOLUTE.search(text):
            found.append(("path", "A path of a machine is told."))
        words = self._words_in_notes
        if words.all and (words.alone(text) or words.listed(text, gap=3)):
            found.append(("words", "Words that the protection inserts are listed."))
        for kind, what in found:
            self._hits.add(kind, place, [], what)

    # ------------------------------------------------------------------ rows
    def look_at_rows(self, leaves: Iterable[Leaf], protected: list[str], split: str, start: int) -> None:
        """The values of a batch that begins at this row of its split."""
        for leaf in leaves:
            place = f"{split}/{leaf.path}"
            if leaf.is_text:
                self._look_at_texts(leaf, place, start, leaf.is_own(protected))
            elif leaf.is_binary:
                self._look_at_bytes(leaf, place, start)
            else:
                self._look_at_numbers(leaf, place, start)

    def _look_at_texts(self, leaf: Leaf, place: str, start: int, is_own: bool) -> None:
        import polars as pl

        texts, words = pl.Series(leaf.values), self._words
        if leaf.part == "path":
            for i, path in enumerate(texts.to_list()):
                if path and ABSOLUTE.match(path):
                    self._hits.add(
                        "path", place, leaf.rows[i] + start, "The path of a file is stored beside its bytes."
                    )
        for i in texts.str.contains(self._patterns.search).fill_null(False).arg_true().to_list():
            for kind, what in self._patterns.found(texts[i]):
                self._hits.add(kind, place, leaf.rows[i] + start, what)
        if not words.all or leaf.path == words.label_column:
            return
        for i in words.candidates(texts, is_own):
            if words.listed(texts[i], share=1 / 2 if is_own else 1 / 4, least=3 if is_own else 2):
                self._hits.add("words", place, leaf.rows[i] + start, "Words that the protection inserts are listed.")
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
            self._hits.add("seed", place, leaf.rows[hits] + start, "The seed of the key stands here.")

    def _look_at_bytes(self, leaf: Leaf, place: str, start: int) -> None:
        import pyarrow.compute as pc

        mask = pc.match_substring_regex(leaf.values, self._marks)
        for i in np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist():
            data = leaf.values[i].as_py()
            found = self._patterns.found(data.decode("latin-1") + data.decode("utf-8", "replace"))
            for kind, what in found + self._told(data):
                self._hits.add(kind, place, leaf.rows[i] + start, what)

    def _told(self, data: bytes) -> list[tuple[str, str]]:
        return [one for copies in self._copies if copies.knows(data) for one in copies.told(data)]

    # ------------------------------------------------------------------ result
    def finish(self) -> None:
        """Adds what only all rows together show."""
        for place, (single, secret, found) in self._bare.items():
            if secret and secret >= single / 2:
                what = "Words that the protection inserts stand here alone."
                self._hits.add("words", place, np.concatenate(found), what)
