"""What the protections share whose noise is computed at `fit` and kept in the key: application and ownership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable._words import counted
from hf_unlearnable.image.bounded import BoundedImageTransform, add_levels
from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise
from hf_unlearnable.image.trace import HASH_CHANCE, learned_scores, recovered
from hf_unlearnable.key import Key
from hf_unlearnable.learning.ownership import known_by_column, noise_marks
from hf_unlearnable.mark import Marks, Recovered, class_decoys


@dataclass(kw_only=True, repr=False, eq=False)
class ComputedNoiseTransform(BoundedImageTransform):
    """Base class of the protections whose noise is computed at `fit`: one of each image, or of each class."""

    needs_training: ClassVar[bool] = True
    differs_by_row: ClassVar[bool] = False  # equal images get equal noise, whatever they are called

    @property
    def _per_class(self) -> bool:
        """Whether a class or a cluster shares one noise."""
        return getattr(self, "noise", "sample") == "class"

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        noise = self._fitted(self._noise)
        own = noise.of(label if isinstance(noise, ClassNoise) else stream, levels.shape)
        if own.size and max(own.max(), -int(own.min())) > self.max_levels:
            raise ImageError(f"would change by more than {self.max_levels} levels: the key is damaged")
        return add_levels(levels, own)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self._fitted(self._noise).state()

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._noise = (ClassNoise if "labels" in state else SampleNoise).from_state(state, tensors)

    def _check_state(self, key: Key) -> None:
        if self.max_levels == 0:
            return
        if isinstance(self._noise, ClassNoise) != self._per_class:
            raise ValueError("its noise is of classes where it should be of rows, or the other way round")
        self._noise.check(self.max_levels)
        if key.path is not None and not self._noise.levels.any():  # what `fit` makes it warns of
            raise ValueError("its noise is 0 everywhere and protects nothing")

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """Which originals come out when the key's noise is taken off, or which images hold the noise of a class."""
        noise, cut = self._fitted(self._noise), 2.0 * self.max_levels
        pictures = self._looked_at(rows)
        if isinstance(noise, ClassNoise):
            labels, given = self._classes_of(rows)
            levels = [picture.levels for picture in pictures]
            scores = learned_scores(noise.levels, levels, cut, class_decoys(len(labels)))
            several = counted(len(rows), "image")
            faint = (
                f"{several} of this size cannot tell this key's noise from what they show. Give more, or larger ones"
            )
            return noise_marks(scores, given, faint)
        if self.id_column:
            raise known_by_column(self.id_column)
        found = recovered(noise, pictures, self._resolved_seed(), cut)
        return Recovered(found, [picture.content for picture in pictures], HASH_CHANCE)

    _noise: Any = field(default=None, init=False)
    image_passes: int = field(default=0, init=False)  # that `fit` took: forward and backward, of one image each
