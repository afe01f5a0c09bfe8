"""What the protections of recordings share whose noise is learned with a surrogate: parameters, rows, application."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np

from hf_unlearnable._words import counted
from hf_unlearnable.audio.base import AudioTransform
from hf_unlearnable.audio.codec import Recording, RecordingError, opened
from hf_unlearnable.audio.features import WINDOW
from hf_unlearnable.audio.learning.noise import WHOLE, ClassClipNoise, ClipNoise, Hearing, frames_of, loudness
from hf_unlearnable.audio.learning.rounds import ClipLearner, Row
from hf_unlearnable.audio.learning.trace import HASH_CHANCE, class_scores, is_original, likeliest
from hf_unlearnable.audio.networks import SURROGATES
from hf_unlearnable.key import Key, row_stream
from hf_unlearnable.labelled import check_label, plain
from hf_unlearnable.learning.ownership import known_by_column, noise_marks
from hf_unlearnable.learning.transform import LearnedTransform
from hf_unlearnable.mark import ClassMarks, Marks, NoMarkError, Recovered, class_decoys
from hf_unlearnable.rows import file_of

HIGHEST, LONGEST = 16_000, 4.0  # frames per second and seconds that a surrogate hears when nothing else is said
T = TypeVar("T")


@dataclass(kw_only=True, repr=False, eq=False)
class LearnedClipNoiseTransform(LearnedTransform, AudioTransform):
    """Base class of the protections of recordings whose noise is computed at `fit`, on a surrogate that is trained.

    `fraction`, `classes` and `mask_column` choose rows when the noise is applied, so they may change later with the
    same key.

    Args:
        epsilon: Largest change of a sample, at least 0; 0 changes nothing. `bound` says of what it is a share.
        bound: "loudness" for a share of the recording's root mean square. There 0.1 keeps the noise 20 dB below the
            sound at least. Or "full-scale", the same in every recording. There 0.001 is a peak level of -60 dBFS.
        noise: "sample" for a noise of its own for each recording, "class" for one per class.
        surrogate: The model that noise is computed on: "log_mel_cnn", which hears a log-mel spectrogram, or
            "raw_cnn", which hears the wave.
        rate: Frames per second that the surrogate hears, and so the band that noise fills. None for the most frequent
            rate of the recordings, at most 16,000.
        duration: Seconds that the surrogate hears, from the beginning on. On a longer recording the noise begins anew
            after so long. None for what covers 95 of 100 recordings, at most 4.
        shift: Share of its length by which a recording is moved at most before the surrogate hears it. Noise that was
            computed with 0 is lost when a victim moves its recordings.
        learning_rate: Learning rate of the surrogate's SGD.
        batch_size: Recordings per step of the surrogate, all processes together; in halves when memory runs out.
        noise_batch_size: Recordings per step of the noise in one process; halved when memory runs out. None for 64
            on a CPU, and 512 elsewhere.
    """

    epsilon: float = 0.1
    bound: str = "loudness"
    noise: str = "sample"
    surrogate: str = "log_mel_cnn"
    rate: int | None = None
    duration: float | None = None
    shift: float = 0.2
    learning_rate: float = 0.1
    batch_size: int = 128
    noise_batch_size: int | None = None

    needs_training: ClassVar[bool] = True
    compression: ClassVar[float | None] = None  # as always, so that keys stay valid
    differs_by_row: ClassVar[bool] = False  # equal recordings get equal noise, whatever they are called
    strength_parameter: ClassVar[str] = "epsilon"
    learns_with: ClassVar[tuple[str, ...]] = ("audio", "torch", "accelerate", "soundfile", "soxr")
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "bound": ("loudness", "full-scale"), "noise": ("sample", "class"), "surrogate": SURROGATES,
    }  # fmt: skip

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.epsilon <= 1:
            of = "the recording's loudness" if self.bound == "loudness" else "full scale"
            raise ValueError(f"epsilon is {self.epsilon}, but it is a share of {of}: give 0 to 1.")
        if self.duration is not None and not WINDOW <= self.duration <= 60:
            raise ValueError(f"duration is {self.duration}. Give seconds, from {WINDOW:g} to 60.")
        if not 0 <= self.shift <= 0.5:
            raise ValueError(f"shift is {self.shift}, but it is a share of the length: give 0 to 0.5, such as 0.2.")

    def _least(self) -> dict[str, float]:
        return {"rate": 2000}

    def _no_noise(self) -> ClipNoise:
        self._hearing = Hearing(self.rate or HIGHEST, 1)
        return ClipNoise.empty()

    # ------------------------------------------------------------------ rows for fit
    def _learner(self, dataset: Any, **learner: Any) -> ClipLearner:
        self._hearing = self._heard(dataset)
        return ClipLearner(
            self._clips(dataset, learner["seed"]),
            hearing=self._hearing,
            per_class=self.noise == "class",
            surrogate=self.surrogate,
            batch_size=self.batch_size,
            noise_batch_size=self.noise_batch_size,
            learning_rate=self.learning_rate,
            **learner,
        )

    def _heard(self, dataset: Any) -> Hearing:
        """How the surrogate hears these recordings and those of all other processes."""
        from accelerate.utils import gather_object

        def length(recording: Recording) -> tuple[int, float]:
            return recording.format.rate, frames_of(recording) / recording.format.rate

        rate, duration = self.rate, self.duration
        if rate is None or duration is None:
            told = gather_object([one for one, _, _ in self._looked(dataset, length)])
            rates, lengths = zip(*told, strict=True)
            rate = rate or min(HIGHEST, Counter(rates).most_common(1)[0][0])
            duration = duration or max(WINDOW, min(LONGEST, float(np.percentile(lengths, 95))))
        return Hearing(rate, round(duration * rate))

    def _clips(self, dataset: Any, seed: int) -> Iterator[Row]:
        """What the surrogate hears of every recording, its bound, its content, its label and what identifies it."""

        def clip(recording: Recording) -> tuple[np.ndarray, float, bytes]:
            bound = self._bound(recording) / recording.format.full_scale
            return self._hearing.wave(recording), bound, recording.content()

        for (wave, bound, content), label, identity in self._looked(dataset, clip):
            yield wave, bound, content, label, content if self.id_column is None else repr(identity).encode()

    def _looked(self, dataset: Any, look: Callable[[Recording], T]) -> Iterator[tuple[T, Any, Any]]:
        """What `look` makes of every recording, with its label and what `id_column` says.

        Raises:
            ValueError: A row that `classes` and `mask_column` do not leave out has no label, or a recording that
                cannot be protected: the message names it.
        """
        feature = (getattr(dataset, "features", None) or {}).get(self.label_column)
        for i, (value, label, identity, wanted) in enumerate(self._raw_rows(dataset)):
            where = f"Row {i}{file_of(value)}"
            try:
                check_label(label, where, self.label_column, feature)
                with opened(value) as recording:
                    found = look(recording)
            except ValueError as error:
                if not wanted:
                    continue
                if not isinstance(error, RecordingError):
                    raise
                raise ValueError(f"{where}, column {self.audio_column!r}: the recording {error}.") from None
            yield found, plain(label), identity

    # ------------------------------------------------------------------ one recording
    def _bound(self, recording: Recording) -> float:
        """The largest change of a sample, in the scale of the file."""
        whole = loudness(recording) if self.bound == "loudness" else recording.format.full_scale
        return self.epsilon * whole

    def _stream_of(self, recording: Recording) -> int:
        if self.noise == "class" and self.fraction == 1:
            return 0
        return row_stream(recording.content(), self._resolved_seed())  # of all learned state the name of a recording

    def _cloak(self, recording: Recording, label: Any, stream: int) -> Iterator[np.ndarray]:
        noise, form = self._fitted(self._noise), recording.format
        if isinstance(noise, ClassClipNoise):
            levels = noise.of(label)
        else:
            levels = noise.of(stream, (self._hearing.of(recording),))
        tile = self._hearing.tile(levels, form.rate) * self._bound(recording)
        tile = tile if form.real else np.trunc(tile)  # towards 0, so that rounding keeps the bound
        done = 0
        for block in recording.blocks():
            place = (done + np.arange(len(block))) % len(tile)
            yield np.clip(block + tile[place, None], -form.full_scale, None if form.real else form.full_scale - 1)
            done += len(block)

    # ------------------------------------------------------------------ ownership
    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """Which originals come out when the key's noise is taken off, or which recordings hold a class's noise."""
        noise = self._fitted(self._noise)
        if isinstance(noise, ClassClipNoise):
            return self._class_marks(noise, rows)
        if self.id_column:
            raise known_by_column(self.id_column)
        found, units, real = [], [], 0
        for i, row in enumerate(rows):
            with self._reading(row[self.audio_column], i) as recording:
                units.append(recording.content())
                real += recording.format.real
                found.append(not recording.format.real and self._recovered(noise, recording))
        if real == len(rows):
            raise NoMarkError(
                "These recordings are stored as floats. What noise is laid on them is rounded, so that no original "
                "comes out to the last bit. Keep the original data: it shows whose they are."
            )
        return Recovered(np.array(found, bool), units, HASH_CHANCE)

    def _recovered(self, noise: ClipNoise, recording: Recording) -> bool:
        """Whether one of the key's noises, taken off, leaves the original that it was computed for."""
        for j in likeliest(noise, self._hearing.wave(recording)):
            start = int(noise.starts[j])
            shares = self._hearing.tile(noise.levels[start : start + int(noise.shapes[j, 0])], recording.format.rate)
            follows, wanted = self.bound == "loudness", int(noise.ids[j])
            if is_original(recording, shares, self.epsilon, follows, self._resolved_seed(), wanted):
                return True
        return False

    def _class_marks(self, noise: ClassClipNoise, rows: Sequence[Mapping[str, Any]]) -> ClassMarks:
        labels, given = self._classes_of(rows)
        waves, bounds = [], []
        for i, row in enumerate(rows):
            with self._reading(row[self.audio_column], i) as recording:
                waves.append(self._hearing.wave(recording))
                bounds.append(self._bound(recording) / recording.format.full_scale)
        scores = class_scores(noise.levels, waves, bounds, class_decoys(len(labels)))
        several = counted(len(rows), "recording")
        faint = f"{several} of this length cannot tell this key's noise from what they say. Give more, or longer ones"
        return noise_marks(scores, given, faint)

    @contextmanager
    def _reading(self, value: Any, row: int) -> Iterator[Recording]:
        try:
            with opened(value) as recording:
                yield recording
        except RecordingError as error:
            raise ValueError(f"Row {row}, column {self.audio_column!r}: the recording {error}.") from None

    # ------------------------------------------------------------------ the key
    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        state, tensors = self._fitted(self._noise).state()
        return {**state, "heard": {"rate": self._hearing.rate, "frames": self._hearing.frames}}, tensors

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._hearing = Hearing(**state["heard"])
        self._noise = (
            ClassClipNoise(state["labels"], **tensors) if "labels" in state else ClipNoise.from_state(state, tensors)
        )

    def _check_state(self, key: Key) -> None:
        if self.epsilon == 0:
            return
        rate, frames = self._hearing.rate, self._hearing.frames
        if not (isinstance(rate, int) and isinstance(frames, int) and rate > 0 and 0 < frames <= 60 * rate):
            raise ValueError("it does not say at which rate, and for how long, its noise is")
        if isinstance(self._noise, ClassClipNoise) != (self.noise == "class"):
            raise ValueError("its noise is of classes where it should be of rows, or the other way round")
        self._noise.check(WHOLE)
        if key.path is not None and not self._noise.levels.any():  # what `fit` makes it warns of
            raise ValueError("its noise is 0 everywhere and protects nothing")

    _noise: Any = field(default=None, init=False)
    _hearing: Any = field(default=None, init=False)
    image_passes: int = field(default=0, init=False)  # that `fit` took: forward and backward, of one recording each
