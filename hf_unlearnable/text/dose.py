"""A text's change made anew at random: as much of it, but no more telling of the label.

All that is drawn comes from a random stream of the row, see `key.row_stream`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.key import draws, row_stream
from hf_unlearnable.text.counting.counts import WordCounts
from hf_unlearnable.text.insertion.scripts import pieces_of

if TYPE_CHECKING:
    from datasets import Dataset

_WORDS, _ORDER, _PLACES = 0, 1 << 32, 2 << 32  # where in a row's stream the draws for each of these start


def random_changes(
    clean: Dataset, protected: Dataset, column: str, seed: int
) -> tuple[Callable[..., dict[str, list]], list[Dataset]]:
    """What puts words of the data into each text, as many as its protected version has more.

    Where the protection only put words in, other words stand at the same places, each drawn from all different
    words of the clean texts. Where it did more, as many words as differ between the two texts are replaced, put in or
    taken out at places drawn at random: at their own places they might be the very words that tell the label. A
    change of white space alone, or of the order of words, is not imitated.

    Args:
        clean, protected: Rows before and after.
        column: Column of texts.
        seed: Of the draws.

    Returns:
        A function of a batch of texts and of batches of what each one is given, and the datasets of these.
    """
    vocabulary = _vocabulary(clean, column)
    return partial(_random_words, column=column, seed=seed, vocabulary=vocabulary), [protected]


def random_words(before: str, after: str, stream: int, vocabulary: Sequence[str]) -> str:
    """A text with as many words changed as two texts differ in.

    Where words were only put in, others stand in their places. Otherwise the words that differ are counted, and as
    many are replaced, put in or taken out at places drawn at random. They are counted regardless of their places: an
    alignment takes quadratic time, minutes for a book. A change of white space alone, or of the order of words, is
    none.

    Args:
        before: The text.
        after: The text after its protection.
        stream: The row's random stream.
        vocabulary: What words are drawn from, all with the same chance.
    """
    clean, protected = pieces_of(before), pieces_of(after)
    spans = _inserted(clean, protected)
    if spans is None:
        return _edited(clean, protected, stream, vocabulary)
    put_in = ["".join(protected[start:stop]) for start, stop in spans]
    if all(piece.isspace() for piece in put_in):
        return before
    words = iter(_drawn_words(stream, len(protected) - len(clean), vocabulary))
    parts, end = [], 0
    for piece, (start, stop) in zip(put_in, spans, strict=True):
        parts += [*protected[end:start], re.sub(r"\S+", lambda match: next(words), piece)]
        end = stop
    return "".join([*parts, *protected[end:]])


def _inserted(before: list[str], after: list[str]) -> list[list[int]] | None:
    """Start and end of the runs of tokens in `after` that were put in; None if more than that was done to `before`."""
    spans: list[list[int]] = []
    i, expected = 0, [*before, None]
    for j, token in enumerate(after):
        if token == expected[i]:
            i += 1
        elif spans and spans[-1][1] == j:
            spans[-1][1] = j + 1
        else:
            spans.append([j, j + 1])
    return spans if i == len(before) else None


def _edited(before: list[str], after: list[str], stream: int, vocabulary: Sequence[str]) -> str:
    """The text of `before` with random edits, as many as the words of the two differ in."""
    places = [i for i, token in enumerate(before) if not token.isspace()]
    old, new = Counter(before), Counter(after)
    removed, added = (
        sum(count for token, count in more.items() if not token.isspace()) for more in (old - new, new - old)
    )
    replaced = min(removed, added)
    words = _drawn_words(stream, added, vocabulary)
    order = [places[k] for k in np.argsort(_drawn(stream, _ORDER, len(places)), kind="stable")]
    tokens = [*before, ""]  # the last place is behind the text
    for place, word in zip(order, words[:replaced], strict=False):
        tokens[place] = word
    for place in order[replaced:removed]:
        tokens[place] = ""
        if tokens[place + 1].isspace():
            tokens[place + 1] = ""
    ends = [*places, len(before)]
    for word, bits in zip(words[replaced:], _drawn(stream, _PLACES, added - replaced).tolist(), strict=True):
        place = ends[bits % len(ends)]
        tokens[place] = f"{tokens[place]} {word}" if place == len(before) else f"{word} {tokens[place]}"
    return "".join(tokens)


def _drawn_words(stream: int, count: int, vocabulary: Sequence[str]) -> list[str]:
    return [vocabulary[bits % len(vocabulary)] for bits in _drawn(stream, _WORDS, count).tolist()]


def _drawn(stream: int, start: int, count: int) -> np.ndarray:
    """Draws of a row's stream from number `start` on, uint64 [count]."""
    return draws(np.full(count, stream, np.uint64), np.arange(start, start + count, dtype=np.uint64))


def _random_words(
    befores: Sequence[str | None], afters: Sequence[str | None], *, column: str, seed: int, vocabulary: Sequence[str]
) -> dict[str, list]:
    return {
        column: [
            before
            if before == after or before is None or after is None
            else random_words(before, after, row_stream(before.encode(), seed), vocabulary)
            for before, after in zip(befores, afters, strict=True)
        ]
    }


def _vocabulary(clean: Dataset, column: str) -> list[str]:
    """All different words of the texts, sorted."""
    import pyarrow as pa

    counts = WordCounts()
    for table in clean.select_columns([column]).with_format("arrow").iter(batch_size=10_000):
        texts = table[column].combine_chunks()
        counts.update(texts, pa.array(np.zeros(len(texts), np.int8)))
    words = counts.table()["word"].drop_nulls().sort().to_list()
    if not words:
        raise ValueError(f"Column {column!r} of the clean version holds no words, so there are none to put in.")
    return words
