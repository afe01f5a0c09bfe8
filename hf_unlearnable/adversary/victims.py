"""A victim: a model that an adversary may train, and what the product must know of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from textwrap import fill, indent
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable._words import counted


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
        contrastive: Whether it learns features by telling inputs apart, which a report tells from supervised learning.

    Raises:
        TypeError: `training` lacks a field that it takes.
    """

    train: Callable[..., np.ndarray]
    modality: str | None = None
    training: Training = Training()
    takes: tuple[str, ...] = ("seed",)
    contrastive: bool = False

    generates: ClassVar[bool] = False  # whether it is a `Generator`

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
        """What it trains with, by name: all but the seed, the hooks, a cache and what it still needs."""
        left_out = ("seed", "cache", *_HOOKS)
        return {p.name: p.default for p in self._settings() if p.default is not p.empty and p.name not in left_out}

    @property
    def needs(self) -> tuple[str, ...]:
        """Settings without which it cannot run and that have no value yet, such as `("model",)`."""
        return tuple(p.name for p in self._settings() if p.default is p.empty)

    def _settings(self) -> list[inspect.Parameter]:
        return [p for p in inspect.signature(self).parameters.values() if p.kind is p.KEYWORD_ONLY]


class Generator(Victim):
    """A victim that makes inputs instead of labels.

    Its function is `(train_inputs, train_labels, labels, training, *, **settings) -> inputs`, one for each label. How
    many of them a classifier takes for what they should show is what it learned, see `Modality.judge`.
    """

    generates = True


def victim(
    modality: str | None,
    training: type[Training] = Training,
    *,
    hooks: Sequence[str] = (),
    contrastive: bool = False,
    generates: bool = False,
    **defaults: Any,
) -> Callable[[Callable[..., Any]], Victim]:
    """Makes the function below it a `Victim`.

        @register
        @victim("text", epochs=3, batch_size=16, hooks=["on_epoch"])
        def my_model(train_texts, train_labels, test_texts, training, *, width=64): ...

    Args:
        modality: The kind of data that it reads; None for any.
        training: `Training`, or a modality's class of its own.
        hooks: Which of the fields `on_epoch` and `in_training` it calls.
        contrastive: See `Victim`.
        generates: Whether it is a `Generator`.
        defaults: The other fields of `training` that it follows, with its values; `seed` it always takes.

    Raises:
        TypeError: `training` lacks one of these fields.
    """

    def made(train: Callable[..., Any]) -> Victim:
        kind = Generator if generates else Victim
        found = kind(train, modality, training(**defaults), ("seed", *defaults, *hooks), contrastive)
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
        raise ValueError(
            f"The labels hold {counted(len(classes), 'class', 'classes')}. A classifier needs at least two."
        )
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
