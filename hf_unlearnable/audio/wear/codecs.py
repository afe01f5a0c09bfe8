"""Lossy codecs by libsndfile (LAME, libopus, libvorbis), at the bit rates that platforms use."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.audio.clip import Clip
from hf_unlearnable.audio.features import fitted, resampled

# Lowest sampling rate of each kind of MP3 (MPEG-1, 2 and 2.5), and the kbit/s between which libsndfile's level moves.
_MP3 = ((32_000, 32, 320), (16_000, 8, 160), (8_000, 8, 64))
_RATES = {
    "MP3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "OPUS": (8_000, 12_000, 16_000, 24_000, 48_000),
}


@dataclass(frozen=True)
class Codec:
    """A codec at a bit rate.

    A recording of a rate that the codec does not take, or not at this bit rate, is coded at the next rate that it
    does, 48 kHz at most, and comes back at its own.

    Args:
        name: "MP3", "OPUS", "VORBIS", or "ULAW", the 8 bits per sample of G.711.
        bit_rate: In kbit/s; of MP3 for all channels, of Opus for each, as players and telephones count. Vorbis at
            quality 4 and mu-law have none.
    """

    name: str
    bit_rate: int | None = None

    def through(self, clip: Clip) -> Clip:
        """A recording stored and opened again, of the same rate, length and channels.

        Raises:
            ImportError: soundfile or soxr is not installed.
        """
        require("audio", "soundfile")
        if len(clip.samples) == 0:
            return clip
        rate = self.rate_for(clip.rate)
        given = resampled(clip.samples, clip.rate, rate)
        together = 2 if self.name == "MP3" else 8  # channels that a file takes
        if given.shape[1] > together:
            parts = [self._coded(given[:, [i]], rate) for i in range(given.shape[1])]
            opened = np.concatenate(parts, axis=1)
        else:
            opened = self._coded(given, rate)
        return replace(clip, samples=fitted(resampled(opened, rate, clip.rate), len(clip.samples)))

    def rate_for(self, rate: int) -> int:
        """The sampling rate at which recordings of `rate` are coded."""
        able = [one for one in _RATES.get(self.name, (rate,)) if self.bit_rate is None or self._takes(one)]
        return next((one for one in able if one >= rate), able[-1])

    def _takes(self, rate: int) -> bool:
        return self.name != "MP3" or next(most for lowest, _, most in _MP3 if rate >= lowest) >= (self.bit_rate or 0)

    def _coded(self, samples: np.ndarray, rate: int) -> np.ndarray:
        import soundfile

        file, frames = io.BytesIO(), len(samples)
        soundfile.write(file, samples.clip(-1, 1), rate, **self._options(rate))
        file.seek(0)
        opened, _ = soundfile.read(file, dtype="float32", always_2d=True)
        return fitted(opened, frames)

    def _options(self, rate: int) -> dict[str, Any]:
        if self.name == "ULAW":
            return {"format": "WAV", "subtype": "ULAW"}
        if self.name == "VORBIS":
            return {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.6}
        assert self.bit_rate is not None
        if self.name == "OPUS":
            return {"format": "OGG", "subtype": "OPUS", "compression_level": 1 - (self.bit_rate - 6) / 250}
        _, least, most = next(one for one in _MP3 if rate >= one[0])
        level = (most - self.bit_rate) / (most - least)
        return {
            "format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": level,
        }  # fmt: skip


CODECS: dict[str, Codec] = {
    "mp3-64": Codec("MP3", 64),
    "mp3-128": Codec("MP3", 128),
    "opus-16": Codec("OPUS", 16),
    "opus-32": Codec("OPUS", 32),
    "vorbis": Codec("VORBIS"),
}
MU_LAW = Codec("ULAW")
