"""What recordings go through before anyone trains on them: codecs, resampling, loudness, denoising.

Every change is one of a single recording and keeps its channels. `resample-...` leaves it at the new rate, as loaders
do, and `trimmed` makes it shorter; all others keep rate and length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hf_unlearnable.adversary import Wear
from hf_unlearnable.audio.clip import Clip
from hf_unlearnable.audio.features import resampled
from hf_unlearnable.audio.wear.codecs import CODECS, Codec

__all__ = ["AUDIO_WEAR", "CODECS", "Codec", "on_every"]

_LOUDNESS = 0.1  # root mean square that loudness is brought to: -20 dB of full scale
_LOUDER = 10.0  # the largest gain, 20 dB: more makes noise of a pause


def on_every(change: Callable[[Clip], Clip], inputs: Sequence[Clip]) -> list[Clip]:
    """A change of one recording, on each of them.

    Raises:
        ValueError: A recording cannot be changed; the message names its row.
    """
    changed = []
    for row, clip in enumerate(inputs):
        try:
            changed.append(change(clip))
        except ValueError as error:
            raise ValueError(f"Row {row}: {error}") from None
    return changed


def at_rate(clip: Clip, rate: int) -> Clip:
    """A recording at another rate, as loaders make it (soxr)."""
    return Clip(resampled(clip.samples, clip.rate, rate), rate)


def even_loudness(clip: Clip) -> Clip:
    """A recording at -20 dB of full scale (root mean square), no more than 20 dB louder, and without clipping.

    The measure of EBU R 128 needs 0.4 seconds, which spoken words often are not.
    """
    samples = clip.samples
    if len(samples) == 0 or not (peak := float(np.abs(samples).max())):
        return clip
    loudness = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    return replace(clip, samples=samples * np.float32(min(_LOUDNESS / loudness, _LOUDER, 1 / peak)))


def trimmed(clip: Clip) -> Clip:
    """A recording without the silence at both ends, which is 40 dB below its peak."""
    loud = np.abs(clip.samples).max(axis=1, initial=0)
    heard = np.flatnonzero(loud > 0.01 * loud.max(initial=0))
    return replace(clip, samples=clip.samples[heard[0] : heard[-1] + 1]) if len(heard) else clip


def _denoised(clip: Clip) -> Clip:
    from hf_unlearnable.audio.countermeasures.filters import spectral_gating

    return spectral_gating(clip)


def _wear(change: Callable[[Clip], Clip], *packages: str) -> Wear:
    return Wear(partial(on_every, change), packages)


AUDIO_WEAR: dict[str, Wear] = {
    **{name: _wear(codec.through, "soundfile", "soxr") for name, codec in CODECS.items()},
    "resample-16000": _wear(partial(at_rate, rate=16_000), "soxr"),
    "resample-22050": _wear(partial(at_rate, rate=22_050), "soxr"),
    "even-loudness": _wear(even_loudness),
    "trimmed": _wear(trimmed),
    "denoised": _wear(_denoised, "scipy"),
}
