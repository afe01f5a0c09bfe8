"""All recordings together: what the spectra of a class share is found and undone, and what a place of it hides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.audio.features import HOP, log_mel, waves

if TYPE_CHECKING:
    from hf_unlearnable.audio.clip import Clip

_STEP = 15.625  # Hz between the frequencies at which spectra are compared: windows of 64 ms
_MOST = 30 * np.log(10) / 10  # the largest gain of power, 30 dB
_SMOOTH = 7  # frequencies that the spectrum of a single clip is averaged over, which has the lines of a voice
_BROAD = 45  # frequencies, 700 Hz, of which a notch takes less than half
_ROUNDS = 3  # in which a spectrum is brought to another
_CUT, _SOUGHT = 0.12, 1.0  # seconds: what is cut out, and from the beginning on how far a patch is looked for
_PLACES = 100  # at which it is looked for
_PATCH, _AROUND = 10, 35  # of them: how long it is, and what it is compared with


def spectral_whitening(rows: Rows, attacker: Attacker) -> Rows:
    """Recordings whose long-term spectrum, each by itself, is brought to the mean one of all.

    The attacker knows that some filter was applied, and needs neither labels nor the rest of the data for it. Whatever
    stays the same throughout a clip is gone: a notch of up to 30 dB, and the character of voice and room too. The
    victim is tested on recordings as they are; `log_mel_cnn_normalised` does the same to both.
    """
    require("attack", "scipy")
    from scipy.ndimage import uniform_filter1d

    def gains(spectra: np.ndarray) -> np.ndarray:
        smooth = uniform_filter1d(spectra, _SMOOTH, axis=1, mode="nearest")
        return smooth.mean(axis=0) - smooth

    return Rows(_equalised(rows.inputs, gains), rows.labels)


def class_spectrum_inversion(rows: Rows, attacker: Attacker) -> Rows:
    """Recordings whose class's mean long-term spectrum is brought to that of all.

    The attacker knows that each class has a filter of its own, and the labels. The mean of the logarithmic spectra of
    a class less that of all shows the filter, and its inverse undoes it. What a class sounds like on average goes with
    it, and the victim is tested on recordings that kept it. It is what `spectrum_equalisation` is for images.

    Paper: T. G. Stockham, T. M. Cannon, R. B. Ingebretsen, "Blind deconvolution through digital signal processing",
    Proceedings of the IEEE 63, 1975, which takes the horn of old gramophones out of recordings so.
    """
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)

    def gains(spectra: np.ndarray) -> np.ndarray:
        means = np.stack([spectra[targets == i].mean(axis=0) for i in range(len(classes))])
        return (spectra.mean(axis=0) - means)[targets]

    return Rows(_equalised(rows.inputs, gains), rows.labels)


def notch_repair(rows: Rows, attacker: Attacker) -> Rows:
    """Recordings in whose class's mean long-term spectrum what is narrow is filled up or cut down.

    The attacker knows that each class has notches, ripples or tones of its own, and the labels. The mean logarithmic
    spectrum of a class, less the median of all classes, shows them sharply. What a class sounds like is broader than
    350 Hz there: it stays, where `class_spectrum_inversion` takes it. For images `class_mean_subtraction` is the like.
    Two notches of 250 Hz per class on 1,350 digits of FSDD: 26 to 55 % (`log_mel_cnn`, one key, one seed).
    """
    require("attack", "scipy")
    from scipy.ndimage import median_filter

    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)

    def gains(spectra: np.ndarray) -> np.ndarray:
        means = np.stack([spectra[targets == i].mean(axis=0) for i in range(len(classes))])
        differs = means - np.median(means, axis=0)
        return (median_filter(differs, (1, _BROAD), mode="nearest") - differs)[targets]

    return Rows(_equalised(rows.inputs, gains), rows.labels)


def patch_cut(rows: Rows, attacker: Attacker) -> Rows:
    """Recordings without the 120 ms in which their class differs most suddenly from all others.

    The attacker knows the labels, and that each class has a patch at a place of its own in the first second. In a
    shorter recording that place may be a share of it. In the average spectrogram of a class speech and music
    rise and fall slowly. A filter or noise at a fixed place begins and ends at once. It is cut out, three tenths of a
    shorter recording at most, and the rest is joined.
    """
    rate = max(2000, min(clip.rate for clip in rows.inputs))
    mel = log_mel(rate, 20)(waves(rows.inputs, rate, round(_SOUGHT * rate))).numpy()
    lengths = np.array([len(clip.samples) / clip.rate for clip in rows.inputs])
    _, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    found = []
    for ends in (np.full(len(rows), _SOUGHT), lengths.clip(max=_SOUGHT)):
        scores = _suddenness(mel, lengths, ends, targets)
        clear = np.mean(scores.max(axis=1) - np.median(scores, axis=1))
        found.append((clear, (scores.argmax(axis=1)[targets] + 0.5) / _PLACES * ends))
    _, middles = max(found, key=lambda one: one[0])
    return Rows([_without(clip, at) for clip, at in zip(rows.inputs, middles, strict=True)], rows.labels)


def _suddenness(mel: np.ndarray, lengths: np.ndarray, ends: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How much each class stands out at each of `_PLACES` up to the ends, float [classes, places].

    Args:
        mel: Log-mel spectrograms [n, bands, times].
        lengths, ends: Of each recording, in seconds.
        targets: Class indices [n].
    """
    require("attack", "scipy")
    from scipy.ndimage import median_filter, uniform_filter1d

    seconds = (np.arange(_PLACES) + 0.5) / _PLACES * ends[:, None]
    there = seconds < lengths[:, None]
    places = np.rint(seconds / HOP).astype(int).clip(max=mel.shape[2] - 1)
    seen = np.take_along_axis(mel, places[:, None], axis=2)
    scores = []
    for i in range(targets.max() + 1):
        own, other = (_mean_over_time(seen[part], there[part]) for part in (targets == i, targets != i))
        differs = own - other
        sudden = np.abs(differs - median_filter(differs, (1, _AROUND), mode="nearest")).mean(axis=0)
        counted = there[targets == i].mean(axis=0) >= 0.5  # places that most recordings reach
        scores.append(uniform_filter1d(np.where(counted, sudden, 0), _PATCH, mode="constant"))
    return np.stack(scores)


def _mean_over_time(mel: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Mean spectrogram [bands, times] of those that are there at each time; 0 where none is."""
    return (mel * there[:, None]).sum(axis=0) / np.maximum(1, there.sum(axis=0))[None]


def _without(clip: Clip, middle: float) -> Clip:
    taken = int(min(_CUT * clip.rate, 0.3 * len(clip.samples)))
    first = max(0, min(round(middle * clip.rate) - taken // 2, len(clip.samples) - taken))
    return replace(clip, samples=np.concatenate([clip.samples[:first], clip.samples[first + taken :]]))


def _equalised(clips: Sequence[Clip], gains: Callable[[np.ndarray], np.ndarray]) -> list[Clip]:
    """Clips through a filter each, in a few rounds, since a filter cannot follow every step of a spectrum.

    Args:
        clips: Any.
        gains: From logarithmic spectra [n, frequencies] to the natural logarithms of the gains of power.
    """
    made = list(clips)
    for _ in range(_ROUNDS):
        wanted = gains(_long_term(made))
        made = [_with_gain(clip, gain) for clip, gain in zip(made, wanted, strict=True)]
    return made


def _long_term(clips: Sequence[Clip]) -> np.ndarray:
    """Logarithm of the mean power of each clip at frequencies `_STEP` apart, float [n, frequencies].

    A clip of a low rate has the value of its highest frequency above that.
    """
    spectra = [_powers(clip) for clip in clips]
    most = max(map(len, spectra))
    return np.stack([np.pad(one, (0, most - len(one)), mode="edge") for one in spectra])


def _powers(clip: Clip) -> np.ndarray:
    require("attack", "scipy")
    from scipy.signal import welch

    window = _window(clip.rate)
    padded = np.pad(clip.mono.astype(np.float64), window // 2 + 1)  # so that both ends count in full
    _, power = welch(padded, clip.rate, "hann", window, window // 2, detrend=False)
    # A floor 60 dB under the clip's mean: below it is what rounding left, and an inverse would make noise of it.
    return np.log(power + 1e-6 * power.mean() + 1e-16)


def _window(rate: int) -> int:
    return max(2, round(rate / _STEP))


def _with_gain(clip: Clip, gain: np.ndarray) -> Clip:
    """A clip through a filter of zero phase.

    Args:
        clip: Any.
        gain: Natural logarithm of the gain of power at frequencies `_STEP` apart.
    """
    from scipy.signal import firwin2, oaconvolve

    if len(clip.samples) == 0:
        return clip
    nyquist = clip.rate / 2
    places = np.linspace(0, nyquist, 4 * _window(clip.rate) + 1)
    wanted = np.exp(np.interp(places, _STEP * np.arange(len(gain)), gain).clip(-_MOST, _MOST) / 2)
    taps = firwin2(2 * _window(clip.rate) + 1, places / nyquist, wanted)
    frames = len(clip.samples)
    made = oaconvolve(clip.samples.astype(np.float64), taps[:, None], axes=0)[len(taps) // 2 :][:frames]
    return replace(clip, samples=made.astype(np.float32))
