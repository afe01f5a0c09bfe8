"""Position-based convolution (PosCUDA)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.audio.base import FilterTransform
from hf_unlearnable.audio.codec import Recording
from hf_unlearnable.audio.methods.convolution import class_weights, spread
from hf_unlearnable.key import draw
from hf_unlearnable.labelled import class_stream

_SPAN = 1.0  # seconds from the beginning in which the patches lie
_FADE = 0.1  # share of a patch over which it comes and goes
_PLACE_DRAW = 1 << 32  # set apart from the draws of the weights


@dataclass(kw_only=True, repr=False, eq=False)
class PositionConvolutionTransform(FilterTransform):
    """Position-based convolution (PosCUDA): a patch of every recording is blurred, at a place that names its class.

    Idea:
        A low-pass filter of a class, laid on a short patch at a place of the class. The rest of the recording stays as
        it is, to the sample. Place and filter are the key.

    Paper:
        V. Gokul, S. Dubnov, "PosCUDA: Position based Convolution for Unlearnable Audio Datasets", 2024,
        arXiv:2401.02135.

        For class c, with a patch p_c of a fixed length:

            x'[p_c] = (w_c * x)[p_c],   w_c ~ U(0, blur)^k on each side, its middle 1, divided by its sum

    Ours:
        The paper's constants are not public. Here the filter sees what lies around the patch, and the patch is faded
        in and out, so that its edges do not click. The places lie in the first second, and in a shorter recording at
        the same share of it, so that no class loses its cue.

    Args:
        blur: Largest weight of a filter's entries beside the middle one, at least 0; 0 changes nothing.
        kernel_size: Entries on each side of the middle.
        patch_length: Seconds; of a shorter recording at most a quarter.

    Secret:
        The seed, and with it the filters and the places.

    Cost:
        Nothing to fit; the patch is filtered, the rest is read and written.

    Breaks:
        Random time shifts in training, random crops, and a search for the patch. A probe on spoken digits with a patch
        like it went from 65 to 95 % by shifts of 0.15 seconds. Statistics of MFCC hardly noticed the patch.

    Prefer:
        To compare with its paper. `equalizer` protects more at the same quality.

    Example:
        cloak = PositionConvolutionTransform(audio_column="audio", label_column="label").fit(ds)
    """

    blur: float = 0.3
    kernel_size: int = 32
    patch_length: float = 0.1

    method: ClassVar[str] = "position-convolution"
    method_version: ClassVar[int] = 2  # 2: the patch alone is filtered; `fraction` draws by another hash
    strength_parameter: ClassVar[str] = "blur"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("time-shift", "random-crop", "patch-cut")

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 <= self.blur <= 1:
            raise ValueError(f"blur is {self.blur}, but it is the largest weight of a neighbour: give 0 to 1.")
        if not 1 <= self.kernel_size <= 1000:
            raise ValueError(f"kernel_size is {self.kernel_size}. Give entries on each side, from 1 to 1000.")
        if not 0 < self.patch_length <= _SPAN:
            raise ValueError(f"patch_length is {self.patch_length}. Give seconds, more than 0 and up to {_SPAN:g}.")

    def _taps(self, label: Any, rate: int) -> np.ndarray:
        return spread(class_weights(class_stream(label, self._resolved_seed()), self.kernel_size, self.blur), rate)

    def _patch(self, label: Any, frames: int, rate: int) -> tuple[int, int]:
        """First frame and length of a class's patch in a recording of so many frames."""
        length = max(1, min(round(self.patch_length * rate), frames // 4))
        room = min(frames, round(_SPAN * rate)) - length
        place = draw(class_stream(label, self._resolved_seed()), _PLACE_DRAW) * 2.0**-64
        return round(place * max(0, room)), length

    def _cloak(self, recording: Recording, label: Any, stream: int) -> Iterator[np.ndarray]:
        frames = recording.frames if recording.frames >= 0 else sum(len(block) for block in recording.blocks())
        start, length = self._patch(label, frames, recording.format.rate)
        place = np.arange(length) + 0.5
        share = np.clip(np.minimum(place, length - place) / max(1.0, _FADE * length), 0, 1)[:, None]
        change, end = self._filter(label, recording.format.rate), start + length
        read, blocks = [], recording.blocks()
        for block in blocks:
            read.append(block)
            if sum(map(len, read)) >= end + change.half:
                break
        changed = np.concatenate(read)
        around = changed[max(0, start - change.half) : end + change.half]
        window = np.zeros((changed.shape[1], -(-length // change.step) * change.step + 2 * change.half))
        skipped = max(0, change.half - start)
        window[:, skipped : skipped + len(around)] = around.T
        blurred = change(window).reshape(len(window), -1)[:, :length].T
        changed[start:end] = recording.format.stored((1 - share) * changed[start:end] + share * blurred)
        yield from np.split(changed, np.cumsum([len(block) for block in read])[:-1])
        yield from blocks
