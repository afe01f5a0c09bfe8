"""What every protection of recordings shares: which rows, which bytes in, which bytes out."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable._files import whole_or_nothing
from hf_unlearnable.audio.codec import BLOCK, Recording, RecordingError, encode, opened, write
from hf_unlearnable.audio.filters import Filter, padded
from hf_unlearnable.audio.trace import TOP, filter_scores, grid, seen
from hf_unlearnable.key import row_stream
from hf_unlearnable.labelled import LabelledFiles, check_label, feature_of, plain
from hf_unlearnable.mark import ClassMarks, Marks, class_decoys
from hf_unlearnable.rows import Batch, file_of
from hf_unlearnable.transform import Transform

_TOGETHER = 2**20  # bytes of changed samples that wait to be stored in a row


@dataclass(kw_only=True, repr=False, eq=False)
class AudioTransform(LabelledFiles):
    """Base class of the protections of recordings. A subclass changes one recording's samples in `_cloak`.

    Args:
        audio_column: Column of recordings, `datasets.Audio` or `{"array", "sampling_rate"}`.
        label_column: Column of labels: class names or numbers, not floats. Rows without one (None, or -1 of a
            `ClassLabel`) are an error unless `classes` or `mask_column` leaves them out.
        id_column: Column that identifies a row; None identifies it by its samples.
        mask_column: Column of booleans: which rows to protect.
        classes: Labels whose rows are protected; None for all.
        fraction: Share of the rows to protect, in [0, 1], drawn with the key.
        seed: Secret whole number; None draws a fresh one at `fit`. A small number can be guessed: for tests only.
    """

    audio_column: str = "audio"
    label_column: str = "label"
    id_column: str | None = None
    mask_column: str | None = None
    classes: Sequence[Any] | None = None
    fraction: float = 1.0
    seed: int | None = None

    modality: ClassVar[str] = "audio"
    column_parameter: ClassVar[str] = "audio_column"
    compression: ClassVar[float | None] = 0.375  # level 3 of FLAC: a quarter less time for a hundredth more bytes
    open_parameters: ClassVar[tuple[str, ...]] = (*Transform.open_parameters, "audio_column")
    without_labels: ClassVar[str] = (
        "audio-noise (AudioNoiseTransform) is what remains, a baseline that protects little"
    )

    # ------------------------------------------------------------------ for subclasses
    @abstractmethod
    def _cloak(self, recording: Recording, label: Any, stream: int) -> Iterator[np.ndarray]:
        """A recording's protected samples, block by block.

        Args:
            recording: Its `blocks()` may be read several times.
            label: Of the row, None where the method needs none.
            stream: The row's random stream, see `key.draws`; 0 where `differs_by_row` is false.

        Yields:
            Blocks of the same shapes, in the scale of the file: float64, or of `format.dtype` as they will be stored.
        """

    # ------------------------------------------------------------------ one recording
    def protect_file(self, source: str | os.PathLike, target: str | os.PathLike, label: Any = None) -> Path:
        """Protects a recording of any length from file to file, with some blocks of it in memory at a time.

        Args:
            source: The recording.
            target: A new file. Its ending does not matter: it is FLAC where that holds the samples, else WAV.
            label: Its class, as `map` would find it in the label column.

        Returns:
            `target`.

        Raises:
            FileExistsError: There is a file already.
            ValueError: The recording cannot be protected; the message says why. No file is left behind.
        """
        self._state()
        self._used = True
        target = Path(target)
        if self.needs_labels:
            check_label(label, str(source), self.label_column)
        try:
            with whole_or_nothing(target) as scratch, opened(source) as recording:
                stream = self._stream_of(recording)
                blocks = self._changed(recording, label, stream)
                write(scratch, recording.format, blocks, recording.frames, level=self.compression)
        except RecordingError as error:
            raise ValueError(f"{source}: the recording {error}.") from None
        return target

    def to_files(self, batch: Any, folder: str | os.PathLike) -> Any:
        """As a call, but recordings that lie in files go to files of a folder, block by block: a row holds their path.

        Args:
            batch: As for a call.
            folder: One that is there.
        """
        self._state()
        self._used = True
        rows = Batch(batch, self._columns(), self._is_row)
        return rows.replaced(self._protect(rows, partial(_into, Path(folder), level=self.compression)))

    def _changed(self, recording: Recording, label: Any, stream: int) -> Iterator[np.ndarray]:
        """The protected samples as the file will hold them."""
        for block in self._cloak(recording, plain(label), stream):
            yield recording.format.stored(block)

    # ------------------------------------------------------------------ contract
    def _is_row(self, value: Any) -> bool:
        return not isinstance(value, list)

    def _protect(self, rows: Batch, kept: Callable[[Any, Recording, Iterator], Any] | None = None) -> dict[str, list]:
        values = rows.stored(self.audio_column)
        if getattr(self, self.strength_parameter) == 0 or self.fraction == 0:
            return {self.audio_column: values}
        kept = kept or partial(like, level=self.compression)
        eligible = self._eligible(rows, len(values))
        labels = rows.column(self.label_column) if self.needs_labels else [None] * len(values)
        feature = feature_of(rows, self.label_column)
        where = [f"Row {i} of this batch{file_of(value)}" for i, value in enumerate(values)]
        identities = rows.column(self.id_column) if self.id_column else [None] * len(values)
        changed, waiting = list(values), _Waiting(kept)
        for i in np.flatnonzero(eligible).tolist():
            try:
                with opened(values[i]) as recording:
                    stream = self._stream(recording, identities[i])
                    if not self._sampled(stream):
                        continue
                    if self.needs_labels:
                        check_label(labels[i], where[i], self.label_column, feature)
                    waiting.take(i, values[i], recording, self._changed(recording, labels[i], stream), changed)
            except RecordingError as error:
                named = f"{where[i]}{self._named(rows, i)}"
                raise ValueError(f"{named}, column {self.audio_column!r}: the recording {error}.") from None
        waiting.store(changed)
        return {self.audio_column: changed}

    def _stream(self, recording: Recording, identity: Any = None) -> int:
        """The random stream of a row, from `id_column` or from all samples; 0 where no draw depends on it."""
        if self.id_column is not None:
            return row_stream(repr(identity).encode(), self._resolved_seed())
        return self._stream_of(recording)

    def _stream_of(self, recording: Recording) -> int:
        """The random stream that all samples give; 0 where no draw depends on it."""
        if self.fraction == 1 and not self.differs_by_row:
            return 0
        return recording.stream(self._resolved_seed())


class _Waiting:
    """Changed recordings that are short, and stored several in a row: so the processor's caches keep one task's code.

    Args:
        kept: What makes a row's value of the old one, the recording and its changed blocks.
    """

    def __init__(self, kept: Callable[[Any, Recording, Iterator], Any]):
        self._kept = kept
        self._short: list[tuple[int, Any, Recording, list[np.ndarray]]] = []
        self._bytes = 0

    def take(self, i: int, value: Any, recording: Recording, blocks: Iterator[np.ndarray], rows: list) -> None:
        """Stores the recording of row i in `rows`, now or later."""
        if not 0 <= recording.frames <= BLOCK:
            rows[i] = self._kept(value, recording, blocks)
            return
        self._short.append((i, value, recording, list(blocks)))
        self._bytes += sum(block.nbytes for block in self._short[-1][3])
        if self._bytes > _TOGETHER:
            self.store(rows)

    def store(self, rows: list) -> None:
        """Stores all that wait."""
        for i, value, recording, blocks in self._short:
            rows[i] = self._kept(value, recording, iter(blocks))
        self._short.clear()
        self._bytes = 0


class FilterTransform(AudioTransform):
    """Base class of protections that lay one filter of a class over the whole of a recording, or over a part."""

    differs_by_row: ClassVar[bool] = False
    _filters: dict[tuple[Any, int], Filter]  # of a label at a rate

    @abstractmethod
    def _taps(self, label: Any, rate: int) -> np.ndarray:
        """The symmetric filter of a class at a rate, float64 [2 * half + 1]."""

    def _filter(self, label: Any, rate: int) -> Filter:
        """The filter of a class, made once."""
        known = self.__dict__.setdefault("_filters", {})
        place = (repr(label), rate)
        if place not in known:
            known[place] = Filter(self._taps(label, rate))
        return known[place]

    def _cloak(self, recording: Recording, label: Any, stream: int) -> Iterator[np.ndarray]:
        change = self._filter(label, recording.format.rate)
        for frames, window in padded(recording.blocks(), change.half, change.step):
            yield change(window).reshape(len(window), -1)[:, :frames].T

    def _decibels(self, label: Any, hertz: np.ndarray, rate: int) -> np.ndarray:
        """What the filter of a class does to these frequencies at a rate, by which `verify` knows the key.

        A method that changes a part only leaves this as it is: `verify` says then that its key cannot be shown.
        """
        raise NotImplementedError

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """How much the spectrum of each recording is like the filters that the seed draws; see `trace`."""
        if type(self)._decibels is FilterTransform._decibels:
            return super().ownership_scores(rows)
        looked = [self._looked_at(row[self.audio_column], f"Row {i}") for i, row in enumerate(rows)]
        labels, given = self._classes_of(rows)
        cloaks = [self, *self.decoys(class_decoys(len(labels)))]
        rates = np.array([min(rate, 2 * TOP) for _, rate in looked])
        scores = np.zeros((len(rows), len(labels), len(cloaks)), np.float32)
        for rate in np.unique(rates):
            mine = np.flatnonzero(rates == rate)
            spectra = [looked[i][0] for i in mine]
            scores[mine] = filter_scores(spectra, cloaks, labels, partial(_response, rate=int(rate)))
        return ClassMarks(scores, given, drawn=True)

    def _looked_at(self, value: Any, where: str) -> tuple[np.ndarray, int]:
        """What is `seen` of the first half minute of a recording, and its rate."""
        try:
            with opened(value) as recording:
                blocks = islice(recording.blocks(), -(-30 * recording.format.rate // BLOCK))
                mono = np.concatenate([block.mean(axis=1) for block in blocks])
                return seen(mono / recording.format.full_scale, recording.format.rate), recording.format.rate
        except RecordingError as error:
            raise ValueError(f"{where}, column {self.audio_column!r}: the recording {error}.") from None


def _response(cloak: FilterTransform, label: Any, rate: int) -> np.ndarray:
    return cloak._decibels(label, grid(), rate)


def like(value: Any, recording: Recording, blocks: Iterator[np.ndarray], level: float | None = None) -> Any:
    """Samples as the kind of value that `value` is, ready to go back to where that came from; see `write`."""
    if isinstance(value, dict) and "array" in value:
        samples = np.concatenate(list(blocks))
        return {**value, "array": samples[:, 0] if np.ndim(value["array"]) == 1 else samples.T}
    data = encode(recording.format, blocks, recording.frames, level)
    return data if isinstance(value, bytes) else {"bytes": data, "path": None}


def _into(folder: Path, value: Any, recording: Recording, blocks: Iterator[np.ndarray], level: float | None) -> Any:
    """As `like`, but what comes from a file goes to a new one in a folder."""
    if not isinstance(value, dict) or "array" in value or value.get("bytes") is not None:
        return like(value, recording, blocks, level)
    number, path = tempfile.mkstemp(dir=folder)
    os.close(number)
    write(path, recording.format, blocks, recording.frames, level=level)
    return {"bytes": None, "path": path}
