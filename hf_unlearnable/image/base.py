"""What every image protection shares: which rows, which bytes in, which bytes out."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.codec import ENCODINGS, ImageError, Picture, decode, like
from hf_unlearnable.image.reservation import OPT_OUT, PROHIBITIONS
from hf_unlearnable.image.trace import Bank, drawn_scores
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
        encoding: How a protected image is stored. "png"; "png-fast", which writes photos in a third of the time, as
            larger files; or "webp" for lossless WebP. A later `map` that opens WebP images stores them lossily again.
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
    encoding: str = "png"
    opt_out: bool = False
    id_column: str | None = None
    mask_column: str | None = None
    classes: Sequence[Any] | None = None
    fraction: float = 1.0
    seed: int | None = None

    modality: ClassVar[str] = "image"
    column_parameter: ClassVar[str] = "image_column"
    open_parameters: ClassVar[tuple[str, ...]] = (*Transform.open_parameters, "image_column", "encoding", "opt_out")
    additive: ClassVar[bool] = True  # whether `epsilon` bounds the change of every level
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"encoding": ENCODINGS}
    without_labels: ClassVar[str] = (
        "random-noise (RandomNoiseTransform) is what remains, a baseline that protects little"
    )

    # ------------------------------------------------------------------ for subclasses
    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        """One image's protected levels.

        Args:
            levels: uint8 [height, width, channels], with 1 or 3 channels.
            label: Of the row, None where the method needs none.
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
                levels = self._cloak(picture.levels, plain(labels[i]), stream)
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
        if self.encoding == "webp" and not self._used:
            logger.warning(
                "encoding='webp': a later map that opens protected images stores them as lossy WebP, which loses most "
                "of the protection. Use encoding='png', or dataset.cast_column(%r, Image(decode=False)) before it.",
                self.image_column,
            )

    # ------------------------------------------------------------------ reading for fit
    def _pictures(self, dataset: Any) -> Iterator[tuple[Picture, Any, bytes]]:
        """Every image of a `Dataset` or `IterableDataset` in order, with its label and what identifies it.

        Raises:
            ValueError: A column is missing, there are no rows, or a row that `classes` and `mask_column` do not leave
                out has no label or an image that cannot be protected: the message names it.
        """
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
            yield picture, label, picture.content if self.id_column is None else repr(identity).encode()
