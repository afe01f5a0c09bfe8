"""Provably unlearnable error-minimising noise (PUE)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

from hf_unlearnable.image.learning.base import LearnedNoiseTransform
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.learning.cloud import Cloud

_SETTLED = 0.5  # error of the surrogate below which its weights are shaken


@dataclass(kw_only=True, repr=False, eq=False)
class ProvableErrorMinTransform(LearnedNoiseTransform):
    """Provably unlearnable examples (PUE): error-minimising noise against a cloud of surrogates.

    Idea:
        Error-minimising noise fits the weights of one surrogate. Here it fits many, which lie around it at random.
        Then what is certified of a victim, `certified_learnability`, should be low as well. It bounds the accuracy of
        most models whose weights lie near the victim's.

    Paper:
        D. Wang, M. Xue, B. Li, S. Camtepe, L. Zhu, "Provably Unlearnable Data Examples", NDSS 2025, arXiv:2405.03316.

        With a surrogate f of weights w, and u drawn from normal distributions of standard deviations up to sigma:

            w <- SGD on  mean over u of loss(f(x + d; w + u), y)
            d <- signed steps down  mean over u of loss(f(x + d; w + u), y),  within epsilon

    Ours:
        The published schedule draws 600 copies per batch of the surrogate and 60 per batch of the noise. A sixth of
        them repeat the surrogate itself, without any noise. Here `num_pairs` pairs (plus and minus the same draw)
        stand beside the surrogate, and all of them answer in one batch. As published, the copies join when the
        surrogate first gets more than half of the images right.

    Args:
        noise: "class" for one noise per class, "sample" for a noise of its own for each image.
        sigma: Largest standard deviation of what is added to each weight.
        num_pairs: Pairs of noisy copies; their standard deviations rise to sigma in equal steps.
        max_rounds: Largest number of rounds.
        stop_error: The rounds end when the surrogate and its copies get no more than this share of the images wrong;
            None for all `max_rounds`.
        num_steps: Signed steps of the noise per round.
        step_size: Change of a pixel value per step, as a share of the range. None for epsilon / 10 with class-wise
            noise, which takes a step per batch, and else for epsilon / 2.
        surrogate_steps: Steps of SGD that the surrogate takes per round; None for one pass over the images.

    Secret:
        The seed and the noise.

    Cost:
        1 + 2 x `num_pairs` times the passes of `ErrorMinTransform`: 33 to 50 per image with one pair. A round of the
        published schedule takes 524 on 3,000 images, and protected less there (35 against 17 % for a victim).

    Breaks:
        The certificate reaches weights 0.026 away; two trainings end 12 apart. 600 clean images and a radius of 1
        double a victim's accuracy (see docs/results). Class-wise noise is seen in the average of a class's images.
        What breaks `ErrorMinTransform` presumably breaks it too; that was not measured.

    Prefer:
        For research. `ErrorMinTransform(noise="class")`, which it is a variant of, takes a third of the passes. What
        is certified of a victim is 1.8 points lower with PUE (three keys).

    Example:
        cloak = ProvableErrorMinTransform(image_column="img", label_column="label").fit(ds)
    """

    noise: str = "class"
    sigma: float = 0.05
    num_pairs: int = 1
    max_rounds: int = 15
    stop_error: float | None = 0.05
    num_steps: int = 1
    step_size: float | None = None
    surrogate_steps: int | None = 10

    method: ClassVar[str] = "provable-error-min"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("jpeg-10", "grayscale", "class-mean-subtraction")
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {**LearnedNoiseTransform.choices, "noise": ("class", "sample")}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.sigma < float("inf"):
            raise ValueError(f"sigma is {self.sigma}, but it is a standard deviation: 0 or more.")
        if self.num_pairs < 1:
            raise ValueError(f"num_pairs is {self.num_pairs}, but it starts at 1. For no noisy copies use error-min.")

    def _learn(self, learner: NoiseLearner) -> None:
        usual = self.epsilon / (10 if self.noise == "class" else 2)
        step_size = usual if self.step_size is None else self.step_size
        for this in learner.rounds(self.max_rounds, self.stop_error, "Provably unlearnable noise"):
            shaken = learner.best_error < _SETTLED
            learner.train(self.surrogate_steps, cloud=self._cloud(learner, learner.model) if shaken else None)
            fixed = self._cloud(learner, deepcopy(learner.model).eval().requires_grad_(False)) if shaken else None
            learner.update(
                this, max_levels=self.max_levels, step_size=step_size, num_steps=self.num_steps, model=fixed,
                num_draws=fixed.copies if fixed else 1,
            )  # fmt: skip

    def _cloud(self, learner: NoiseLearner, model: Any) -> Cloud:
        return Cloud(model, self.sigma, self.num_pairs, learner.generator)
