"""What every image protection shares: which rows, which bytes in, which bytes out."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable._words import spelled
from hf_unlearnable.image.clusters import Clusters, feature_model
from hf_unlearnable.image.codec import ENCODINGS, ImageError, Picture, decode, like
from hf_unlearnable.image.reservation import OPT_OUT, PROHIBITIONS
from hf_unlearnable.image.trace import Bank, drawn_scores
from hf_unlearnable.key import Key, damaged, row_stream
from hf_unlearnable.labelled import LabelledFiles, check_label, feature_of, plain
from hf_unlearnable.mark import ClassMarks, Marks, class_decoys
from hf_unlearnable.rows import Batch, file_of
from hf_unlearnable.transform import Transform

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, repr=False, eq=False)
class ImageTransform(LabelledFiles):
    """Base class of the image protections. A subclass changes one image's levels in `_cloak`.

    Args:
        image_column: Column of images.
        label_column: Column of labels: class names or numbers, not floats. Rows without one (None, or -1 of a
            `ClassLabel`) are an error unless `classes` or `mask_column` leaves them out.
        cluster_model: Id or folder of an `AutoModelForImageClassification`, for images without labels: its features
            put them into clusters, and a cluster takes the place of a class. The column of labels is not read. None
            goes by the labels. A new image is put into a cluster by the same model.
        num_clusters: How many clusters, from 2 on.
        encoding: How a protected image is stored: "png", or "webp" for lossless WebP. A later `map` that opens WebP
            images stores them lossily again. "png-fast" is an older name of "png".
        opt_out: Whether every protected file says that training on it is not permitted, in a minimal XMP packet
            (`plus:DataMining`). A file that forbids as much already says so in any case.
        id_column: Column that identifies a row; None identifies it by its pixels, and equal images get equal noise.
        mask_column: Column of booleans: which rows to protect.
        classes: Labels whose rows are protected; None for all.
        fraction: Share of the rows to protect, in [0, 1], drawn with the key.
        seed: Secret whole number; None draws a fresh one at `fit`. A small number can be guessed: for tests only.
    """

    image_column: str = "image"
    label_column: str = "label"
    cluster_model: str | None = None
    num_clusters: int = 10
    encoding: str = "png"
    opt_out: bool = False
    id_column: str | None = None
    mask_column: str | None = None
    classes: Sequence[Any] | None = None
    fraction: float = 1.0
    seed: int | None = None

    modality: ClassVar[str] = "image"
    column_parameter: ClassVar[str] = "image_column"
    open_parameters: ClassVar[tuple[str, ...]] = (
        *Transform.open_parameters,
        "image_column",
        "cluster_model",
        "encoding",
        "opt_out",
    )
    additive: ClassVar[bool] = True  # whether `epsilon` bounds the change of every level
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"encoding": ENCODINGS}
    without_labels: ClassVar[str] = (
        "give cluster_model, an image model whose clusters take the place of labels, or use unlearnable-clusters"
    )

    @property
    def needs_labels(self) -> bool:  # type: ignore[override]
        """Clusters take the place of labels."""
        return self.cluster_model is None

    # ------------------------------------------------------------------ for subclasses
    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        """One image's protected levels.

        Args:
            levels: uint8 [height, width, channels], with 1 or 3 channels.
            label: Of the row; the number of its cluster with `cluster_model`; None where the method needs neither.
            stream: The row's random stream, see `key.draws`.

        Returns:
            The same shape and type.
        """
        raise NotImplementedError

    def _pattern_bank(self, labels: Sequence[Any], shape: tuple[int, ...]) -> Bank:
        """The patterns that the seed draws for these classes, by which `verify` knows the key.

        A method without such patterns leaves this as it is: `verify` says then that its key cannot be shown.

        Args:
            labels: The classes.
            shape: Of the images that are looked at: height, width and channels.

        Returns:
            `trace.stretched`, `trace.repeated` or `trace.filtered` of one pattern for each label, in their order.
        """
        raise NotImplementedError

    def _pattern_kind(self, shape: tuple[int, ...]) -> Hashable:
        """What `_pattern_bank` depends on of a shape: images of one kind are compared with the same patterns."""
        return shape[2]

    # ------------------------------------------------------------------ ownership
    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """How much each image is like the patterns that the seed draws, where the method tells of any."""
        if type(self)._pattern_bank is ImageTransform._pattern_bank:
            return super().ownership_scores(rows)
        levels = [picture.levels for picture in self._looked_at(rows)]
        labels, given = self._classes_of(rows)
        cloaks = [self, *self.decoys(class_decoys(len(labels)))]
        return ClassMarks(drawn_scores(cloaks, levels, labels), given, drawn=True)

    def _looked_at(self, rows: Sequence[Mapping[str, Any]]) -> list[Picture]:
        return [self._opened(row[self.image_column], f"Row {i}") for i, row in enumerate(rows)]

    def _classes_of(self, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[int]]:
        if self._clusters is None:
            return super()._classes_of(rows)
        return list(range(len(self._clusters.centres))), [-1] * len(rows)  # a protected image is of another cluster

    # ------------------------------------------------------------------ contract
    def _is_row(self, value: Any) -> bool:
        return not isinstance(value, list) and not (isinstance(value, np.ndarray) and value.ndim == 4)

    def _protect(self, rows: Batch) -> dict[str, list]:
        values = rows.stored(self.image_column)
        if any(type(value).__module__ == "torch" for value in values):
            raise TypeError("The images are torch tensors. Use dataset.with_format(None) before map.")
        if getattr(self, self.strength_parameter) == 0 or self.fraction == 0:
            return {self.image_column: values}
        eligible = self._eligible(rows, len(values))
        labels = rows.column(self.label_column) if self.needs_labels else [None] * len(values)
        feature = feature_of(rows, self.label_column)
        pictures = [
            self._opened(value, f"Row {i} of this batch") if wanted else None
            for i, (value, wanted) in enumerate(zip(values, eligible, strict=True))
        ]
        streams = self._streams(rows, [None if picture is None else picture.content for picture in pictures])
        changed = []
        for i, (value, picture, stream) in enumerate(zip(values, pictures, streams, strict=True)):
            if picture is None or stream is None or not self._sampled(stream):
                changed.append(value)
                continue
            if self.needs_labels:
                check_label(labels[i], f"Row {i} of this batch{file_of(value)}", self.label_column, feature)
            try:
                label = plain(labels[i]) if self._clusters is None else self._cluster_of(stream, picture.levels)
                levels = self._cloak(picture.levels, label, stream)
                made = replace(picture, levels=levels, reservation=self._reservation(value, picture))
                changed.append(like(value, made, self.encoding))
            except ImageError as error:
                named = f"{file_of(value)}{self._named(rows, i)}"
                raise ValueError(f"Row {i} of this batch{named}: {error}.") from None
        return {self.image_column: changed}

    def _reservation(self, value: Any, picture: Picture) -> str | None:
        """What the protected file of a value says of data mining."""
        if not self.opt_out:
            return picture.reservation
        if not isinstance(value, (dict, bytes)):
            raise ImageError("comes opened, and opt_out writes into files: cast the column with Image(decode=False)")
        return min(OPT_OUT, picture.reservation or OPT_OUT, key=PROHIBITIONS.index)

    def _opened(self, value: Any, row: str) -> Picture:
        try:
            return decode(value)
        except ImageError as error:
            raise ValueError(f"{row}{file_of(value)}, column {self.image_column!r}: the image {error}.") from None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 2 <= self.num_clusters <= 65_536:
            raise ValueError(f"num_clusters is {self.num_clusters}. Give 2 to 65,536.")
        if self.encoding == "webp" and not self._used:
            logger.warning(
                "encoding='webp': a later map that opens protected images stores them as lossy WebP, which loses most "
                "of the protection. Use encoding='png', or dataset.cast_column(%r, Image(decode=False)) before it.",
                self.image_column,
            )

    # ------------------------------------------------------------------ clusters instead of labels
    def fit(self, dataset: Any) -> ImageTransform:
        """Draws the key, and finds the clusters where `cluster_model` asks for them.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        super().fit(dataset)
        self._find_clusters(dataset)
        return self

    def _find_clusters(self, dataset: Any) -> None:
        """Puts every image of a dataset, or of this process's part of it, into a cluster."""
        self._clusters = None
        if self.cluster_model is None:
            return
        self._feature_model, seed = feature_model(self.cluster_model), self._resolved_seed()
        rows = (
            (f"Row {i}", row_stream(identity, seed), picture.levels)
            for i, picture, _, identity in self._opened_rows(dataset)
        )
        self._clusters = Clusters.of_rows(rows, self._feature_model, self.num_clusters, seed, self.needs_training)

    def _cluster_of(self, stream: int, levels: np.ndarray) -> int:
        known = self._clusters.known(stream)
        if known is not None:
            return known
        if self._feature_model is None:
            try:
                self._feature_model = feature_model(str(self.cluster_model))
            except OSError as error:
                raise ImageError(
                    f"is new to this key, and its cluster is told by the features of {self.cluster_model}: {error}"
                ) from None
        return self._clusters.of(stream, levels, self._feature_model)

    @property
    def key(self) -> Key:
        """The owner's secret: save it apart from the data."""
        key = super().key
        if self._clusters is None:
            return key
        state, tensors = self._clusters.state()
        return replace(key, state={**key.state, **state}, tensors={**key.tensors, **tensors})

    @classmethod
    def from_key(cls, key: Key) -> Transform:
        """The fitted transform that `key` belongs to; a ValueError says what is wrong with the key."""
        transform: Any = super().from_key(key)
        try:
            if transform._clusters is not None:
                transform._clusters.check()
        except ValueError as error:
            raise damaged(key.path, str(error)) from error
        return transform

    @classmethod
    def _of_key(cls, key: Key) -> Transform:
        state, tensors = dict(key.state), dict(key.tensors)
        clusters = Clusters.taken(state, tensors)
        transform: Any = super()._of_key(replace(key, state=state, tensors=tensors))
        if (clusters is None) != (transform.cluster_model is None) and getattr(transform, cls.strength_parameter) != 0:
            by, change = ("labels", "Leave it out") if clusters is None else ("clusters", "Give it")
            raise ValueError(f"The key goes by {by}. {change}: {spelled('cluster_model')}.")
        transform._clusters = clusters
        return transform

    def __reduce__(self) -> tuple:
        """As for every transform, and with the clusters where there are some."""
        return (
            super().__reduce__() if self._clusters is None else (*super().__reduce__(), {"_clusters": self._clusters})
        )

    # ------------------------------------------------------------------ reading for fit
    def _labels(self, dataset: Any) -> list:
        if self.cluster_model is None:
            return super()._labels(dataset)
        self._find_clusters(dataset)
        return list(range(self.num_clusters))

    def _pictures(self, dataset: Any) -> Iterator[tuple[Picture, Any, bytes]]:
        """Every image of a `Dataset` or `IterableDataset` in order, with its label and what identifies it.

        The label is the number of its cluster where `cluster_model` is given.

        Raises:
            ValueError: A column is missing, there are no rows, or a row that `classes` and `mask_column` do not leave
                out has no label or an image that cannot be protected: the message names it.
        """
        self._find_clusters(dataset)
        for _, picture, label, identity in self._opened_rows(dataset):
            if self._clusters is not None:
                label = self._clusters.known(row_stream(identity, self._resolved_seed()))
            yield picture, label, identity

    def _opened_rows(self, dataset: Any) -> Iterator[tuple[int, Picture, Any, bytes]]:
        """As `_pictures`, with the number of each row, and with the labels of the column."""
        feature = (getattr(dataset, "features", None) or {}).get(self.label_column)
        for i, (value, label, identity, wanted) in enumerate(self._raw_rows(dataset)):
            try:
                if self.needs_labels:
                    check_label(label, f"Row {i}{file_of(value)}", self.label_column, feature)
                picture = self._opened(value, f"Row {i}")
            except ValueError:
                if wanted:
                    raise
                continue
            yield i, picture, label, picture.content if self.id_column is None else repr(identity).encode()

    _clusters: Any = field(default=None, init=False)
    _feature_model: Any = field(default=None, init=False)
