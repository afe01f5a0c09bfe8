"""The Bayes error of features: the share of rows that no classifier of these features can label rightly.

It is estimated by the neighbours of each row (a Parzen estimate, leave-one-out). For features x, labels y, a bandwidth
h and K[i, n] = exp(-|x_i - x_n|^2 / (2 h^2)) of n != i

    p_c(i) = sum of K[i, n] over y_n = c / sum of K[i, n];      error = mean over i of 1 - max over c of p_c(i)

Its gradient needs no tensor of rows x rows x features. With Z_i the sum of K[i, n], g the best class of i, N_i its
part of Z_i and

    W[i, n] = K[i, n] (1[y_n = g] Z_i - N_i) / Z_i^2,      r = row sums of W, c = column sums of W

it is (r X + c X - W X - W' X) / (h^2 rows): three matrix products with the distances. W is made for a few rows at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from torch import Tensor

BANDWIDTH = 0.3  # of the paper, as a share of the largest absolute feature
_VALUES = 2**22  # of K that are in memory at a time


def bayes_error(features: Any, labels: Any, *, bandwidth: float = BANDWIDTH) -> float:
    """How much of the error on a dataset is irreducible: no classifier of these features avoids it.

    It is an estimate, and speaks of these features alone. Other features of the same rows may tell the classes apart.

    Args:
        features: Array or tensor [rows, features], such as what the last layer of a model reads.
        labels: One per row: an array, a tensor or a sequence of numbers or strings.
        bandwidth: Distance within which rows are neighbours, as a share of the largest absolute feature.

    Returns:
        The error, from 0 (the neighbours of every row agree) to 1 - 1 / classes.

    Raises:
        ImportError: torch is not installed.
        ValueError: There are fewer than two rows, another number of labels, a value that is no number, or a bandwidth
            that is not positive.
    """
    require("image", "torch")
    import torch

    found = torch.as_tensor(features)
    found = found if found.is_floating_point() else found.float()
    if found.ndim != 2 or len(found) < 2:
        raise ValueError(f"features are {list(found.shape)}, but they are [rows, features], with at least two rows.")
    broken = torch.nonzero(~found.isfinite().all(dim=1)).flatten()
    if len(broken):
        raise ValueError(
            f"features hold NaN or infinity in {len(broken)} rows, first in row {int(broken[0])}. Leave these rows "
            "out, or look whether the model has diverged."
        )
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if len(numbers) != len(found):
        raise ValueError(f"There are {len(found)} rows of features and {len(numbers)} labels. Give one label per row.")
    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}, but it is a positive share of the largest absolute feature.")
    indices = torch.as_tensor(numbers.reshape(-1), device=found.device)
    scaled = found / scale_of(found)
    return sum(float((1 - part.share).sum()) for part in _parts(scaled, indices, len(classes), bandwidth)) / len(found)


def scale_of(features: Tensor) -> float:
    """The largest absolute feature, which distances are measured by; 1 where all are 0."""
    return float(features.abs().max()) or 1.0


def bayes_error_gradient(features: Tensor, labels: Tensor, bandwidth: float) -> tuple[float, Tensor]:
    """The error of features and its gradient with respect to them, in memory for a few rows of distances.

    Args:
        features: Float [rows, features]; not scaled here. A single row has no neighbours, and so no error.
        labels: Class indices, int64 [rows], from 0 on.
        bandwidth: In units of the features.

    Returns:
        The error, and its gradient [rows, features].
    """
    import torch

    if len(features) < 2:
        return 0.0, torch.zeros_like(features)
    found = features - features.mean(0)  # the same distances, with less rounding
    gradient, columns = torch.zeros_like(found), found.new_zeros(len(found))
    error = 0.0
    for part in _parts(found, labels, int(labels.max()) + 1, bandwidth):
        rows, here = found[part.rows], labels == part.best[:, None]
        other = -part.share / part.total  # of W / K, where a row is of another class; 1 / total more where it is not
        weights = part.kernel.mul_(torch.where(here, other[:, None] + 1 / part.total[:, None], other[:, None]))
        gradient[part.rows] += weights.sum(1, keepdim=True) * rows
        gradient[part.rows].addmm_(weights, found, alpha=-1)
        gradient.addmm_(weights.T, rows, alpha=-1)
        columns += weights.sum(0)
        error += float((1 - part.share).sum())
    gradient += columns[:, None] * found
    return error / len(found), gradient / (bandwidth**2 * len(found))


class _Part:
    """Some rows: K, which is scaled by its largest value in each row, its sums, the best class and its share."""

    def __init__(self, rows: slice, kernel: Tensor, by_class: Tensor):
        self.rows, self.kernel, self.total = rows, kernel, by_class.sum(1)
        most, self.best = by_class.max(1)
        self.share = most / self.total


def _parts(features: Tensor, labels: Tensor, classes: int, bandwidth: float) -> Iterator[_Part]:
    import torch

    halves = features.square().sum(1) / -2
    of_class = torch.nn.functional.one_hot(labels, classes).to(features.dtype)
    at_once = max(1, _VALUES // len(features))
    for start in range(0, len(features), at_once):
        rows = slice(start, min(start + at_once, len(features)))
        # Minus half the squared distance, up to a number per row, which the scale takes out.
        kernel = torch.addmm(halves, features[rows], features.T).div_(bandwidth**2)
        kernel.diagonal(start).fill_(-torch.inf)
        kernel = kernel.sub_(kernel.amax(1, keepdim=True)).exp_()
        yield _Part(rows, kernel, kernel @ of_class)
