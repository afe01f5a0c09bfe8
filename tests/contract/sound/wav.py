"""Reading and writing 16-bit WAV files."""

import io
import wave
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_unlearnable.data import stored_bytes


class SoundError(ValueError):
    """A file is no sound that can be protected; the message goes on after "the sound"."""


@dataclass(frozen=True)
class Sound:
    """A sound.

    Args:
        samples: int16 [frames, channels].
        rate: Frames per second.
    """

    samples: np.ndarray
    rate: int


def read(value: Any) -> Sound:
    """The sound in a stored value `{"bytes", "path"}`, or in the bytes of a file.

    Raises:
        SoundError: The value is no WAV file, or one of other than 16-bit samples.
    """
    try:
        with wave.open(io.BytesIO(stored_bytes(value) or b"")) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise SoundError(f"does not open as a WAV file ({str(error) or 'it is cut off'})") from None
    if width != 2:
        raise SoundError(f"has {8 * width}-bit samples. Convert it to 16 bits")
    return Sound(
        np.frombuffer(frames[: len(frames) - len(frames) % (2 * channels)], "<i2").reshape(-1, channels), rate
    )


def stored(sound: Sound) -> dict[str, Any]:
    """A sound as a value of a column."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((sound.samples.shape[1], 2, sound.rate, len(sound.samples), "NONE", ""))
        out.writeframes(sound.samples.astype("<i2").tobytes())
    return {"bytes": file.getvalue(), "path": None}


def plus(samples: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Samples plus a change, int16: what would leave the range stays at its edge."""
    return np.clip(samples.astype(np.int32) + change, -(2**15), 2**15 - 1).astype(np.int16)
