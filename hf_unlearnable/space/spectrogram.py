"""Spectrograms as SVG in the page's own colours, like `chart`: ink for what is there, red for what was taken away."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.audio.spectrogram import SHOWN, decibels

if TYPE_CHECKING:
    from hf_unlearnable.audio.clip import Clip

_WIDTH, _HEIGHT, _LEFT, _GAP = 560, 130, 60, 34
_RANGE = 80.0  # decibels below the loudest that are told apart
_CHANGE = 20.0  # decibels of a change that is all red or all blue
_WEAKER, _STRONGER = (179, 38, 30), (31, 111, 139)


def spectrogram(before: Clip, after: Clip) -> str:
    """The first ten seconds before and after, and below them what became weaker (red) and stronger (blue).

    Args:
        before, after: Of the same rate and length.
    """
    levels = np.stack([decibels(clip) for clip in (before, after)])
    levels = np.maximum(levels - levels.max(), -_RANGE)
    change = levels[1] - levels[0]
    ink = np.zeros((*levels.shape[1:], 3), np.uint8)
    pictures = {
        "Before": (ink, 1 + levels[0] / _RANGE), "After": (ink, 1 + levels[1] / _RANGE),
        "The change: weaker in red, stronger in blue": (
            np.where(change[:, :, None] < 0, _WEAKER, _STRONGER).astype(np.uint8), np.abs(change) / _CHANGE,
        ),
    }  # fmt: skip
    seconds = min(SHOWN, len(before.samples) / before.rate)
    parts = [
        f'<svg viewBox="0 0 640 {3 * (_HEIGHT + _GAP) + 14}" role="img" aria-label="Spectrograms of the first '
        f'{seconds:.1f} seconds: before, after, and what changed">'
    ]
    for number, (title, (colours, strength)) in enumerate(pictures.items()):
        top = number * (_HEIGHT + _GAP) + 24
        kind = ' class="ink"' if colours is ink else ""
        parts += [
            f'<text x="{_LEFT}" y="{top - 8}">{title}</text>',
            f'<image{kind} x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" preserveAspectRatio="none" '
            f'href="{_picture(colours, strength)}"/>',
            f'<rect class="frame" x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}"/>',
            f'<text x="{_LEFT - 6}" y="{top + 11}" text-anchor="end">{before.rate / 2000:g} kHz</text>',
            f'<text x="{_LEFT - 6}" y="{top + _HEIGHT}" text-anchor="end">0</text>',
        ]
    end = f'<text x="{_LEFT + _WIDTH}" y="{3 * (_HEIGHT + _GAP) + 8}" text-anchor="end">{seconds:.1f} s</text>'
    return "".join([*parts, end, "</svg>"])


def _picture(colours: np.ndarray, strength: np.ndarray) -> str:
    """A PNG file as an address: colours [frequencies, times, 3] that cover as much as `strength` in [0, 1] says."""
    from PIL import Image

    alpha = np.clip(255 * strength, 0, 255).astype(np.uint8)
    picture = Image.fromarray(np.dstack([colours, alpha])[::-1].copy())
    size = min(_WIDTH, picture.width), min(_HEIGHT, picture.height)
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.BOX).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
