"""Augmentation of batches in training, on waves: whatever the front end of the victim, it hears what was changed.

Waves are float [n, frames] with full scale 1, and silence follows the shorter recordings of a batch. All draws come
from the victim's generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_REACH = 0.2  # of the length that a recording is moved at most
_LEAST = 0.7  # of a recording that a crop leaves
_RINGING = 1024  # frames of silence that a filter may ring into
_KNOTS, _DECIBELS = 24, 12.0  # of the equaliser
_BINS = 256  # of the spectrograms that are masked
_HOPS = 160  # frames that a notch stays at least: 20 ms at 8 kHz


def time_shift(waves: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each recording moved by up to a fifth of the length, what leaves at one end coming back at the other.

    The first thing that any training on sound does. A protection that keys a place of the recording to a class
    (PosCUDA) needs it to stay there.
    """
    return moved(waves, generator, _REACH), targets


def moved(waves: Tensor, generator: torch.Generator, reach: float) -> Tensor:
    """Each wave moved by up to a share of its length, what leaves at one end coming back at the other. Differentiable.

    Args:
        waves: Float [n, frames].
        generator: On the CPU, so that every device meets the same draws.
        reach: The share.
    """
    import torch

    frames = waves.shape[1]
    shift = ((2 * torch.rand(len(waves), 1, generator=generator) - 1) * reach * frames).round().long()
    return waves.gather(1, ((torch.arange(frames) - shift) % frames).to(waves.device))


def random_crop(waves: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random part of each recording, seven tenths of it at least, from the beginning on.

    A patch at a fixed place is moved, or gone.
    """
    import torch

    n, frames = waves.shape
    share, where = torch.rand(2, n, 1, generator=generator).to(waves.device)
    length = _lengths(waves)
    kept = (length * (_LEAST + (1 - _LEAST) * share)).ceil()
    start = ((length - kept) * where).floor().long()
    place = torch.arange(frames, device=waves.device)
    return waves.gather(1, (place + start).clamp(max=frames - 1)) * (place < kept), targets


def additive_noise(
    waves: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """White noise 10 to 30 dB under each recording, drawn for it: quiet patterns drown, and notches fill up.

    The attacker knows nothing. Silence stays silence.
    """
    import torch

    decibels = 10 + 20 * torch.rand(len(waves), 1, generator=generator).to(waves)
    power = waves.square().sum(1, keepdim=True) / _lengths(waves).clamp(min=1)
    noise = torch.randn(waves.shape, generator=generator).to(waves)
    return waves + noise * (power * 10 ** (-decibels / 10)).sqrt(), targets


def spec_augment(
    waves: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Two bands and two times of each recording silenced, up to a fifth of its band and of its length each.

    Paper: D. S. Park et al., "SpecAugment", Interspeech 2019, arXiv:1904.08779, here on the wave's short-time
    spectrum, so that it reaches models without a spectrogram too. Notches come and go, so none of them tells much.
    """
    import torch

    window = torch.hann_window(_BINS, device=waves.device)
    spectrum = torch.stft(waves, _BINS, _BINS // 4, window=window, pad_mode="constant", return_complex=True)
    for axis in (1, 2):
        for _ in range(2):
            spectrum = spectrum * ~_stripes(spectrum.shape[axis], axis, len(waves), generator).to(waves.device)
    return torch.istft(spectrum, _BINS, _BINS // 4, window=window, length=waves.shape[1]), targets


def random_equaliser(
    waves: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each recording through a random equaliser of 24 bands, between -12 and +12 dB each.

    The attacker knows that classes are filtered, and teaches the model that filters tell nothing.
    """
    import torch
    from torch.nn.functional import interpolate

    knots = _DECIBELS * (2 * torch.rand(len(waves), 1, _KNOTS, generator=generator) - 1)

    def gains(bins: int) -> Tensor:
        return 10 ** (interpolate(knots, bins, mode="linear", align_corners=True)[:, 0] / 20)

    return _filtered(waves, gains), targets


def random_notches(
    waves: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Three notches of 40 dB in each recording at random, each from a thirtieth to a tenth of its band.

    The attacker knows that classes have notches, and not where: every clip then has some, and they tell less. Two
    notches of 250 Hz per class on 1,350 digits of FSDD: 26 to 52 % (`log_mel_cnn`, one key, one seed).
    """
    import torch

    middle, width = torch.rand(2, len(waves), 3, 1, generator=generator)
    width = 1 / 30 + width * (1 / 10 - 1 / 30)

    def gains(bins: int) -> Tensor:
        inside = (torch.linspace(0, 1, bins) - middle).abs() < width / 2
        return 1 - 0.99 * inside.any(1).float()

    return _filtered(waves, gains), targets


def random_hops(waves: Tensor, targets: Tensor, model: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two notches of 40 dB in each recording at random, which take turns: 20 to 80 ms each.

    The attacker knows that the notches of a class hop, and not where: every clip then has some, and they tell less.
    """
    import torch

    window = torch.hann_window(_BINS // 2, device=waves.device)
    spectrum = torch.stft(waves, _BINS // 2, _BINS // 8, window=window, pad_mode="constant", return_complex=True)
    n, bins, times = spectrum.shape
    middle, width = torch.rand(2, n, 2, 1, generator=generator)
    inside = (torch.linspace(0, 1, bins) - middle).abs() < (1 / 30 + width * (1 / 10 - 1 / 30)) / 2
    period, phase = torch.rand(2, n, 1, generator=generator)
    turn = (torch.linspace(0, 1, times) * waves.shape[1] / _HOPS / (1 + 3 * period) + 2 * phase).long() % 2
    taken = torch.where(turn[:, None] == 0, inside[:, 0, :, None], inside[:, 1, :, None])
    changed = spectrum * (1 - 0.99 * taken.float()).to(waves.device)
    return torch.istft(changed, _BINS // 2, _BINS // 8, window=window, length=waves.shape[1]), targets


def _filtered(waves: Tensor, gains) -> Tensor:
    import torch

    whole = waves.shape[1] + _RINGING
    spectrum = torch.fft.rfft(waves, whole)
    return torch.fft.irfft(spectrum * gains(spectrum.shape[1]).to(waves.device), whole)[:, : waves.shape[1]]


def _lengths(waves: Tensor) -> Tensor:
    """Frames of each recording up to the last that is not silent, [n, 1]."""
    import torch

    place = torch.arange(1, waves.shape[1] + 1, device=waves.device)
    return ((waves != 0) * place).amax(1, keepdim=True)


def _stripes(size: int, axis: int, n: int, generator: torch.Generator) -> Tensor:
    """A random stretch along an axis of spectrograms [n, bands, times], up to a fifth of it: booleans."""
    import torch

    width, start = torch.rand(2, n, 1, 1, generator=generator)
    width = width * size / 5
    place = torch.arange(size).view([-1 if i == axis else 1 for i in range(3)])
    begin = start * (size - width)
    return (place >= begin) & (place < begin + width)
