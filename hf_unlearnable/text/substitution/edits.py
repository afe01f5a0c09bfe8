"""Words of texts that may be replaced, and the store of what was replaced by what: exact both ways."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import regex

from hf_unlearnable.text.carriers import TURNING
from hf_unlearnable.text.insertion.scripts import SPACELESS
from hf_unlearnable.text.insertion.spans import spans

if TYPE_CHECKING:
    from hf_unlearnable.text.insertion.batch import BatchTexts

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’-][\p{L}\p{M}\p{N}]+)*")
_PLAIN = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}]--{SPACELESS}]+(?:['’-][\p{{L}}\p{{M}}]+)*")

Edit = tuple[int, str, str]  # where in the text, the word there, and the one to put in its place


def words_of(text: str) -> tuple[list[str], list[int], list[int]]:
    """The words of a text, and which of them may be replaced.

    Those stand between white space and are letters alone: nothing hangs on them. They are not in code, markup or data,
    do not negate or quantify, and are of a script with spaces.

    Args:
        text: The text.

    Returns:
        The words, where each one starts, and the numbers of those that may be replaced.
    """
    words: list[str] = []
    starts: list[int] = []
    free: list[int] = []
    held, i = spans(text, addresses=True), 0
    for match in _WORD.finditer(text):
        word, (start, end) = match[0], match.span()
        while i < len(held) and held[i][1] <= start:
            i += 1
        inside = i < len(held) and held[i][0] < end
        alone = (not start or text[start - 1].isspace()) and (end == len(text) or text[end].isspace())
        if alone and not inside and _PLAIN.fullmatch(word) and word.lower() not in TURNING:
            free.append(len(words))
        words.append(word)
        starts.append(start)
    return words, starts, free


def edited(text: str, edits: Sequence[Edit]) -> str:
    """A text with the words replaced.

    Args:
        text: The text.
        edits: Ascending by place.

    Raises:
        ValueError: A word is not where it should be.
    """
    parts: list[str] = []
    last = 0
    for place, old, new in edits:
        if not text.startswith(old, place):
            raise ValueError("a word is not where it was at fit")
        parts += (text[last:place], new)
        last = place + len(old)
    return "".join([*parts, text[last:]])


def undone(edits: Sequence[Edit]) -> list[Edit]:
    """What gives the text back: the edits the other way round, at the places where they are now."""
    shift, back = 0, []
    for place, old, new in edits:
        back.append((place + shift, new, old))
        shift += len(new) - len(old)
    return back


@dataclass(frozen=True)
class LabelledRow:
    """A row with a label.

    Args:
        texts: Its texts, some of which may be None or blank.
        label: Its label.
        number: Of the label.
        identity: What identifies it, see `Transform._streams`.
    """

    texts: list[str | None]
    label: Any
    number: int
    identity: int

    def ways(self, ranked: Sequence[Sequence[Edit]], rate: float) -> Iterator[dict[int, list[Edit]]]:
        """The ways to edit the row, the best first: they end with inserting the words, and leaving it as it is.

        Every text gets one edit for every 1 / rate words, and at least one, where it has places.

        Args:
            ranked: The edits of each text, the best first, one per place.
            rate: Edits per word.
        """
        doses = [max(1, int(rate * ((text or "").count(" ") + 1))) for text in self.texts]
        for skipped in range(max(map(len, ranked), default=0)):
            parts = enumerate(zip(ranked, doses, strict=True))
            yield {part: sorted(edits[skipped : skipped + dose]) for part, (edits, dose) in parts if edits[skipped:]}
        parts = enumerate(zip(ranked, doses, strict=True))
        best = {part: sorted(edits[:dose]) for part, (edits, dose) in parts if edits}
        yield {part: [(place, "", f"{new} ") for place, _, new in edits] for part, edits in best.items()}
        yield {}


def content(texts: Sequence[str | None], label: Any, edits: Mapping[int, Sequence[Edit]] | None = None) -> bytes:
    """What identifies a row, after these edits of its texts: the texts and the label."""
    changed = [edited(text or "", (edits or {}).get(part, ())) for part, text in enumerate(texts)]
    return "\0".join([*changed, repr(label)]).encode("utf-8", "surrogatepass")


def labelled_rows(
    texts: BatchTexts, labels: Sequence[Any], numbers: Sequence[int | None],
    identities: Callable[[list[bytes | None]], Sequence[int | None]],
) -> list[LabelledRow | None]:  # fmt: skip
    """The rows of a batch; None for one without a number or a text.

    Args:
        texts: Of the batch.
        labels: Of its rows.
        numbers: Of these labels; None for rows that do not count.
        identities: From what identifies each row to its identity.

    Raises:
        ValueError: A row holds something else than text.
    """
    for i, (row, text) in enumerate(zip(texts.row, texts.texts, strict=True)):
        if numbers[row] is not None and not isinstance(text, str | None):
            raise ValueError(
                f"Row {row} of this batch holds {type(text).__name__} in column {texts.column[i]!r}, not text. Cast "
                "the column to string first."
            )
    rows = list(zip(texts.by_row(), labels, numbers, strict=True))
    told = identities([
        None if number is None or not any(text and not text.isspace() for text in own) else content(own, label)
        for own, label, number in rows
    ])  # fmt: skip
    return [
        None if number is None or identity is None else LabelledRow(own, label, number, identity)
        for (own, label, number), identity in zip(rows, told, strict=True)
    ]


@dataclass(frozen=True)
class Edits:
    """The edits of each row that was fitted.

    Args:
        ids: What identifies the rows, uint64 [n], ascending.
        after: What identifies them once they are protected, uint64 [n].
        classes: The number of the label of each, int32 [n].
        ends: Where the edits of each row end, int64 [n]; they begin where those of the row before end.
        parts: Which text of its row each edit is in, int32 [edits].
        places: Where in that text it is, int64 [edits].
        old, new: Numbers of words, int32 [edits].
        words: All words, a line each, UTF-8 as uint8.
    """

    ids: np.ndarray
    after: np.ndarray
    classes: np.ndarray
    ends: np.ndarray
    parts: np.ndarray
    places: np.ndarray
    old: np.ndarray
    new: np.ndarray
    words: np.ndarray

    @classmethod
    def of(cls, rows: dict[int, tuple[int, int, dict[int, list[Edit]]]]) -> Edits:
        """The store of rows: by identity, that afterwards, the number of the label, and the edits of each text."""
        ids = sorted(rows)
        of_row = [[(part, *edit) for part, edits in rows[one][2].items() for edit in edits] for one in ids]
        flat = [edit for edits in of_row for edit in edits]
        numbers = {word: i for i, word in enumerate(sorted({word for edit in flat for word in edit[2:]}))}
        return cls(
            ids=np.array(ids, np.uint64),
            after=np.array([rows[one][0] for one in ids], np.uint64),
            classes=np.array([rows[one][1] for one in ids], np.int32),
            ends=np.cumsum(list(map(len, of_row)), dtype=np.int64),
            parts=np.array([edit[0] for edit in flat], np.int32),
            places=np.array([edit[1] for edit in flat], np.int64),
            old=np.array([numbers[edit[2]] for edit in flat], np.int32),
            new=np.array([numbers[edit[3]] for edit in flat], np.int32),
            words=np.frombuffer("\n".join(numbers).encode(), np.uint8),
        )

    def row(self, identity: int) -> int | None:
        """The number of the row that this identifies; None for one that was not there at fit."""
        i = int(np.searchsorted(self.ids, np.uint64(identity)))
        return i if i < len(self.ids) and int(self.ids[i]) == identity else None

    def protected_row(self, identity: int) -> int | None:
        """The same for a row as it is once it is protected."""
        i = int(np.searchsorted(self.after, np.uint64(identity), sorter=self._by_after))
        return (
            int(self._by_after[i]) if i < len(self.after) and int(self.after[self._by_after[i]]) == identity else None
        )

    def of_row(self, row: int) -> dict[int, list[Edit]]:
        """The edits of a row, by the number of the text that they are in."""
        found: dict[int, list[Edit]] = {}
        for i in range(int(self.ends[row - 1]) if row else 0, int(self.ends[row])):
            edit = int(self.places[i]), self._lines[self.old[i]], self._lines[self.new[i]]
            found.setdefault(int(self.parts[i]), []).append(edit)
        return found

    def back(self, row: int) -> dict[int, list[Edit]]:
        """What undoes the edits of a row, by the number of the text."""
        return {part: undone(edits) for part, edits in self.of_row(row).items()}

    def new_words(self) -> dict[int, list[str]]:
        """The words that were put in, by the number of the label, the most frequent first."""
        found: dict[int, list[str]] = {}
        classes = np.repeat(self.classes, np.diff(self.ends, prepend=0))
        for number in np.unique(self.classes).tolist():
            words, counts = np.unique(self.new[classes == number], return_counts=True)
            ordered = (self._lines[i].strip() for i in words[np.argsort(-counts, kind="stable")])
            found[number] = list(dict.fromkeys(ordered))
        return found

    @cached_property
    def _by_after(self) -> np.ndarray:
        return np.argsort(self.after, kind="stable")

    @cached_property
    def _lines(self) -> list[str]:
        return self.words.tobytes().decode().split("\n")

    def tensors(self) -> dict[str, np.ndarray]:
        """What a key holds of it."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def check(self, classes: int) -> None:
        """Raises a ValueError for what no fit on so many classes gives: of a damaged key."""
        kinds = {
            "ids": np.uint64, "after": np.uint64, "classes": np.int32, "ends": np.int64, "parts": np.int32,
            "places": np.int64, "old": np.int32, "new": np.int32, "words": np.uint8,
        }  # fmt: skip
        for name, kind in kinds.items():
            if getattr(self, name).dtype != kind or getattr(self, name).ndim != 1:
                raise ValueError(f"{name} of its edits is not of the type {np.dtype(kind)}")
        edits = int(self.ends[-1]) if len(self.ends) else 0
        same = len(self.ids) == len(self.after) == len(self.classes) == len(self.ends)
        if not same or any(len(one) != edits for one in (self.parts, self.places, self.old, self.new)):
            raise ValueError("its edits are not as many as its rows say")
        numbers = np.concatenate([self.old, self.new, self.parts, self.places])
        if edits and (numbers.min() < 0 or max(self.old.max(), self.new.max()) >= len(self._lines)):
            raise ValueError("an edit names a word or a place that is none")
        if len(self.ids) and not 0 <= self.classes.min() <= self.classes.max() < classes:
            raise ValueError("a row has a label that is none")
        if not (self.ids[1:] > self.ids[:-1]).all() or (np.diff(self.ends, prepend=0) < 0).any():
            raise ValueError("the ids of its rows do not ascend")


def checksum(tensors: Mapping[str, np.ndarray]) -> str:
    """What tells arrays from others, in hexadecimal digits."""
    hashed = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name]
        hashed.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return hashed.hexdigest()[:32]
