"""Denoising-error noise (UDP, EUDP)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hf_unlearnable._extras import require
from hf_unlearnable.image.learning.base import LearnedNoiseTransform
from hf_unlearnable.image.learning.rounds import NoiseLearner
from hf_unlearnable.learning.pgd import MAXIMIZE, MINIMIZE

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(kw_only=True, repr=False, eq=False)
class DenoisingErrorTransform(LearnedNoiseTransform):
    """Denoising-error noise (UDP, EUDP): moves images up or down the loss that diffusion models are trained on.

    Idea:
        A diffusion model learns to take noise off images. Noise in the images that lowers this loss leaves it less to
        learn. Noise that raises it makes the model learn what clean images do not show. No label is read.

    Paper:
        Z. Zhao, J. Duan, X. Hu, K. Xu, C. Wang, R. Zhang, Z. Du, Q. Guo, Y. Chen, "Unlearnable Examples for Diffusion
        Models: Protect Data from Unauthorized Exploitation", arXiv:2306.01902.

        With a denoiser f, images x, noise d and e ~ N(0, 1). Step t leaves the share a_t of the image. In rounds:

            f <- steps on   loss = mean of (e - f(sqrt(a_t) (x + d) + sqrt(1 - a_t) e, t))^2
            d <- `num_steps` signed steps down or up the same loss, within epsilon

        UDP draws t uniformly. EUDP draws it by the noise scale of the process, for the perturbation counts only where
        the process leaves much of the image.

    Ours:
        The code of the paper is not public, and constants of its algorithm were not seen: those here are ours.
        `timesteps="noise-weighted"` draws t in proportion to a_t, the variance that the process leaves of the image
        and of its perturbation. It is not the default: it had half the effect with the same passes. The denoiser is a
        UNet of 55,000 weights. Photos come down to the scale at which noise is computed, see `image_size`. With
        `autoencoder`, the denoiser works on latents, as Stable Diffusion does, and the gradient goes through the
        encoder.

    Args:
        direction: "lower" or "raise" the denoising loss.
        timesteps: How the step of the process is drawn: "uniform" (UDP) or "noise-weighted" (EUDP).
        autoencoder: Id or folder of an `AutoencoderKL`, in whose latents the denoiser works; None for pixels. Set
            `image_size` to the size that the autoencoder takes.
        surrogate: "denoiser", the only one.
        max_rounds: Number of rounds.
        surrogate_epochs: Passes of the denoiser over the images per round.
        num_steps: Signed steps of the noise per round. Each draws a step of the process for each image.
        step_size: Change of a pixel value per step, as a share of the range; None for epsilon / 4, and at
            least one pixel value.
        learning_rate: Learning rate of the denoiser's Adam.

    Secret:
        The seed and the noise.

    Cost:
        A round is `surrogate_epochs` + `num_steps` passes per image: 40 with the defaults.

    Breaks:
        Training alone, as far as people can see: at 16/255, 93 % of a small DDPM's samples stay recognisable (clean
        94). They have a faint haze. Their features move away from real ones (KID 0.32 against 0.02). Raising the
        loss changed nothing. These are small models (see docs/results); Stable Diffusion was not tried. JPEG, blur
        and purification were not tried against it either: they remove most noise of this size.

    Prefer:
        For research. The generated images show what the photos show. Where classifiers are feared, `TextureTransform`
        and `ErrorMinTransform` leave far less to them.

    Example:
        cloak = DenoisingErrorTransform(image_column="img", epsilon=16 / 255).fit(ds)
    """

    direction: str = "lower"
    timesteps: str = "uniform"
    autoencoder: str | None = None
    surrogate: str = "denoiser"
    max_rounds: int = 20
    surrogate_epochs: int = 1
    num_steps: int = 1
    step_size: float | None = None
    batch_size: int = 32
    learning_rate: float = 2e-3

    method: ClassVar[str] = "denoising-error"
    method_version: ClassVar[int] = 2  # 2: steps are drawn uniformly
    needs_labels: ClassVar[bool] = False
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("jpeg-10", "gaussian-blur", "diffusion-purification")
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **LearnedNoiseTransform.choices,
        "direction": ("lower", "raise"),
        "timesteps": ("uniform", "noise-weighted"),
        "surrogate": ("denoiser",),
    }

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.surrogate_epochs < 1:
            raise ValueError(f"surrogate_epochs is {self.surrogate_epochs}, but it starts at 1.")
        if self.autoencoder is not None:
            require("diffusion", "diffusers")

    def _surrogate_parts(self) -> dict[str, Any]:
        import torch

        return {"build": self._denoiser, "optimizer": torch.optim.Adam}

    def _denoiser(self, name: str, num_classes: int) -> nn.Module:
        from hf_unlearnable.image.learning.denoiser import denoising_errors

        return denoising_errors(self.timesteps, self.autoencoder)

    def _learn(self, learner: NoiseLearner) -> None:
        step_size = max(self.epsilon / 4, 1 / 255) if self.step_size is None else self.step_size
        for this in learner.rounds(self.max_rounds, None, "Denoising-error noise", keep_last=True):
            for _ in range(self.surrogate_epochs):
                learner.train(None, loss=_mean)
            learner.update(
                this, max_levels=self.max_levels, step_size=step_size, num_steps=self.num_steps, loss=_sum,
                direction=MAXIMIZE if self.direction == "raise" else MINIMIZE,
            )  # fmt: skip
            this.error = this.loss


def _mean(errors: Tensor, targets: Tensor) -> Tensor:
    return errors.mean()


def _sum(errors: Tensor, targets: Tensor) -> Tensor:
    return errors.sum()
