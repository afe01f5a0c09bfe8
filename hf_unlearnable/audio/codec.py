"""From a stored recording to its sample values and back, without losing one: what a protection reads and writes.

`datasets` decodes recordings with torchcodec, as floats, and encodes them anew. Here soundfile reads the file as it is
stored, block by block, as the integers or floats that it holds. What comes out has the same rate, channels and length.
It is stored as FLAC where FLAC holds the values (integers of 8, 16 and 24 bits, up to 8 channels), else as WAV. A file
that was stored with loss, such as MP3, is decoded to 16 bits and comes out as FLAC: encoded with loss again it would
lose the protection. Integers are rounded here, since libsndfile rounds floats differently for each container.

Everything else that a file may tell (tags, cover pictures, its name) is left out: see `metadata`.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.audio.metadata import left_out
from hf_unlearnable.audio.source import RecordingError, refused, said, source

BLOCK = 2**16  # frames that are read, changed and written at a time, in every recording from its first frame on
_HASHED = 2**13  # frames that are hashed at a time: they stay in the processor's cache
_KEPT = 2**22  # bytes of decoded samples that are kept for a second reading
_PLACEHOLDER = 2**31 - 2**12  # a length from which on a header says that it was written before the samples
_FLAC_RATE = 655_350
_WAVE_BYTES = 2**32 - 2**16
_LOSSY = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "VORBIS", "OPUS")
# Codecs of 16 bits whose samples are what they decode to.
_COMPRESSED = re.compile(r"ULAW|ALAW|ADPCM|GSM|G72|VOX|DWVW|DPCM|NMS")
_CUT = re.compile(r"(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)")  # in what libsndfile says of a header
_HEADER = struct.Struct("<4sI8sIHHIIHH4sI")  # of a WAV file of the plainest kind


@dataclass(frozen=True)
class Format:
    """What a recording's samples are.

    Args:
        rate: Frames per second.
        channels: Values per frame.
        bits: Per value: 8, 16, 24 or 32 of integers, 32 or 64 of floats.
        real: Whether they are floats, with full scale 1.
    """

    rate: int
    channels: int
    bits: int = 16
    real: bool = False

    @property
    def full_scale(self) -> float:
        """The magnitude that a decoder turns into 1."""
        return 1.0 if self.real else 2.0 ** (self.bits - 1)

    @property
    def dtype(self) -> str:
        """Of the arrays that hold the values."""
        return f"float{self.bits}" if self.real else "int16" if self.bits <= 16 else "int32"

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Computed values as the file will hold them: integers rounded to the nearest and kept in range.

        Args:
            values: float64 [frames, channels], in the scale of the file; what is of `dtype` stays as it is.
        """
        if self.real or values.dtype == self.dtype:
            return values.astype(self.dtype, copy=False)
        rounded = np.rint(values)
        np.clip(rounded, -self.full_scale, self.full_scale - 1, out=rounded)
        whole = rounded.astype(self.dtype)
        made = np.empty(whole.shape, self.dtype)
        for channel in range(whole.shape[1]):  # quicker than all at once where they lie one behind the other
            made[:, channel] = whole[:, channel]
        return made


class Recording:
    """An open recording.

    Attributes:
        format: What its samples are.
        frames: As many as its header announces; -1 where that says nothing.
        metadata: Names of what the file tells beyond the sound.
        lossy: The name of the codec that stored it with loss; "" for none.
    """

    def __init__(self, file: Any, format: Format, metadata: tuple[str, ...] = (), lossy: str = ""):
        self._file = file  # a SoundFile, or the samples
        self.format = format
        self.metadata = metadata
        self.lossy = lossy
        self._begun = False
        self._whole: list[np.ndarray] | None = None  # the blocks of a recording that has few, once read
        self.frames = len(file) if isinstance(file, np.ndarray) else file.frames
        if self.frames >= 2**62:
            self.frames = -1
            file.seekable = lambda: False  # after its last block soundfile would seek to an end that it does not know

    def blocks(self) -> Iterator[np.ndarray]:
        """The samples from the first on, `format.dtype` [BLOCK or what is left, channels]; one reader at a time.

        Raises:
            RecordingError: There are none, they are fewer than announced, or one is no number.
        """
        if self._whole is not None:
            yield from self._whole
            return
        done = 0
        whole: list[np.ndarray] = []
        for block in self._read():
            if self.format.real and not np.isfinite(block).all():
                frame = done + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                raise RecordingError(f"holds NaN or an infinite value in frame {frame}: put a number there")
            done += len(block)
            if block.nbytes * (len(whole) + 1) <= _KEPT:
                whole.append(block)
            yield block
        if done == 0:
            raise RecordingError("holds no samples: leave such rows out with mask_column")
        if done < self.frames:
            raise RecordingError(f"is cut off: {done:,} of {self.frames:,} frames are there. Get the whole file")
        if sum(map(len, whole)) == done and not isinstance(self._file, np.ndarray):
            self._whole = whole

    def _read(self) -> Iterator[np.ndarray]:
        import soundfile

        if isinstance(self._file, np.ndarray):
            for start in range(0, len(self._file), BLOCK):
                yield self._file[start : start + BLOCK]
            return
        dtype = "float32" if self.lossy else self.format.dtype
        unused = 0 if self.format.real else 8 * np.dtype(dtype).itemsize - self.format.bits
        try:
            if self._begun:
                self._file.seek(0)
            self._begun = True
            while len(block := self._file.read(BLOCK, dtype=dtype, always_2d=True)):
                last = len(block) < BLOCK
                if self.lossy:
                    block = self.format.stored(block.astype(np.float64) * self.format.full_scale)
                elif unused:  # libsndfile gives integers in the upper bits
                    block >>= unused
                yield block
                if last:
                    return
        except soundfile.LibsndfileError as error:
            raise RecordingError(f"does not decode ({said(error)}): the file is broken or cut off") from None

    def samples(self) -> np.ndarray:
        """All samples, `format.dtype` [frames, channels]."""
        return np.concatenate(list(self.blocks()))

    def content(self) -> bytes:
        """What identifies the recording: its rate, its channels and every sample, whatever they are stored in."""
        return self._named() + self._hashed(hashlib.blake2b(digest_size=16)).digest()

    def stream(self, seed: int) -> int:
        """The random stream that the recording gives with a key: as `content`, a tenth of the time."""
        import xxhash

        return self._hashed(xxhash.xxh3_64(self._named(), seed=seed)).intdigest()

    def _named(self) -> bytes:
        return f"{self.format.rate} {self.format.channels} ".encode()

    def _hashed(self, hashed: Any) -> Any:
        for block in self.blocks():
            # A value is the same one in 16 and in 24 bits, if it stands for the same loudness.
            for start in range(0, len(block), _HASHED):
                part = block[start : start + _HASHED]
                hashed.update(np.multiply(part, 1 / self.format.full_scale, dtype=np.float64, order="C").data)
        return hashed


@contextmanager
def opened(value: Any) -> Iterator[Recording]:
    """Opens a recording as a dataset stores or hands it over.

    Args:
        value: `{"bytes", "path"}`, the bytes of a file, its path, `{"array", "sampling_rate"}` with floats [frames]
            or [channels, frames], or what `datasets` decodes lazily.

    Raises:
        RecordingError: No recording, a broken one, or one that soundfile does not read.
    """
    value = getattr(value, "_hf_encoded", value)  # of a datasets.features._torchcodec.AudioDecoder
    if isinstance(value, dict) and "array" in value:
        yield _from_array(value)
        return
    try:
        import soundfile
    except ImportError:
        require("audio", "soundfile")
        raise
    if plain := _plain_wave(value):
        yield plain
        return
    with source(value) as stored:
        try:
            head = stored.read(16)
            metadata = left_out(stored)
            file = soundfile.SoundFile(stored)
        except soundfile.LibsndfileError as error:
            raise RecordingError(refused(head, error)) from None
        except OSError as error:
            raise RecordingError(f"cannot be read ({error.strerror or error})") from None
        with file:
            told = file.extra_info
            cut = _CUT.search(told) if "(should be" in told else None
            if cut and int(cut[2]) < int(cut[1]) < _PLACEHOLDER:
                raise RecordingError(
                    f"is cut off: its header announces {int(cut[1]):,} bytes of samples, {int(cut[2]):,} are there. "
                    "Get the whole file"
                )
            lossy = file.subtype if file.subtype in _LOSSY else ""
            yield Recording(file, _format(file), metadata, lossy)


def _plain_wave(value: Any) -> Recording | None:
    """The recording of a WAV file that is nothing but a header and 16-bit samples; None for every other value.

    soundfile would read the same samples. To open so short a file takes it longer than all that is done to them.
    """
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes) or len(data) <= _HEADER.size:
        return None
    riff, size, wave, length, codec, channels, rate, speed, frame, bits, name, there = _HEADER.unpack_from(data)
    told = riff, wave, name, length, codec, bits, frame, speed, size, there
    means = (
        b"RIFF",
        b"WAVEfmt ",
        b"data",
        16,
        1,
        16,
        2 * channels,
        rate * frame,
        len(data) - 8,
        len(data) - _HEADER.size,
    )
    if told != means or not 0 < channels <= 8 or not rate or there % frame:
        return None
    return Recording(np.frombuffer(data, "<i2", offset=_HEADER.size).reshape(-1, channels), Format(rate, channels))


def decode(value: Any) -> tuple[np.ndarray, Format]:
    """All samples of a recording [frames, channels], and what they are; see `opened`."""
    with opened(value) as recording:
        return recording.samples(), recording.format


def _from_array(value: dict[str, Any]) -> Recording:
    array, rate = np.asarray(value["array"]), value.get("sampling_rate")
    if array.dtype.kind != "f" and not (array.size == 0 or isinstance(value["array"], list)):
        raise RecordingError(f"is an array of {array.dtype}: give floats, with full scale 1")
    if array.ndim not in (1, 2) or not rate:
        raise RecordingError(f"is an array {list(array.shape)} with the rate {rate}: give [frames] and a rate in Hz")
    array = array.astype("float32" if array.dtype == np.float32 else "float64")
    samples = array[:, None] if array.ndim == 1 else array.T
    bits = samples.dtype.itemsize * 8
    return Recording(np.ascontiguousarray(samples), Format(int(rate), samples.shape[1], bits, real=True))


def _format(file: Any) -> Format:
    if file.subtype in ("FLOAT", "DOUBLE"):
        return Format(file.samplerate, file.channels, 32 if file.subtype == "FLOAT" else 64, real=True)
    bits = re.fullmatch(r"(?:PCM|ALAC)_[SU]?(\d+)", file.subtype)
    if not bits and file.subtype not in _LOSSY and not _COMPRESSED.search(file.subtype):
        raise RecordingError(f"is stored as {file.subtype}, which is not known here: convert it to WAV or FLAC")
    return Format(file.samplerate, file.channels, {20: 24}.get(int(bits[1]), int(bits[1])) if bits else 16)


# ---------------------------------------------------------------------- writing
def container(format: Format, frames: int = 0, kind: str = "") -> tuple[str, str]:
    """The format and subtype, as soundfile names them, of a file that holds such samples exactly.

    Args:
        format: What they are.
        frames: How many, as far as known: a file beyond 4 GB is RF64 instead of WAV.
        kind: "WAV" for no FLAC.
    """
    if not kind and not format.real and format.bits <= 24 and format.channels <= 8 and format.rate <= _FLAC_RATE:
        return "FLAC", "PCM_S8" if format.bits == 8 else f"PCM_{format.bits}"
    bytes_there = frames * format.channels * format.bits // 8
    subtype = {32: "FLOAT", 64: "DOUBLE"}[format.bits] if format.real else f"PCM_{format.bits}"
    return "RF64" if bytes_there > _WAVE_BYTES else "WAV", "PCM_U8" if subtype == "PCM_8" else subtype


def write(
    target: Any,
    format: Format,
    blocks: Iterable[np.ndarray],
    frames: int = 0,
    kind: str = "",
    level: float | None = None,
) -> None:
    """Writes a recording without loss, block by block.

    Args:
        target: A path, or a binary file that is open for writing, reading and seeking.
        format: What the samples are.
        blocks: Of `format.dtype` [frames, channels].
        frames: How many there will be, as far as known.
        kind: "WAV" for a file that each player opens; else as `container` says.
        level: How hard FLAC tries to save bytes, from 0 to 1; None for libsndfile's default.
    """
    import soundfile

    kind, subtype = container(format, frames, kind)
    level = level if kind == "FLAC" else None
    with nullcontext(target) if hasattr(target, "write") else Path(target).open("w+b") as stream:
        with soundfile.SoundFile(
            stream, "w", format.rate, format.channels, subtype, format=kind, compression_level=level
        ) as file:
            for block in blocks:
                unused = 0 if format.real else 8 * block.dtype.itemsize - format.bits
                file.write(block << unused if unused else block)
        if format.real and kind == "WAV":  # libsndfile notes the time in front of the samples, beside the loudest one
            stream.seek(0)
            stream.seek(stream.read(4096).index(b"PEAK") + 12)
            stream.write(bytes(4))


def encode(format: Format, blocks: Iterable[np.ndarray], frames: int = 0, level: float | None = None) -> bytes:
    """A recording as the bytes of a file that holds exactly its samples; see `write`."""
    file = io.BytesIO()
    write(file, format, blocks, frames, level=level)
    return file.getvalue()
