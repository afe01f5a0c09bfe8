"""Linearly separable noise (LSP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.bounded import BoundedImageTransform, add_levels
from hf_unlearnable.image.learning.noise import fitted_to
from hf_unlearnable.image.trace import Bank, stretched
from hf_unlearnable.key import draws
from hf_unlearnable.labelled import class_stream

BLOCKS = (4, 4, 3)
_DIMENSIONS = 48
_SEPARATION = 10.0  # of the corners from the centre, in standard deviations of z
_AVERAGE = 0.75  # root mean square of the noise, as a share of epsilon


@dataclass(kw_only=True, repr=False, eq=False)
class LinearSeparableTransform(BoundedImageTransform):
    """Linearly separable noise (LSP): coarse blocks of colour, drawn so that a line could tell the classes apart.

    Idea:
        Networks take the simplest signal first, and nothing is simpler than a linear one. Noise is drawn around one
        corner of a hypercube per class and laid over the image in 4 x 4 blocks.

    Paper:
        D. Yu, H. Zhang, W. Chen, J. Yin, T.-Y. Liu, "Availability Attacks Create Shortcuts", KDD 2022,
        arXiv:2111.00898.

        For class c with corner v_c in {-1, 1}^48 and matrix A_c ~ U(-1, 1)^(48 x 48)

            p = 10 v_c + A_c z,  z ~ N(0, I)

        and the noise is p as 4 x 4 x 3, every entry a block of the image, scaled to a fixed L2 norm.

    Ours:
        The paper bounds the L2 norm alone (6/255 per pixel value on average). On CIFAR-10 one value in seven changes
        by more than 8, up to 15. Here the average is three quarters of epsilon, which is the same at 8/255, and then
        no pixel value changes by more than epsilon. The published code truncates to integers, which darkens images by
        half a level; here they are rounded.

    Secret:
        The seed, and with it corners and matrices.

    Cost:
        Nothing to fit; a few operations per pixel to apply.

    Breaks:
        Turning images gray, JPEG of low quality, adversarial training, orthogonal projection: each restores over 80 %
        on CIFAR-10. With few images or little training it protects much less (see docs/results).

    Prefer:
        For large datasets that victims train on for long, as in the paper. Else `TextureTransform`, which costs as
        little and which a small CNN finds far sooner.

    Example:
        cloak = LinearSeparableTransform(image_column="img", label_column="label").fit(ds)
    """

    method: ClassVar[str] = "linear-separable"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("class-mean-subtraction", "orthogonal-projection")

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        corner, matrix = class_cluster(class_stream(label, self._resolved_seed()))
        point = _SEPARATION * corner + matrix @ _normal(stream)
        blocks = point.reshape(BLOCKS)
        if levels.shape[2] == 1:
            blocks = blocks.mean(axis=2, keepdims=True)
        scaled = blocks * (_AVERAGE * self.max_levels / max(np.sqrt((blocks**2).mean()), 1e-12))
        noise = np.rint(np.clip(scaled, -self.max_levels, self.max_levels)).astype(np.int16)
        return add_levels(levels, fitted_to(noise, levels.shape))

    def _pattern_bank(self, labels: Sequence[Any], shape: tuple[int, ...]) -> Bank:
        streams = [class_stream(label, self._resolved_seed()) for label in labels]
        corners = [class_cluster(stream)[0].reshape(BLOCKS) for stream in streams]
        return stretched(corners, shape[2], self.max_levels)


@lru_cache(maxsize=4096)
def class_cluster(stream: int) -> tuple[np.ndarray, np.ndarray]:
    """A class's corner, float [48] of -1 and 1, and its matrix, float [48, 48] in [-1, 1]."""
    count = _DIMENSIONS + _DIMENSIONS**2
    bits = draws(np.full(count, stream, np.uint64), np.arange(count, dtype=np.uint64))
    corner = np.where(bits[:_DIMENSIONS] >> np.uint64(63), 1.0, -1.0)
    return corner, bits[_DIMENSIONS:].reshape(_DIMENSIONS, _DIMENSIONS) * 2.0**-63 - 1


def _normal(stream: int) -> np.ndarray:
    """48 normal draws by Box and Muller."""
    bits = draws(np.full(_DIMENSIONS, stream, np.uint64), np.arange(_DIMENSIONS, dtype=np.uint64))
    u, v = np.split((bits + np.uint64(1)) * 2.0**-64, 2)
    radius = np.sqrt(-2 * np.log(np.clip(u, 2.0**-64, 1)))
    return np.concatenate([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)])
