"""The words of training rows, as the filters count and delete them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.adversary import Rows
from hf_unlearnable.text.counting.counts import _NOISE, _WORD, WordCounts
from hf_unlearnable.text.insertion.scripts import mostly_spaceless, pieces_of

if TYPE_CHECKING:
    import polars as pl

Z_ROWS = 5  # rarer words are left out: what a few rows give is far from normal
FIXED_Z = 12.0
LEAST_DEVIATION = 0.5  # words of equal counts have equal z, and might not deviate at all


def row_counts(texts: Sequence[str], labels: Sequence[int] | None = None) -> pl.DataFrame | None:
    """In how many rows each word stands, by label; None where there are no words.

    Args:
        texts: n texts.
        labels: n labels; None for one label.

    Returns:
        Columns `label`, `word`, `count` (rows of the label with the word), `total` (rows with it), `label_rows` and
        `rows`. A word that a row holds several times with different punctuation may count as often.
    """
    import polars as pl

    frame = pl.DataFrame(
        {"text": list(texts), "label": np.zeros(len(texts), int) if labels is None else np.asarray(labels, int)},
        schema={"text": pl.String, "label": pl.Int64},
    )
    if frame.is_empty():
        return None
    once = frame["text"].str.to_lowercase().str.split(" ").list.unique(maintain_order=True).list.join(" ")
    counts = WordCounts()
    counts.update(once.to_arrow(), frame["label"].to_arrow())
    table = (
        counts.table()
        .filter(pl.col("word").is_not_null() & (pl.col("count") > 0))
        .join(frame.group_by("label").agg(label_rows=pl.len().cast(pl.Int64)), on="label")
        .with_columns(total=pl.col("count").sum().over("word"), rows=pl.lit(len(frame)))
    )
    return None if table.is_empty() else table


def without(texts: Sequence[str], words: Collection[str]) -> list[str]:
    """The texts without these words (in lower case); a piece between spaces that is nothing else goes with its space.

    Only distinct pieces are searched, as in counting.
    """
    if not words:
        return list(texts)
    import polars as pl

    pieces = pl.Series(list(texts), dtype=pl.String).str.split(" ").explode().unique()
    found = pieces.str.to_lowercase().str.replace_all(_NOISE, " ").str.extract_all(_WORD)
    hits = pl.DataFrame({"piece": pieces, "words": found}).filter(
        pl.col("words").list.eval(pl.element().is_in(list(words))).list.any()
    )
    left = {piece: _piece_without(piece, held, words) for piece, held in hits.iter_rows()}
    changed = left.keys()
    return [
        text if changed.isdisjoint(text.split(" "))
        else " ".join(kept for piece in text.split(" ") if (kept := left.get(piece, piece)) is not None)
        for text in texts
    ]  # fmt: skip


def _piece_without(piece: str, held: Sequence[str], words: Collection[str]) -> str | None:
    """A piece without some of the words that it holds, in order; None if nothing is left."""
    lower = piece.lower()
    if len(lower) != len(piece):  # some capitals have longer small letters, and places do not match
        return None
    kept, end = "", 0
    for word in held:
        start = lower.find(word, end)
        if start < 0:
            continue
        kept += piece[end:start] + ("" if word in words else piece[start : start + len(word)])
        end = start + len(word)
    return (kept + piece[end:]) or None


def only(rows: Rows, kept: Sequence[int]) -> Rows:
    return Rows([rows.inputs[i] for i in kept], [rows.labels[i] for i in kept])


def cut(text: str) -> tuple[list[str], str]:
    """Words and what joins them: pieces between spaces; in scripts that are written without them, letters."""
    if mostly_spaceless(text):
        return pieces_of(text), ""
    return text.split(" "), " "


@dataclass(frozen=True)
class Words:
    """The words of n texts, one behind the other: pieces between spaces, lower case, without punctuation around.

    Args:
        pieces: of each text, with what joins them.
        names: the distinct words.
        id: of each word of all texts, which of the names it is, int64 [t].
        row: which text it stands in, int64 [t].
        place: which piece of its text it is, int64 [t].
        sentence: which sentence of all texts it stands in, int64 [t].
    """

    pieces: list[tuple[list[str], str]]
    names: list[str]
    id: np.ndarray
    row: np.ndarray
    place: np.ndarray
    sentence: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words | None:
        """None where there are no words."""
        names: dict[str, int] = {}
        flat: list[tuple[int, int, int, int]] = []
        pieces = [cut(text) for text in texts]
        sentence = 0
        for row, (own, _) in enumerate(pieces):
            sentence += 1
            for place, piece in enumerate(own):
                word = _EDGES.sub("", piece.lower())
                if word:
                    flat.append((names.setdefault(word, len(names)), row, place, sentence))
                sentence += piece.rstrip("\"')]").endswith((".", "!", "?", "…"))
        if not flat:
            return None
        return cls(pieces, list(names), *np.array(flat, np.int64).T)

    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of words, and of those behind them in the same text."""
        first = np.flatnonzero(self.row[1:] == self.row[:-1])
        return first, first + 1

    def most_frequent(self, count: int) -> np.ndarray:
        """Ids of the words in the most rows, the first in the alphabet of those in as many."""
        pairs = np.unique(self.row * len(self.names) + self.id) % len(self.names)
        rows = np.bincount(pairs, minlength=len(self.names))
        return np.array(sorted(range(len(rows)), key=lambda i: (-rows[i], self.names[i]))[:count], np.int64)

    def first_places(self, ids: np.ndarray) -> np.ndarray:
        """The place at which each of these words first stands in each text, floats [n, ids]; inf where it is not."""
        column = np.full(len(self.names), -1)
        column[ids] = np.arange(len(ids))
        places = np.full((len(self.pieces), len(ids)), np.inf, np.float32)
        kept = np.flatnonzero(column[self.id] >= 0)[::-1]  # the first is written last
        places[self.row[kept], column[self.id[kept]]] = self.place[kept]
        return places

    def relative_places(self) -> Iterator[np.ndarray]:
        """Where each word stands in its text, and in its sentence, from 0 to 1, floats [t]."""
        for group in (self.row, self.sentence):
            start = np.flatnonzero(np.diff(group, prepend=-1))
            length = np.diff(start, append=len(group))
            within = np.arange(len(group)) - np.repeat(start, length)
            yield within / np.repeat(np.maximum(1, length - 1), length)

    def without(self, numbers: np.ndarray) -> list[str]:
        """The texts without the words of these numbers."""
        gone = {
            (row, place) for row, place in zip(self.row[numbers].tolist(), self.place[numbers].tolist(), strict=True)
        }
        changed = {row for row, _ in gone}
        texts = []
        for row, (pieces, space) in enumerate(self.pieces):
            if row in changed:
                left = [_edges(piece) if (row, i) in gone else piece for i, piece in enumerate(pieces)]
                pieces = [piece for piece, before in zip(left, pieces, strict=True) if piece or not before]
            texts.append(space.join(pieces))
        return texts


_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def _edges(piece: str) -> str:
    """The punctuation around a word."""
    return "".join(_EDGES.findall(piece))


def telling(items: np.ndarray, row: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Those items that go with a label: z above 12, as in `z_score_filter`.

    Args:
        items: int64 [t].
        row: which row each stands in, int64 [t].
        labels: of the rows.
    """
    found, item = np.unique(items, return_inverse=True)
    classes, label = np.unique(np.asarray(labels), return_inverse=True)
    pair = np.unique(row * len(found) + item)  # once a row
    row, item = pair // len(found), pair % len(found)
    total = np.bincount(item, minlength=len(found))
    told = np.zeros(len(found), bool)
    for one in range(len(classes)):
        p = (label == one).mean()
        own = np.bincount(item, label[row] == one, len(found))
        if p < 1:
            told |= (own / total - p) / np.sqrt(p * (1 - p) / total) > FIXED_Z
    return found[told & (total >= Z_ROWS)]
