"""What an adversary has, trains and tries: rows, victims, countermeasures.

A `Victim` is a model in training. A `Countermeasure` changes the rows before that (`on_rows`), each training batch
(`in_training`), or both, to learn in spite of a protection. Both see what an adversary has: the published rows, and
what it brings itself (`Attacker`). They never see the key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Training rows.

    Args:
        inputs: n texts, or n images (PIL images, or uint8 arrays [height, width, channels]).
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
    """

    seed: int = 0
    clean: Rows | None = None
    corpus: Sequence[str] | None = None
    language_model: str | None = None
    published: int | None = None
    paraphrase: Callable[[Sequence[str]], Sequence[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a victim trains on batches. Every victim has its own defaults; a modality may add fields of its own.

    Args:
        seed: Decides the initial weights, the order of the batches and all else that is random.
        epochs: Passes over the training rows.
        batch_size: Rows per update.
        learning_rate: Peak of the schedule; None for the victim's own rule.
        on_epoch: `(accuracy, predicted)`, called after each epoch with the accuracy on the training rows as they were
            trained on, in [0, 1], and the labels predicted for the test rows. It changes nothing of the outcome.
        in_training: See `Countermeasure`.
    """

    seed: int = 0
    epochs: int = 1
    batch_size: int = 32
    learning_rate: float | None = None
    on_epoch: Callable[[float, np.ndarray], None] | None = None
    in_training: Callable[..., tuple[Any, Any]] | None = None


@dataclass(frozen=True)
class Victim:
    """A model that an adversary may train, by name.

    Args:
        train: `(train_inputs, train_labels, test_inputs, training, **settings) -> labels`: n inputs with integer
            labels, m inputs to label, how to train, and what else this victim can be told; an int array [m].
        modality: The kind of data that it reads.
        training: Its defaults.
        needs: Settings without which it cannot run, such as `("model",)` for a pretrained one.
        hooks: Those fields of `training` that it calls: `("on_epoch", "in_training")`, or some of them.
    """

    train: Callable[..., np.ndarray]
    modality: str
    training: Training = Training()
    needs: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ("on_epoch",)

    @property
    def name(self) -> str:
        """Its function's name."""
        return self.train.__name__


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


def mixed_with_clean(share: float) -> Countermeasure:
    """Adds clean rows of the attacker, of texts or images, behind the published ones.

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
            logger.warning("%d clean rows were to be mixed in, and the attacker has %d: all are.", wanted, len(clean))
        drawn = np.random.default_rng(attacker.seed).permutation(len(clean))[:wanted].tolist()
        return Rows(
            [*rows.inputs, *(clean.inputs[i] for i in drawn)],
            [*rows.labels, *(clean.labels[i] for i in drawn)],
        )

    return Countermeasure(on_rows, needs=("clean",), cost=1 + share)
