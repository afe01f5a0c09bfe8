"""Texts that a visitor types, one after another: classes of their own, and one key for all texts of these classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from hf_unlearnable.protection import protect
from hf_unlearnable.registry import load_transform
from hf_unlearnable.samples import load_notes

from .limits import RefusedError, check_text
from .protection import OTHERS, methods, transform

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.key import Key
    from hf_unlearnable.text.fidelity import TextFidelity
    from hf_unlearnable.transform import Transform

    from .session import Session

MAX_TYPED = 500  # texts with one key; more of them are a table
_MAX_NAMES = 1000  # letters of all class names


@dataclass(frozen=True)
class Typed:
    """A protected text, and those that were typed before it under the same key.

    Args:
        after: The protected text.
        change: What was changed in it.
        words: For each class the words or phrases that its texts get.
        key: The key of all of them.
        original, protected: All texts under this key, columns `text` and `label`.
    """

    after: str
    change: TextFidelity
    words: dict[str, list[str]]
    key: Key
    original: Dataset
    protected: Dataset


def classes_of(label: str, others: str) -> list[str]:
    """The class of a text and the others of its dataset.

    Args:
        label: Name of the text's class.
        others: Names of the others, with commas between them.

    Returns:
        Two names or more, the text's first.

    Raises:
        RefusedError: The class has no name, or there is no other.
    """
    names = list(dict.fromkeys(name.strip() for name in (label, *others.split(",")) if name.strip()))
    if not label.strip():
        raise RefusedError("The class has no name. Say what a model would be taught to see in the text: a topic, say.")
    if len(names) < 2:
        raise RefusedError(f"There is one class only, {names[0]!r}. Name another one: a mark tells classes apart.")
    if sum(map(len, names)) > _MAX_NAMES:
        raise RefusedError(f"The names of the classes have more than {_MAX_NAMES:,} letters. Upload a table.")
    return names


@cache
def _notes() -> Dataset:
    return load_notes("train").sort("label")


def fitted(text: str, classes: list[str], method: str, strength: str) -> Transform:
    """A transform with a new key for these classes.

    One text is too little to count words in. The sample notes stand in for the rest of the dataset, cut into as many
    parts as there are classes. Each part holds other topics, so a word that stands equally often in all tells none.

    Args:
        text: The first text to protect.
        classes: Its class, then the others.
        method: Name of the method.
        strength: "Light", "Standard" or "Strong".
    """
    from datasets import Dataset

    if method not in methods("text"):
        raise RefusedError(f"There is no method {method!r} for texts. Choose one of {', '.join(methods('text'))}.")
    notes = _notes()["text"][:]
    labels = [classes[i * len(classes) // len(notes)] for i in range(len(notes))]
    rows = Dataset.from_dict({"text": [*notes, text], "label": [*labels, classes[0]]})
    return transform(method, strength).fit(rows)


def protect_one(
    text: str, label: str, method: str, strength: str, others: str = OTHERS, session: Session | None = None
) -> Typed:
    """Protects a text; with the key of the texts before it where method, strength and classes are the same.

    Args:
        text: The text.
        label: Name of its class.
        method: Name of the method.
        strength: "Light", "Standard" or "Strong".
        others: Names of the other classes of the dataset, with commas between them.
        session: The visitor's, where the texts before it are; None for a text that stands alone.

    Raises:
        RefusedError: There is no text, no class or no such method, or there are too many texts.
    """
    from datasets import Dataset, concatenate_datasets

    classes = classes_of(label, others)
    plan = json.dumps([method, strength, *sorted(classes)])
    row = Dataset.from_dict({"text": [check_text(text)], "label": [classes[0]]})
    earlier = _earlier(session, plan) if session else None
    cloak = load_transform(session.key) if session and earlier else fitted(text, classes, method, strength)
    done = protect(row, cloak)
    original, protected = row, done.data["train"]
    if earlier:
        original, protected = (
            before if row[0] in earlier[0] else concatenate_datasets([before, new])
            for before, new in zip(earlier, (original, protected), strict=True)
        )
        if len(original) > MAX_TYPED:
            raise RefusedError(f"There are {MAX_TYPED} texts under this key. Upload the next ones as a table.")
    if session:
        columns = {"column": "text", "label_column": "label", "typed": plan}
        session.keep("text", original, protected, columns, cloak.key)
    change = done.fidelity["train"]["text"]
    words = cloak.inserted_words()
    return Typed(done.data["train"]["text"][0], change, words, cloak.key, original, protected)


def _earlier(session: Session, plan: str) -> tuple[Dataset, Dataset] | None:
    """The texts that were typed under the key that is kept, before and after; None where another plan made it."""
    if session.about().get("typed") != plan:
        return None
    _, original, protected = session.last()
    return original, protected
