"""What the protections share whose noise is learned with a surrogate: parameters and `fit`."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable._mapped import on_disk
from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.image.learning.computed import ComputedNoiseTransform
from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.image.learning.scale import ENLARGED, LARGEST, SMALLEST, blotches
from hf_unlearnable.learning.checkpoint import shared_seed
from hf_unlearnable.learning.processes import part_of

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, repr=False, eq=False)
class LearnedNoiseTransform(ComputedNoiseTransform):
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

    def fit(
        self, dataset: Any, *, accelerator: Any = None, checkpoint_dir: str | os.PathLike | None = None
    ) -> LearnedNoiseTransform:
        """Computes the noise of every image.

        Args:
            dataset: A `Dataset` or `IterableDataset`. Under `accelerate launch` each process takes its part of it.
            accelerator: An `accelerate.Accelerator`, whose mixed precision (for the noise, not for the surrogate) and
                compilation are used. None for bf16 where the device computes in it, and for no compilation.
            checkpoint_dir: Folder to save every round in and to resume a killed fit from. It holds what the key
                holds: keep it private, and remove it afterwards. Several processes need one that all of them see.

        Raises:
            ValueError: A column or a label is missing, an image cannot be protected, or the checkpoint is of another
                fit. Or an image is too large for the scale at which noise is computed.
            FloatingPointError: The surrogate diverged.
        """
        require("image", "torch", "accelerate", "PIL")
        self._check_parameters()
        self._noise = None
        if self.max_levels == 0:
            self._noise = SampleNoise.empty()
            return self
        self._seed = shared_seed(self.seed, checkpoint_dir)
        learner = NoiseLearner(
            self._pictures(part_of(dataset)),
            seed=self._resolved_seed(),
            per_class=self._per_class,
            surrogate=self.surrogate,
            image_size=self.image_size,
            batch_size=self.batch_size,
            noise_batch_size=self.noise_batch_size,
            learning_rate=self.learning_rate,
            accelerator=accelerator,
            checkpoint_dir=checkpoint_dir,
            identity=[self.method, self.method_version, {**self.get_params(), "seed": None}],
            **self._surrogate_parts(),
        )
        self._learn(learner)
        noise, self.image_passes = learner.result(), learner.image_passes
        self._noise = replace(noise, levels=on_disk(noise.levels))  # hashed and pickled by its name
        if not self._noise.levels.any():
            logger.warning("The noise is 0 everywhere: nothing would be protected. Raise step_size or max_rounds.")
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        counts = (
            "max_rounds", "num_steps", "num_draws", "batch_size", "noise_batch_size", "surrogate_steps",
            "adversary_steps",
        )  # fmt: skip
        for name, least in [*((name, 1) for name in counts), ("image_size", SMALLEST)]:
            value = getattr(self, name, None)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, but it starts at {least}.")

    def _surrogate_parts(self) -> dict[str, Any]:
        """`build` and `optimizer` of the `NoiseLearner`, where the surrogate is no classifier."""
        return {}

    def _learn(self, learner: NoiseLearner) -> None:
        """The method itself: rounds of `learner.train` and `learner.update`."""
        raise NotImplementedError

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        noise = self._fitted(self._noise)
        if isinstance(noise, ClassNoise) and self.image_size is None:
            side, seen = max(levels.shape[:2]), max(noise.levels.shape[1:3])
            if side > ENLARGED * max(seen, LARGEST):
                raise ImageError(f"the image has {side} pixels a side, but {blotches(side, seen)}")
        return super()._cloak(levels, label, stream)
