"""A surrogate that learns from recordings, and noise that answers it, in rounds; see `hf_unlearnable.learning`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable.audio.learning.noise import WHOLE, ClassClipNoise, ClipNoise, Hearing
from hf_unlearnable.audio.networks import surrogate as network
from hf_unlearnable.learning.gallery import Gallery
from hf_unlearnable.learning.rounds import Learner

if TYPE_CHECKING:
    from torch import Tensor

# A wave as it is heard, float32 [frames]; its bound, with full scale 1; its content, label and identity.
Row = tuple[np.ndarray, float, bytes, Any, bytes]


class ClipGallery(Gallery):
    """Recordings with labels, in mono and of one length; silence follows the shorter ones.

    Attributes:
        lengths: Frames of each that are no padding, int64 [n].
        bounds: The largest change of each, float32 [n].
    """

    thing: ClassVar[str] = "recording"
    things: ClassVar[str] = "recordings"
    lengths: np.ndarray
    bounds: np.ndarray

    @classmethod
    def of_rows(cls, rows: Iterable[Row], frames: int, seed: int, folder: Path) -> ClipGallery:
        """Writes waves to disk and maps them.

        Args:
            rows: Of equal recordings the first counts.
            frames: Of each.
            seed: The key's, which turns what identifies a row into its random stream.
            folder: Where the waves are kept meanwhile.
        """
        streams, lengths, bounds, labels = [], [], [], []
        with tempfile.TemporaryFile(dir=folder) as file:
            whole = (((wave, bound), content, label, identity) for wave, bound, content, label, identity in rows)
            for (wave, bound), label, stream in cls.distinct(whole, seed):
                streams.append(stream)
                lengths.append(len(wave))
                bounds.append(bound)
                labels.append(label)
                file.write(np.pad(wave, (0, frames - len(wave))).astype(np.float32).data)
            file.flush()
            held = np.memmap(file, np.float32, "c") if labels else np.empty(0, np.float32)
        gallery = cls(labels, np.array(streams, np.uint64), np.full((len(labels), 1), frames, np.int32), held)
        gallery.lengths, gallery.bounds = np.array(lengths, np.int64), np.array(bounds, np.float32)
        return gallery


class ClipLearner(Learner):
    """One fit of recordings; the other arguments are those of `Learner`.

    Noise is kept in shares of each recording's bound, 127 for all of it. Padding stays silent.

    Args:
        rows: Of this process only.
        hearing: How the surrogate hears them.
    """

    span: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    gallery: ClipGallery

    def __init__(self, rows: Iterable[Row], *, hearing: Hearing, **learner: Any):
        import torch

        self._rows, self._hearing = rows, hearing
        super().__init__(build=partial(network, rate=hearing.rate), **learner)
        self._lengths, self._units = (
            torch.from_numpy(values).to(self.device)[:, None]
            for values in (self.gallery.lengths, self.gallery.bounds / WHOLE)
        )

    def _gathered(self, seed: int, folder: Path) -> ClipGallery:
        return ClipGallery.of_rows(self._rows, self._hearing.frames, seed, folder)

    def _inputs(self, rows: Tensor) -> Tensor:
        """Waves, float [n, frames] in [-1, 1]."""
        return self.gallery.take(self._values, rows).to(self.device)

    def _unit(self, rows: Tensor) -> Tensor:
        """What a level of noise is at every frame, 0 where noise has no place, [n, frames]."""
        import torch

        rows = rows.to(self.device)
        return self._units[rows] * (torch.arange(self._hearing.frames, device=self.device) < self._lengths[rows])

    def _noise_of(self, rows: Tensor) -> Tensor:
        return self._noise.of(rows) * self._unit(rows)

    def _put(self, rows: Tensor, noise: Tensor, max_levels: int) -> None:
        import torch

        unit = self._unit(rows)
        levels = (noise / unit.clamp(min=1e-30)).clamp(-max_levels, max_levels)
        # Where a recording of a class has ended, it says nothing of the class's noise.
        self._noise.put(rows, torch.where(unit > 0, levels, self._noise.of(rows)), max_levels)

    def _bounds(self, rows: Tensor, max_levels: int, step_size: float) -> tuple[Tensor, Tensor]:
        whole = self._unit(rows) * max_levels
        return whole, whole * step_size

    def _kept(self) -> ClipNoise | ClassClipNoise:
        if self._noise.per_class:
            return ClassClipNoise(self.classes, self._noise.of_classes())
        ids, starts, _, levels = self._noise.of_rows()
        lengths = self.gallery.lengths[np.argsort(self.gallery.streams)]
        parts = [levels[start : start + length] for start, length in zip(starts, lengths, strict=True)]
        ends = np.cumsum(lengths)
        return ClipNoise(ids, ends - lengths, lengths[:, None].astype(np.int32), np.concatenate(parts))
