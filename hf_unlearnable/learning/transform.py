"""What the protections share whose noise is learned with a surrogate, whatever their rows are: `fit`."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hf_unlearnable._extras import require
from hf_unlearnable._mapped import on_disk
from hf_unlearnable.labelled import LabelledFiles
from hf_unlearnable.learning.checkpoint import shared_seed
from hf_unlearnable.learning.processes import part_of
from hf_unlearnable.learning.rounds import Learner

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, repr=False, eq=False)
class LearnedTransform(LabelledFiles):
    """Base class of the protections whose noise is computed at `fit`, for all rows, on a surrogate that is trained.

    `fraction`, `classes` and `mask_column` choose rows when the noise is applied, so they may change later with the
    same key.
    """

    learns_with: ClassVar[tuple[str, ...]]  # the extra that `fit` needs, and its modules

    def fit(self, dataset: Any, *, accelerator: Any = None, checkpoint_dir: str | os.PathLike | None = None) -> Any:
        """Computes the noise of every row.

        Args:
            dataset: A `Dataset` or `IterableDataset`. Under `accelerate launch` each process takes its part of it.
            accelerator: An `accelerate.Accelerator`, whose mixed precision (for the noise, not for the surrogate) and
                compilation are used. None for bf16 where the device computes in it, and for no compilation.
            checkpoint_dir: Folder to save every round in and to resume a killed fit from. It holds what the key
                holds: keep it private, and remove it afterwards. Several processes need one that all of them see.

        Raises:
            ValueError: A column or a label is missing, a row cannot be protected, or the checkpoint is of another
                fit. Or an image is too large for the scale at which noise is computed.
            FloatingPointError: The surrogate diverged.
        """
        require(*self.learns_with)
        self._check_parameters()
        self._noise = None
        if getattr(self, self.strength_parameter) == 0:
            self._noise = self._no_noise()
            return self
        self._seed = shared_seed(self.seed, checkpoint_dir)
        learner = self._learner(
            part_of(dataset),
            seed=self._resolved_seed(),
            accelerator=accelerator,
            checkpoint_dir=checkpoint_dir,
            identity=[self.method, self.method_version, {**self.get_params(), "seed": None}],
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
        for name, least in [*((name, 1) for name in counts), *self._least().items()]:
            value = getattr(self, name, None)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, but it starts at {least}.")

    def _least(self) -> dict[str, float]:
        """The least values of further parameters."""
        return {}

    @abstractmethod
    def _no_noise(self) -> Any:
        """The noise that a strength of 0 takes."""

    @abstractmethod
    def _learner(self, dataset: Any, **learner: Any) -> Learner:
        """The rows of this process, with their noise and the surrogate.

        Args:
            dataset: This process's part.
            learner: What `Learner` takes, as far as it does not depend on the kind of rows.
        """

    @abstractmethod
    def _learn(self, learner: Any) -> None:
        """The method itself: rounds of `learner.train` and `learner.update`."""
