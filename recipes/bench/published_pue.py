"""No measurement: provably unlearnable noise by the schedule of its authors, to compare ours with."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from hf_unlearnable import ProvableErrorMinTransform
from hf_unlearnable.image.learning.rounds import NoiseLearner

_SETTLED, _DONE = 0.5, 0.1  # errors of the surrogate: from the first on it is shaken, at the second it ends
_BATCHES = 20  # of the surrogate, a round


class Shaken:
    """Copies of a model, each with normal noise of one size on every parameter, that answer one after the other."""

    def __init__(self, model: torch.nn.Module, sigma: float, copies: int, generator: torch.Generator):
        self.model, self.sigma, self.copies, self.generator = model, sigma, copies, generator

    def one(self, images: torch.Tensor) -> torch.Tensor:
        """The logits of a new copy."""
        state = {
            name: value + self.sigma * torch.randn(value.shape, generator=self.generator)
            for name, value in self.model.named_parameters()
        }
        return functional_call(self.model, state, (images,))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """The logits of all copies, [copies * n, classes], of images [copies * n, ...], one copy's after another's."""
        return torch.cat([self.one(part) for part in images.unflatten(0, (self.copies, -1))])


@dataclass(kw_only=True, repr=False, eq=False)
class PublishedSchedule(ProvableErrorMinTransform):
    """PUE as github.com/NeuralSec/certified-data-learnability schedules it.

    A round takes 20 batches. On each the surrogate takes six steps, one per level of the shaking (0 to sigma), with
    the mean gradient of `draws` copies. Then the noise takes six steps, one per level, with `noise_draws` copies.

    Args:
        draws: Copies per level of the surrogate's step.
        noise_draws: Copies per level of the noise's step.
        shaken_rounds: The fit ends after so many rounds with shaken weights, or at an error of 0.1.

    After a fit `errors` holds the surrogate's error per round, and `passes` the passes (forward and backward, of one
    image each) of the shaken rounds. The authors move the noise on a fifth of the images, here on all: a fifth counts.
    """

    sigma: float = 0.25
    draws: int = 100
    noise_draws: int = 10
    shaken_rounds: int = 1
    max_rounds: int = 30
    levels: int = 6

    def _learn(self, learner: NoiseLearner) -> None:
        self.passes, self.errors, shaken, settled = 0, [], 0, False
        step = self.epsilon / 10
        sizes = [self.sigma * level / (self.levels - 1) for level in range(self.levels)]
        ended = -1.0  # no error is as low
        for this in learner.rounds(self.max_rounds, ended, "The published schedule", keep_last=True):
            if not settled:
                learner.train(_BATCHES)
                learner.update(this, max_levels=self.max_levels, step_size=step, num_steps=1)
            else:
                for _ in range(_BATCHES):
                    self._train(learner, sizes)
                model: Any = deepcopy(learner.model).eval().requires_grad_(False)
                for size in sizes:
                    copies = Shaken(model, size, self.noise_draws, learner.generator)
                    learner.update(
                        this, max_levels=self.max_levels, step_size=step, num_steps=1, model=copies,
                        num_draws=self.noise_draws,
                    )  # fmt: skip
                self.passes += learner.num_rows * self.levels * self.noise_draws // 5
                shaken += 1
            done = shaken == self.shaken_rounds or (shaken and this.error <= _DONE)
            settled = settled or this.error < _SETTLED
            self.errors.append(this.error)
            if done:
                this.error = ended

    def _train(self, learner: NoiseLearner, sizes: list[float]) -> None:
        """One batch of the surrogate: a step per level."""
        images, targets = learner.seen(learner._next_rows())
        images = images.contiguous(memory_format=torch.channels_last)
        learner.model.train()
        for size in sizes:
            copies = Shaken(learner.model, size, self.draws, learner.generator)
            learner.optimizer.zero_grad()
            for _ in range(self.draws):
                (cross_entropy(copies.one(images), targets) / (self.draws * len(sizes))).backward()
            torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 5.0)
            learner.optimizer.step()
            self.passes += len(images) * self.draws
