"""Error-maximising and targeted adversarial noise (TAP)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hf_unlearnable.image.learning.base import LearnedNoiseTransform
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.image.learning.views import crop_and_flip
from hf_unlearnable.learning.pgd import MAXIMIZE, MINIMIZE


@dataclass(kw_only=True, repr=False, eq=False)
class ErrorMaxTransform(LearnedNoiseTransform):
    """Error-maximising and targeted adversarial noise (TAP): a trained model takes every image for another class.

    Idea:
        Adversarial examples are features (Ilyas et al. 2019). A victim that trains on images whose noise says "truck"
        under the label "ship" learns that wrong noise, and gives wrong answers on clean images.

    Paper:
        L. Fowl, M. Goldblum, P. Chiang, J. Geiping, W. Czaja, T. Goldstein, "Adversarial Examples Make Strong
        Poisons", NeurIPS 2021, arXiv:2106.10807.

        A surrogate f is trained on the clean images, then frozen, and

            targeted:    d <- signed steps down loss(f(x + d), (y + 1) mod K)
            untargeted:  d <- signed steps up loss(f(x + d), y)       (the "error-max" noise of Huang et al. 2021)

    Ours:
        The paper takes 250 steps of epsilon / 20 with 8 restarts, on a ResNet-18 trained to the end. Here there are
        `max_rounds` of `num_steps` steps, which end when nearly every image is taken for its target.

    Args:
        targeted: Whether an image is pushed to the next class (TAP), or just away from its own.
        surrogate_epochs: Passes over the clean images that the surrogate is trained for.
        max_rounds: Rounds of `num_steps` steps at most.
        stop_error: The rounds end when all but this share of the images are taken for what they should be; None for
            all `max_rounds`.
        num_steps: Signed steps per round.
        step_size: Change of a pixel value per step, as a share of the range; None for epsilon / 10.
        augment: Whether surrogate and noise see the images cropped and mirrored.

    Secret:
        The seed and the noise.

    Cost:
        The training of a surrogate, then `max_rounds` x `num_steps` passes per image.

    Breaks:
        JPEG of low quality (84 % on CIFAR-10; turning gray does not help), adversarial training (88 %). A weak
        surrogate makes weak noise: with a few thousand images it knows too little itself.

    Prefer:
        With many images and a strong surrogate. On a few thousand images `ErrorMinTransform` protects as much in less
        time (see docs/results).

    Example:
        cloak = ErrorMaxTransform(image_column="img", label_column="label", surrogate="resnet18").fit(ds)
    """

    surrogate: str = "small_cnn"
    targeted: bool = True
    surrogate_epochs: int = 30
    max_rounds: int = 3
    stop_error: float | None = 0.0
    num_steps: int = 10
    step_size: float | None = None
    augment: bool = True

    method: ClassVar[str] = "error-max"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("jpeg-10", "grayscale", "adversarial-training-4")

    def _learn(self, learner: NoiseLearner) -> None:
        step_size = self.epsilon / 10 if self.step_size is None else self.step_size
        view = crop_and_flip if self.augment else None
        classes = len(learner.classes)
        for this in learner.rounds(self.max_rounds, self.stop_error, "Error-maximising noise"):
            for _ in range(self.surrogate_epochs if this.number == 0 else 0):
                learner.train(None, view=view)
            learner.update(
                this, max_levels=self.max_levels, step_size=step_size, num_steps=self.num_steps, view=view,
                direction=MINIMIZE if self.targeted else MAXIMIZE,
                targets=(lambda _, labels: (labels + 1) % classes) if self.targeted else (lambda _, labels: labels),
            )  # fmt: skip
