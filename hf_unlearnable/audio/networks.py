"""Networks that hear: on log-mel spectrograms, and on the wave itself. Victims and surrogates share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

SURROGATES = ("log_mel_cnn", "raw_cnn")


def log_mel_network(
    classes: int,
    rate: int,
    normalised: bool = False,
    widths: tuple[int, ...] = (16, 24, 48, 64),
    momentum: float = 0.1,
) -> nn.Module:
    """Convolutions on a log-mel spectrogram of 40 bands, from waves [n, frames] to logits [n, classes].

    Args:
        classes: How many.
        rate: Frames per second.
        normalised: See `features.log_mel`.
        widths: Channels of each convolution.
        momentum: Of the statistics of batch norm.
    """
    import torch
    from torch import nn

    from hf_unlearnable.audio.features import log_mel

    class Heard(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front = log_mel(rate, 40, normalised)
            layers: list[nn.Module] = [nn.BatchNorm2d(1, momentum=momentum)]
            for inputs, outputs in zip((1, *widths), widths, strict=False):
                layers += [
                    nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                    nn.BatchNorm2d(outputs, momentum=momentum),
                ]
                layers += [nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()]
            self.layers = nn.Sequential(*layers)
            self.head = nn.Linear(2 * widths[-1], classes)

        def forward(self, x: Tensor) -> Tensor:
            seen = self.layers(self.front(x)[:, None])
            return self.head(torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], dim=1))

    return Heard()


def raw_network(classes: int, rate: int) -> nn.Module:
    """Convolutions on the wave, the first over ten milliseconds, from waves [n, frames] to logits [n, classes].

    Args:
        classes: How many.
        rate: Frames per second.
    """
    from torch import nn

    width, stride = rate // 100, max(1, rate // 2000)  # 80 samples and 4 at 8 kHz
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 32), (32, 32), (32, 64), (64, 128)):
        step = nn.Conv1d(1, 32, width, stride, padding=width // 2, bias=False)
        layers += [step if inputs == 1 else nn.Conv1d(inputs, outputs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(4, ceil_mode=True)]
    pooled: list[nn.Module] = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, classes)]
    return nn.Sequential(nn.Unflatten(1, (1, -1)), *layers, *pooled)


def surrogate(name: str, classes: int, rate: int) -> nn.Module:
    """One of `SURROGATES`.

    That on spectrograms has half of the victim's width, so that it leans on noise sooner. Its batch norm keeps the
    statistics of the last few steps only: with those of the last ten, noise is made for a model that is gone.
    """
    if name == "raw_cnn":
        return raw_network(classes, rate)
    return log_mel_network(classes, rate, widths=(8, 16, 24, 32), momentum=0.5)
