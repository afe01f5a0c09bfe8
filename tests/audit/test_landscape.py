"""Slices of the loss: what can be computed by hand, scale does not matter, the model stays, bad input is named."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from hf_unlearnable.audit.landscape import loss_slices
from tests.audit.test_sharpness import diverged, given, network


def test_the_middle_is_the_model_and_every_filter_moves_by_its_own_norm():
    model = nn.Sequential(nn.Linear(1, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0], [-4.0]]))
        model[0].bias.zero_()
    positions, losses = loss_slices(model, (torch.ones(5, 1), torch.zeros(5, dtype=torch.long)), span=0.5, points=3)
    assert positions.tolist() == [-0.5, 0, 0.5] and losses.shape == (2, 3)
    ends = {round(math.log1p(math.exp(-7 + 1.5 * a + 2 * b)), 6) for a in (-1, 1) for b in (-1, 1)}
    assert losses[:, 1] == pytest.approx([math.log1p(math.exp(-7))] * 2, rel=1e-4)
    assert {round(value, 6) for value in losses[:, [0, 2]].ravel()} <= ends


def test_a_network_whose_filters_have_another_scale_and_compute_the_same_has_the_same_slices():
    model, rows = network(), given()
    scaled = deepcopy(model)
    with torch.no_grad():
        scaled[0].weight.mul_(3)
        scaled[1].running_mean.mul_(3)
        scaled[1].running_var.mul_(9).add_(8 * scaled[1].eps)
    one, other = (loss_slices(each, rows, points=5, seed=1)[1] for each in (model, scaled))
    assert one == pytest.approx(other, rel=1e-2) and one.std() > 0.01
    assert not np.array_equal(one, loss_slices(model, rows, points=5, seed=2)[1])


def test_the_model_stays_as_it_is():
    model, rows = network().train(), given()
    before = deepcopy(model.state_dict())
    first = loss_slices(model, rows, directions=1, points=3)[1]
    assert np.array_equal(first, loss_slices(model, rows, directions=1, points=3)[1])
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("model", "rows", "settings", "said"),
    [
        (network(), (torch.zeros(0, 3, 8, 8), torch.zeros(0)), {}, "0 rows and 0 labels"),
        (network(), (torch.zeros(2, 3, 8, 8), torch.zeros(3)), {}, "2 rows and 3 labels"),
        (network(), given(), {"directions": 0}, "directions is 0"),
        (network(), given(), {"points": 1}, "points is 1"),
        (network(), given(), {"span": math.inf}, "span is inf"),
        (nn.Sequential(nn.ReLU()), given(), {}, "no parameters"),
        (diverged(), given(), {}, "its training diverged"),
    ],
)
def test_bad_input_is_named(model, rows, settings, said):
    with pytest.raises(ValueError, match=said):
        loss_slices(model, rows, **settings)
