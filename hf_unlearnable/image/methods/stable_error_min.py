"""Stable error-minimising noise (SEM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hf_unlearnable.image.learning.base import LearnedNoiseTransform
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.image.learning.views import crop_and_flip
from hf_unlearnable.learning.pgd import MAXIMIZE, frozen, pgd

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(kw_only=True, repr=False, eq=False)
class StableErrorMinTransform(LearnedNoiseTransform):
    """Stable error-minimising noise (SEM): noise that still works on a victim that trains adversarially.

    Idea:
        Adversarial training at a small radius washes error-minimising noise out. So the noise is computed on a
        surrogate that is itself adversarially trained. The views that it sees of an image are cropped, mirrored and
        shaken at random. What survives there survives a victim's training.

    Paper:
        Y. Liu, K. Xu, X. Chen, L. Sun, "Stable Unlearnable Example", AAAI 2024, arXiv:2311.13091.

        It is robust error-minimising noise (S. Fu et al., ICLR 2022) with random instead of adversarial shaking, at a
        ninth of its cost. With random views t and a defensive radius r

            f <- SGD on loss(f(t(x + d) + a), y), a = worst of |a| <= r
            d <- signed steps down  mean over draws of loss(f(t(x + d) + u), y),  u ~ U(-r, r)

    Ours:
        The published command draws d anew at each visit of an image, with ten steps of five draws, over 5,000 steps.
        Its adversary takes ten steps of 0.8/255 at r = 4/255. Victims are trained at the same radius. Here the noise
        of the last round is the start of the next, as in `ErrorMinTransform`, and a round takes few steps.

    Args:
        radius: Of the adversarial training that the noise shall survive, as a share of the range of a pixel value.
        adversary_steps: Signed steps of the surrogate's adversary.
        max_rounds: Largest number of rounds.
        stop_error: The rounds end when the surrogate gets no more than this share of the images wrong; None for all
            `max_rounds`.
        num_steps: Signed steps of the noise per round.
        step_size: Change of a pixel value per step, as a share of the range; None for epsilon / 2.
        num_draws: Random views per step.
        surrogate_steps: Steps of SGD that the surrogate takes per round; None for one pass over the images.

    Secret:
        The seed and the noise.

    Cost:
        A round is (2 + `adversary_steps`) + `num_steps` x `num_draws` passes per image, some five times that of
        `ErrorMinTransform`.

    Breaks:
        Adversarial training at a larger radius than r, JPEG of low quality, turning gray, fine-tuning a pretrained
        model.

    Prefer:
        Over `ErrorMinTransform` where victims train adversarially at a radius of up to r. Against plain training it
        protects less (see docs/results).

    Example:
        cloak = StableErrorMinTransform(image_column="img", label_column="label").fit(ds)
    """

    radius: float = 4 / 255
    adversary_steps: int = 3
    max_rounds: int = 10
    stop_error: float | None = 0.01
    num_steps: int = 1
    step_size: float | None = None
    num_draws: int = 5
    surrogate_steps: int | None = None

    method: ClassVar[str] = "stable-error-min"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("adversarial-training-8", "jpeg-10", "grayscale")

    def _learn(self, learner: NoiseLearner) -> None:
        import torch

        def shaken(images: Tensor, generator: torch.Generator) -> Tensor:
            views = crop_and_flip(images, generator)
            shake = torch.rand(views.shape, generator=generator).to(views.device) * 2 - 1
            return (views + self.radius * shake).clamp(0, 1)

        def adversary(seen: Tensor, targets: Tensor) -> Tensor:
            seen = seen.detach()
            noise, _, _ = pgd(
                frozen(learner.model), seen, torch.zeros_like(seen), targets, epsilon=self.radius,
                step_size=2 * self.radius / self.adversary_steps, num_steps=self.adversary_steps,
                direction=MAXIMIZE, autocast=learner.autocast,
            )  # fmt: skip
            learner.image_passes += len(seen) * self.adversary_steps
            return seen + noise

        step_size = self.epsilon / 2 if self.step_size is None else self.step_size
        for this in learner.rounds(self.max_rounds, self.stop_error, "Stable error-minimising noise"):
            learner.train(self.surrogate_steps, view=crop_and_flip, adversary=adversary)
            learner.update(
                this, max_levels=self.max_levels, step_size=step_size, num_steps=self.num_steps, view=shaken,
                num_draws=self.num_draws,
            )  # fmt: skip
