"""Everything that has a name: methods, kinds of data, and what outside packages add to them.

What is built in stands here in a line each. Other packages add to it when they are imported, with `register`, or
without being imported, by entry points of the groups `hf_unlearnable.methods`, `.modalities`, `.victims`,
`.countermeasures` and `.wear`. Either way it then works in every verb. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hf_unlearnable._words import COMMAND_LINE, either
from hf_unlearnable.rows import require_columns

if TYPE_CHECKING:
    import os
    from importlib.metadata import EntryPoint

    from hf_unlearnable.adversary import Countermeasure, Victim, Wear
    from hf_unlearnable.key import Key
    from hf_unlearnable.modality import Modality
    from hf_unlearnable.transform import Transform

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name, each imported when it is first asked for.

    Args:
        kind: What they are, as a sentence calls one of them.
        built_in: Name to "module:attribute".
    """

    def __init__(self, kind: str, built_in: Mapping[str, str]):
        self.kind = kind
        self._built_in = built_in
        self._registered: dict[str, T] = {}
        self._loaded: dict[str, T] = {}

    @property
    def _plural(self) -> str:
        return {"modality": "modalities", "wear": "wear"}.get(self.kind, f"{self.kind}s")

    @cached_property
    def _outside(self) -> dict[str, EntryPoint]:
        """The entry points of other packages."""
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=f"hf_unlearnable.{self._plural}")}

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._built_in, *self._registered, *self._outside]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)

    def __getitem__(self, name: str) -> T:
        """The thing of that name.

        Raises:
            ValueError: There is none; the message names those there are.
            ImportError: The package that brings it does not import.
        """
        if name in self._registered:
            return self._registered[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> T:
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            return getattr(import_module(module), attribute)
        if name not in self._outside:
            raise ValueError(f"There is no {self.kind} {name!r}. {self._plural.capitalize()}: {', '.join(self)}.")
        point = self._outside[name]
        try:
            return point.load()
        except Exception as error:  # whatever another package's import raises
            raise ImportError(
                f"The {self.kind} {name!r} of another package ({point.value}) does not load: {error}"
            ) from (error)

    def register(self, name: str, thing: T) -> None:
        """Adds a thing at run time; a ValueError says that its name is taken."""
        if name in self and self._registered.get(name) is not thing:
            raise ValueError(f"There is a {self.kind} {name!r} already. Give yours another name.")
        self._registered[name] = thing

    def items(self) -> Iterator[tuple[str, T]]:
        """All that load; the others are named in a warning."""
        for name in self:
            try:
                yield name, self[name]
            except ImportError as error:
                logger.warning("%s", error)


METHODS: Registry[type[Transform]] = Registry(
    "method",
    {
        "regtext": "hf_unlearnable.text.methods.regtext:RegTextTransform",
        "order-code": "hf_unlearnable.text.methods.order_code:OrderCodeTransform",
        "word-balance": "hf_unlearnable.text.methods.word_balance:WordBalanceTransform",
        "error-min-text": "hf_unlearnable.text.methods.error_min_text:ErrorMinTextTransform",
        "texture": "hf_unlearnable.image.methods.texture:TextureTransform",
        "error-min": "hf_unlearnable.image.methods.error_min:ErrorMinTransform",
        "error-min-one-pixel": "hf_unlearnable.image.methods.error_min_one_pixel:ErrorMinOnePixelTransform",
        "stable-error-min": "hf_unlearnable.image.methods.stable_error_min:StableErrorMinTransform",
        "provable-error-min": "hf_unlearnable.image.methods.provable_error_min:ProvableErrorMinTransform",
        "bayes-error": "hf_unlearnable.image.methods.bayes_error:BayesErrorTransform",
        "augmented-error-min": "hf_unlearnable.image.methods.augmented_error_min:AugmentedErrorMinTransform",
        "denoising-error": "hf_unlearnable.image.methods.denoising_error:DenoisingErrorTransform",
        "error-max": "hf_unlearnable.image.methods.error_max:ErrorMaxTransform",
        "augmented-error-max": "hf_unlearnable.image.methods.augmented_error_max:AugmentedErrorMaxTransform",
        "feature-shift": "hf_unlearnable.image.methods.feature_shift:FeatureShiftTransform",
        "unlearnable-clusters": "hf_unlearnable.image.methods.unlearnable_clusters:UnlearnableClustersTransform",
        "convolution": "hf_unlearnable.image.methods.convolution:ConvolutionTransform",
        "one-pixel": "hf_unlearnable.image.methods.one_pixel:OnePixelTransform",
        "linear-separable": "hf_unlearnable.image.methods.linear_separable:LinearSeparableTransform",
        "linearization": "hf_unlearnable.image.methods.linearization:LinearizationTransform",
        "random-noise": "hf_unlearnable.image.methods.random_noise:RandomNoiseTransform",
        "equalizer": "hf_unlearnable.audio.methods.equalizer:EqualizerTransform",
        "position-convolution": "hf_unlearnable.audio.methods.position:PositionConvolutionTransform",
        "audio-convolution": "hf_unlearnable.audio.methods.convolution:AudioConvolutionTransform",
        "audio-noise": "hf_unlearnable.audio.methods.noise:AudioNoiseTransform",
        "audio-error-min": "hf_unlearnable.audio.methods.error_min:AudioErrorMinTransform",
    },
)
MODALITIES: Registry[Modality] = Registry(
    "modality",
    {
        "text": "hf_unlearnable.text.modality:TEXT",
        "image": "hf_unlearnable.image.modality:IMAGE",
        "audio": "hf_unlearnable.audio.modality:AUDIO",
    },
)
# Those of this package stand in its modalities.
VICTIMS: Registry[Victim] = Registry("victim", {})
COUNTERMEASURES: Registry[Countermeasure] = Registry("countermeasure", {})
WEAR: Registry[Wear] = Registry("wear", {})


def register(thing: type[Transform] | Modality | Victim | Countermeasure | Wear, name: str | None = None) -> Any:
    """Adds a method, modality, victim, countermeasure or wear of your own to all verbs while this process runs.

    Args:
        thing: A subclass of `Transform`, or an object of one of the other kinds.
        name: What it is called; None for the name that it bears itself.

    Returns:
        `thing`, so that it can stand above a class as a decorator.

    Raises:
        TypeError: It is none of the five kinds.
        ValueError: Its name is missing, or taken.
    """
    from hf_unlearnable.adversary import Countermeasure, Victim, Wear
    from hf_unlearnable.modality import Modality
    from hf_unlearnable.transform import Transform

    registry: Any = None
    if isinstance(thing, type) and issubclass(thing, Transform):
        registry, name = METHODS, name or getattr(thing, "method", None)
    else:
        kinds: dict[type, Registry[Any]] = {
            Modality: MODALITIES, Victim: VICTIMS, Countermeasure: COUNTERMEASURES, Wear: WEAR
        }  # fmt: skip
        registry = next((one for kind, one in kinds.items() if isinstance(thing, kind)), None)
        name = name or getattr(thing, "name", None)
    if registry is None:
        raise TypeError(f"register takes a Transform class, Modality, Victim, Countermeasure or Wear, not {thing!r}.")
    if not name:
        raise ValueError(f"This {registry.kind} bears no name. Give one: register(..., name='my-{registry.kind}').")
    registry.register(name, thing)
    return thing


def method_class(name: str) -> type[Transform]:
    """The class registered under `name`; a ValueError names the methods there are."""
    return METHODS[name]


def modality_of(features: Any, column: str) -> Modality:
    """What a column holds.

    Args:
        features: Of the dataset, a mapping of column to feature.
        column: One of them.

    Raises:
        ValueError: There is no such column, or it is of no kind that is known.
    """
    require_columns(list(features), [column])
    for _, modality in MODALITIES.items():
        if modality.accepts(features[column]):
            return modality
    known = [modality for _, modality in MODALITIES.items()]
    raise ValueError(
        f"Column {column!r} is of type {features[column]}, neither {' nor '.join(one.name for one in known)}. Name "
        f"the column of inputs, or cast it with dataset.cast_column to {either(one.cast for one in known)}."
    )


def usual_column(columns: Sequence[str], parameter: str = "input_column") -> str:
    """The column that is protected when nobody names one.

    Args:
        columns: Those there are.
        parameter: What names it otherwise, for the message.

    Raises:
        ValueError: None of them has a usual name.
    """
    usual = [modality.column for _, modality in MODALITIES.items()]
    for name in usual:
        if name in columns:
            return name
    named = either(f"--{name}-column" for name in usual) if COMMAND_LINE.get() else parameter
    raise ValueError(f"There is no column {either(map(repr, usual))} among {', '.join(columns)}: name {named}.")


def victims_of(modality: str) -> dict[str, Victim]:
    """The victims for a kind of data, by name, those of other packages last."""
    return {**MODALITIES[modality].victims, **_of(VICTIMS, modality)}


def countermeasures_of(modality: str) -> dict[str, Countermeasure]:
    """The countermeasures for a kind of data, by name, those of other packages last."""
    return {**MODALITIES[modality].countermeasures, **_of(COUNTERMEASURES, modality)}


def wear_of(modality: str) -> dict[str, Wear]:
    """What happens to a kind of data without an attacker, by name, that of other packages last."""
    return {**MODALITIES[modality].wear, **_of(WEAR, modality)}


def _of(registry: Registry[Any], modality: str) -> dict[str, Any]:
    return {name: thing for name, thing in registry.items() if thing.modality in (None, modality)}


def load_transform(key: Key | str | os.PathLike) -> Transform:
    """The fitted transform that a key belongs to, ready to protect new rows the same way or to restore them.

    Args:
        key: A `Key`, or the directory in which one was saved.

    Raises:
        ValueError: The key is of a method, or of a version of it, that is not installed, or it is damaged.
    """
    from hf_unlearnable.key import Key

    if not isinstance(key, Key):
        key = Key.load(key)
    try:
        cls = method_class(key.method)
    except ValueError as error:
        raise ValueError(f"{key.named} is of a method that is not there: {error}") from None
    return cls.from_key(key)
