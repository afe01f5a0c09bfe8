"""How models hear a recording: at one rate, in mono, as a log-mel spectrogram or cepstral coefficients.

The filter bank is that of `transformers.audio_utils`, the spectrum torch's: so a gradient goes through, and what is
changed in training is changed before the front end, whatever the victim.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hf_unlearnable.audio.clip import Clip

WINDOW, HOP = 0.025, 0.010  # seconds, as in Kaldi and Whisper
SILENT = 1e-8  # power of a mel band that counts as none: that of the noise of 16 bits
_SPEECH = 4 * np.log(10)  # a frame less than 40 dB below the loudest one is no pause


def resampled(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Samples at another rate (soxr, high quality), in floats: of integers it would dither the silence.

    Args:
        samples: float32 [frames] or [frames, channels].
        rate, new_rate: Frames per second.

    Returns:
        float32 [round(frames * new_rate / rate), ...], at least one frame of one or more.
    """
    if rate == new_rate or len(samples) == 0:
        return samples
    require("audio", "soxr")
    import soxr

    wanted = max(1, round(len(samples) * new_rate / rate))
    return fitted(soxr.resample(samples, rate, new_rate), wanted)


def fitted(samples: np.ndarray, frames: int) -> np.ndarray:
    """Samples cut or followed by silence, [frames, ...] of the same type."""
    missing = frames - len(samples)
    if missing <= 0:
        return samples[:frames]
    return np.pad(samples, [(0, missing)] + [(0, 0)] * (samples.ndim - 1))


def waves(clips: Sequence[Clip], rate: int, frames: int) -> Tensor:
    """Recordings in mono at one rate and length, from their beginning on: float32 [n, frames].

    Args:
        clips: n recordings of any rates, lengths and numbers of channels.
        rate: Frames per second.
        frames: How many; longer ones are cut, silence follows shorter ones.
    """
    import torch

    made = np.zeros((len(clips), frames), np.float32)
    for row, clip in zip(made, clips, strict=True):
        longest = -(-frames * clip.rate // rate) + clip.rate // 10  # a little more than what is heard
        heard = resampled(clip.mono[:longest], clip.rate, rate)[:frames]
        row[: len(heard)] = heard
    return torch.from_numpy(made)


def log_mel(rate: int, bands: int = 40, normalised: bool = False) -> nn.Module:
    """A front end from waves [n, frames] to log-mel spectrograms [n, bands, times], 100 per second.

    Args:
        rate: Frames per second.
        bands: How many, from 20 Hz to half the rate.
        normalised: Whether each band's mean over the clip is subtracted (cepstral mean normalisation: B. S. Atal,
            JASA 55, 1974). A filter that is the same throughout the clip adds a constant to each band, and so goes
            with it. Times 40 dB below the loudest do not count, and become 0.
    """
    require("attack", "transformers")
    import torch
    from transformers.audio_utils import mel_filter_bank

    window, hop = round(WINDOW * rate), round(HOP * rate)
    bins = 2 ** int(np.ceil(np.log2(window)))
    bank = mel_filter_bank(bins // 2 + 1, bands, 20, rate / 2, rate, norm=None, mel_scale="htk")

    class LogMel(torch.nn.Module):
        bank: Tensor
        window: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("bank", torch.tensor(bank.T, dtype=torch.float32), persistent=False)
            self.register_buffer("window", torch.hann_window(window), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            spectrum = torch.stft(
                x, bins, hop, window, self.window, pad_mode="constant", return_complex=True
            )  # fmt: skip
            mel = torch.log(self.bank @ (spectrum.real**2 + spectrum.imag**2) + SILENT)
            return _mean_subtracted(mel) if normalised else mel

    return LogMel()


def _mean_subtracted(mel: Tensor) -> Tensor:
    """Log-mel spectrograms [n, bands, times] without each band's mean over the times that are no pause."""
    power = mel.logsumexp(1, keepdim=True)
    heard = (power >= power.amax(2, keepdim=True) - _SPEECH).to(mel)
    means = (mel * heard).sum(2, keepdim=True) / heard.sum(2, keepdim=True)
    return (mel - means) * heard


def cepstral_statistics(
    mel: np.ndarray, coefficients: int = 20, parts: int = 5, normalised: bool = False
) -> np.ndarray:
    """What a classifier without a sense of time reads of MFCC: their mean, spread and course.

    Args:
        mel: Log-mel spectrograms, float [n, bands, times]. Times 40 dB below the loudest are left out, as pauses are.
        coefficients: How many are kept of each time's discrete cosine transform.
        parts: Into how many parts of equal length a clip is divided.
        normalised: Whether the mean is taken off, as `log_mel` does it.

    Returns:
        float64 [n, (3 + parts) * coefficients]: the mean, the standard deviation, that of the steps from one time to
        the next, and the mean of each part.
    """
    from scipy.fft import dct

    cepstra = dct(mel, type=2, axis=1, norm="ortho")[:, :coefficients]
    power = np.logaddexp.reduce(mel, axis=1)
    heard = power >= power.max(axis=1, keepdims=True) - _SPEECH
    rows = []
    for one, kept in zip(cepstra, heard, strict=True):
        first, last = np.flatnonzero(kept)[[0, -1]]
        spoken = one[:, first : last + 1]
        if normalised:
            spoken = spoken - spoken.mean(axis=1, keepdims=True)
        steps = np.diff(spoken, axis=1).std(axis=1) if spoken.shape[1] > 1 else np.zeros(coefficients)
        bounds = np.linspace(0, spoken.shape[1], parts + 1)
        means = [
            spoken[:, int(low) : max(int(np.ceil(high)), int(low) + 1)].mean(axis=1) for low, high in pairwise(bounds)
        ]
        rows.append(np.concatenate([spoken.mean(axis=1), spoken.std(axis=1), steps, *means]))
    return np.stack(rows)
