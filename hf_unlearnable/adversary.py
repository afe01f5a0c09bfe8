"""What an adversary has, trains and tries: rows, victims, countermeasures.

A `Victim` is a model in training. A `Countermeasure` changes the rows before that (`on_rows`), each training batch
(`in_training`), or both, to learn in spite of a protection. Both see what an adversary has: the published rows, and
what it brings itself (`Attacker`). They never see the key.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial, reduce
from textwrap import fill, indent
from typing import Any

import numpy as np

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
    """

    seed: int = 0
    clean: Rows | None = None
    corpus: Sequence[str] | None = None
    language_model: str | None = None
    published: int | None = None
    paraphrase: Callable[[Sequence[str]], Sequence[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a victim trains. Every victim has its own defaults; a modality may add fields of its own.

    Args:
        seed: Decides the initial weights, the order of the batches and all else that is random.
        epochs: Passes over the training rows.
        batch_size: Rows per update.
        learning_rate: Peak of the schedule.
        on_epoch: `(accuracy, predicted)`, called after each epoch (once by victims that have none) with the accuracy
            on the training rows as they were trained on, in [0, 1], and the labels predicted for the test rows at
            that time. It changes nothing of the outcome.
        in_training: See `Countermeasure`.
    """

    seed: int = 0
    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 1e-3
    on_epoch: Callable[[float, np.ndarray], None] | None = None
    in_training: Callable[..., tuple[Any, Any]] | None = None


_HOOKS = ("on_epoch", "in_training")


@dataclass(frozen=True, eq=False, repr=False)
class Victim:
    """A model that an adversary may train: a function, and what the product must know of it.

    It is called as `victim(train_inputs, train_labels, test_inputs, seed=0, epochs=3)`; its signature shows every
    setting with its default. The decorator `victim` makes one.

    Args:
        train: `(train_inputs, train_labels, test_inputs, training, *, **settings) -> labels`: n inputs with integer
            labels, m inputs to label, how to train, and by keyword what this victim alone can be told. It returns an
            integer array [m]. A setting without a default is one that it needs, such as a pretrained model.
        modality: The kind of data that it reads; None for any.
        training: Its defaults.
        takes: The fields of `training` that it follows, which a caller may set. A countermeasure with an
            `in_training` is tried on victims that take "in_training".

    Raises:
        TypeError: `training` lacks a field that it takes.
    """

    train: Callable[..., np.ndarray]
    modality: str | None = None
    training: Training = Training()
    takes: tuple[str, ...] = ("seed",)

    def __post_init__(self) -> None:
        function = _innermost(self.train)
        name = getattr(function, "__name__", type(function).__name__)
        given = inspect.signature(self.train).parameters.values()
        types = {field.name: field.type for field in fields(self.training)}
        if unknown := [one for one in self.takes if one not in types]:
            raise TypeError(f"{name} takes {', '.join(unknown)}, which {type(self.training).__name__} does not have.")
        signature = inspect.Signature(
            [
                *(p.replace(kind=p.POSITIONAL_ONLY) for p in list(given)[:3]),
                *(
                    inspect.Parameter(
                        one, inspect.Parameter.KEYWORD_ONLY, default=getattr(self.training, one), annotation=types[one]
                    )
                    for one in self.takes
                ),
                *(p for p in given if p.kind is p.KEYWORD_ONLY),
            ]
        )
        vars(self).update(__name__=name, __module__=function.__module__, __signature__=signature)
        # `help` cuts the signature of an object short, so the settings stand in the docstring too.
        told = f"{self}. {type(self.training).__name__} describes those that are not named above."
        vars(self)["__doc__"] = f"{inspect.getdoc(function) or ''}\n\nSettings:\n{indent(fill(told, 100), '    ')}"

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(str(p.replace(annotation=p.empty)) for p in self._settings())})"

    def __call__(
        self, train_inputs: Sequence[Any], train_labels: Sequence[int], test_inputs: Sequence[Any], /, **settings: Any
    ) -> np.ndarray:
        """Trains, and labels the test inputs.

        Args:
            train_inputs: n inputs.
            train_labels: Their n labels, any integers; one that does not occur among them is never predicted.
            test_inputs: m inputs to label.
            settings: Fields of `training` and the victim's own settings, where they differ from its defaults.

        Returns:
            Predicted labels, integer array [m].

        Raises:
            TypeError: There is no such setting, or one that it needs is missing.
        """
        told = self.configured(**settings)
        if told.needs:
            raise TypeError(f"{self.name} has no default for {' and '.join(told.needs)}: give {told.needs[0]}=...")
        return told.train(train_inputs, train_labels, test_inputs, told.training)

    def configured(self, **settings: Any) -> Victim:
        """The same victim with other defaults.

        Raises:
            TypeError: There is no such setting; the message names those there are.
        """
        known = [p.name for p in self._settings()]
        for name in settings:
            if name not in known:
                raise TypeError(f"{self.name} has no setting {name!r}. Its settings: {', '.join(known)}.")
        shared = {name: value for name, value in settings.items() if name in self.takes}
        own = {name: value for name, value in settings.items() if name not in self.takes}
        return replace(
            self, train=partial(self.train, **own) if own else self.train, training=replace(self.training, **shared)
        )

    @classmethod
    def of(cls, function: Callable[..., np.ndarray]) -> Victim:
        """What is called like a victim as a `Victim`.

        Args:
            function: A victim, `partial(victim, epochs=8)`, or a plain function `(train_inputs, train_labels,
                test_inputs, *, seed) -> labels`; the latter is given the hooks `on_epoch` and `in_training` if it has
                parameters of these names, or takes any.
        """
        if isinstance(function, Victim):
            return function
        if isinstance(function, partial) and isinstance(function.func, Victim) and not function.args:
            return function.func.configured(**function.keywords)
        parameters = inspect.signature(function).parameters.values()
        names = {p.name for p in parameters}
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        return cls(_Plain(function), takes=("seed", *(hook for hook in _HOOKS if takes_any or hook in names)))

    @property
    def name(self) -> str:
        """Its function's name."""
        return vars(self)["__name__"]

    @property
    def settings(self) -> dict[str, Any]:
        """What it trains with, by name: all but the seed, the hooks and what it still needs."""
        return {
            p.name: p.default for p in self._settings() if p.default is not p.empty and p.name not in ("seed", *_HOOKS)
        }

    @property
    def needs(self) -> tuple[str, ...]:
        """Settings without which it cannot run and that have no value yet, such as `("model",)`."""
        return tuple(p.name for p in self._settings() if p.default is p.empty)

    def _settings(self) -> list[inspect.Parameter]:
        return [p for p in inspect.signature(self).parameters.values() if p.kind is p.KEYWORD_ONLY]


def victim(
    modality: str | None, training: type[Training] = Training, *, hooks: Sequence[str] = (), **defaults: Any
) -> Callable[[Callable[..., np.ndarray]], Victim]:
    """Makes the function below it a `Victim`.

        @register
        @victim("text", epochs=3, batch_size=16, hooks=["on_epoch"])
        def my_model(train_texts, train_labels, test_texts, training, *, width=64): ...

    Args:
        modality: The kind of data that it reads; None for any.
        training: `Training`, or a modality's class of its own.
        hooks: Which of the fields `on_epoch` and `in_training` it calls.
        defaults: The other fields of `training` that it follows, with its values; `seed` it always takes.

    Raises:
        TypeError: `training` lacks one of these fields.
    """

    def made(train: Callable[..., np.ndarray]) -> Victim:
        found = Victim(train, modality, training(**defaults), ("seed", *defaults, *hooks))
        train.__qualname__ += ".train"  # where the function now is: its name stands for the victim, in pickles too
        return found

    return made


def class_indices(
    inputs: Sequence[Any], labels: Sequence[int], test_inputs: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Checks what a victim is given, and numbers its classes.

    Args:
        inputs: n training inputs.
        labels: Their n integer labels.
        test_inputs: m inputs to label.

    Returns:
        The sorted classes [k], and the index of each label among them [n].

    Raises:
        ValueError: No test inputs, or labels that are not one integer per input from at least two classes.
    """
    if len(inputs) != len(labels):
        raise ValueError(f"{len(inputs)} training inputs but {len(labels)} labels. Give one label per input.")
    if len(test_inputs) == 0:
        raise ValueError("There are no test inputs. A victim is judged on at least one.")
    given = np.asarray(labels)
    if given.dtype.kind not in "iu":
        raise ValueError(f"Labels are {given.dtype}, not integers. Encode them, or drop the rows without a class.")
    classes, targets = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"The labels hold {len(classes)} class(es). A classifier needs at least two.")
    return classes, targets


@dataclass(frozen=True, eq=False)
class _Plain:
    """A function that takes seed and hooks by name, to be called as `Victim.train` is."""

    func: Callable[..., np.ndarray]

    def __post_init__(self) -> None:
        data = list(inspect.signature(self.__call__).parameters.values())[:4]
        given = inspect.signature(self.func).parameters.values()
        by_place = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:3]
        own = [
            p.replace(kind=p.KEYWORD_ONLY)
            for p in given
            if p not in by_place and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            and p.name not in ("seed", *_HOOKS)
        ]  # fmt: skip
        vars(self)["__signature__"] = inspect.Signature([*data, *own])

    def __call__(
        self, train_inputs: Sequence[Any], train_labels: Sequence[int], test_inputs: Sequence[Any],
        training: Training, **settings: Any,
    ) -> np.ndarray:  # fmt: skip
        hooks = {name: hook for name in _HOOKS if (hook := getattr(training, name)) is not None}
        return self.func(train_inputs, train_labels, test_inputs, seed=training.seed, **hooks, **settings)


def _innermost(function: Any) -> Any:
    while isinstance(function, partial | _Plain):
        function = function.func
    return function


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
        ValueError: It, or a part of it, is unknown.
    """
    parts = [name] if name in known else name.split("+")
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
            logger.warning("%d clean rows were to be mixed in, and the attacker has %d: all are.", wanted, len(clean))
        drawn = np.random.default_rng(attacker.seed).permutation(len(clean))[:wanted].tolist()
        return Rows(
            [*rows.inputs, *(clean.inputs[i] for i in drawn)],
            [*rows.labels, *(clean.labels[i] for i in drawn)],
        )

    return Countermeasure(on_rows, needs=("clean",), cost=1 + share)
