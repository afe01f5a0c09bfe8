"""What a protection of recordings costs a listener, and the check that rate, channels and length stay.

Both read the stored bytes and open them again: what counts is what will be published.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import StringIO
from itertools import zip_longest
from typing import Any

import numpy as np

from hf_unlearnable._words import counted
from hf_unlearnable.audio.codec import Recording, RecordingError, opened
from hf_unlearnable.rows import file_of

_MEASURED = 200  # recordings whose spectra are compared; rate, channels and length are checked on all
_SECONDS = 30  # of such a recording
_FRAME = 0.032  # seconds
_SEGMENT = (-10.0, 35.0)  # decibels between which a segment's ratio counts
_JOINED = 12  # recordings that PESQ and STOI hear as one: they fail on single words
_STREAMS = 8
_NO_ROW = object()


@dataclass(frozen=True)
class AudioFidelity:
    """How far protected recordings are from the originals.

    Args:
        recordings: How many there are.
        changed: How many of them are not stored byte for byte as they were.
        max_change: Largest change of a sample, of full scale 1.
        snr: Median signal-to-noise ratio of the changed ones in decibels. A filter that is hardly heard has a low one.
        segmental_snr: Its median over segments of 32 ms, those in silence left out.
        log_spectral_distance: Root mean square difference of log spectra in decibels, the median. These three are
            over up to 200 recordings, and None where there is none to measure.
        pesq: Median quality of speech from 1 to 4.5 (ITU-T P.862, narrow band), of up to 8 streams of 12 recordings
            joined. None without the extra `speech`, or for other rates than 8 and 16 kHz and their multiples.
        stoi: Median intelligibility of these streams, at most 1.
        metadata: What was left out of how many files: {"ID3": 3}.
    """

    recordings: int
    changed: int
    max_change: float
    snr: float | None = None
    segmental_snr: float | None = None
    log_spectral_distance: float | None = None
    pesq: float | None = None
    stoi: float | None = None
    metadata: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.changed:
            return f"{counted(self.recordings, 'recording')}, none changed"
        told = {
            "SNR {:.1f} dB": self.snr, "segmental {:.1f} dB": self.segmental_snr,
            "log-spectral distance {:.1f} dB": self.log_spectral_distance, "PESQ {:.2f}": self.pesq,
            "STOI {:.3f}": self.stoi,
        }  # fmt: skip
        parts = [f"{self.changed} of {counted(self.recordings, 'recording')} changed"]
        parts += [text.format(value) for text, value in told.items() if value is not None]
        left_out = ", ".join(f"{name} ({count})" for name, count in self.metadata.items())
        return ", ".join(parts) + (f"; left out: {left_out}" if left_out else "")


def audio_fidelity(original: Any, protected: Any, column: str = "audio") -> AudioFidelity:
    """Opens every stored recording of both datasets, checks them against each other and measures the difference.

    Args:
        original: The `Dataset` before, recordings undecoded.
        protected: The `Dataset` or `IterableDataset` after, rows in the same order.
        column: Column of recordings.

    Raises:
        ValueError: A recording does not open, has another rate, length or number of channels, or a changed one is
            stored with loss. The message names the row.
    """
    if hasattr(protected, "num_rows") and len(original) != len(protected):
        raise ValueError(
            f"{counted(len(original), 'recording')} before and {len(protected)} after: the rows do not correspond."
        )
    every = max(1, len(original) // _MEASURED)
    changed, largest = 0, 0.0
    measures: dict[str, list[float]] = defaultdict(list)
    metadata: Counter[str] = Counter()
    joined: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for row, (before, after) in enumerate(pairs_of(original, protected, column)):
        if before == after:
            continue
        changed += 1
        try:
            with opened(before) as one, opened(after) as two:
                where = f"Row {row}{file_of(before)}, column {column!r}"
                _check_alike(one, two, where)
                metadata.update(name for name in one.metadata if name not in two.metadata)
                measured = changed % every == 0 or changed == 1
                largest_one, parts = _difference(one, two, where, measured)
                largest = max(largest, largest_one)
                if parts is not None:
                    for name, value in _distances(*parts, one.format.rate).items():
                        measures[name].append(value)
                    joined[one.format.rate].append(parts)
        except RecordingError as error:
            raise ValueError(f"Row {row}{file_of(before)}, column {column!r}: the recording {error}.") from None
    medians = {name: float(np.median(values)) for name, values in measures.items()}
    return AudioFidelity(len(original), changed, largest, **medians, **_heard(joined), metadata=dict(metadata))


def pairs_of(original: Any, protected: Any, column: str) -> Iterator[tuple[Any, Any]]:
    """The stored recordings of two datasets row by row; a ValueError where one has more rows."""
    streams = (data.select_columns([column]).with_format("arrow").iter(batch_size=8) for data in (original, protected))
    rows = [(value for table in stream for value in table[column].to_pylist()) for stream in streams]
    for before, after in zip_longest(*rows, fillvalue=_NO_ROW):
        if before is _NO_ROW or after is _NO_ROW:
            raise ValueError("There are not as many recordings after as before: the rows do not correspond.")
        yield before, after


def require_lossless(dataset: Any, column: str) -> None:
    """Raises a ValueError that names the first recording that is stored with loss, which loses the protection."""
    row = 0
    for table in dataset.select_columns([column]).with_format("arrow").iter(batch_size=8):
        for value in table[column].to_pylist():
            try:
                with opened(value) as recording:
                    _require_exact(recording, f"Row {row}{file_of(value)}, column {column!r}")
            except RecordingError as error:
                raise ValueError(f"Row {row}{file_of(value)}, column {column!r}: the recording {error}.") from None
            row += 1


def _require_exact(recording: Recording, where: str) -> None:
    if recording.lossy:
        raise ValueError(
            f"{where}: a protected recording is stored as {recording.lossy}, which loses the protection. Store it as "
            "FLAC or WAV, as the transform returns it."
        )


def _check_alike(one: Recording, two: Recording, where: str) -> None:
    _require_exact(two, where)
    for name in ("rate", "channels"):
        a, b = getattr(one.format, name), getattr(two.format, name)
        if a != b:
            unit = {"rate": "Hz", "channels": "channels"}[name]
            raise ValueError(
                f"{where} had {a} {unit} and has {b}: the rows do not correspond, or it was converted since."
            )


def _difference(
    one: Recording, two: Recording, where: str, measured: bool
) -> tuple[float, tuple[np.ndarray, np.ndarray] | None]:
    """The largest change of a sample, and the first half minute of both in mono where they are to be measured."""
    largest, frames = 0.0, 0
    kept: tuple[list, list] = ([], [])
    for before, after in zip_longest(one.blocks(), two.blocks()):
        if before is None or after is None or len(before) != len(after):
            raise ValueError(
                f"{where} has another length than before: the rows do not correspond, or the recording was cut since."
            )
        before, after = before / one.format.full_scale, after / two.format.full_scale
        largest = max(largest, float(np.abs(after - before).max()))
        if measured and frames < _SECONDS * one.format.rate:
            for part, block in zip(kept, (before, after), strict=True):
                part.append(block.mean(axis=1))
        frames += len(before)
    if not measured or largest == 0:
        return largest, None
    most = _SECONDS * one.format.rate
    return largest, (np.concatenate(kept[0])[:most], np.concatenate(kept[1])[:most])


def _distances(before: np.ndarray, after: np.ndarray, rate: int) -> dict[str, float]:
    """SNR, segmental SNR and log-spectral distance of a recording in decibels, those that it tells of."""
    found = {}
    noise = np.square(after - before)
    if before.any():
        found["snr"] = float(10 * np.log10(np.square(before).sum() / max(noise.sum(), 1e-20)))
    size = max(8, round(_FRAME * rate))
    count = len(before) // size
    if not count:
        return found
    cut = slice(0, count * size)
    energy = np.square(before[cut]).reshape(count, size).sum(axis=1)
    loud = energy > 1e-4 * max(float(energy.max()), 1e-12)
    if loud.any():
        ratio = 10 * np.log10(energy / np.maximum(noise[cut].reshape(count, size).sum(axis=1), 1e-20) + 1e-10)
        found["segmental_snr"] = float(np.clip(ratio[loud], *_SEGMENT).mean())
        window = np.hanning(size)
        power = [np.abs(np.fft.rfft(x[cut].reshape(count, size)[loud] * window)) ** 2 + 1e-10 for x in (before, after)]
        difference = 10 * np.log10(power[0] / power[1])
        found["log_spectral_distance"] = float(np.sqrt(np.square(difference).mean(axis=1)).mean())
    return found


def _heard(joined: dict[int, list[tuple[np.ndarray, np.ndarray]]]) -> dict[str, float]:
    """PESQ and STOI of recordings that are joined to streams, at the rate that most of them have."""
    if not joined or not (find_spec("pesq") or find_spec("pystoi")):
        return {}
    rate, pairs = max(joined.items(), key=lambda entry: len(entry[1]))
    if rate < 8000:
        return {}
    gap = np.zeros(rate // 10)
    streams = []
    for start in range(0, min(len(pairs), _JOINED * _STREAMS), _JOINED):
        group = pairs[start : start + _JOINED]
        streams.append([np.concatenate([x for pair in group for x in (pair[side], gap)]) for side in (0, 1)])
    found = {}
    if find_spec("pystoi"):
        found["stoi"] = _median(_stoi, streams, rate)
    if find_spec("pesq") and find_spec("soxr"):
        found["pesq"] = _median(_pesq, streams, rate)
    return {name: value for name, value in found.items() if value is not None}


def _median(measure: Any, streams: list, rate: int) -> float | None:
    values = [value for before, after in streams if (value := measure(before, after, rate)) is not None]
    return float(np.median(values)) if values else None


def _pesq(before: np.ndarray, after: np.ndarray, rate: int) -> float | None:
    import soxr
    from pesq import PesqError, pesq

    one, two = (soxr.resample(x, rate, 8000).astype(np.float32) for x in (before, after))
    with redirect_stdout(StringIO()):  # it is talkative
        try:
            return float(pesq(8000, one, two, "nb"))
        except PesqError:  # too short, or no utterance
            return None


def _stoi(before: np.ndarray, after: np.ndarray, rate: int) -> float | None:
    import warnings

    from pystoi import stoi

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(stoi(before, after, rate))
        except RuntimeWarning:  # too little sound
            return None
