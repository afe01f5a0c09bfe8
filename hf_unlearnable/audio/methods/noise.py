"""Random noise on recordings, the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.audio.base import AudioTransform
from hf_unlearnable.audio.codec import Recording, decode
from hf_unlearnable.key import draws, row_stream
from hf_unlearnable.mark import ROW_DECOYS, Marks, NoMarkError, RowMarks

_DRAWN = 2**11  # draws at a time: what comes of them stays in the processor's cache
_LOOKED_AT = 2**16  # frames of a recording that tell whether noise is in it


@dataclass(kw_only=True, repr=False, eq=False)
class AudioNoiseTransform(AudioTransform):
    """White noise: the baseline of the same size, without which no other number means anything.

    Idea:
        Uniform random values for every sample (65,536 steps), as loud as a share of the recording. A noise 30 dB below
        the sound has a level of 0.03. It tells nothing of the label, so what it costs a model is what any noise of
        this size costs.

    Paper:
        The baseline of H. Huang et al., ICLR 2021, arXiv:2101.04898, in sound.

    Args:
        noise_level: Root mean square of the noise as a share of the recording's, at least 0; 0 changes nothing.

    Secret:
        The seed.

    Cost:
        Nothing to fit; the recording is read three times.

    Breaks:
        It protects nothing: models learn through it.

    Prefer:
        Never as a protection; beside one, to tell what noise of its size costs a model anyway.

    Example:
        cloak = AudioNoiseTransform(audio_column="audio", noise_level=0.03).fit(ds)
    """

    noise_level: float = 0.03

    method: ClassVar[str] = "audio-noise"
    method_version: ClassVar[int] = 2  # 2: another hash of the samples, four values of a draw
    strength_parameter: ClassVar[str] = "noise_level"
    is_baseline: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = False
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("spectral-gating", "low-pass")

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.noise_level <= 10:
            raise ValueError(
                f"noise_level is {self.noise_level}, but it is a share of the recording's loudness: give 0 to 10, "
                "such as 0.03 for noise 30 dB below it."
            )

    def _cloak(self, recording: Recording, label: Any, stream: int) -> Iterator[np.ndarray]:
        squares = frames = 0.0
        for block in recording.blocks():
            squares += float(np.square(block, dtype=np.float64).sum())
            frames += block.size
        most = self.noise_level * np.sqrt(3 * squares / frames)  # of uniform values with that root mean square
        start = 0
        for block in recording.blocks():
            noise = uniform(stream, start, block.shape)
            noise *= most
            noise += block
            yield noise
            start += block.size

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """Noise is drawn again from a row's id, and looked for in its first seconds."""
        if not self.id_column:
            raise NoMarkError(
                "This key draws the noise of a recording from the original, which the protected one does not give "
                "away. With id_column it can be shown."
            )
        units = [repr(row[self.id_column]) for row in rows]
        seeds = [one._resolved_seed() for one in (self, *self.decoys(ROW_DECOYS))]
        agree = np.zeros((len(rows), len(seeds)), bool)
        for i, (row, unit) in enumerate(zip(rows, units, strict=True)):
            samples = decode(row[self.audio_column])[0][:_LOOKED_AT].astype(float)
            rough = np.diff(samples, 2, axis=0)  # white noise is rougher than sound
            size = np.sqrt(np.square(rough).sum()) + 1e-12
            for j, seed in enumerate(seeds):
                noise = np.diff(uniform(row_stream(unit.encode(), seed), 0, samples.shape), 2, axis=0)
                # Under the noise of another seed it is about normal with a deviation of 1.
                agree[i, j] = (rough * noise).sum() / size / (noise.std() + 1e-12) > 4
        return RowMarks(agree, units)


def uniform(stream: int, start: int, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a stream from number `start` on, float64 of `shape`: one of 65,536 equal steps from -1 to 1 each.

    A draw of 64 bits gives four.
    """
    values, seed, first = np.empty(int(np.prod(shape))), np.array([stream], np.uint64), start // 4
    skipped = start - 4 * first
    for done in range(0, len(values) + skipped, 4 * _DRAWN):
        count = min(_DRAWN, -(-(len(values) + skipped - done) // 4))
        drawn = draws(seed, np.arange(first + done // 4, first + done // 4 + count, dtype=np.uint64))
        quarters = drawn.astype("<u8", copy=False).view("<u2")[max(0, skipped - done) :]
        part = values[max(0, done - skipped) :][: len(quarters)]
        np.multiply(quarters[: len(part)], 2.0**-15, out=part)
        part -= 1 - 2.0**-16
    return values.reshape(shape)
