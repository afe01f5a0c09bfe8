"""A countermeasure: a change of rows or training batches, and what an attacker brings for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np

from hf_unlearnable._words import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Training rows.

    Args:
        inputs: n inputs as `Modality.read` gives them: texts, images (PIL images, or uint8 arrays [height, width,
            channels]), or those of another kind.
        labels: n integer labels.
    """

    inputs: Sequence[Any]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Attacker:
    """What an adversary has apart from the published rows.

    Args:
        seed: of what the countermeasure draws.
        clean: Clean labelled rows of its own, none of them published, none of them tested on.
        corpus: Texts from elsewhere that show how often words are used.
        language_model: Causal language model that finds words out of place, a Hub id or a folder.
        published: How many rows were published, where it trains on fewer; None for all.
        paraphrase: Rewrites texts: `paraphrase(texts) -> texts` of the same number.
        label: Labels inputs without having seen published rows, such as a model that is asked as it is:
            `label(inputs) -> labels`.
    """

    seed: int = 0
    clean: Rows | None = None
    corpus: Sequence[str] | None = None
    language_model: str | None = None
    published: int | None = None
    paraphrase: Callable[[Sequence[str]], Sequence[str]] | None = None
    label: Callable[[Sequence[Any]], Sequence[int]] | None = None


@dataclass(frozen=True)
class Countermeasure:
    """One thing to try.

    Args:
        on_rows: `(rows, attacker) -> rows`, a pure function of both.
        in_training: `(images, targets, model, generator) -> (images, targets)`, called on every training batch after
            crop and flip. `images` are floats [batch, 3, height, width] in [0, 1]; `targets` are class indices
            [batch] or, on return, probabilities [batch, classes]; `generator` is the victim's torch generator.
        needs: The parts of the `Attacker` without which it cannot run, such as `("clean",)`.
        cost: Seconds of a training with it over one without it, roughly: what a plan of the grid goes by.
        modality: The kind of data that it is for; None for any.
    """

    on_rows: Callable[[Rows, Attacker], Rows] | None = None
    in_training: Callable[..., tuple[Any, Any]] | None = None
    needs: tuple[str, ...] = ()
    cost: float = 1.0
    modality: str | None = None

    def missing(self, attacker: Attacker) -> tuple[str, ...]:
        """What it needs and this attacker does not have."""
        return tuple(name for name in self.needs if getattr(attacker, name) is None)

    def then(self, other: Countermeasure) -> Countermeasure:
        """Their composition: this one, then the other, on the rows and on every training batch."""
        on_rows = [one.on_rows for one in (self, other) if one.on_rows]
        in_training = [one.in_training for one in (self, other) if one.in_training]
        return Countermeasure(
            on_rows=partial(_rows_in_turn, tuple(on_rows)) if on_rows else None,
            in_training=partial(_batch_in_turn, tuple(in_training)) if in_training else None,
            needs=tuple(dict.fromkeys(self.needs + other.needs)),
            cost=self.cost * other.cost,
            modality=self.modality or other.modality,
        )


def _rows_in_turn(changes: Sequence[Callable[[Rows, Attacker], Rows]], rows: Rows, attacker: Attacker) -> Rows:
    for change in changes:
        rows = change(rows, attacker)
    return rows


def _batch_in_turn(
    changes: Sequence[Callable[..., tuple[Any, Any]]], images: Any, targets: Any, model: Any, generator: Any
) -> tuple[Any, Any]:
    for change in changes:
        images, targets = change(images, targets, model, generator)
    return images, targets


def composed(name: str, known: Mapping[str, Countermeasure]) -> Countermeasure:
    """The countermeasure of a name, of which "a+b" is a, then b.

    Args:
        name: One of `known`, or several of them joined by "+".
        known: By name.

    Raises:
        ValueError: It, or a part of it, is unknown or missing.
    """
    parts = [name] if name in known else name.split("+")
    if not all(parts):
        raise ValueError(
            f"{name!r} names no countermeasure, or lacks one beside the +. Write a, or a+b for a, then b."
        )
    if unknown := [part for part in parts if part not in known]:
        raise ValueError(f"There is no countermeasure {', '.join(unknown)}. There are: {', '.join(known)}.")
    return reduce(Countermeasure.then, [known[part] for part in parts])


def mixed_with_clean(share: float) -> Countermeasure:
    """Adds clean rows of the attacker, of any kind of data, behind the published ones.

    An adversary that can label some data itself, or buys it, adds it to the protected rows; that costs nothing. What
    it gains depends on the protection: one that only makes its own rows worthless (Fowl et al., arXiv 2106.10807)
    loses nothing but what the clean rows teach by themselves, so compare with a training on these alone.

    Args:
        share: Clean rows to add, as a share of the published ones, above 0; at least one row is added. An attacker
            that has fewer adds all of them, and a warning says so.

    Raises:
        ValueError: `share` is not above 0.
    """
    if not share > 0:
        raise ValueError(f"share is {share}, but it is a share of the rows to add: give a number above 0.")

    def on_rows(rows: Rows, attacker: Attacker) -> Rows:
        clean = attacker.clean
        if clean is None:
            raise ValueError("Mixing in clean rows needs some: give Attacker(clean=Rows(...)).")
        wanted = max(1, round(share * (attacker.published or len(rows))))
        if len(clean) < wanted:
            logger.warning(
                "%s to be mixed in, and the attacker has %d: all are.",
                counted(wanted, "clean row was", "clean rows were"),
                len(clean),
            )
        drawn = np.random.default_rng(attacker.seed).permutation(len(clean))[:wanted].tolist()
        return Rows(
            [*rows.inputs, *(clean.inputs[i] for i in drawn)],
            [*rows.labels, *(clean.labels[i] for i in drawn)],
        )

    return Countermeasure(on_rows, needs=("clean",), cost=1 + share)
