"""Certified learnability: a bound on the accuracy of most models whose weights lie near those of a trained one.

With weights w, and a(v) the accuracy of weights v on clean test rows: `draws` models w + N(0, sigma^2) are tested. By
the lemma of Neyman and Pearson a set of weights that has probability p around w has at least q around any w' within
`radius` of w in the L2 norm, if

    p = Phi(Phi^-1(q) + radius / sigma)

So let a_1 <= ... <= a_n be what was measured and k the smallest number for which at most k - 1 of n draws fall below
the p-quantile with probability `confidence` (binomial, exact). Then with that confidence a(w' + N(0, sigma^2)) is at
most a_k for a share q of the draws (D. Wang et al., "Provably Unlearnable Data Examples", NDSS 2025,
arXiv:2405.03316). Where there is no such k the certificate abstains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from torch import Tensor, nn

_NORMAL = NormalDist()
_AT_ONCE = 128  # test rows that a copy of the model answers at a time: a CPU's caches hold no more


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What is certified of a model.

    Args:
        accuracies: Of the noisy copies, ascending, float [draws] in [0, 1].
        accuracy: Of the model itself.
        sigma: Standard deviation of what was added to each weight.
        quantile: Share of the noisy neighbours that the bound speaks of.
        radius: L2 distance within which the bound holds.
        confidence: Probability with which it holds.
    """

    accuracies: np.ndarray = field(repr=False)
    accuracy: float
    sigma: float
    quantile: float
    radius: float
    confidence: float

    @property
    def learnability(self) -> float | None:
        """The accuracy in [0, 1] that a share `quantile` of the neighbours does not exceed; None where it abstains."""
        from scipy.stats import binom

        draws = len(self.accuracies)
        below = binom.ppf(self.confidence, draws, 1 - self._above)  # that many or fewer draws fall below the quantile
        return None if below >= draws else float(self.accuracies[int(below)])

    @property
    def draws_needed(self) -> int | None:
        """The fewest draws that certify this radius; None where no number of them would."""
        return math.ceil(math.log(1 - self.confidence) / math.log1p(-self._above)) if self._above else None

    @property
    def largest_radius(self) -> float:
        """The largest radius at which as many draws do not abstain; 0 where they always do."""
        reached = _NORMAL.inv_cdf((1 - self.confidence) ** (1 / len(self.accuracies)))
        return max(0.0, self.sigma * (reached - _NORMAL.inv_cdf(self.quantile)))

    def at(self, radius: float) -> Certificate:
        """What the same draws certify at another radius; each radius has the confidence for itself.

        Raises:
            ValueError: The radius is negative or not finite.
        """
        _check_radius(radius)
        return replace(self, radius=radius)

    def __str__(self) -> str:
        """In percent, or how many draws would do."""
        if self.learnability is not None:
            return f"{100 * self.learnability:.1f}"
        if self.draws_needed is None:
            return "abstains: no number of draws would do"
        return f"abstains: {self.draws_needed:,} draws would do"

    @property
    def _above(self) -> float:
        """1 - p, which is exact where p is near 1."""
        return _NORMAL.cdf(-(_NORMAL.inv_cdf(self.quantile) + self.radius / self.sigma))


def certified_learnability(
    model: nn.Module,
    test: tuple[Tensor, Tensor],
    *,
    sigma: float = 0.02,
    quantile: float = 0.9,
    radius: float = 0.0,
    draws: int = 1000,
    confidence: float = 0.99,
    seed: int = 0,
) -> Certificate:
    """Bounds the accuracy of most models whose weights lie near those of this one.

    It says nothing of models far from it: train several with the attacker's recipe, and certify each. It speaks of a
    share of random neighbours, not of the best one, which `recovered_accuracy` looks for. What a batch norm has
    counted is no weight, and stays.

    Args:
        model: From inputs to logits [n, classes]. It stays as it is; a copy of it is tested in evaluation mode.
        test: Inputs as the model takes them, [rows, ...], and their class indices [rows], on any device.
        sigma: Standard deviation of what is added to each parameter.
        quantile: Share of the neighbours that the bound speaks of, between 0 and 1.
        radius: L2 distance of the parameters within which the bound holds. `Certificate.at` gives others.
        draws: Noisy copies that are tested. Each costs a forward pass over the test rows.
        confidence: Probability with which the bound holds, between 0 and 1.
        seed: Of the draws.

    Returns:
        The certificate. `learnability` is the bound, or None where so many draws cannot show it; `draws_needed` says
        how many would.

    Raises:
        ImportError: torch or scipy is not installed.
        ValueError: A parameter is out of range, there are no test rows, or the model's weights are no numbers.
    """
    require("attack", "torch", "scipy")
    for name, value in {"quantile": quantile, "confidence": confidence}.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value}, but it lies between 0 and 1.")
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma is {sigma}, but it is a standard deviation: a positive number.")
    if draws < 1:
        raise ValueError(f"draws is {draws}, but it starts at 1.")
    _check_radius(radius)
    inputs, labels = test
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise ValueError(
            f"The test has {len(inputs)} rows and {len(labels)} labels. Give at least one, each labelled."
        )
    check_weights(model)
    own, *noisy = _accuracies(model, inputs, labels, sigma, draws, seed)
    return Certificate(
        accuracies=np.sort(noisy), accuracy=own, sigma=sigma, quantile=quantile, radius=radius, confidence=confidence
    )


def check_weights(model: nn.Module) -> None:
    """Raises a ValueError for a model without weights, or one whose training diverged."""
    weights = list(model.parameters())
    if not weights:
        raise ValueError("The model has no parameters, so that it has no neighbours.")
    if not all(weight.isfinite().all() for weight in weights):
        raise ValueError("The model has weights that are NaN or infinite: its training diverged. Lower learning_rate.")


def accuracy_of(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of rows that a model labels rightly, in the mode in which it is."""
    import torch

    with torch.inference_mode():
        parts = zip(inputs.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True)
        return sum(int((model(part).argmax(1) == right).sum()) for part, right in parts) / len(labels)


def _accuracies(
    model: nn.Module, inputs: Tensor, labels: Tensor, sigma: float, draws: int, seed: int
) -> Iterator[float]:
    """The accuracy of the model, then of each noisy copy."""
    import torch

    copy: Any = deepcopy(model).eval().requires_grad_(False)
    yield accuracy_of(copy, inputs, labels)
    weights = [(weight, weight.clone()) for weight in copy.parameters()]
    generator = torch.Generator(weights[0][0].device).manual_seed(seed)
    for _ in range(draws):
        for weight, centre in weights:  # from the centre every time, so that nothing drifts
            weight.normal_(0, sigma, generator=generator).add_(centre)
        yield accuracy_of(copy, inputs, labels)


def _check_radius(radius: float) -> None:
    if not 0 <= radius < math.inf:
        raise ValueError(f"radius is {radius}, but it is a distance: 0 or a positive number.")
