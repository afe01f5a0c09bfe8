"""The loss of a network along straight lines through its weights."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def loss_slices(
    model: nn.Module,
    rows: tuple[Tensor, Tensor],
    *,
    directions: int = 2,
    span: float = 1.0,
    points: int = 21,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The mean cross-entropy along random directions in which every filter moves in proportion to its own norm.

    So slices of networks whose weights have other scales can be compared. Biases and what scales features (batch norm)
    stay (H. Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, arXiv:1712.09913).

    Args:
        model: From inputs to logits [n, classes]. It stays as it is; a copy of it moves, in evaluation mode.
        rows: Inputs as the model takes them, [n, ...], and their class indices [n], on the model's device.
        directions: How many.
        span: How far to go to each side: 1 moves each filter by its own norm.
        points: Along each direction, the ends included; an odd number has the model itself in the middle.
        seed: Of the directions.

    Returns:
        The positions [points], from -span to span, and the losses [directions, points].

    Raises:
        ImportError: torch is not installed.
        ValueError: There are no rows, a parameter is out of range, or the model's weights are no numbers.
    """
    require("attack", "torch")
    import torch

    from hf_unlearnable.audit.certificate import check_weights

    inputs, labels = rows
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise ValueError(f"There are {len(inputs)} rows and {len(labels)} labels. Give at least one, each labelled.")
    if directions < 1 or points < 2:
        raise ValueError(f"directions is {directions} and points is {points}: give 1 or more, and 2 or more.")
    if not 0 < span < math.inf:
        raise ValueError(f"span is {span}, but it is a positive number.")
    check_weights(model)
    copy = deepcopy(model).eval().requires_grad_(False)
    filters = [weight for weight in copy.parameters() if weight.ndim > 1]
    centre = [weight.clone() for weight in filters]
    generator = torch.Generator().manual_seed(seed)
    positions, losses = np.linspace(-span, span, points), np.empty((directions, points))
    for direction in losses:
        moves = [_normalised(weight, generator) for weight in centre]
        for place, position in enumerate(positions):
            for weight, old, move in zip(filters, centre, moves, strict=True):
                torch.add(old, move, alpha=float(position), out=weight)
            with torch.inference_mode():
                direction[place] = float(torch.nn.functional.cross_entropy(copy(inputs), labels))
    return positions, losses


def _normalised(weight: Tensor, generator: torch.Generator) -> Tensor:
    """A random direction that has, in each filter, the norm of that filter."""
    import torch

    drawn = torch.randn(weight.shape, generator=generator).to(weight)
    sizes = tuple(range(1, weight.ndim))
    own, other = (torch.linalg.vector_norm(one, dim=sizes, keepdim=True) for one in (weight, drawn))
    return drawn * (own / other)
