"""What a visitor may hand in as sound, and how it is taken: files come from strangers, see `limits`.

A recording is opened only where its first bytes are those of a format of `FORMATS`, and asked for its length before it
is decoded. What leaves the process that reads it is a new file of the same samples, without tags: nothing else of the
page ever opens a stranger's recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hf_unlearnable.audio.codec import RecordingError, encode, opened
from hf_unlearnable.audio.files import RECORDINGS

from .limits import MAX_IMAGES, MAX_UNPACKED, MEGABYTE, RefusedError, files_in, shown

if TYPE_CHECKING:
    import numpy as np

    from hf_unlearnable.audio.codec import Format, Recording

MAX_RECORDINGS = MAX_IMAGES
MAX_SECONDS = 600  # of all recordings
MAX_SAMPLES = 30_000_000  # of all recordings, channels counted: five minutes of 48 kHz stereo are as many
MAX_CHANNELS = 8
RATES = (8_000, 192_000)  # Hz
# First bytes, and those from the eighth on, by which a format is known.
_STARTS = {
    "WAV": ((b"RIFF", b"RIFX", b"RF64"), (b"WAVE",)), "FLAC": ((b"fLaC",), ()), "Ogg": ((b"OggS",), ()),
    "AIFF": ((b"FORM",), (b"AIFF", b"AIFC")),
}  # fmt: skip
FORMATS = (*_STARTS, "MP3")


def read_recordings(paths: list[str] | list[Path], label: str) -> list[dict[str, Any]]:
    """The recordings of some files and archives, stored anew without loss and without tags.

    Args:
        paths: Recordings and zip archives of them. In an archive, the folder of a recording is its class.
        label: Class of the recordings that lie in no folder.

    Returns:
        Rows of `name`, `label`, `bytes` (FLAC or WAV with the same samples), and `left_out`, the names of the tags
        that were in the file. At least one.

    Raises:
        RefusedError: Too many, too long, of another format or broken; the message names the file.
    """
    rows: list[dict[str, Any]] = []
    size, announced, decoded = 0, _Sum(), _Sum()
    for name, data in files_in([Path(path) for path in paths], RECORDINGS):
        size += len(data)
        if size > MAX_UNPACKED:
            raise RefusedError(f"All recordings together have more than {MAX_UNPACKED // MEGABYTE} MB: give fewer.")
        if len(rows) == MAX_RECORDINGS:
            raise RefusedError(
                f"These are more than {MAX_RECORDINGS} recordings: give fewer, or use the command line."
            )
        with _opened(name, data) as recording:
            _check_format(name, recording.format)
            announced.add(recording.format, max(0, recording.frames))
        folder = PurePosixPath(name).parent.name
        rows.append({"name": name, "label": folder or label.strip() or "mine", "bytes": data})
    if not rows:
        raise RefusedError("There is no recording yet. Upload or record one, or load an example.")
    for row in rows:  # now that their lengths are known, as far as headers tell them
        with _opened(row["name"], row["bytes"]) as recording:
            row["left_out"] = list(recording.metadata)
            row["bytes"] = encode(recording.format, decoded.counted(recording), recording.frames)
    return rows


class _Sum:
    """How much sound there is so far."""

    def __init__(self) -> None:
        self._seconds = self._samples = 0.0

    def add(self, form: Format, frames: int) -> None:
        """Counts so many frames, and refuses what is too much."""
        self._seconds += frames / form.rate
        self._samples += frames * form.channels
        if self._seconds > MAX_SECONDS or self._samples > MAX_SAMPLES:
            raise RefusedError(
                f"All recordings together have more than {MAX_SECONDS // 60} minutes, or {MAX_SAMPLES // 10**6} "
                "million samples: give fewer or shorter ones, or use the command line."
            )

    def counted(self, recording: Recording) -> Iterator[np.ndarray]:
        """The blocks of a recording, no further than is taken: its header may lie, or not tell its length."""
        for block in recording.blocks():
            self.add(recording.format, len(block))
            yield block


@contextmanager
def _opened(name: str, data: bytes) -> Iterator[Recording]:
    """A recording of a format of `FORMATS`; what is wrong with it is said under its name."""
    if not _begins_like_one(data):
        listed = ", ".join(FORMATS[:-1])
        raise RefusedError(
            f"{shown(name)} is no recording that opens: {listed} and {FORMATS[-1]} do. Convert it first, with "
            "ffmpeg -i FILE FILE.wav"
        )
    try:
        with opened(data) as recording:
            yield recording
    except RecordingError as error:
        raise RefusedError(f"{shown(name)}: the recording {error}.") from None


def _begins_like_one(data: bytes) -> bool:
    """Whether the first bytes, behind any ID3 tags, are those of a format of `FORMATS`."""
    start = 0
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        size = 0
        for byte in data[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start += 10 + size
    first, kind = data[start : start + 4], data[start + 8 : start + 12]
    is_mpeg = first[:1] == b"\xff" and first[1:2] >= b"\xe0"
    return is_mpeg or any(first in firsts and (not kinds or kind in kinds) for firsts, kinds in _STARTS.values())


def _check_format(name: str, form: Format) -> None:
    if not RATES[0] <= form.rate <= RATES[1] or form.channels > MAX_CHANNELS:
        raise RefusedError(
            f"{shown(name)} has {form.channels} channels at {form.rate:,} Hz. This page takes at most {MAX_CHANNELS} "
            f"channels, from {RATES[0]:,} to {RATES[1]:,} Hz."
        )
