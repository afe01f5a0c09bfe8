"""Perturbation-induced linearization (PIL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

import numpy as np

from hf_unlearnable.image.bounded import BoundedImageTransform, add_levels
from hf_unlearnable.image.codec import ImageError
from hf_unlearnable.image.learning.noise import fitted_to
from hf_unlearnable.image.methods.one_pixel import on_grid
from hf_unlearnable.image.methods.random_noise import uniform_levels
from hf_unlearnable.key import Key
from hf_unlearnable.learning.noise import check_array, unknown_label
from hf_unlearnable.mark import NoMarkError
from hf_unlearnable.rows import label_order
from hf_unlearnable.validation import check_labels

_GRID = 32  # pixels a side of what W sees
_UNIT = 10  # noise moves in tenths of a level
_WEIGHT_BITS, _RESIDUAL_BITS = 12, 20  # of whole numbers: 3072 products of them stay below 2**53


@dataclass(kw_only=True, repr=False, eq=False)
class LinearizationTransform(BoundedImageTransform):
    """Perturbation-induced linearization (PIL): adds noise that a linear model reads instead of the image.

    Idea:
        A linear classifier W is trained on the clean pixels. Noise d is then computed such that W reads the label from
        the noise alone and reads nothing from what is left of the image. A network that meets the result finds the
        linear signal and needs nothing else.

    Paper:
        J. Liu, Y. Chen, X. Zhang, "Perturbation-Induced Linearization", ICLR 2026, arXiv:2601.19967.

        From d ~ U(-epsilon, epsilon), `num_steps` signed steps of epsilon / 10 down

            0.9 CE(W d, y) + 0.1 KL(uniform || softmax(W (x - d)));   x' = clip(x - d, 0, 1)

    Ours:
        The published W is two layers in a row, trained by SGD with momentum in batches of 512. Here it is one, trained
        by Adam in batches of 128, which protects more where there are few images. Everything is linear, so a step is
        two matrix products and a softmax: no autograd, no torch. The products are taken over integers that float64
        holds exactly, so a row gets the same bytes on every machine. W sees images larger than 32 pixels as 32 x 32
        means, and their noise is stretched. So any size is protected, and new rows of known classes too.

    Args:
        num_steps: Signed steps of the noise.
        step_size: Change of a pixel value per step, as a share of the range; None for epsilon / 10.
        epochs: Passes over the images that the linear classifier W is trained for.
        learning_rate: Learning rate of Adam, which trains W.

    Secret:
        The seed and W.

    Cost:
        Some seconds for W, then about a millisecond per image.

    Breaks:
        Orthogonal projection removes linear signals by design; JPEG of low quality, gray. With few images it protects
        little (see docs/results): noise that a linear model reads is not what a small convolutional network
        learns first.

    Prefer:
        Over other learned noise where no surrogate network may be trained, or where new rows follow.

    Example:
        cloak = LinearizationTransform(image_column="img", label_column="label").fit(ds)
    """

    num_steps: int = 30
    step_size: float | None = None
    epochs: int = 30
    learning_rate: float = 0.003

    method: ClassVar[str] = "linearization"
    adaptive_attacks: ClassVar[tuple[str, ...]] = ("orthogonal-projection",)

    def fit(self, dataset: Any) -> LinearizationTransform:
        """Trains W on the clean images; 3 kB of memory an image.

        Args:
            dataset: A `Dataset` or `IterableDataset`.
        """
        self._check_parameters()
        self._seed = self._weights = None
        rows = [(on_grid(p.levels, (_GRID, _GRID)), label) for p, label, _ in self._pictures(dataset)]
        self._labels = sorted({label for _, label in rows}, key=label_order)
        if len(self._labels) < 2:
            raise ValueError(f"The labels name one class only ({self._labels[0]!r}): a model has nothing to learn.")
        index = {label: i for i, label in enumerate(self._labels)}
        weights = linear_classifier(
            np.stack([levels.reshape(-1) for levels, _ in rows]),
            np.array([index[label] for _, label in rows]),
            len(self._labels), self.epochs, self.learning_rate, self._resolved_seed(),
        )  # fmt: skip
        if not np.isfinite(weights).all() or not weights.any():
            raise FloatingPointError("The linear model has diverged, or learned nothing. Lower learning_rate.")
        scale = (2**_WEIGHT_BITS - 1) / np.abs(weights).max()
        self._weights, self._scale = np.rint(weights * scale).astype(np.int32), float(scale)
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if min(self.num_steps, self.epochs) < 1:
            raise ValueError(f"num_steps is {self.num_steps} and epochs {self.epochs}, but they start at 1.")

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        if label not in self._labels:
            raise ImageError(unknown_label(label, self._labels))
        step = self.max_levels / 10 if self.step_size is None else self.step_size * 255
        noise = linearizing_noise(
            on_grid(levels, (_GRID, _GRID)).reshape(-1),
            self._labels.index(label),
            self._whole_weights,
            self._scale,
            uniform_levels(stream, (3 * _GRID**2,), self.max_levels * _UNIT),
            bound=self.max_levels * _UNIT,
            step=max(1, round(step * _UNIT)),
            num_steps=self.num_steps,
        )
        in_levels = np.fix(noise / _UNIT).astype(np.int16).reshape(_GRID, _GRID, 3)
        return add_levels(levels, -fitted_to(in_levels, levels.shape))

    @property
    def _whole_weights(self) -> np.ndarray:
        return self._fitted(self._weights).astype(np.float64)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        weights = self._fitted(self._weights)
        return {"labels": self._labels, "scale": self._scale}, {"weights": weights}

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._labels, self._scale, self._weights = state["labels"], state["scale"], tensors["weights"]

    def _check_state(self, key: Key) -> None:
        check_labels(self._labels, least=2)
        check_array(self._weights, "weights", np.int32, (len(self._labels), 3 * _GRID**2))
        if np.abs(self._weights).max() != 2**_WEIGHT_BITS - 1 or not 0 < self._scale < np.inf:
            raise ValueError("its weights are not scaled to the range that they should have")

    def ownership_scores(self, rows: Sequence[Mapping[str, Any]]) -> NoReturn:
        """Raises: another seed leaves the same noise."""
        raise NoMarkError(
            "A key of linearization cannot be shown: its noise follows from the images and labels, and hardly from "
            "the seed, so that another key on like data leaves the same."
        )

    _weights: Any = field(default=None, init=False)
    _labels: Any = field(default=None, init=False)
    _scale: float = field(default=1.0, init=False)


def linear_classifier(
    levels: np.ndarray, targets: np.ndarray, num_classes: int, epochs: int, learning_rate: float, seed: int
) -> np.ndarray:
    """Softmax regression without a bias by Adam in batches of 128, float32 [num_classes, pixels].

    Args:
        levels: uint8 [n, pixels].
        targets: Class indices [n].
        num_classes, epochs, learning_rate, seed: As their names say.
    """
    random = np.random.Generator(np.random.Philox(seed))
    weights: np.ndarray = np.zeros((num_classes, levels.shape[1]), np.float32)
    mean: Any = np.zeros_like(weights)
    square: Any = np.zeros_like(weights)
    step = 0
    for _ in range(epochs):
        order = random.permutation(len(levels))
        for start in range(0, len(order), 128):
            rows = order[start : start + 128]
            x = levels[rows].astype(np.float32) / 255
            residual = softmax(x @ weights.T)
            residual[np.arange(len(rows)), targets[rows]] -= 1
            gradient = residual.T @ x / len(rows)
            step += 1
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            corrected = np.sqrt(square / (1 - 0.999**step)) + 1e-8
            weights = weights - learning_rate * mean / (1 - 0.9**step) / corrected
    return weights


def linearizing_noise(
    levels: np.ndarray, target: int, weights: np.ndarray, scale: float, start: np.ndarray, *,
    bound: int, step: int, num_steps: int,
) -> np.ndarray:  # fmt: skip
    """The signed steps for one image, all in whole numbers.

    Args:
        levels: uint8 [pixels].
        target: The image's class index.
        weights: Whole numbers as float64 [classes, pixels]: W times `scale`.
        scale: See `weights`.
        start: Noise to start from, in tenths of a level [pixels].
        bound, step: In tenths of a level.
        num_steps: How many steps.

    Returns:
        Noise d of x - d, in tenths of a level, float64 [pixels].
    """
    uniform, wanted = 1 / len(weights), np.eye(len(weights))[target]
    to_logits = 1 / (scale * 255 * _UNIT)
    image = weights @ (levels.astype(np.float64) * _UNIT)
    noise = start.astype(np.float64)
    for _ in range(num_steps):
        read = weights @ noise  # exact: whole numbers below 2**53
        residual = 0.9 * (softmax(read * to_logits) - wanted) - 0.1 * (softmax((image - read) * to_logits) - uniform)
        gradient = np.rint(residual * 2**_RESIDUAL_BITS) @ weights
        noise = np.clip(noise - step * np.sign(gradient), -bound, bound)
    return noise


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis; here and not scipy's, for the noise's bytes hang on it."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
