"""A few plucked notes, for those who have no recording at hand."""

from __future__ import annotations

from functools import cache

import numpy as np

from hf_unlearnable.audio.codec import Format, encode

_RATE = 16_000
_NOTES = (0, 4, 7, 12, 9, 7, 4, 0)  # semitones above the A below middle C
_LENGTH = 0.4  # seconds from one note to the next


@cache
def tune() -> bytes:
    """Eight notes of a plucked string (Karplus and Strong 1983), always the same ones, as a FLAC file."""
    step = round(_LENGTH * _RATE)
    sound = np.zeros(step * (len(_NOTES) + 2))
    for i, semitones in enumerate(_NOTES):
        period = round(_RATE / (220 * 2 ** (semitones / 12)))
        string = np.zeros(3 * step)
        string[:period] = np.random.default_rng(i).uniform(-1, 1, period)
        for start in range(period, len(string), period):  # each vibration is the one before it, blurred
            last = string[start - period : start]
            string[start : start + period] = (0.498 * (last + np.roll(last, 1)))[: len(string) - start]
        sound[i * step : (i + 3) * step] += 0.25 * string * np.linspace(1, 0, len(string))
    return encode(Format(_RATE, 1), [np.rint(sound * 2**15).astype(np.int16)[:, None]])
