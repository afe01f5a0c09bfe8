"""The search for what only the owner may know: the seed, lists of words, paths and tokens, what a camera wrote."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.publish.patterns import ABSOLUTE, HOME, NOBODY, Patterns
from hf_unlearnable.publish.readings import readings
from hf_unlearnable.publish.seed import LARGE
from hf_unlearnable.publish.values import Leaf

if TYPE_CHECKING:
    from hf_unlearnable.copies import Copies
    from hf_unlearnable.publish.findings import Hits
    from hf_unlearnable.publish.words import Words

_LISTED = "Words that the protection inserts are listed."
_ALONE = "Words that the protection inserts stand here alone."
UNREAD = "This archive cannot be looked at, or holds more than is looked at."


class Secrets:
    """Looks at one file or batch after the other, in any order and from several threads.

    Args:
        patterns: What is searched as letters.
        words: What is searched as a list, in rows.
        words_in_notes: The same in the card and other small files, less what these say in any case.
        labels: Column of labels, and those that the key knows: they are no secret there.
        seed: Of the key; None if it is not known.
        copies: Of all kinds of files, to be asked what one tells.
        hits: Gathers what is found.
    """

    def __init__(
        self,
        patterns: Patterns,
        words: Words,
        words_in_notes: Words,
        labels: tuple[str | None, Sequence[Any]],
        seed: int | None,
        copies: Sequence[Copies],
        hits: Hits,
    ):
        self._patterns, self._words, self._words_in_notes, self._seed = patterns, words, words_in_notes, seed
        self._label_column, self._labels = labels[0], {str(label).lower() for label in labels[1]}
        self._copies, self._hits = copies, hits
        self._marks = "|".join(filter(None, [*(one.marks for one in copies), patterns.short]))
        self._lock = threading.Lock()
        self._bare: dict[
            tuple[str, str, str], list
        ] = {}  # split, column, place: single words, secret ones, their rows
        self._homes: dict[str, list[int]] = {}  # place: texts, those that name somebody's home folder

    def knows(self, data: bytes) -> bool:
        """Whether a file is of a kind that is opened elsewhere, such as an image."""
        return any(copies.knows(data) for copies in self._copies)

    # ------------------------------------------------------------------ files
    def look_at_file(self, data: bytes, name: str) -> list[str]:
        """The card, a report, anything small.

        Returns:
            The texts that it reads as.
        """
        results, whole = readings(data)
        if not whole:
            self._hits.add("unread", name, [], UNREAD)
        public = re.fullmatch(r"dataset_infos?\.json|state\.json", name.rsplit("/", 1)[-1]) is None
        for one in (data, *(result for result in results if isinstance(result, bytes))):
            for kind, what in self._patterns.found_in_bytes(one) + self._told(one):
                self._hits.add(kind, name, [], what)
        texts = [result for result in results if isinstance(result, str)] or [data.decode("utf-8", "replace")]
        for text in texts:
            self.look_at_note(text, name, public=public)
        return texts

    def look_at_note(self, text: str, place: str, public: bool) -> None:
        """A text that is no row; in a public one examples of paths are allowed."""
        found = self._patterns.found(text)
        if not public and ABSOLUTE.search(text):
            found.append(("path", "A path of a machine is told."))
        words = self._words_in_notes
        if words.all and (words.alone(text) or words.listed(text, gap=3)):
            found.append(("words", _LISTED))
        for kind, what in found:
            self._hits.add(kind, place, [], what)

    # ------------------------------------------------------------------ rows
    def look_at_rows(self, leaves: Iterable[Leaf], protected: list[str], split: str, start: int) -> None:
        """The values of a batch that begins at this row of its split."""
        for leaf in leaves:
            if leaf.is_text:
                self._look_at_texts(leaf, split, start, leaf.is_own(protected))
            elif leaf.is_binary:
                self._look_at_bytes(leaf, f"{split}/{leaf.path}", start)
            else:
                self._look_at_numbers(leaf, f"{split}/{leaf.path}", start)

    def _look_at_texts(self, leaf: Leaf, split: str, start: int, is_own: bool) -> None:
        place, texts = f"{split}/{leaf.path}", leaf.texts.series
        if leaf.part == "path":
            for i, path in enumerate(texts.to_list()):
                if path and ABSOLUTE.match(path):
                    what = "The path of a file is stored beside its bytes."
                    self._hits.add("path", place, leaf.rows[i] + start, what)
        for i, kind, what in self._patterns.found_in_texts(leaf.texts):
            self._hits.add(kind, place, leaf.rows[i] + start, what)
        if not leaf.reading:
            self._count_homes(leaf, place)
        if self._words.all:
            self._look_for_words(texts, leaf, split, start, is_own)

    def _look_for_words(self, texts: Any, leaf: Leaf, split: str, start: int, is_own: bool) -> None:
        place, words, column = f"{split}/{leaf.path}", self._words, (split, leaf.root)
        labels = self._labels if leaf.path == self._label_column else set()
        for i in words.candidates(texts, is_own) if not labels else ():
            if words.listed(texts[i], share=1 / 2 if is_own else 1 / 4, least=3 if is_own else 2):
                self._hits.add("words", place, leaf.rows[i] + start, _LISTED, column)
        if not is_own:
            index = np.flatnonzero(np.diff(leaf.texts.ends, prepend=0) <= max(map(len, words.lower)) * 4 + 8)
            bare = texts.gather(index).str.strip_chars(" \t\n\"'.,;:()[]{}`").str.to_lowercase()
            single = bare.str.contains(r"^\S+$")
            secret = bare.is_in([word for word in words.lower if word not in labels])
            with self._lock:
                count = self._bare.setdefault((*column, place), [0, 0, []])
                count[0] += int(single.sum())
                count[1] += int(secret.sum())
                count[2].append(leaf.rows[index[secret.to_numpy()]] + start)

    def _count_homes(self, leaf: Leaf, place: str) -> None:
        """Home folders of any system: one may be an example, one in every row is where the data came from."""
        held = np.flatnonzero(leaf.texts.contains("/home/|Users|Documents and Settings"))
        named = 0
        if len(held):
            names = leaf.texts.series.gather(held).str.extract(HOME).drop_nulls().str.to_lowercase()
            named = int((~names.is_in([name.lower() for name in NOBODY])).sum())
        with self._lock:
            count = self._homes.setdefault(place, [0, 0])
            count[0] += len(leaf.values) - leaf.values.null_count
            count[1] += named

    def _look_at_numbers(self, leaf: Leaf, place: str, start: int) -> None:
        seed, spelled = self._seed, self._patterns.seed
        if seed is None or spelled is None or (seed < LARGE and "seed" not in leaf.path.lower()):
            return
        for found in spelled.in_numbers(leaf.values):
            if len(found):
                self._hits.add("seed", place, leaf.rows[found] + start, "The seed of the key stands here.")

    def _look_at_bytes(self, leaf: Leaf, place: str, start: int) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        bare = pa.array([self._besides(data) for data in leaf.files], pa.large_binary())
        mask = pc.match_substring_regex(bare, self._marks).to_numpy(zero_copy_only=False).copy()
        mask[self._patterns.files_with_tokens(leaf.texts)] = True
        mask[self._patterns.in_files.stand_in(leaf.texts)] = True
        for i in np.flatnonzero(mask).tolist():
            data = leaf.files[i] or b""
            for kind, what in self._patterns.found_in_bytes(data) + self._told(data):
                self._hits.add(kind, place, leaf.rows[i] + start, what)

    def _besides(self, data: bytes | None) -> bytes:
        """A file without what it shows, compressed, and so without what may stand there by chance."""
        for copies in self._copies:
            if data and copies.knows(data):
                return copies.besides(data)
        return data or b""

    def _told(self, data: bytes) -> list[tuple[str, str]]:
        """What a file of any kind tells beside what it shows, and what the texts in it tell."""
        found = []
        for copies in self._copies:
            if copies.knows(data):
                found += copies.told(data)
                for note in copies.notes(data):
                    found += self._patterns.found(note)
        return found

    # ------------------------------------------------------------------ result
    def finish(self) -> None:
        """Adds what only all rows together show."""
        for (split, column, place), (single, secret, found) in self._bare.items():
            if secret and secret >= single / 2:
                self._hits.add("words", place, np.concatenate(found), _ALONE, (split, column))
        for place, (count, named) in self._homes.items():
            if named >= 3 and named >= 0.9 * count:
                self._hits.add("path", place, [], "A person's home folder is told in every row.")
