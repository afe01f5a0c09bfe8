"""The recovery attack stays in its ball, uses what the ball allows, and leaves the model as it was."""

import math

import pytest
import torch

from hf_unlearnable import recovered_accuracy
from hf_unlearnable.audit.recovery import project
from hf_unlearnable.image.learning.surrogate import image_classifier


def points(count, seed):
    """Points of two classes, told apart by the sign of the first coordinate."""
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long()


def wrong():
    """A linear model that answers the other class."""
    model = torch.nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        model.weight.zero_()
        model.weight[:, 0] = torch.tensor([0.5, -0.5])
    return model


@pytest.mark.parametrize(
    ("weights", "radius", "expected"),
    [
        ([[3.0], [4.0]], 1.0, [[0.6], [0.8]]),  # outside: the nearest point of the ball
        ([[0.3], [0.4]], 1.0, [[0.3], [0.4]]),  # inside: stays, and is not brought to the surface
        ([[3.0, 0.0], [4.0]], 2.5, [[1.5, 0.0], [2.0]]),
        ([[3.0], [4.0]], 0.0, [[0.0], [0.0]]),
    ],
)
def test_weights_go_to_the_nearest_ones_of_the_true_ball(weights, radius, expected):
    given = [torch.nn.Parameter(torch.tensor(one)) for one in weights]
    project(given, [torch.zeros_like(one) for one in given], radius)
    assert [one.tolist() for one in given] == [pytest.approx(one) for one in expected]


@pytest.mark.parametrize("radius", [0.0, 0.05, 0.3])
def test_the_weights_that_are_tested_lie_within_the_radius(radius):
    model, tested = wrong(), []

    class Watched(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            if not self.training:
                tested.append(float((self.inner.weight - model.weight).norm()))
            return self.inner(x)

    recovered_accuracy(Watched(), points(60, 0), points(40, 1), radius, epochs=5, batch_size=10)
    assert tested and max(tested) <= radius * (1 + 1e-5)
    assert radius == 0.0 or max(tested) > radius * 0.9  # the attack wants out


def test_more_comes_back_the_larger_the_ball():
    clean, test = points(200, 0), points(400, 1)
    found = [recovered_accuracy(wrong(), clean, test, radius, learning_rate=0.1) for radius in (0.0, 0.2, 3.0)]
    assert found[0] == 0.0 and found[1] < 0.1 and found[2] > 0.9  # below 0.7 the sign of the weights cannot change


def test_the_model_stays_and_a_seed_gives_the_same_attack():
    torch.manual_seed(0)
    model = image_classifier("tiny_cnn", 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images, labels = torch.rand(24, 3, 12, 12), torch.arange(24) % 2
    found = [
        recovered_accuracy(model, (images, labels), (images, labels), 0.5, epochs=2, batch_size=8, seed=4)
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("model", "clean", "radius", "error", "message"),
    [
        (wrong(), points(0, 0), 1.0, ValueError, "no clean rows"),
        (wrong(), points(9, 0), -1.0, ValueError, "radius is -1.0"),
        (wrong(), points(9, 0), math.nan, ValueError, "radius is nan"),
        (torch.nn.Flatten(), points(9, 0), 1.0, ValueError, "no parameters"),
        (wrong(), (torch.full((9, 4), math.nan), torch.zeros(9, dtype=torch.long)), 1.0, FloatingPointError,
         "diverged"),
    ],
)  # fmt: skip
def test_what_cannot_be_recovered_is_named(model, clean, radius, error, message):
    with pytest.raises(error, match=message):
        recovered_accuracy(model, clean, points(9, 1), radius, epochs=1)
