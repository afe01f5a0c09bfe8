"""The one training loop of the neural victims: seeded, a schedule, a look after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hf_unlearnable.adversary.victims import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def device() -> str:
    """Where models are trained: the GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def trained(
    build: Callable[[], nn.Module],
    training: Training,
    rows: int,
    *,
    batches: Callable[[torch.Generator], Iterable[Tensor]],
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
    schedule: Callable[[Any, int], torch.optim.lr_scheduler.LRScheduler],
    predicted: Callable[[nn.Module], Any],
    scored: Callable[[nn.Module, Tensor, torch.Generator], tuple[Tensor, Tensor]] | None = None,
    loss: Callable[[nn.Module, Tensor, torch.Generator], Tensor] | None = None,
    largest_norm: float = float("inf"),
) -> Any:
    """Builds a model, trains it on the cross-entropy or on a loss of its own, and asks it for answers.

    Torch's global generators, which initial weights and dropout draw from, are borrowed, seeded and given back as
    they were.

    Args:
        build: Makes the model.
        training: How to train.
        rows: Number of training rows.
        batches: From a generator on the CPU to the row numbers of the batches of one epoch, of `training.batch_size`.
        optimizer: Makes the optimizer of these parameters.
        schedule: `(optimizer, steps) -> schedule` of the learning rate, stepped after every batch.
        predicted: From the model to what is returned, labels [test rows] where `on_epoch` looks at them; it may leave
            the model in evaluation mode.
        scored: `(model, rows, generator) -> (scores, targets)`: logits [batch, classes], and class indices [batch] or
            probabilities [batch, classes]. None where `loss` is given, which has no accuracy for `on_epoch`.
        loss: `(model, rows, generator) -> loss`, in place of `scored`.
        largest_norm: Gradients of a larger norm are scaled down to it.

    Returns:
        What `predicted` gives after the last epoch.
    """
    import torch

    devices = range(torch.cuda.device_count())
    answers = None
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(training.seed)
        generator = torch.Generator().manual_seed(training.seed)
        model = build().to(device())
        steps = training.epochs * -(-rows // training.batch_size)
        stepping = optimizer(model.parameters())
        rate = schedule(stepping, steps)
        for _ in range(training.epochs):
            model.train()
            correct = 0
            for batch in batches(generator):
                if scored is None:
                    error = loss(model, batch, generator)  # type: ignore[misc]
                else:
                    scores, targets = scored(model, batch, generator)
                    error = torch.nn.functional.cross_entropy(scores, targets)
                stepping.zero_grad()
                error.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), largest_norm)
                stepping.step()
                rate.step()
                if training.on_epoch is not None and scored is not None:
                    hard = targets if targets.ndim == 1 else targets.argmax(1)
                    correct += int((scores.argmax(1) == hard).sum())
            if training.on_epoch is not None and scored is not None:
                answers = predicted(model)
                with torch.random.fork_rng(devices=devices):  # it may draw, too
                    training.on_epoch(correct / rows, answers.copy())
    return predicted(model) if answers is None else answers
