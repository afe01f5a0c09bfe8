"""Sounds, as the rest of the product sees them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.adversary import Countermeasure, Victim, mixed_with_clean
from hf_unlearnable.data import stored_bytes
from hf_unlearnable.data.folders import split_folders
from hf_unlearnable.modality import Copies, Grid, Modality

from .countermeasure import moving_average
from .victim import nearest_class_mean
from .wav import Sound, SoundError, plus, read, stored

_STORED = {"bytes", "path"}


@dataclass(frozen=True)
class SoundFidelity:
    """How far protected sounds are from the originals.

    Args:
        sounds: How many there are.
        changed: How many of them differ.
        max_change: Largest change of a sample value, of 32,767.
        snr: Mean signal-to-noise ratio of the changed ones in decibels; None where none changed.
    """

    sounds: int
    changed: int
    max_change: int
    snr: float | None

    def __str__(self) -> str:
        if self.snr is None:
            return f"{self.sounds} sounds, none changed"
        return (
            f"{self.changed} of {self.sounds} sounds changed: sample values by at most {self.max_change} of 32,767, "
            f"SNR {self.snr:.1f} dB"
        )


class WaveCopies(Copies):
    """Copies of sounds, told by how their samples correlate."""

    marks: ClassVar[str] = "bext"

    def knows(self, data: bytes) -> bool:
        return data[:4] == b"RIFF" and data[8:12] == b"WAVE"

    def lossy(self, data: bytes) -> bool:
        return False

    def told(self, data: bytes) -> list[tuple[str, str]]:
        return [("recorder", "A sound tells what recorded it.")] if b"bext" in data else []

    def smaller(self, data: bytes) -> bytes | None:
        return data[data.index(b"LIST") + 4 :] if b"LIST" in data else None

    def likeness(self, one: bytes, two: bytes) -> float:
        try:
            first, second = (read(data).samples.mean(axis=1) for data in (one, two))
        except SoundError:
            return 0.0
        frames = min(len(first), len(second))
        if np.array_equal(first, second) or not (np.ptp(first[:frames]) and np.ptp(second[:frames])):
            return 0.0
        return float(np.corrcoef(first[:frames], second[:frames])[0, 1])

    def stand_out(self, likeness: np.ndarray) -> np.ndarray:
        return likeness > 0.9


class SoundModality(Modality):
    """16-bit WAV files in a column of `datasets.Audio`, or of plain structs `{"bytes", "path"}`."""

    name = "sound"
    plural = "sounds"
    column = "audio"
    cast = "datasets.Audio()"
    batch_size = 16
    task = "audio-classification"
    files = ("sounds",)
    errors = (SoundError,)
    copies = WaveCopies()
    grids: ClassVar[Mapping[str, Grid]] = {
        effort: Grid({"nearest_class_mean": {}}, ("moving-average", "clean-20%"))
        for effort in ("quick", "laptop", "full")
    }

    @property
    def victims(self) -> Mapping[str, Victim]:
        return {"nearest_class_mean": nearest_class_mean}

    @property
    def countermeasures(self) -> Mapping[str, Countermeasure]:
        return {"moving-average": moving_average, "clean-20%": mixed_with_clean(0.2)}

    # ------------------------------------------------------------------ values
    def accepts(self, feature: Any) -> bool:
        from datasets import Audio

        return isinstance(feature, Audio) or (isinstance(feature, Mapping) and set(feature) == _STORED)

    def undecoded(self, dataset: Any, column: str) -> Any:
        from datasets import Audio

        is_audio = isinstance((dataset.features or {}).get(column), Audio)
        return dataset.cast_column(column, Audio(decode=False)) if is_audio else dataset

    def content(self, value: Any) -> bytes:
        return read(value).samples.tobytes()

    def read(self, dataset: Any, column: str) -> list[np.ndarray]:
        return [sound.samples for sound in self._sounds(dataset, column)]

    def _sounds(self, dataset: Any, column: str) -> Iterator[Sound]:
        for row, value in enumerate(self._values(dataset, column)):
            with self.naming(row, column):
                sound = read(value)
            yield sound

    def _values(self, dataset: Any, column: str) -> Iterator[Any]:
        for row in self.undecoded(dataset, column).select_columns([column]).with_format(None):
            yield row[column]

    def random_dose(self, clean: Any, protected: Any, column: str, seed: int) -> Any:
        """Every changed row gets the change of another one, drawn at random."""
        pairs = zip(self._values(clean, column), self._values(protected, column), strict=True)
        changed = np.array([row for row, pair in enumerate(pairs) if not self.same(*pair)], int)
        donors = np.arange(len(clean))
        donors[changed] = np.random.default_rng(seed).permutation(changed)
        before, after = (self.undecoded(data.with_format(None), column) for data in (clean, protected))

        def change(values: Sequence[Any], befores: Sequence[Any], afters: Sequence[Any]) -> dict[str, list]:
            return {column: [_with_change_of(*each) for each in zip(values, befores, afters, strict=True)]}

        return self._beside(clean, column, change, [before.select(donors), after.select(donors)])

    # ------------------------------------------------------------------ what it costs a listener
    def fidelity(self, original: Any, protected: Any, column: str, transform: Any = None) -> SoundFidelity:
        bound = getattr(transform, "amplitude", None)
        largest, ratios = 0, []
        pairs = zip(self._sounds(original, column), self._sounds(protected, column), strict=True)
        for row, (before, after) in enumerate(pairs):
            if before.samples.shape != after.samples.shape or before.rate != after.rate:
                raise ValueError(f"Row {row}, column {column!r}: the sound has another length, rate or channels.")
            change = after.samples.astype(np.int32) - before.samples
            most = int(np.abs(change).max(initial=0))
            if bound is not None and most > bound:
                raise ValueError(
                    f"Row {row}, column {column!r}: a sample value changed by {most}, the bound is {bound}."
                )
            largest = max(largest, most)
            if most:
                energy = np.sum(before.samples.astype(float) ** 2)
                ratios.append(10 * np.log10(max(energy, 1.0) / np.sum(change.astype(float) ** 2)))
        return SoundFidelity(len(original), len(ratios), largest, float(np.mean(ratios)) if ratios else None)

    def require_exact(self, dataset: Any, column: str) -> None:
        """WAV files are exact; anything else does not open."""
        for _ in self._sounds(dataset, column):
            continue

    def write_fidelity(self, folder: Path, original: Any, protected: Any, column: str) -> None:
        """The first sound, before and after, to be listened to."""
        for name, dataset in {"before": original, "after": protected}.items():
            Path(folder, f"{name}.wav").write_bytes(stored_bytes(next(self._values(dataset, column))))

    # ------------------------------------------------------------------ files
    def holds(self, folder: Any) -> bool:
        return any(Path(folder).rglob("*.wav"))

    def read_files(self, folder: Any, **options: Any) -> dict[str, Callable[[], Any]]:
        parts = split_folders(Path(folder).absolute(), [".wav"])
        return {name: partial(_folder, place, **options) for name, place in parts.items()}

    def write_files(self, protected: Any, original: Any, output: Path, column: str, source: Any) -> None:
        for before, after in zip(self._values(original, column), self._values(protected, column), strict=True):
            place = output / Path(before["path"]).relative_to(Path(source).absolute())
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(stored_bytes(after))


def _folder(folder: Path, need_labels: bool, skip_broken: bool, skipped: list[str] | None) -> Any:
    """The sounds of a folder, with the folders that they stand in as classes."""
    import pyarrow as pa
    from datasets import Audio, ClassLabel, Dataset, Features

    places = []
    for place in sorted(folder.rglob("*.wav")):
        try:
            read({"bytes": None, "path": str(place)})
        except SoundError as error:
            if not skip_broken:
                raise ValueError(f"{place}: the sound {error}.") from None
            if skipped is not None:
                skipped.append(f"{place}: the sound {error}.")
        else:
            places.append(place)
    names = sorted({place.parent.name for place in places})
    features = Features({"audio": Audio(), "label": ClassLabel(names=names)})
    columns = {
        "audio": [{"bytes": None, "path": str(place)} for place in places],
        "label": [names.index(place.parent.name) for place in places],
    }
    return Dataset(pa.Table.from_pydict(columns, schema=features.arrow_schema))


def _with_change_of(value: Any, before: Any, after: Any) -> Any:
    if before == after:
        return value
    sound = read(value)
    change = read(after).samples.astype(np.int32) - read(before).samples
    return stored(Sound(plus(sound.samples, np.resize(change, sound.samples.shape)), sound.rate))


SOUND = SoundModality()
