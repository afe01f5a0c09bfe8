"""A tone for each class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.key import draw, row_stream
from hf_unlearnable.mark import ClassMarks, Marks, class_decoys
from hf_unlearnable.rows import Batch, has_label, no_label, require_columns
from hf_unlearnable.transform import NotFittedError, Transform

from .wav import Sound, SoundError, plus, read, stored


@dataclass(kw_only=True, repr=False, eq=False)
class ToneTransform(Transform):
    """Adds a quiet tone to every sound, of a pitch that is drawn for its class.

    Args:
        audio_column: Column of sounds, 16-bit WAV files.
        amplitude: Largest change of a sample value, of 32,767. 0 changes nothing.
        label_column: Column of labels.
        id_column: Column that identifies a row; None identifies it by its samples.
        mask_column: Column of booleans: which rows to protect.
        classes: Labels whose rows are protected; None for all.
        fraction: Share of the rows to protect, in [0, 1], drawn with the key.
        seed: Secret integer; None draws a fresh one at `fit`.

    Breaks:
        A filter that takes out one pitch per class.
    """

    audio_column: str = "audio"
    amplitude: int = 400
    label_column: str = "label"
    id_column: str | None = None
    mask_column: str | None = None
    classes: Sequence[Any] | None = None
    fraction: float = 1.0
    seed: int | None = None

    method: ClassVar[str] = "tone"
    modality: ClassVar[str] = "sound"
    column_parameter: ClassVar[str] = "audio_column"
    strength_parameter: ClassVar[str] = "amplitude"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("moving-average",)
    open_parameters: ClassVar[tuple[str, ...]] = (*Transform.open_parameters, "audio_column")

    def fit(self, dataset: Any) -> "ToneTransform":
        """Draws the key, and looks whether the columns are there."""
        self._check_parameters()
        if not 0 <= self.amplitude < 2**15:
            raise ValueError(f"amplitude is {self.amplitude}. Give a sample value, from 0 to 32767.")
        require_columns(dataset.column_names, [self.audio_column, self.label_column])
        self._seed = None
        self._resolved_seed()
        return self

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """How loud each seed's tones are in each row."""
        sounds = [self._opened(row[self.audio_column], f"Row {i}") for i, row in enumerate(rows)]
        given = [row.get(self.label_column) for row in rows]
        labels = sorted({label for label in given if label is not None}, key=repr)
        if not labels:
            raise ValueError(f"This key draws a tone for each label, and there is no column {self.label_column!r}.")
        seeds = [self, *self.decoys(class_decoys(len(labels)))]
        pitches = np.array([[one._pitch(label) for one in seeds] for label in labels])
        scores = np.stack([_loudness(sound.samples.mean(axis=1), pitches) for sound in sounds])
        return ClassMarks(scores, [-1 if label is None else labels.index(label) for label in given], drawn=True)

    # ------------------------------------------------------------------ the change
    def _protect(self, rows: Batch) -> dict[str, list]:
        values = rows.stored(self.audio_column)
        if self.amplitude == 0 or self.fraction == 0:
            return {self.audio_column: values}
        sounds = [
            self._opened(value, f"Row {i} of this batch") if wanted and value is not None else None
            for i, (value, wanted) in enumerate(zip(values, self._eligible(rows, len(values)), strict=True))
        ]
        streams = self._streams(rows, [None if sound is None else sound.samples.tobytes() for sound in sounds])
        return {self.audio_column: list(self._changed(rows.column(self.label_column), values, sounds, streams))}

    def _changed(
        self,
        labels: Sequence[Any],
        values: Sequence[Any],
        sounds: Sequence[Sound | None],
        streams: Sequence[int | None],
    ) -> Iterator[Any]:
        for i, (label, value, sound, stream) in enumerate(zip(labels, values, sounds, streams, strict=True)):
            if sound is None or stream is None or not self._sampled(stream):
                yield value
                continue
            if not has_label(label):
                raise no_label(f"Row {i} of this batch", self.label_column)
            phase = self._pitch(label) * np.arange(len(sound.samples)) + draw(stream, 0) * 2.0**-64
            tone = np.rint(self.amplitude * np.sin(2 * np.pi * phase)).astype(np.int32)
            yield stored(replace(sound, samples=plus(sound.samples, tone[:, None])))

    def _pitch(self, label: Any) -> float:
        """Periods per frame of a class's tone, in [0.1, 0.45)."""
        stream = row_stream(b"class " + repr(label).encode(), self._resolved_seed())
        return 0.1 + 0.35 * draw(stream, 0) * 2.0**-64

    def _opened(self, value: Any, row: str) -> Sound:
        try:
            return read(value)
        except SoundError as error:
            raise ValueError(f"{row}, column {self.audio_column!r}: the sound {error}.") from None

    # ------------------------------------------------------------------ contract
    def _columns(self) -> list[str]:
        return [self.audio_column]

    def _is_row(self, value: Any) -> bool:
        return not isinstance(value, list)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        if self._seed is None:
            raise NotFittedError("This ToneTransform is not fitted yet. Call fit(dataset) first.")
        return {}, {}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        """The seed is all."""


def _loudness(samples: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """How much of a sound's energy is at each pitch, float of the shape of `pitches`."""
    bins = 8 * max(1, len(samples))
    spectrum = np.abs(np.fft.rfft(samples, n=bins))
    return spectrum[np.rint(pitches * bins).astype(int)] / max(1.0, float(np.linalg.norm(samples)))
