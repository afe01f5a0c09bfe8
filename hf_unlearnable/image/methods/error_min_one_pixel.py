"""Error-minimising noise and a one-pixel shortcut together (CIFAR-10-S)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.learning.noise import SampleNoise
from hf_unlearnable.image.methods.error_min import ErrorMinTransform
from hf_unlearnable.image.methods.one_pixel import Cells, search_cells
from hf_unlearnable.key import Key
from hf_unlearnable.mark import Marks, NoMarkError


@dataclass(kw_only=True, repr=False, eq=False)
class ErrorMinOnePixelTransform(ErrorMinTransform):
    """Error-minimising noise with a one-pixel shortcut on top (CIFAR-10-S): what breaks one leaves the other.

    Idea:
        Adversarial training and blur remove small noise and leave the pixel; cutout and strong augmentation hide the
        pixel and leave the noise.

    Paper:
        S. Wu, S. Chen, C. Xie, X. Huang, "One-Pixel Shortcut", ICLR 2023, arXiv:2205.12141.

        Its section on CIFAR-10-S: 16.7 % on CIFAR-10, 39.6 % under RandAugment (either alone: over 51), 10.6 % under
        adversarial training.

    Ours:
        The noise is that of `ErrorMinTransform`, the pixels are those of `OnePixelTransform`.

    Args:
        pixels: How many pixels of every image are set.

    Secret:
        The seed and the noise.

    Cost:
        That of `ErrorMinTransform` and one more pass.

    Breaks:
        JPEG of low quality, gray and cutout one after the other, clean images added.

    Prefer:
        Over `ErrorMinTransform` where a few pixels may change by more than epsilon.

    Example:
        cloak = ErrorMinOnePixelTransform(image_column="img", label_column="label").fit(ds)
    """

    pixels: int = 1

    method: ClassVar[str] = "error-min-one-pixel"
    adaptive_attacks: ClassVar[tuple[str, ...]] = (
        "constant-pixel-repair-and-grayscale",
        "constant-pixel-repair-and-jpeg-10",
    )
    additive: ClassVar[bool] = False

    def fit(self, dataset: Any, **kwargs: Any) -> ErrorMinOnePixelTransform:
        """Computes the noise as `ErrorMinTransform.fit` does, then looks for the pixels."""
        super().fit(dataset, **kwargs)
        rows = ((picture, label) for picture, label, _ in self._pictures(dataset))
        self._cells = search_cells(rows, self.pixels, self._resolved_seed())
        return self

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        return self._fitted(self._cells).written(super()._cloak(levels, label, stream), label)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        state, tensors = super()._state()
        return {**state, "one_pixel": self._fitted(self._cells).state()}, tensors

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._cells = Cells(**state["one_pixel"])
        super()._set_state(state, tensors)

    def _check_state(self, key: Key) -> None:
        super()._check_state(key)
        self._cells.check(self.pixels)

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> Marks:
        """As for all learned noise, if a class has one."""
        if isinstance(self._noise, SampleNoise):
            raise NoMarkError(
                "A key of error-min-one-pixel cannot be shown: the pixel that it sets takes away what the original is "
                "known by. noise='class' can be shown."
            )
        return super().ownership_scores(rows)

    _cells: Any = field(default=None, init=False)
