"""What the protections share whose noise is learned with a surrogate: parameters and `fit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.image.learning.computed import ComputedNoiseTransform
from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.image.learning.scale import ENLARGED, LARGEST, SMALLEST, blotches
from hf_unlearnable.learning.transform import LearnedTransform


@dataclass(kw_only=True, repr=False, eq=False)
class LearnedNoiseTransform(LearnedTransform, ComputedNoiseTransform):
    """Base class of the protections whose noise is computed at `fit`, for all rows, on a surrogate that is trained.

    `fraction`, `classes` and `mask_column` choose rows when the noise is applied, so they may change later with the
    same key.

    Args:
        surrogate: The model that noise is computed on: "tiny_cnn", "small_cnn", "resnet18", or the id or folder of an
            `AutoModelForImageClassification`.
        image_size: Pixels per side of what the surrogate sees. None for what a model of the Hub names, and else for
            the images' own size, from 8 to 64. Noise follows that scale. Images more than five times as large (320
            pixels by default) are refused unless `image_size` is given, for their noise would be coarse blotches.
        learning_rate: Learning rate of the surrogate's SGD.
        batch_size: Images per step of the surrogate, all processes together; in halves when memory runs out.
        noise_batch_size: Images per step of the noise in one process; halved when memory runs out. None for 64 on a
            CPU, whose caches hold no more, and 512 elsewhere.
    """

    surrogate: str = "tiny_cnn"
    image_size: int | None = None
    learning_rate: float = 0.1
    batch_size: int = 128
    noise_batch_size: int | None = None

    learns_with: ClassVar[tuple[str, ...]] = ("image", "torch", "accelerate", "PIL")

    def _least(self) -> dict[str, float]:
        return {"image_size": SMALLEST}

    def _no_noise(self) -> SampleNoise:
        return SampleNoise.empty()

    def _learner(self, dataset: Any, **learner: Any) -> NoiseLearner:
        return NoiseLearner(
            self._pictures(dataset),
            per_class=self._per_class,
            surrogate=self.surrogate,
            image_size=self.image_size,
            batch_size=self.batch_size,
            noise_batch_size=self.noise_batch_size,
            learning_rate=self.learning_rate,
            **learner,
            **self._surrogate_parts(),
        )

    def _surrogate_parts(self) -> dict[str, Any]:
        """`build` and `optimizer` of the `NoiseLearner`, where the surrogate is no classifier."""
        return {}

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        noise = self._fitted(self._noise)
        if isinstance(noise, ClassNoise) and self.image_size is None:
            side, seen = max(levels.shape[:2]), max(noise.levels.shape[1:3])
            if side > ENLARGED * max(seen, LARGEST):
                raise ImageError(f"the image has {side} pixels a side, but {blotches(side, seen)}")
        return super()._cloak(levels, label, stream)
