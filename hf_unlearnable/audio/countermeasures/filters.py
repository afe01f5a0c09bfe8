"""One recording at a time: filters, resampling, gating, speed and pitch. From a clip to one of its rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.audio.clip import Clip
from hf_unlearnable.audio.features import fitted, resampled

_SPEEDS = (0.9, 1.0, 1.1)
_SEMITONES = 2.0  # by which a pitch changes at most
_WINDOW = 0.064  # seconds of the spectra that gating and pitch change work on
_SHORT = 0.016  # seconds of the spectra in which gaps are sought


def half_rate(clip: Clip) -> Clip:
    """A recording at half its rate and back: what lies above a quarter of the rate is gone.

    An attacker tries it who suspects the protection where music or noise is and speech is not.
    """
    low = resampled(clip.samples, clip.rate, max(1, clip.rate // 2))
    return replace(clip, samples=fitted(resampled(low, max(1, clip.rate // 2), clip.rate), len(clip.samples)))


def low_pass(clip: Clip) -> Clip:
    """A recording without what lies above three quarters of its band (Butterworth, order 6, zero phase)."""
    return _filtered(clip, 0.75 * clip.rate / 2, "lowpass")


def high_pass(clip: Clip) -> Clip:
    """A recording without what lies below 300 Hz, where hum and rumble are (Butterworth, order 6, zero phase)."""
    return _filtered(clip, min(300.0, 0.25 * clip.rate), "highpass")


def _filtered(clip: Clip, cutoff: float, kind: str) -> Clip:
    require("attack", "scipy")
    from scipy.signal import butter, sosfiltfilt

    if len(clip.samples) == 0:
        return clip
    sections = butter(6, cutoff, kind, fs=clip.rate, output="sos")
    edge = min(clip.rate // 50, len(clip.samples) - 1)
    made = sosfiltfilt(sections, clip.samples.astype(np.float64), axis=0, padlen=edge)
    return replace(clip, samples=made.astype(np.float32))


def spectral_gating(clip: Clip) -> Clip:
    """A recording whose quiet parts are 20 dB quieter, frequency by frequency, as denoisers of speech do it.

    The power that a frequency exceeds in four of five times tells how much steady noise is in it (of which it is a
    fifth to a quarter). Where it has less than three times as much, it is turned down. Against additive noise; it
    assumes that the noise goes on in pauses, and takes a tone that does so too.

    Paper: S. F. Boll, "Suppression of acoustic noise in speech using spectral subtraction", IEEE TASSP 27, 1979, here
    with a gate instead of the subtraction, as `noisereduce` has it.
    """

    def gated(spectrum: np.ndarray) -> np.ndarray:
        from scipy.ndimage import uniform_filter

        power = np.abs(spectrum) ** 2
        noise = np.quantile(power, 0.2, axis=-1, keepdims=True) / -np.log(0.8)
        open_ = uniform_filter((power > 3 * noise).astype(np.float64), (0, 3, 3), mode="nearest")
        return spectrum * (0.1 + 0.9 * open_)

    return replace(clip, samples=through_spectrum(clip.samples, clip.rate, gated))


def gap_repair(clip: Clip, gap: float = 0.06) -> Clip:
    """A recording in which a frequency that is quiet for a short time is as loud there as beside.

    The attacker knows that notches move, and for how long they stay. It is a closing (dilation, then erosion) of the
    spectrogram along time: steady notches stay, and so do the words.

    Args:
        clip: The recording.
        gap: Seconds that are filled at most.

    Returns:
        A recording of the same length.
    """

    def closed(spectrum: np.ndarray) -> np.ndarray:
        from scipy.ndimage import grey_closing

        level = np.log(np.abs(spectrum) ** 2 + 1e-10)
        wide = 2 * round(2 * gap / _SHORT) + 1  # steps of a quarter of the window
        return spectrum * np.exp((grey_closing(level, (1, 1, wide), mode="nearest") - level) / 2)

    return replace(clip, samples=through_spectrum(clip.samples, clip.rate, closed, window=_SHORT))


def through_spectrum(
    samples: np.ndarray, rate: int, change: Callable[[np.ndarray], np.ndarray], frames: int | None = None,
    window: float = _WINDOW,
) -> np.ndarray:  # fmt: skip
    """Samples made from their changed short-time spectrum.

    Args:
        samples: float32 [frames, channels].
        rate: Frames per second.
        change: From a spectrum, complex [channels, frequencies, times], to one of as many channels and frequencies.
        frames: How many come out; None for as many as came in.
        window: Of the spectrum, in seconds.

    Returns:
        float32 [frames, channels].
    """
    require("attack", "scipy")
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    if len(samples) == 0:
        return samples
    size = max(8, round(window * rate) // 4 * 4)
    transform: Any = ShortTimeFFT(hann(size, sym=False), size // 4, rate)
    padded = fitted(samples, max(len(samples), size))
    frames = len(samples) if frames is None else frames
    changed = change(transform.stft(padded.T.astype(np.float64)))
    return fitted(np.ascontiguousarray(transform.istft(changed).T, dtype=np.float32), frames)


def speed_perturbation(rows: Rows, attacker: Attacker) -> Rows:
    """Every recording three times: as it is, and a tenth slower and faster, its pitch with it.

    The usual augmentation of speech recognition; pitches and times that a protection keys to a class move. Paper: T.
    Ko, V. Peddinti, D. Povey, S. Khudanpur, "Audio Augmentation for Speech Recognition", Interspeech 2015.
    """
    every = [replace(clip, samples=sped(clip.samples, speed)) for clip in rows.inputs for speed in _SPEEDS]
    return Rows(every, [label for label in rows.labels for _ in _SPEEDS])


def sped(samples: np.ndarray, speed: float) -> np.ndarray:
    """Samples that play `speed` times as fast at the same rate, to a thousandth."""
    return resampled(samples, round(1000 * speed), 1000)


def pitch_shift(rows: Rows, attacker: Attacker) -> Rows:
    """Every recording with its pitch moved by up to two semitones, drawn for each, and its length kept.

    It moves a notch or tone at 1 kHz by up to 120 Hz. A phase vocoder: J. Laroche, M. Dolson, "Improved phase vocoder
    time-scale modification of audio", IEEE TSAP 7, 1999, without its phase locking, so that voices sound hollow.
    """
    steps = np.random.default_rng(attacker.seed).uniform(-_SEMITONES, _SEMITONES, len(rows))
    factors = 2 ** (steps / 12)
    return Rows([_shifted(clip, factor) for clip, factor in zip(rows.inputs, factors, strict=True)], rows.labels)


def _shifted(clip: Clip, factor: float) -> Clip:
    def stretched(spectrum: np.ndarray) -> np.ndarray:
        times = np.arange(0, spectrum.shape[2] - 1, 1 / factor)
        low = times.astype(int)
        part = times - low
        magnitude = (1 - part) * np.abs(spectrum[:, :, low]) + part * np.abs(spectrum[:, :, low + 1])
        step = np.angle(spectrum[:, :, low + 1] * spectrum[:, :, low].conj())
        phase = np.cumsum(np.concatenate([np.angle(spectrum[:, :, :1]), step[:, :, :-1]], axis=2), axis=2)
        return magnitude * np.exp(1j * phase)

    quick = sped(clip.samples, factor)
    return replace(clip, samples=through_spectrum(quick, clip.rate, stretched, len(clip.samples)))


def on_each(change: Callable[[Clip], Clip]) -> Callable[[Rows, Attacker], Rows]:
    """A change of one recording as a countermeasure on rows."""

    def on_rows(rows: Rows, attacker: Attacker) -> Rows:
        return Rows([change(clip) for clip in rows.inputs], rows.labels)

    return on_rows
