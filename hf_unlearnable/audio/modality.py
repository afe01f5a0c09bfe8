"""Recordings, as the rest of the product sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable.audio.codec import RecordingError, decode, opened, write
from hf_unlearnable.audio.copies import AudioCopies
from hf_unlearnable.audio.files import (
    RECORDINGS,
    holds_recordings,
    read_recordings,
    without_recording_labels,
    write_recordings,
)
from hf_unlearnable.data.folders import split_folders
from hf_unlearnable.modality import Grid, Modality
from hf_unlearnable.rows import file_of

if TYPE_CHECKING:
    import os

    from datasets import Dataset

    from hf_unlearnable.adversary import Countermeasure, Victim, Wear
    from hf_unlearnable.audio.clip import Clip
    from hf_unlearnable.audio.fidelity import AudioFidelity
    from hf_unlearnable.transform import Transform

_DECODED = {"array", "sampling_rate"}  # fields of a column that was decoded already


class AudioModality(Modality):
    """Columns of `datasets.Audio`, or of decoded `{"array", "sampling_rate"}`, compared by their samples."""

    name = "audio"
    plural = "recordings"
    column = "audio"
    cast = "datasets.Audio()"
    batch_size = 16
    task = "audio-classification"
    files = ("recordings",)
    single = RECORDINGS
    errors = (RecordingError,)
    copies = AudioCopies()
    prices: ClassVar[Mapping[str, tuple[str, bool]]] = {"pesq": ("PESQ", True), "stoi": ("STOI", True)}
    watched: ClassVar[Grid] = Grid({"log_mel_cnn": {"epochs": 6, "duration": 1.0}}, ("spectral-whitening",))
    grids: ClassVar[Mapping[str, Grid]] = {
        "quick": Grid(
            {"log_mel_cnn": {"epochs": 8}},
            ("time-shift", "class-spectrum-inversion", "spectral-whitening", "random-equaliser", "clean-20%"),
            ("mp3-64", "opus-16"),
        ),
        "laptop": Grid({"log_mel_cnn": {}, "log_mel_cnn_normalised": {}, "mfcc_linear": {}}),
        "full": Grid(
            {
                "log_mel_cnn": {}, "log_mel_cnn_normalised": {}, "raw_cnn": {}, "mfcc_linear": {},
                "mfcc_linear_normalised": {}, "audio_transformer": {},
            }
        ),
    }  # fmt: skip

    @property
    def victims(self) -> Mapping[str, Victim]:
        from hf_unlearnable.audio.victims import AUDIO_VICTIMS

        return AUDIO_VICTIMS

    @property
    def countermeasures(self) -> Mapping[str, Countermeasure]:
        from hf_unlearnable.audio.countermeasures import AUDIO_COUNTERMEASURES

        return AUDIO_COUNTERMEASURES

    @property
    def wear(self) -> Mapping[str, Wear]:
        from hf_unlearnable.audio.wear import AUDIO_WEAR

        return AUDIO_WEAR

    # ------------------------------------------------------------------ values
    def accepts(self, feature: Any) -> bool:
        from datasets import Audio

        return isinstance(feature, Audio) or (isinstance(feature, Mapping) and set(feature) - {"path"} == _DECODED)

    def undecoded(self, dataset: Any, column: str) -> Any:
        from datasets import Audio

        is_audio = isinstance((dataset.features or {}).get(column), Audio)
        return dataset.cast_column(column, Audio(decode=False)) if is_audio else dataset

    def content(self, value: Any) -> bytes:
        with opened(value) as recording:
            return recording.content()

    def read(self, dataset: Dataset, column: str) -> list[Clip]:
        from hf_unlearnable.audio.clip import Clip

        clips = []
        for row, one in enumerate(self.undecoded(dataset, column).select_columns([column]).with_format(None)):
            with self.naming(row, column, one[column]):
                samples, form = decode(one[column])
            clips.append(Clip((samples / form.full_scale).astype("float32"), form.rate))
        return clips

    def random_dose(self, clean: Dataset, protected: Dataset, column: str, seed: int) -> Dataset:
        from hf_unlearnable.audio.dose import random_changes

        before, after = (self.undecoded(data.with_format(None), column) for data in (clean, protected))
        return self._beside(clean, column, *random_changes(before, after, column, seed, self.naming))

    # ------------------------------------------------------------------ what it costs a listener
    def fidelity(
        self, original: Any, protected: Any, column: str, transform: Transform | None = None
    ) -> AudioFidelity:
        from hf_unlearnable.audio.fidelity import audio_fidelity

        return audio_fidelity(original, protected, column)

    def require_exact(self, dataset: Any, column: str) -> None:
        from hf_unlearnable.audio.fidelity import require_lossless

        require_lossless(dataset, column)

    def write_fidelity(self, folder: Path, original: Any, protected: Any, column: str) -> None:
        """The first changed recording, before and after, to be listened to."""
        from hf_unlearnable.audio.fidelity import pairs_of

        for before, after in pairs_of(original, protected, column):
            if before != after:
                for name, value in {"before": before, "after": after}.items():
                    with opened(value) as recording:
                        write(folder / f"{name}.wav", recording.format, recording.blocks(), kind="WAV")
                return

    def example(self, original: Dataset, protected: Dataset, column: str, row: int) -> list[str]:
        before, after = (self.undecoded(data, column)[row][column] for data in (original, protected))
        frames, values, total, most = [0, 0], 0, 0.0, 0.0
        none = np.empty(0)
        with opened(before) as one, opened(after) as two:
            for a, b in zip_longest(one.blocks(), two.blocks(), fillvalue=none):
                frames = [frames[0] + len(a), frames[1] + len(b)]
                if len(a) == len(b):
                    change = abs(b / two.format.full_scale - a / one.format.full_scale)
                    values, total, most = values + change.size, total + change.sum(), max(most, change.max())
            rate = one.format.rate
        named = f"Row {row}{file_of(before)}, {frames[0] / rate:.2f} seconds at {rate} Hz"
        if frames[0] != frames[1]:
            return [f"{named}: stored with {frames[1]} frames instead of {frames[0]}"]
        return [f"{named}: changed by {total / values:.4f} of full scale on average, at most {most:.4f}"]

    # ------------------------------------------------------------------ files
    def holds(self, folder: str | os.PathLike) -> bool:
        return holds_recordings(folder)

    def read_files(self, folder: str | os.PathLike, **options: Any) -> dict[str, Callable[[], Dataset]]:
        parts = split_folders(Path(folder), RECORDINGS)
        every = tuple(parts.values())
        return {name: partial(read_recordings, parts[name], split=name, parts=every, **options) for name in parts}

    def without_labels(self, folder: str | os.PathLike) -> str:
        return without_recording_labels(Path(folder))

    def to_files(self, transform: Any, folder: Path) -> Callable[[Any], Any]:
        if not hasattr(transform, "to_files"):  # a method of another package may do without
            return transform
        folder.mkdir()
        return partial(transform.to_files, folder=folder)

    def write_files(
        self, protected: Any, original: Any, output: Path, column: str, source: str | os.PathLike | None
    ) -> None:
        if source is None or not Path(source).is_dir():
            raise ValueError(
                "The format recordings writes files under the names that they had: it needs a folder of recordings as "
                "source."
            )
        write_recordings(protected, original, output, column, source)


AUDIO = AudioModality()
