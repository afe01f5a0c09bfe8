"""Error-minimising noise (EM) in sound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from hf_unlearnable.audio.learning.base import LearnedClipNoiseTransform
from hf_unlearnable.audio.learning.noise import WHOLE
from hf_unlearnable.audio.learning.rounds import ClipLearner


@dataclass(kw_only=True, repr=False, eq=False)
class AudioErrorMinTransform(LearnedClipNoiseTransform):
    """Error-minimising noise (EM) on the wave: recordings sound learned already, so a model learns nothing from them.

    Idea:
        Noise is computed that brings a model's training loss near zero. A victim that trains on the recordings finds
        them easy, follows the noise, and stops listening to what they say. On clean recordings the noise is missing.

    Paper:
        H. Huang, X. Ma, S. M. Erfani, J. Bailey, Y. Wang, "Unlearnable Examples: Making Personal Data Unexploitable",
        ICLR 2021, arXiv:2101.04898, for images.

        With a surrogate f, recordings x, labels y, noise d and a random shift t in time, in rounds:

            f <- a few steps of SGD on loss(f(t(x + d)), y)
            d <- `num_steps` signed steps down the mean over `num_draws` shifts of loss(f(t(x + d)), y)
            until f answers all but `stop_error` of t(x + d) correctly

    Ours:
        The loss goes through a log-mel front end, for what is computed on the wave itself does not reach models that
        hear spectrograms. The recordings are moved in time at every step, as most training does. The bound follows
        each recording's loudness, for a fixed one drowns the quiet recordings and is lost in the loud ones.

    Args:
        max_rounds: Largest number of rounds.
        stop_error: The rounds end when the surrogate gets no more than this share of the recordings wrong; None for
            all `max_rounds`.
        num_steps: Signed steps of the noise per round.
        num_draws: Shifts per step whose gradients are averaged.
        step_size: Change of a sample per step, as a share of its bound.
        surrogate_steps: Steps of SGD that the surrogate takes per round; None for one pass over the recordings.

    Secret:
        The seed and the noise.

    Cost:
        `num_steps` times `num_draws` forward and backward passes per recording and round, and the surrogate's.

    Breaks:
        It protects little: a victim on log-mel spectrograms learns what is said all the same. A single trial on 400
        spoken digits left it 82 %, random noise as loud 94 (recipes/bench/NOTES.md). It is heard more than the
        equalizer. Low-passes, noise reduction and codecs are still to be measured.

    Prefer:
        `equalizer`, which holds back far more and is heard less. This one to compare with its paper.

    Example:
        cloak = AudioErrorMinTransform(audio_column="audio", label_column="label", epsilon=0.1).fit(ds)
        protected = ds.map(cloak, batched=True)
    """

    max_rounds: int = 15
    stop_error: float | None = 0.05
    num_steps: int = 2
    num_draws: int = 1
    step_size: float = 0.25
    surrogate_steps: int | None = 10

    method: ClassVar[str] = "audio-error-min"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("low-pass", "spectral-gating", "additive-noise")

    def _learn(self, learner: ClipLearner) -> None:
        from hf_unlearnable.audio.countermeasures.augmentation import moved

        view = partial(moved, reach=self.shift)
        for this in learner.rounds(self.max_rounds, self.stop_error, "Error-minimising noise"):
            learner.train(self.surrogate_steps, view=view)
            learner.update(
                this, max_levels=WHOLE, step_size=self.step_size, num_steps=self.num_steps, view=view,
                num_draws=self.num_draws,
            )  # fmt: skip
