"""Certified learnability: the bound holds as often as it promises, abstains where it must, and leaves the model."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy.stats import binom

from hf_unlearnable import certified_learnability
from hf_unlearnable.audit.certificate import Certificate
from hf_unlearnable.image.learning.surrogate import image_classifier

NORMAL = NormalDist()


class Threshold(torch.nn.Module):
    """One weight w; a row x is of class 1 where x < w, so that the accuracy on classes 1 is the share of rows below."""

    def __init__(self, weight=0.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([float(weight)]))

    def forward(self, x):
        return torch.stack([torch.zeros(len(x)), self.weight - x[:, 0]], 1)


def rows(count=2001):
    """Inputs from -4 to 4, all of class 1: the accuracy of a weight w is about (w + 4) / 8."""
    return torch.linspace(-4, 4, count)[:, None], torch.ones(count, dtype=torch.long)


def certificate(accuracies, **settings):
    given = {"accuracy": 0.0, "sigma": 0.1, "quantile": 0.5, "radius": 0.0, "confidence": 0.95, **settings}
    return Certificate(accuracies=np.sort(np.asarray(accuracies, float)), **given)


@pytest.mark.parametrize(
    ("quantile", "radius", "draws", "confidence"), [(0.5, 0.0, 40, 0.9), (0.7, 0.05, 60, 0.8), (0.2, 0.1, 25, 0.95)]
)
def test_the_bound_fails_no_more_often_than_it_promises(quantile, radius, draws, confidence):
    """The worst weights within the radius are w + radius: the accuracy grows with w, and its quantiles are known."""
    sigma, repetitions, random = 0.1, 1500, np.random.default_rng(0)
    true = sigma * NORMAL.inv_cdf(quantile) + radius  # quantile of w' = w + radius, in units of the accuracy
    found = [
        certificate(sigma * random.standard_normal(draws), sigma=sigma, quantile=quantile, radius=radius,
                    confidence=confidence).learnability
        for _ in range(repetitions)
    ]  # fmt: skip
    failed = sum(bound < true for bound in found)
    allowed = binom.ppf(0.999, repetitions, 1 - confidence)
    assert failed <= allowed
    assert failed >= (1 - confidence) * repetitions / 4  # the bound is the tightest order statistic, not any


@pytest.mark.parametrize("radius", [0.0, 0.05, 0.1])
def test_a_model_s_own_draws_bound_the_accuracy_of_the_worst_weights_within_the_radius(radius):
    sigma, quantile = 0.2, 0.8
    true = (sigma * NORMAL.inv_cdf(quantile) + radius + 4) / 8
    failed = [
        certified_learnability(
            Threshold(), rows(201), sigma=sigma, quantile=quantile, radius=radius, draws=40, confidence=0.9, seed=seed
        ).learnability < true - 1 / 200
        for seed in range(30)
    ]  # fmt: skip
    assert sum(failed) <= binom.ppf(0.999, 30, 0.1)


@pytest.mark.parametrize(
    ("draws", "quantile", "radius", "confidence", "place"),
    [
        (10, 0.5, 0.0, 0.9, 8), (100, 0.5, 0.0, 0.95, 59), (1000, 0.9, 0.0, 0.99, 922), (1000, 0.9, 0.1, 0.99, None),
        (22, 0.9, 0.0, 0.9, 22), (21, 0.9, 0.0, 0.9, None),
    ],
)  # fmt: skip
def test_the_order_statistic_is_the_smallest_with_the_exact_binomial_probability(
    draws, quantile, radius, confidence, place
):
    found = certificate(range(1, draws + 1), quantile=quantile, radius=radius, confidence=confidence)
    p = NORMAL.cdf(NORMAL.inv_cdf(quantile) + radius / 0.1)
    k = next((k for k in range(1, draws + 1) if binom.cdf(k - 1, draws, p) >= confidence), None)
    assert found.learnability == k
    assert place is None or k == place


@pytest.mark.parametrize(
    ("draws", "quantile", "radius", "confidence", "needed"),
    [(10, 0.9, 0.0, 0.99, 44), (1000, 0.9, 0.2, 0.99, 8920), (5, 0.5, 0.0, 0.99, 7), (100, 0.9, 0.1, 0.99, 407)],
)
def test_where_the_draws_do_not_suffice_it_abstains_and_says_how_many_would(
    draws, quantile, radius, confidence, needed
):
    few = certificate(range(draws), quantile=quantile, radius=radius, confidence=confidence)
    assert few.learnability is None and few.draws_needed == needed
    assert str(few) == f"abstains: {needed:,} draws would do"
    assert certificate(range(needed), quantile=quantile, radius=radius, confidence=confidence).learnability is not None
    assert certificate(range(needed - 1), quantile=quantile, radius=radius, confidence=confidence).learnability is None


@pytest.mark.parametrize("radius", [5.0, 1e6])
def test_a_radius_that_no_number_of_draws_can_show_is_said(radius):
    found = certificate(range(100), radius=radius)
    assert found.learnability is None and found.draws_needed is None
    assert str(found) == "abstains: no number of draws would do"


@pytest.mark.parametrize(("draws", "quantile"), [(1000, 0.9), (50, 0.5), (10, 0.1)])
def test_the_largest_radius_is_the_last_that_does_not_abstain(draws, quantile):
    found = certificate(range(draws), quantile=quantile)
    assert found.at(found.largest_radius * (1 - 1e-9)).learnability is not None
    assert found.at(found.largest_radius * (1 + 1e-6) + 1e-12).learnability is None
    assert certificate(range(3), quantile=0.99).largest_radius == 0.0


def test_the_bound_of_a_constant_model_is_its_accuracy_and_rises_with_the_radius_otherwise():
    assert certificate([0.4] * 1000).at(0.1).learnability == 0.4
    curve = [certificate(np.linspace(0, 1, 1000)).at(radius).learnability for radius in (0.0, 0.05, 0.1, 0.2)]
    assert curve == sorted(curve) and curve[0] < 0.6 and curve[-1] > 0.95


def test_the_model_stays_and_the_same_seed_gives_the_same_draws():
    torch.manual_seed(0)
    model = image_classifier("tiny_cnn", 3).train()
    model(torch.rand(64, 3, 12, 12))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    test = torch.rand(140, 3, 12, 12), torch.arange(140) % 3
    found, again, other = (
        certified_learnability(model, test, sigma=0.1, draws=12, confidence=0.6, seed=seed) for seed in (1, 1, 2)
    )
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert np.array_equal(found.accuracies, again.accuracies) and len(set(found.accuracies)) > 3
    assert not np.array_equal(found.accuracies, other.accuracies)
    expected = (model.eval()(test[0]).argmax(1) == test[1]).float().mean()
    assert found.accuracy == pytest.approx(float(expected), abs=1e-6)


def test_noise_goes_to_every_parameter_with_the_standard_deviation_that_was_given():
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.bias = torch.nn.Linear(50, 40), torch.nn.Parameter(torch.full((300,), 2.0))

        def forward(self, x):
            seen.append([p.clone() for p in self.parameters()])
            return self.linear(x)

    spy = Spy()
    certified_learnability(spy, (torch.rand(2, 50), torch.zeros(2, dtype=torch.long)), sigma=0.5, draws=20)
    own, drawn = seen[0], seen[1:]
    for i, centre in enumerate(own):
        moved = torch.stack([one[i] for one in drawn]) - centre
        assert float(moved.std()) == pytest.approx(0.5, rel=0.1) and abs(float(moved.mean())) < 0.05
        assert moved.unique(dim=0).shape[0] == 20


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 0, 0, 1], 0.75), ([1, 0, 0, 0], 0.75), ([0], 1.0), ([5, 0], 0.5)],  # 5: a class that the model lacks
)
def test_a_class_with_one_test_row_counts_as_one_row(labels, expected):
    """A model of weights so large that noise does not change its answer, which is class 0."""
    model = torch.nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1e6], [-1e6]]))
    found = certified_learnability(model, (torch.ones(len(labels), 1), torch.tensor(labels)), draws=50)
    assert found.accuracy == found.learnability == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws is 0"), ({"sigma": 0.0}, "sigma is 0.0"), ({"sigma": math.nan}, "sigma is nan"),
        ({"quantile": 1.0}, "quantile is 1.0"), ({"quantile": 0.0}, "quantile is 0.0"),
        ({"confidence": 1.0}, "confidence is 1.0"), ({"radius": -0.1}, "radius is -0.1"),
        ({"radius": math.inf}, "radius is inf"),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        certified_learnability(Threshold(), rows(9), **settings)


@pytest.mark.parametrize(
    ("model", "test", "message"),
    [
        (Threshold(), (torch.zeros(0, 1), torch.zeros(0, dtype=torch.long)), "0 rows and 0 labels"),
        (Threshold(), (torch.zeros(3, 1), torch.zeros(2, dtype=torch.long)), "3 rows and 2 labels"),
        (torch.nn.Flatten(), rows(9), "no parameters"),
        (Threshold(math.nan), rows(9), "NaN or infinite: its training diverged"),
    ],
)
def test_a_model_or_a_test_that_cannot_be_certified_is_named(model, test, message):
    with pytest.raises(ValueError, match=message):
        certified_learnability(model, test, draws=3)
    with pytest.raises(ValueError, match="radius is -1"):
        certificate([0.5]).at(-1)
