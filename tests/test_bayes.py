"""The Bayes error of features: its value, its gradient, its memory and what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import bayes, bayes_error
from hf_unlearnable.bayes import bayes_error_gradient


def plain(features, labels, bandwidth):
    """The definition, with a tensor of rows x rows x features."""
    squared = (features[:, None] - features[None]).square().sum(2)
    kernel = torch.exp(-squared / (2 * bandwidth**2)) * (1 - torch.eye(len(features), dtype=features.dtype))
    by_class = torch.stack([kernel[:, labels == c].sum(1) for c in range(int(labels.max()) + 1)], 1)
    return (1 - by_class.amax(1) / kernel.sum(1)).mean()


def drawn(rows, width, classes, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (rows,), generator=generator)
    features = torch.randn(rows, width, generator=generator, dtype=torch.float64) + labels[:, None] * 0.3
    return features.to(dtype), labels


@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 5), st.floats(0.3, 5), st.integers(0, 999))
def test_error_and_gradient_are_those_of_the_plain_form(rows, width, classes, bandwidth, seed):
    features, labels = drawn(rows, width, classes, seed)
    features.requires_grad_()
    expected = plain(features, labels, bandwidth)
    (by_autograd,) = torch.autograd.grad(expected, features)
    error, gradient = bayes_error_gradient(features.detach(), labels, bandwidth)
    assert error == pytest.approx(float(expected.detach()), abs=1e-9)
    assert torch.allclose(gradient, by_autograd, rtol=1e-6, atol=1e-6 * float(by_autograd.abs().max()) + 1e-12)


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_rows_in_parts_give_the_gradient_of_all_rows(monkeypatch, at_once):
    features, labels = drawn(50, 6, 3, seed=1)
    expected = bayes_error_gradient(features, labels, 1.0)
    monkeypatch.setattr(bayes, "_VALUES", at_once * 50)
    error, gradient = bayes_error_gradient(features, labels, 1.0)
    assert error == pytest.approx(expected[0], abs=1e-12)
    assert torch.allclose(gradient, expected[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("rows", "values"), [(2000, 2**16), (3000, 2**18)])
def test_no_tensor_grows_with_the_square_of_the_rows(monkeypatch, rows, values):
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            found = function(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                largest = max(largest, found.numel())
            return found

    features, labels = drawn(rows, 8, 4, seed=2, dtype=torch.float32)
    monkeypatch.setattr(bayes, "_VALUES", values)
    with Watch():
        bayes_error_gradient(features, labels, 1.0)
    assert rows * 8 < largest <= values


def test_single_precision_gives_the_gradient_of_double_precision_far_from_the_origin():
    features, labels = drawn(200, 32, 4, seed=3)
    features += 50  # distances that are a small part of the features
    _, exact = bayes_error_gradient(features, labels, 3.0)
    _, gradient = bayes_error_gradient(features.float(), labels, 3.0)
    assert torch.allclose(gradient.double(), exact, rtol=1e-3, atol=1e-4 * float(exact.abs().max()))


def test_a_step_along_the_gradient_raises_the_error():
    features, labels = drawn(80, 5, 3, seed=4)
    error, gradient = bayes_error_gradient(features, labels, 1.0)
    assert bayes_error_gradient(features + 1e-2 * gradient / gradient.norm(), labels, 1.0)[0] > error


@pytest.mark.parametrize(
    ("features", "labels", "expected"),
    [
        ([[0.0], [0.01], [1.0], [0.99]], [0, 0, 1, 1], 0.0),  # the classes lie apart
        ([[3.0, 3.0]] * 10, [0] * 7 + [1] * 3, np.mean([3 / 9] * 7 + [2 / 9] * 3)),  # all features equal
        (
            [[0.0]] * 4,
            ["a", "b", "a", "b"],
            1 / 3,
        ),  # all 0; without the row itself, two of three are of the other class
        ([[0.0], [1e9]], [0, 1], 0.0),  # so far apart that every kernel underflows
        ([[0, 1], [0, 1], [5, 0], [5, 0], [9, 9]], [0, 0, 1, 1, 2], 0.0),  # a class with one row; whole numbers
        ([[1.0], [1.0], [1.0]], [7, 7, 7], 0.0),  # one class
        ([[1.0], [1.0], [1.0]], [0, 1, 2], 1 / 2),  # as many classes as rows
    ],
)
def test_the_error_of_known_features(features, labels, expected):
    assert bayes_error(features, labels, bandwidth=0.1) == pytest.approx(expected, abs=1e-6)


def test_the_error_does_not_depend_on_the_unit_of_the_features_nor_on_the_names_of_the_classes():
    features, labels = drawn(60, 4, 3, seed=5)
    found = bayes_error(features, labels)
    assert 0.05 < found < 2 / 3
    assert bayes_error(1000 * features.numpy(), np.array(["x", "y", "z"])[labels]) == pytest.approx(found, abs=1e-9)


def test_the_error_of_two_normal_classes_is_near_the_true_one():
    random = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    features = random.normal(2 * labels, 1)[:, None]  # Bayes error: the normal tail beyond 1
    assert bayes_error(features, labels, bandwidth=0.03) == pytest.approx(0.1587, abs=0.02)


def test_a_single_row_has_no_error_and_no_gradient():
    error, gradient = bayes_error_gradient(torch.ones(1, 3), torch.tensor([0]), 0.3)
    assert error == 0.0 and torch.equal(gradient, torch.zeros(1, 3))


def test_equal_features_have_no_gradient():
    error, gradient = bayes_error_gradient(torch.full((6, 3), 2.0), torch.tensor([0, 0, 0, 0, 1, 1]), 0.3)
    assert error == pytest.approx((4 * 2 / 5 + 2 * 1 / 5) / 6) and torch.equal(gradient, torch.zeros(6, 3))


@pytest.mark.parametrize(
    ("features", "labels", "options", "message"),
    [
        ([[0.0], [np.nan], [np.inf]], [0, 1, 0], {}, "NaN or infinity in 2 rows, first in row 1.*diverged"),
        ([[0.0]], [0], {}, r"features are \[1, 1\].*at least two rows"),
        ([0.0, 1.0], [0, 1], {}, r"features are \[2\]"),
        ([[0.0], [1.0]], [0, 1, 1], {}, "2 rows of features and 3 labels"),
        ([[0.0], [1.0]], [0, 1], {"bandwidth": 0.0}, "bandwidth is 0.0"),
        ([[0.0], [1.0]], [0, 1], {"bandwidth": float("nan")}, "bandwidth is nan"),
    ],
)
def test_what_is_no_set_of_features_is_named(features, labels, options, message):
    with pytest.raises(ValueError, match=message):
        bayes_error(features, labels, **options)
