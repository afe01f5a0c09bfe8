"""Spectrograms as pictures that are clear where nothing is: they lie on the page's own colours, light or dark."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.audio.spectrogram import SHOWN, decibels

if TYPE_CHECKING:
    from hf_unlearnable.audio.clip import Clip

_SIZE = (560, 130)  # pixels at most
_RANGE = 80.0  # decibels below the loudest that are told apart
_CHANGE = 20.0  # decibels of a change that has its full colour
_INK, _WEAKER, _STRONGER = (0, 0, 0), (179, 38, 30), (31, 111, 139)


def spectrogram(before: Clip, after: Clip) -> str:
    """The first ten seconds before and after, and what became weaker (red) and stronger (blue), as HTML.

    Args:
        before, after: Of the same rate and length.
    """
    levels = np.stack([decibels(clip) for clip in (before, after)])
    levels = np.maximum(levels - levels.max(), -_RANGE)
    change = levels[1] - levels[0]
    ink = np.broadcast_to(_INK, (*change.shape, 3))
    pictures = {
        "Before": (ink, 1 + levels[0] / _RANGE),
        "After": (ink, 1 + levels[1] / _RANGE),
        "The change: weaker in red, stronger in blue": (
            np.where(change[:, :, None] < 0, _WEAKER, _STRONGER),
            np.abs(change) / _CHANGE,
        ),
    }
    seconds = min(SHOWN, len(before.samples) / before.rate)
    figures = "".join(
        f'<figure><figcaption>{title}</figcaption><img{" class=ink" * (colours is ink)} alt="Spectrogram, {title}" '
        f'src="{_picture(colours, strength)}"></figure>'
        for title, (colours, strength) in pictures.items()
    )
    return f"{figures}<p>From 0 at the bottom to {before.rate / 2000:g} kHz, the first {seconds:.1f} seconds.</p>"


def _picture(colours: np.ndarray, strength: np.ndarray) -> str:
    """A PNG file as an address: colours [frequencies, times, 3] that cover as much as `strength` in [0, 1] says."""
    from PIL import Image

    alpha = np.clip(255 * strength, 0, 255)
    picture = Image.fromarray(np.dstack([colours, alpha])[::-1].astype(np.uint8))
    size = min(_SIZE[0], picture.width), min(_SIZE[1], picture.height)
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.BOX).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
