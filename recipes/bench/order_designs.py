"""Codes that were tried and not made a method: `method: order_designs:Doubled` in a configuration of `protection.py`.

Those of place are for two labels and insert no word of their own. All have the parts of a transform that it uses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from hf_unlearnable import OrderCodeTransform, RegTextTransform

_SENTENCE = re.compile(r"(?<=[.!?…]) (?=\S)")


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
