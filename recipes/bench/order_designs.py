"""Codes that were tried and are no method: `method: order_designs:Doubled` in a configuration of `protection.py`.

`Doubled` and `Moved` are for two labels and insert no word of their own; the `doubled_word_filter` undoes the first.
All have the parts of a transform that `protection.py` uses.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, permutations
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hf_unlearnable import OrderCodeTransform, RegTextTransform
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.codes import offsets_of, row_draws, sizes_of

_SENTENCE = re.compile(r"(?<=[.!?…]) (?=\S)")
_DOUBLED = re.compile(r"(?i)(?<!\S)(\S+)(?: \1)+(?!\S)")
_CLAUSE = re.compile(r"(?:[,.;:!?…—–)]|--|<br />) +(?=\S)")
_NEAR = 40  # letters, some seven words, within which a carrier moves to the start of a clause


class _Design:
    method_version = 1

    def __init__(self, *, text_column: str = "text", label_column: str = "label", seed: int):
        self.text_column, self.label_column, self.seed = text_column, label_column, seed

    def fit(self, dataset: Dataset) -> _Design:
        labels = sorted(set(dataset[self.label_column]))
        self.early = labels[self.seed % 2]
        return self

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        pairs = zip(batch[self.text_column], batch[self.label_column], strict=True)
        return {**batch, self.text_column: [self.changed(text, label == self.early) for text, label in pairs]}

    @staticmethod
    def changed(text: str, early: bool) -> str:
        """The text of a row, `early` for one of the labels."""
        raise NotImplementedError


class Doubled(_Design):
    """The first word of a text stands twice under one label, the last under the other."""

    @staticmethod
    def changed(text: str, early: bool) -> str:
        words = text.split(" ")
        at = 0 if early else max(i for i, word in enumerate(words) if i == 0 or any(map(str.isalnum, word)))
        return " ".join([*words[: at + 1], *words[at:]])


class Moved(_Design):
    """The shortest sentence of a text comes first under one label, last under the other."""

    @staticmethod
    def changed(text: str, early: bool) -> str:
        sentences = _SENTENCE.split(text)
        shortest = sentences.pop(min(range(len(sentences)), key=lambda i: len(sentences[i])))
        return " ".join([shortest, *sentences] if early else [*sentences, shortest])


def doubled_word_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes a word that stands behind itself, in any case: a slip of the pen that clean-up undoes anyway."""
    return Rows([_DOUBLED.sub(r"\1", text) for text in rows.inputs], rows.labels)


@dataclass(kw_only=True, repr=False, eq=False)
class InOrder(OrderCodeTransform):
    """The order of the carriers where they stand apart ("order") or side by side ("adjacent").

    Begun at any carrier, n carriers have (n - 1)! orders, and none stands earlier under one label than under another.
    They are learned less surely than places, from long texts not at all.

    Args:
        code: "order" or "adjacent".
        rotate: Whether a code begins at a random carrier. The cyclic order is the code then.
        at_clauses: Whether carriers move to the start of a clause that is near, to read well.
    """

    code: str = "adjacent"
    rotate: bool = True
    at_clauses: bool = True

    def _in_columns(self) -> bool:
        return False  # what these parameters say is of `_planned`, text by text

    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {**OrderCodeTransform.choices, "code": ("order", "adjacent")}

    def _chosen_words(self, counts: Any, labels: list) -> dict[Any, dict]:
        n = self._carriers_per_code(len(labels))
        chosen: dict[Any, dict] = {label: {"late": [], "codes": []} for label in labels}
        for number, code in enumerate(self._codes(self._shuffled(self._candidates(counts), 0), n)):
            # Rotations of one order are the same order: the first carrier stays where it is.
            fixed, turning = code[: self.rotate], code[self.rotate :]
            orders = self._shuffled(islice(permutations(turning), math.factorial(7)), 2 + number)
            for label, order in zip(labels, orders, strict=False):
                chosen[label]["codes"].append([*fixed, *order])
        return chosen

    def _carriers_per_code(self, classes: int) -> int:
        return self.carriers_per_code or next(
            n for n in range(2, classes + 2) if math.factorial(n - self.rotate) >= classes
        )

    def _planned(self, texts: Sequence[Any], chosen: Sequence[dict], streams: Any, parts: Any) -> Iterator[tuple]:
        doses = np.array([max(1, int(self.rate * text.words)) for text in texts], np.int64)
        apart = len(chosen[0]["codes"][0]) if self.code == "order" and chosen else 1
        bits = row_draws(doses, streams, parts, 3 + apart)
        offsets, stop = offsets_of(*sizes_of(texts), doses, bits[:, 2:]).tolist(), 0
        for text, own, dose in zip(texts, chosen, doses.tolist(), strict=True):
            start, stop = stop, stop + dose
            codes = [own["codes"][int(one * self.num_codes)] for one in bits[start:stop, 0]]
            if self.rotate:
                starts = (bits[start:stop, 1] * len(codes[0])).astype(int)
                codes = [[*code[first:], *code[:first]] for code, first in zip(codes, starts, strict=True)]
            flat = list(chain.from_iterable(offsets[start:stop]))
            places = text.in_order(near_clauses(text.text, flat) if self.at_clauses else flat)
            each = 1 if self.code == "order" else len(codes[0])  # carriers that stand side by side share a place
            places = [place for place in places for _ in range(each)]
            yield places, list(chain.from_iterable(codes))[: len(places)]


def near_clauses(text: str, offsets: Sequence[int]) -> list[int]:
    """Offsets in ascending order, moved to the start of a clause that is near and not taken yet."""
    starts = [0, *(match.end() for match in _CLAUSE.finditer(text))]
    moved: list[int] = []
    last = -1
    for offset in offsets:
        i = bisect_left(starts, offset)
        nearest = min(starts[max(0, i - 1) : i + 1], key=lambda start: abs(start - offset))
        last = nearest if nearest > last and abs(nearest - offset) <= _NEAR else max(last, offset)
        moved.append(last)
    return moved


class RarestLeft(OrderCodeTransform):
    """The rows of the rarest label stay as they are: no code means that label. `classes` does it for a dataset."""

    def fit(self, dataset: Dataset) -> RarestLeft:
        labels = Counter(dataset[self.label_column])
        self.classes = sorted(set(labels) - {min(labels, key=lambda label: labels[label])})
        return super().fit(dataset)


class WithRegText:
    """An order code in every row, and RegText's words in a tenth of them."""

    method_version = 1

    def __init__(self, *, seed: int, fraction: float = 0.1):
        order_code = OrderCodeTransform(seed=seed, carriers_per_code=2)
        self.parts = [order_code, RegTextTransform(seed=seed, fraction=fraction)]

    def fit(self, dataset: Dataset) -> WithRegText:
        for part in self.parts:
            part.fit(dataset)
        return self

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        for part in self.parts:
            batch = {**batch, **part(batch)}
        return dict(batch)
