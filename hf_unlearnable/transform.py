"""The contract that every protection keeps: a scikit-learn estimator that `datasets.map` can call.

- `__init__` stores its keyword arguments and does nothing else. `fit` learns and returns self.
- `__call__` takes one row or a batch and gives the same bytes for any batch size, number of processes, shard, order
  or stream: what is random in a row comes from the key and the row's own identity (its content, or `id_column`).
- Rows that are not protected (`fraction`, `classes`, `mask_column`) and all other columns pass through untouched.
- It pickles small (noise that is mapped from a file by its name), hashes the same when nothing changed and differently
  when a parameter, the learned state or the package's version did: `datasets` itself does not see that the code of an
  installed package is new.
- Neither `repr` nor a log line shows what is secret.

`hf_unlearnable.testing.check_transform` runs all of this on any subclass.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

import hf_unlearnable._version
from hf_unlearnable._docstrings import arguments, sections, with_arguments
from hf_unlearnable._mapped import Mapped as _Mapped  # the name in pickles
from hf_unlearnable.key import Key, damaged, draw, new_seed, row_stream
from hf_unlearnable.mark import Marks, NoMarkError
from hf_unlearnable.rows import Batch
from hf_unlearnable.validation import NotFittedError as NotFittedError  # for authors of methods
from hf_unlearnable.validation import check_parameters

# Draws of a row's stream are numbered; these are set apart from those that a method takes from 0 on.
_FRACTION_DRAW = 2**63


class Transform:
    """Base class of all protections. A subclass names its columns, learns in `fit` and changes rows in `_protect`.

    Attributes:
        method: The name in the registry.
        method_version: Raised by one whenever the same key, or the same seed at `fit`, would give other bytes.
        reads_versions: Earlier versions whose keys give the same bytes still.
        modality: Name of the kind of data, such as "text" or "image".
        column_parameter: The parameter that names the columns that are changed.
        strength_parameter: The parameter that, at 0, makes the transform the identity.
        adaptive_attacks: Countermeasures that its author would mount, who knows the method and not the key.
        needs_labels: Whether it reads `label_column`.
        needs_training: Whether `fit` trains a surrogate, for minutes or hours; it then takes `accelerator` and
            `checkpoint_dir`.
        is_baseline: Whether it protects nothing and is there to be compared with.
        choices: Words that a parameter is one of, by its name.
        open_parameters: Those that a key leaves open: where things stand in the data, and which rows are protected.
        differs_by_row: Whether two rows with the same content and label, but another id, get different bytes.
    """

    method: ClassVar[str]
    method_version: ClassVar[int] = 1
    reads_versions: ClassVar[tuple[int, ...]] = ()
    modality: ClassVar[str]
    column_parameter: ClassVar[str]
    strength_parameter: ClassVar[str]
    adaptive_attacks: ClassVar[tuple[str, ...]] = ()
    needs_labels: ClassVar[bool] = True
    needs_training: ClassVar[bool] = False
    is_baseline: ClassVar[bool] = False
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    open_parameters: ClassVar[tuple[str, ...]] = ("label_column", "id_column", "mask_column", "classes", "fraction")
    differs_by_row: ClassVar[bool] = True

    # Constructor arguments that every method takes.
    label_column: str
    id_column: str | None
    mask_column: str | None
    classes: Sequence[Any] | None
    fraction: float
    seed: int | None
    _seed: int | None = None
    _used = False  # whether rows may have been protected with it already

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Writes every argument into the class's page, with type and default: those that it inherits, too."""
        super().__init_subclass__(**kwargs)
        text = cls.__dict__.get("__doc__")
        if text:
            cls.__doc__ = with_arguments(cls, inspect.cleandoc(text))

    # ------------------------------------------------------------------ for subclasses
    def fit(self, dataset: Any) -> Transform:
        """Learns from a `Dataset` or an `IterableDataset` what protecting it takes."""
        raise NotImplementedError

    def _columns(self) -> list[str]:
        """The columns that `__call__` changes."""
        raise NotImplementedError

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `fit` learned, as JSON values and arrays; raises NotFittedError before `fit`."""
        raise NotImplementedError

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        raise NotImplementedError

    def _check_parameters(self) -> None:
        """Raises a ValueError for parameters that make no sense, at `fit` and for a key."""
        check_parameters(self)

    def _check_state(self, key: Key) -> None:
        """Raises a ValueError for a state that no `fit` gives, when a key is loaded; it says nothing secret."""

    def _protect(self, rows: Batch) -> dict[str, list]:
        """The changed columns of a batch."""
        raise NotImplementedError

    def _restore(self, rows: Batch) -> dict[str, list]:
        """The changed columns of a protected batch as they were, for methods that can be undone."""
        raise NotImplementedError

    def check_restorable(self) -> None:
        """Raises a ValueError where protected rows do not tell what they were."""
        if type(self)._restore is Transform._restore:
            raise ValueError(f"{self.method} cannot be undone, not even with the key. Keep the originals.")

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """What tells these rows from rows that were made without the key, for `verify`.

        Args:
            rows: As they are stored, files undecoded. Labels may be missing, wrong or renamed.

        Returns:
            `RowMarks`, `ClassMarks` or `Recovered`: how well the key fits the rows, beside `decoys`.

        Raises:
            NoMarkError: The key leaves nothing that could be told from chance.
            ValueError: A row holds what the method does not protect.
        """
        raise NoMarkError(
            f"A key of {self.method} cannot be shown: the method does not tell what its mark looks like. Keep the "
            "original data: the key makes the same rows of it again."
        )

    def _is_row(self, value: Any) -> bool:
        """Whether `value`, found in a protected column, belongs to a single row rather than to a batch."""
        raise NotImplementedError

    def _secret_parameters(self) -> set[str]:
        return {"seed"}

    # ------------------------------------------------------------------ what is said of it
    @classmethod
    def described(cls) -> dict[str, str]:
        """The page of a method: its class docstring, taken apart at the headers ("Idea:", "Paper:", "Breaks:", ...).

        A section that a class does not have is that of the method it derives from.

        Returns:
            Header to text, unindented; and "summary", the first paragraph, empty where there is none.
        """
        # What all methods share is no method's page.
        return sections([base for base in cls.__mro__ if hasattr(base, "method")])

    @classmethod
    def arguments(cls) -> dict[str, str]:
        """What each constructor argument means, by name, as the docstrings of the class and its bases say."""
        return arguments(cls)

    # ------------------------------------------------------------------ parameters
    def get_params(self) -> dict[str, Any]:
        """The constructor's arguments, secret ones included."""
        return {
            name: getattr(self, name) for name in inspect.signature(type(self).__init__).parameters if name != "self"
        }

    def public_params(self) -> dict[str, Any]:
        """The arguments that may be published: on a card, in a report."""
        return {name: value for name, value in self.get_params().items() if name not in self._secret_parameters()}

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        secret = self._secret_parameters()
        shown = [
            f"{name}=<hidden>" if name in secret else f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def strength(cls, factor: float = 1.0) -> dict[str, Any]:
        """The strength parameter at so many times its usual value, as an argument of the constructor."""
        usual = inspect.signature(cls.__init__).parameters[cls.strength_parameter].default
        scaled = usual * factor
        return {cls.strength_parameter: max(1, round(scaled)) if isinstance(usual, int) else scaled}

    # ------------------------------------------------------------------ key
    @property
    def key(self) -> Key:
        """The owner's secret: save it apart from the data."""
        state, tensors = self._state()
        return Key(self.method, self.method_version, self._key_params(), self._resolved_seed(), state, tensors)

    def _key_params(self) -> dict[str, Any]:
        """The constructor's arguments as a key holds them: without the seed, and with the lists of JSON for tuples."""
        values = {name: value for name, value in self.get_params().items() if name != "seed"}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_key(cls, key: Key) -> Transform:
        """The fitted transform that `key` belongs to.

        Raises:
            ValueError: The key is of another method or version, or holds what no `fit` gives: it is damaged.
        """
        if key.method != cls.method:
            raise ValueError(
                f"{key.named} is of the method {key.method!r}, not {cls.method!r}. Use that method, or another key."
            )
        if key.method_version not in (cls.method_version, *cls.reads_versions):
            raise ValueError(
                f"{key.named} is of version {key.method_version} of {cls.method!r}, here is version "
                f"{cls.method_version}: the bytes would differ. Install hf-unlearnable=={key.package_version}."
            )
        try:
            transform = cls._of_key(key)
            transform._check_parameters()
            transform._check_state(key)
        except (TypeError, KeyError, AttributeError, IndexError) as error:
            raise damaged(key.path, f"parts of it are missing, unknown or of another kind ({error})") from error
        except ValueError as error:
            raise damaged(key.path, str(error).rstrip(".")) from error
        return transform

    @classmethod
    def _of_key(cls, key: Key) -> Transform:
        transform = cls(**{**key.parameters, "seed": key.seed})
        transform._seed = key.seed
        transform._set_state(key.state, key.tensors)
        transform._used = True
        return transform

    def decoys(self, count: int) -> list[Transform]:
        """Transforms that differ from this one in nothing but the seed, always the same ones."""
        key = self.key
        seeds = (row_stream(b"decoy %d" % i, key.seed) for i in range(count))
        return [self._of_key(replace(key, seed=seed)) for seed in seeds]

    def secrets(self) -> dict[str, Any]:
        """What may stand nowhere beside the published data, for the scan before the upload; never show it.

        Returns:
            `seed`, a whole number, and `words`, for each class those that are inserted for it: none where a method
            inserts none.
        """
        self._state()
        return {"seed": self._resolved_seed(), "words": []}

    def inserted_words(self) -> dict[Any, list[str]]:
        """The words and phrases that go into the texts of each label, to be shown to the key holder and nobody else.

        Returns:
            Label to words; empty where a method inserts none.
        """
        return {}

    def _resolved_seed(self) -> int:
        if self._seed is None:
            self._seed = new_seed() if self.seed is None else self.seed
        return self._seed

    def __reduce__(self) -> tuple:
        """Identity for `datasets` caching and for workers: parameters, key and package version, nothing else."""
        try:
            state = self._state()
        except ValueError:  # not fitted, or arguments that make no sense, as its use will say
            return _rebuild, (type(self), self.get_params(), None, None, hf_unlearnable._version.__version__)
        parameters = {**self._key_params(), "seed": None}
        # As text: which parts of a state are one object is no part of what it is.
        named = json.dumps(state[0]), {name: _Mapped.of(array) for name, array in state[1].items()}
        return _rebuild, (type(self), parameters, self._resolved_seed(), named, hf_unlearnable._version.__version__)

    # ------------------------------------------------------------------ use
    def __call__(self, batch: Any) -> Any:
        """Protects one row or a batch. This is what `Dataset.map` calls.

        Args:
            batch: A mapping of column to value (one row) or to a list of values (a batch, with `batched=True`), or a
                `pyarrow.Table`.

        Returns:
            The same kind of thing, with the protected columns changed.
        """
        self._state()
        self._used = True
        rows = Batch(batch, self._columns(), self._is_row)
        return rows.replaced(self._protect(rows))

    def restore(self, protected: Any) -> Any:
        """The original data, for the key holder, where the method can be undone.

        Args:
            protected: A `Dataset`, `DatasetDict`, `IterableDataset`, one row or a batch that this transform made.

        Raises:
            ValueError: The method cannot be undone, or a row was not protected with this key.
        """
        self._state()
        self.check_restorable()
        if hasattr(protected, "map"):
            return protected.map(self.restore, batched=True)  # cached apart from the protection itself
        rows = Batch(protected, self._columns(), self._is_row)
        return rows.replaced(self._restore(rows))

    # ------------------------------------------------------------------ which rows
    def _streams(self, rows: Batch, contents: Iterable[bytes | None]) -> list[int | None]:
        """Each row's random stream, from `id_column` or from its content; None where the content is None."""
        seed = self._resolved_seed()
        if self.id_column is None:
            return [None if content is None else row_stream(content, seed) for content in contents]
        ids = rows.column(self.id_column)
        return [
            None if content is None else row_stream(repr(value).encode(), seed)
            for value, content in zip(ids, contents, strict=True)
        ]

    def _eligible(self, rows: Batch, count: int) -> list[bool]:
        """Which rows `classes` and `mask_column` leave to be protected."""
        eligible = [True] * count
        if self.classes is not None:
            wanted = set(self.classes)
            eligible = [label in wanted for label in rows.column(self.label_column)]
        if self.mask_column is not None:
            eligible = [a and b for a, b in zip(eligible, rows.mask(self.mask_column), strict=True)]
        return eligible

    def _sampled(self, stream: int) -> bool:
        """Whether the row with this random stream is in the `fraction` that is protected."""
        return self.fraction == 1 or draw(stream, _FRACTION_DRAW) < self.fraction * 2.0**64


def _rebuild(cls: type[Transform], parameters: dict, seed: int | None, state: tuple | None, version: str) -> Transform:
    del version  # part of the pickled identity only
    transform = cls(**parameters)
    if state is not None:
        transform._seed = seed
        values, tensors = json.loads(state[0]), state[1]
        tensors = {name: array.mapped() if isinstance(array, _Mapped) else array for name, array in tensors.items()}
        transform._set_state(values, tensors)
    return transform
