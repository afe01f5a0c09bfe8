"""Uniform random noise, the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.bounded import BoundedImageTransform, add_levels
from hf_unlearnable.image.learning.noise import fitted_to
from hf_unlearnable.image.trace import Bank, presence, stretched
from hf_unlearnable.key import draws, row_stream
from hf_unlearnable.labelled import class_stream
from hf_unlearnable.learning.ownership import PRESENT
from hf_unlearnable.mark import ROW_DECOYS, Marks, NoMarkError, RowMarks

PATTERN = 32  # pixels a side of a class's pattern, stretched over larger images


@dataclass(kw_only=True, repr=False, eq=False)
class RandomNoiseTransform(BoundedImageTransform):
    """Uniform random noise: the baseline of the same size, without which no other number means anything.

    Idea:
        Integers drawn uniformly from -epsilon to epsilon, for each image, or one pattern per class. A sample-wise draw
        tells nothing of the label, so what it costs a model is what any noise of this size costs. A class-wise draw is
        a code, if a poor one.

    Paper:
        The baseline of H. Huang et al., ICLR 2021, arXiv:2101.04898.

    Args:
        noise: "sample" for a draw per image, which needs no labels; "class" for one pattern per class.

    Secret:
        The seed.

    Cost:
        Nothing to fit; some 8 milliseconds per megapixel to apply.

    Breaks:
        Sample-wise it protects nothing: models learn through it. Class-wise: all that breaks error-minimising noise,
        and averaging over a class.

    Prefer:
        Never as a protection; beside one, to tell what noise of its size costs a model anyway.

    Example:
        cloak = RandomNoiseTransform(image_column="img", epsilon=8 / 255).fit(ds)
    """

    noise: str = "sample"

    method: ClassVar[str] = "random-noise"
    is_baseline: ClassVar[bool] = True
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("class-mean-subtraction",)
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {**BoundedImageTransform.choices, "noise": ("sample", "class")}

    @property
    def needs_labels(self) -> bool:  # type: ignore[override]
        """Only one pattern per class asks for them."""
        return self.noise == "class" and super().needs_labels

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        if self.noise == "sample":
            return add_levels(levels, uniform_levels(stream, levels.shape, self.max_levels))
        pattern = uniform_levels(class_stream(label, self._resolved_seed()), (PATTERN, PATTERN, 3), self.max_levels)
        return add_levels(levels, fitted_to(pattern, levels.shape))

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """Noise of each image is drawn again from its id, noise of a class compared as `ImageTransform` says."""
        if self.noise == "class":
            return super().ownership_scores(rows)
        levels = [picture.levels for picture in self._looked_at(rows)]
        if not self.id_column:
            raise NoMarkError(
                "This key draws the noise of an image from the original image, which the protected one does not give "
                "away. With id_column, or noise='class', it can be shown."
            )
        units = [repr(row[self.id_column]) for row in rows]
        seeds = [one._resolved_seed() for one in (self, *self.decoys(ROW_DECOYS))]
        agree = np.zeros((len(rows), len(seeds)), bool)
        for i, (image, unit) in enumerate(zip(levels, units, strict=True)):
            drawn = (uniform_levels(row_stream(unit.encode(), seed), image.shape, self.max_levels) for seed in seeds)
            agree[i] = [presence(image, noise, 2.0 * self.max_levels) >= PRESENT for noise in drawn]
        return RowMarks(agree, units)

    def _pattern_bank(self, labels: Sequence[Any], shape: tuple[int, ...]) -> Bank:
        streams = [class_stream(label, self._resolved_seed()) for label in labels]
        patterns = [uniform_levels(stream, (PATTERN, PATTERN, 3), self.max_levels) for stream in streams]
        return stretched(patterns, shape[2], self.max_levels)


def uniform_levels(stream: int, shape: tuple[int, ...], most: int) -> np.ndarray:
    """Whole levels from -most to most, int16 of `shape`, four to each 64 bits of a stream."""
    size = int(np.prod(shape))
    bits = draws(np.array([stream], np.uint64), np.arange(-(-size // 4), dtype=np.uint64)).view(np.uint16)[:size]
    return ((bits.astype(np.uint32) * (2 * most + 1) >> 16).astype(np.int16) - most).reshape(shape)
