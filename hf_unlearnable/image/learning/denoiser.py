"""A small denoiser as a surrogate: from images to how wrong it is about the noise that they are covered with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from torch import Tensor, nn

NUM_STEPS = 1000
_WIDTH = 16
_SIGNALS = 64  # numbers that tell a step


def denoising_errors(timesteps: str, autoencoder: str | None = None) -> nn.Module:
    """A denoiser that draws steps and noise by itself, from images [n, 3, size, size] in [0, 1] to errors [n, 1].

    With x the image in [-1, 1], or its latents, a_t = cos((t + 1) / 1001 * pi / 2)^2 and e ~ N(0, 1), the error of an
    image is the mean over its values of (e - f(sqrt(a_t) x + sqrt(1 - a_t) e, t))^2. It draws from torch's global
    generator on the CPU, so that every device meets the same draws.

    Args:
        timesteps: How t is drawn: "uniform", or "noise-weighted" in proportion to a_t.
        autoencoder: Id or folder of an `AutoencoderKL`, in whose latents images are covered; None for pixels.

    Raises:
        ImportError: torch is not installed, or with `autoencoder` diffusers.
        OSError: There is no such autoencoder.
    """
    require("image", "torch")
    import torch
    from torch import nn

    encode, channels = (None, 3) if autoencoder is None else _encoder(autoencoder)
    left = torch.cos(torch.arange(1, NUM_STEPS + 1) / (NUM_STEPS + 1) * torch.pi / 2) ** 2

    class DenoisingErrors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.denoiser = denoiser(channels)
            self.weights = torch.ones(NUM_STEPS) if timesteps == "uniform" else left.clone()

        def forward(self, images: Tensor) -> Tensor:
            x = 2 * images - 1 if encode is None else encode(2 * images - 1)
            steps = self.weights.multinomial(len(x), replacement=True)
            kept, noise = left[steps].to(x.device)[:, None, None, None], torch.randn(x.shape).to(x.device)
            answer = self.denoiser(kept.sqrt() * x + (1 - kept).sqrt() * noise, steps.to(x.device))
            return (answer - noise).square().mean((1, 2, 3))[:, None]

    return DenoisingErrors()


def denoiser(channels: int) -> nn.Module:
    """A small UNet: two resolutions, 55,000 weights, the step told to each block. Images of any size from 4 pixels on.

    Args:
        channels: Of the images and of the answer.
    """
    import torch
    from torch import nn
    from torch.nn.functional import avg_pool2d, interpolate, pad, pixel_shuffle, pixel_unshuffle, silu

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int):
            super().__init__()
            self.first, self.second = (
                nn.Sequential(nn.GroupNorm(4, n), nn.SiLU(), nn.Conv2d(n, outputs, 3, padding=1))
                for n in (inputs, outputs)
            )
            self.told = nn.Linear(_SIGNALS, outputs)
            self.shortcut: nn.Module = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

        def forward(self, x: Tensor, step: Tensor) -> Tensor:
            inner = self.first(x) + self.told(step)[:, :, None, None]
            return self.second(inner) + self.shortcut(x)

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Linear(_SIGNALS, _SIGNALS)
            self.first = nn.Conv2d(4 * channels, _WIDTH, 3, padding=1)
            self.down, self.middle = Block(_WIDTH, 2 * _WIDTH), Block(2 * _WIDTH, 2 * _WIDTH)
            self.up, self.last = Block(3 * _WIDTH, _WIDTH), nn.Conv2d(_WIDTH, 4 * channels, 1)

        def forward(self, x: Tensor, steps: Tensor) -> Tensor:
            height, width = x.shape[-2:]
            told = silu(self.step(_signals(steps)))
            fine = self.first(pixel_unshuffle(pad(x, (0, width % 2, 0, height % 2), mode="replicate"), 2))
            coarse = self.middle(self.down(avg_pool2d(fine, 2), told), told)
            coarse = interpolate(coarse, fine.shape[-2:])
            answer = pixel_shuffle(self.last(self.up(torch.cat([fine, coarse], 1), told)), 2)
            return answer[:, :, :height, :width]

    return Denoiser()


def _signals(steps: Tensor) -> Tensor:
    """Steps as sines and cosines of falling frequency, [n, signals]."""
    import torch

    rates = 10_000 ** -(torch.arange(_SIGNALS // 2, device=steps.device) / (_SIGNALS // 2))
    angles = steps[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def _encoder(name: str) -> tuple[Callable[[Tensor], Tensor], int]:
    """What an autoencoder makes of images in [-1, 1], with a gradient that recomputes instead of keeping, and how many
    channels that has.
    """
    require("diffusion", "diffusers")
    from diffusers import AutoencoderKL
    from torch.utils.checkpoint import checkpoint

    try:
        found: Any = AutoencoderKL.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{name} holds no AutoencoderKL that can be loaded: give its id or folder, such as the folder vae of a "
            "Stable Diffusion pipeline."
        ) from error
    found = found.eval().requires_grad_(False)

    def encode(images: Tensor) -> Tensor:
        found.to(images.device)
        latents = checkpoint(lambda x: found.encode(x).latent_dist.mean, images, use_reentrant=False)
        return found.config.scaling_factor * latents

    return encode, found.config.latent_channels
