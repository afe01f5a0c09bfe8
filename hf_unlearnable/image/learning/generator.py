"""Where the noise of a cluster comes from: a tile that takes steps itself, or a network that is trained to make it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_WIDTH, _BLOCKS = 64, 6  # of the published generator
_WEIGHT_DECAY, _LAST_RATE = 5e-4, 1e-6


class NoiseSource(Protocol):
    """Makes a noise [1, 3, side, side] within epsilon, and follows its gradient."""

    def noise(self) -> Tensor:
        """The noise as it is now, with a gradient."""

    def step(self, share: float) -> None:
        """Follows the gradient that the noise has got.

        Args:
            share: Of the steps that are left, from 1 at the first one.
        """


class Tile:
    """A tile that repeats, and takes signed steps which fall to nothing.

    Args:
        tile: Pixels a side of it.
        side: Pixels a side of the noise.
        epsilon: Largest change of a pixel value.
        step_size: Of the first step.
        device: Where it is.
    """

    def __init__(self, tile: int, side: int, epsilon: float, step_size: float, device: torch.device):
        import torch

        self._values = torch.zeros(1, 3, tile, tile, device=device, requires_grad=True)
        self._side, self._epsilon, self._step_size = side, epsilon, step_size

    def noise(self) -> Tensor:
        """See `NoiseSource`."""
        times = -(-self._side // self._values.shape[-1])
        return self._values.repeat(1, 1, times, times)[:, :, : self._side, : self._side]

    def step(self, share: float) -> None:
        """See `NoiseSource`."""
        import torch

        gradient: Any = self._values.grad
        with torch.no_grad():
            self._values -= self._step_size * share * gradient.sign()
            self._values.clamp_(-self._epsilon, self._epsilon)
        self._values.grad = None


class Generator:
    """A residual network that makes the noise of a fixed random image, trained by Adam with a cosine.

    Args:
        side, epsilon, device: As for `Tile`.
        learning_rate: Of the start.
        generator: Draws the random image and the weights.
    """

    def __init__(
        self, side: int, epsilon: float, learning_rate: float, generator: torch.Generator, device: torch.device
    ):
        import torch

        self._side, self._epsilon, self._rate = side, epsilon, learning_rate
        self._image = torch.rand(1, 3, side, side, generator=generator).to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
            self._network = residual_network().to(device)
        self._optimizer = torch.optim.Adam(self._network.parameters(), learning_rate, weight_decay=_WEIGHT_DECAY)

    def noise(self) -> Tensor:
        """See `NoiseSource`."""
        return self._epsilon * self._network(self._image)[:, :, : self._side, : self._side]

    def step(self, share: float) -> None:
        """See `NoiseSource`."""
        for group in self._optimizer.param_groups:
            group["lr"] = _LAST_RATE + (self._rate - _LAST_RATE) * (1 - math.cos(math.pi * share)) / 2
        self._optimizer.step()
        self._optimizer.zero_grad()


def residual_network() -> nn.Module:
    """From [n, 3, h, w] to values from -1 to 1, of the same size or up to three pixels more."""
    from torch import nn

    def convolution(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
        made = nn.Conv2d(before, after, kernel, stride, kernel // 2, padding_mode="replicate")
        return nn.Sequential(made, nn.BatchNorm2d(after), nn.ReLU())

    def doubled(before: int) -> nn.Sequential:
        made = nn.ConvTranspose2d(before, before // 2, 3, 2, 1, output_padding=1)
        return nn.Sequential(made, nn.BatchNorm2d(before // 2), nn.ReLU())

    class Block(nn.Module):
        def __init__(self, channels: int):
            super().__init__()
            last = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate")
            self.change = nn.Sequential(convolution(channels, channels, 3), last, nn.BatchNorm2d(channels))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.change(x)

    return nn.Sequential(
        convolution(3, _WIDTH, 7), convolution(_WIDTH, 2 * _WIDTH, 3, 2), convolution(2 * _WIDTH, 4 * _WIDTH, 3, 2),
        *(Block(4 * _WIDTH) for _ in range(_BLOCKS)), doubled(4 * _WIDTH), doubled(2 * _WIDTH),
        nn.Conv2d(_WIDTH, 3, 7, padding=3, padding_mode="replicate"), nn.Tanh(),
    )  # fmt: skip
