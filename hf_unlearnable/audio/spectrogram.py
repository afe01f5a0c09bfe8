"""Pictures of recordings before and after protection, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hf_unlearnable.audio.clip import Clip

SHOWN = 10.0  # seconds of a recording at most
_RANGE = 80.0  # decibels below the loudest that are told apart
_DIFFERENCE = 20.0  # decibels at the ends of the scale of a difference


def spectrograms(before: Sequence[Clip], after: Sequence[Clip], names: Sequence[str]) -> Figure:
    """Recordings before and after and the difference of their levels, a row for each.

    Args:
        before, after: n recordings each, in the same order, of the same rate and length. Of several channels the mean
            is shown, of long ones the first ten seconds.
        names: Their n names.

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib or scipy is not installed.
        ValueError: Two versions differ in rate or length; the message names the recording.
    """
    require("attack", "matplotlib", "scipy")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 0.6 + 2.2 * max(1, len(before))), layout="constrained")
    panels = figure.subplots(max(1, len(before)), 3, squeeze=False, sharey="row", sharex="row")
    for axes, title in zip(panels[0], ("before", "after", "after less before"), strict=True):
        axes.set_title(title, fontsize=9)
    images: dict[str, Any] = {}
    for row, one, two, name in zip(panels, before, after, names, strict=True):
        if (one.rate, one.samples.shape) != (two.rate, two.samples.shape):
            raise ValueError(f"{name}: the recording has another length, rate or number of channels afterwards.")
        levels = np.stack([decibels(clip) for clip in (one, two)])
        levels = np.maximum(levels, levels.max() - _RANGE)
        extent = (0, min(SHOWN, max(1, len(one.samples)) / one.rate), 0, one.rate / 2000)
        scale = {"origin": "lower", "aspect": "auto", "extent": extent}
        for axes, level in zip(row[:2], levels, strict=True):
            images["level (dB)"] = axes.imshow(
                level - levels.max(), cmap="cividis", vmin=-_RANGE, vmax=0, **scale
            )  # fmt: skip
        images["change (dB)"] = row[2].imshow(
            levels[1] - levels[0], cmap="PuOr", vmin=-_DIFFERENCE, vmax=_DIFFERENCE, **scale
        )
        row[0].set_ylabel(f"{name}\nfrequency (kHz)", fontsize=8)
        for axes in row:
            axes.tick_params(labelsize=7)
    for axes in panels[-1]:
        axes.set_xlabel("time (s)", fontsize=8)
    for (label, image), place in zip(images.items(), (panels[:, :2], panels[:, 2:]), strict=False):
        bar = figure.colorbar(image, ax=place.ravel().tolist(), fraction=0.05)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def decibels(clip: Clip) -> np.ndarray:
    """Levels of what is shown of a recording, in decibels of full scale: float [frequencies, times].

    Windows of 32 ms; a tone of full scale has 0 dB, and nothing less than -120.
    """
    require("attack", "scipy")
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    window = max(8, round(0.032 * clip.rate))
    heard = replace(clip, samples=clip.samples[: round(SHOWN * clip.rate)]).mono.astype(np.float64)
    padded = np.pad(heard, (0, max(0, window - len(heard))))
    transform = ShortTimeFFT(hann(window, sym=False), max(1, window // 4), clip.rate, scale_to="magnitude")
    magnitude = np.abs(transform.stft(padded, p0=0, p1=max(1, len(padded) // transform.hop)))
    return 20 * np.log10(2 * magnitude + 1e-6)
