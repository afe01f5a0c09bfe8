"""Learnability without a test: how far each layer's loss moves nearby, and the Unlearnable Distance of two trainings.

With weights w of one layer, all others fixed, and L the mean cross-entropy on training rows, the gradient of all rows
leads down from w, and up, for `steps` steps each. After each step weights farther from w than `radius` |w| in the L2
norm go back to that sphere. With the lowest and the highest loss that was met, the start included, the sharpness-aware
learnability of the layer is

    SAL = max(L_max - L(w), L(w) - L_min)

A layer at one epoch is learnable where its SAL is above a threshold: the midpoint of the two centres into which the
layers of the clean training fall (k-means), averaged over its epochs. The Unlearnable Distance is the number of
learnable layers per epoch of the protected training over that of the clean one. Near 0 nothing is learned; 1 is as
learnable as clean (J. Ye, D. Su, Y. Qian, "How Far Are We from True Unlearnability?", ICLR 2025).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from torch import Tensor, nn

    _Parts = Sequence[tuple[Tensor, Tensor]]

_AT_ONCE = 256  # rows that a model answers at a time


def sharpness_aware_learnability(
    model: nn.Module,
    rows: tuple[Tensor, Tensor],
    *,
    radius: float = 0.05,
    steps: int = 10,
    learning_rate: float = 0.1,
    batch_size: int | None = None,
    layers: Sequence[str] | None = None,
) -> dict[str, float]:
    """How far the loss moves when each layer alone may move a little.

    Of an `nn.Sequential` what enters a layer is computed once, for the layers before it stay. Another model is run as
    a whole. Batch norm stays in evaluation mode. The paper takes passes of small batches over all training rows; the
    default is one step with a hundred of them or so (docs/results/distance.md).

    Args:
        model: From inputs to logits [n, classes]. It stays as it is; a copy of it moves.
        rows: Training inputs as the model takes them, [n, ...], and their class indices [n], on the model's device.
        radius: L2 distance that a layer's weights may move, as a share of their norm.
        steps: In each direction, each with the gradient of all rows.
        learning_rate: Of the steps.
        batch_size: Rows per gradient, in their order: each step is then a pass over the rows. None for all at once.
        layers: Names of the layers, as `named_modules` has them; None for every convolution and linear layer.

    Returns:
        The SAL of each layer by its name, from the input to the output: 0 or more, in units of the loss (nats).

    Raises:
        ImportError: torch is not installed.
        ValueError: There are no rows, a parameter is out of range, a layer is unknown or has no weights, or the
            model's weights are no numbers.
        FloatingPointError: The loss of a layer is no number.
    """
    require("attack", "torch")
    from hf_unlearnable.audit.certificate import check_weights

    inputs, labels = rows
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise ValueError(f"There are {len(inputs)} rows and {len(labels)} labels. Give at least one, each labelled.")
    for name, value in {"radius": radius, "learning_rate": learning_rate}.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}, but it is a positive number.")
    for name, count in {"steps": steps, "batch_size": len(inputs) if batch_size is None else batch_size}.items():
        if count < 1:
            raise ValueError(f"{name} is {count}, but it starts at 1.")
    check_weights(model)
    copy: Any = deepcopy(model).eval().requires_grad_(False)
    names = _layers(copy, layers)
    found = {}
    for name, layer, tail, entering in _entered(copy, inputs):
        if name in names:
            parts = _split(entering, labels, _AT_ONCE)
            batches = [parts] if batch_size is None else [[one] for one in _split(entering, labels, batch_size)]
            start, *met = _losses(tail, layer, parts, batches, radius, steps, learning_rate)
            if not all(map(math.isfinite, [start, *met])):
                raise FloatingPointError(f"The loss is no number when layer {name!r} moves. Lower learning_rate.")
            found[name] = max(max(met) - start, start - min(met))
    return {name: found[name] for name in names}


def unlearnable_distance(protected: Sequence[Mapping[str, float]], clean: Sequence[Mapping[str, float]]) -> float:
    """How much of the learnability of a clean training a protected one has; no test rows are needed.

    Args:
        protected: The SAL of each layer (`sharpness_aware_learnability`) of a training on protected rows, measured on
            these rows, at one or more epochs.
        clean: The same of a training on the clean rows, at the same epochs.

    Returns:
        0 where no layer is ever learnable, 1 where as many are as in the clean training. Above 1 the rows are taught
        to mislead rather than not to teach.

    Raises:
        ValueError: There are no epochs, their number or the layers differ, a SAL is no number, or the clean training
            has no layer that stands out.
    """
    if len(protected) != len(clean):
        raise ValueError(f"There are {len(protected)} epochs of the protected training and {len(clean)} of the clean.")
    threshold = learnable_above(clean)
    for look in protected:
        if look.keys() != clean[0].keys():
            raise ValueError("The two trainings have other layers. Compare networks of one architecture.")
    if broken := [name for look in protected for name, sal in look.items() if not math.isfinite(sal)]:
        raise ValueError(f"The SAL of layer {broken[0]!r} is no number: the protected training diverged.")
    learned, of = (sum(sal > threshold for look in run for sal in look.values()) for run in (protected, clean))
    if not of:
        raise ValueError("No layer of the clean training is learnable, so there is nothing to compare with.")
    return learned / of


def learnable_above(clean: Sequence[Mapping[str, float]]) -> float:
    """The SAL above which a layer counts as learnable.

    Args:
        clean: The SAL of each layer of a training on clean rows, at one or more epochs.

    Returns:
        The mean over the epochs of the midpoint between the two centres of that epoch.

    Raises:
        ValueError: There is no epoch, a SAL is no number, or the epochs differ in layers or have fewer than two.
    """
    if not clean:
        raise ValueError("There is no epoch. Measure the SAL of the layers after at least one.")
    for look in clean:
        if look.keys() != clean[0].keys() or len(look) < 2:
            raise ValueError("Each epoch takes the SAL of the same layers, of two or more.")
        if broken := [name for name, sal in look.items() if not math.isfinite(sal)]:
            raise ValueError(f"The SAL of layer {broken[0]!r} is no number: the clean training diverged.")
    return float(np.mean([_midpoint(np.sort([*look.values()])) for look in clean]))


def _midpoint(values: np.ndarray) -> float:
    """Between the centres of the best two clusters of ascending values: k-means in one dimension, without a start."""
    halves = [(values[:i], values[i:]) for i in range(1, len(values))]
    low, high = min(halves, key=lambda parts: sum(len(part) * part.var() for part in parts))
    return (low.mean() + high.mean()) / 2


def _layers(model: nn.Module, wanted: Sequence[str] | None) -> list[str]:
    """The names of the layers to measure, checked."""
    from torch.nn import Linear
    from torch.nn.modules.conv import _ConvNd

    known = dict(model.named_modules())
    if wanted is None:
        wanted = [name for name, module in known.items() if isinstance(module, Linear | _ConvNd)]
        if not wanted:
            raise ValueError("The model has no convolution and no linear layer. Name its layers with layers=[...].")
    for name in wanted:
        if name not in known:
            raise ValueError(f"The model has no layer {name!r}. It has: {', '.join(filter(None, known))}.")
        if not any(True for _ in known[name].parameters()):
            raise ValueError(f"Layer {name!r} has no weights, so there is nothing in it to learn. Leave it out.")
    return list(wanted)


def _entered(model: nn.Module, inputs: Tensor) -> Iterator[tuple[str, nn.Module, nn.Module, Tensor]]:
    """Each module by its name, with the part of the model that holds it, up to the end, and what enters that part."""
    import torch
    from torch import nn

    if type(model) is not nn.Sequential:
        yield from ((name, module, model, inputs) for name, module in model.named_modules())
        return
    yield "", model, model, inputs
    for place, (name, child) in enumerate(model.named_children()):
        tail = model[place:]
        for inner, module in child.named_modules():
            yield f"{name}.{inner}" if inner else name, module, tail, inputs
        with torch.no_grad():
            inputs = torch.cat([child(part) for part in inputs.split(_AT_ONCE)])


def _split(inputs: Tensor, labels: Tensor, size: int) -> _Parts:
    return [*zip(inputs.split(size), labels.split(size), strict=True)]


def _losses(
    tail: nn.Module, layer: nn.Module, parts: _Parts, batches: Sequence[_Parts], radius: float, steps: int,
    learning_rate: float,
) -> list[float]:  # fmt: skip
    """The loss with the layer as it is, and after each step down and each step up; the layer is put back."""
    import torch

    from hf_unlearnable.audit.recovery import project

    weights = list(layer.requires_grad_(True).parameters())
    centre = [weight.detach().clone() for weight in weights]
    most = radius * float(torch.cat([weight.flatten() for weight in centre]).norm())
    losses = [_loss(tail, parts, [])[0]] if len(batches) > 1 else []
    for sign in (1, -1):
        for _ in range(steps):
            for batch in batches:
                loss, gradients = _loss(tail, batch, weights)
                with torch.no_grad():
                    for weight, gradient in zip(weights, gradients, strict=True):
                        weight.sub_(gradient, alpha=sign * learning_rate)
            project(weights, centre, most)
            losses.append(loss if len(batches) == 1 else _loss(tail, parts, [])[0])  # one batch: before this step
        if len(batches) == 1:
            losses.append(_loss(tail, parts, [])[0])
        with torch.no_grad():
            for weight, old in zip(weights, centre, strict=True):
                weight.copy_(old)
    layer.requires_grad_(False)
    return losses


def _loss(tail: nn.Module, parts: _Parts, weights: list[nn.Parameter]) -> tuple[float, list[Tensor]]:
    """The mean loss, and its gradients with respect to these weights."""
    import torch

    rows, total = sum(len(labels) for _, labels in parts), 0.0
    gradients = [torch.zeros_like(weight) for weight in weights]
    for part, labels in parts:
        with torch.set_grad_enabled(bool(weights)):
            loss = torch.nn.functional.cross_entropy(tail(part), labels, reduction="sum") / rows
        total += float(loss.detach())
        if weights:
            for sum_of, one in zip(gradients, torch.autograd.grad(loss, weights), strict=True):
                sum_of += one
    return total, gradients
