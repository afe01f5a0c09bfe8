"""The recovery attack: what clean rows bring back within a ball around the weights of a model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_unlearnable._extras import require
from hf_unlearnable.adversary.victims import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def recovered_accuracy(
    model: nn.Module,
    clean: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    radius: float,
    *,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 0.01,
    seed: int = 0,
) -> float:
    """Fine-tunes a model on clean rows without leaving a ball around its weights (D. Wang et al., NDSS 2025).

    SGD with momentum and a cosine schedule; weights that leave the ball go back to the nearest ones in it. What a
    batch norm counts is no weight and is free, as in the published attack. So more than what is certified at this
    radius may come back: a certificate speaks of most neighbours, this is one that was looked for.

    Args:
        model: From inputs to logits [n, classes]; it stays as it is.
        clean: Inputs as the model takes them, [n, ...], and their class indices [n].
        test: The same of clean rows to test on.
        radius: L2 distance that the parameters may move, 0 or more.
        epochs, batch_size, learning_rate: Of the fine-tuning; published are 60 epochs.
        seed: Of the order of the rows.

    Returns:
        The accuracy on the test rows after the last epoch, in [0, 1].

    Raises:
        ImportError: torch is not installed.
        ValueError: There are no clean rows, the radius is negative, or the model's weights are no numbers.
        FloatingPointError: The fine-tuning diverged.
    """
    require("attack", "torch")
    import torch

    from hf_unlearnable.adversary.loop import trained
    from hf_unlearnable.audit.certificate import accuracy_of, check_weights

    check_weights(model)
    if not len(clean[0]):
        raise ValueError("There are no clean rows to recover with. Give the attacker some.")
    if not 0 <= radius < math.inf:
        raise ValueError(f"radius is {radius}, but it is a distance: 0 or a positive number.")

    def scored(tuned: nn.Module, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return tuned(clean[0][rows]), clean[1][rows]

    def tested(tuned: nn.Module) -> Any:
        if not all(weight.isfinite().all() for weight in tuned.parameters()):
            raise FloatingPointError("The recovery attack diverged: lower its learning_rate.")
        return accuracy_of(tuned.eval(), *test)

    training = Training(seed=seed, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    return float(
        trained(
            lambda: deepcopy(model), training, len(clean[0]),
            batches=lambda generator: torch.randperm(len(clean[0]), generator=generator).split(batch_size),
            scored=scored, optimizer=partial(_sgd_in_a_ball, radius=radius, learning_rate=learning_rate),
            schedule=torch.optim.lr_scheduler.CosineAnnealingLR, predicted=tested, largest_norm=5.0,
        )
    )  # fmt: skip


def _sgd_in_a_ball(parameters: Iterable[nn.Parameter], radius: float, learning_rate: float) -> torch.optim.Optimizer:
    """SGD that puts the weights back after each step."""
    import torch

    weights = list(parameters)
    centre = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.SGD(weights, lr=learning_rate, momentum=0.9, weight_decay=5e-4)
    optimizer.register_step_post_hook(lambda *_: project(weights, centre, radius))
    return optimizer


def project(weights: list[nn.Parameter], centre: list[Tensor], radius: float) -> None:
    """Moves weights to the nearest ones within the radius; those inside stay where they are."""
    import torch

    with torch.no_grad():
        moved = [weight - old for weight, old in zip(weights, centre, strict=True)]
        distance = float(torch.stack([one.double().square().sum() for one in moved]).sum().sqrt())
        if distance > radius:
            for weight, old, one in zip(weights, centre, moved, strict=True):
                weight.copy_(old + one * (radius / distance))
