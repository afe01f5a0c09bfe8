"""SAL and the Unlearnable Distance: a plain implementation agrees, bad input is named, the model stays as it is."""

import math
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from hf_unlearnable import sharpness_aware_learnability, unlearnable_distance
from hf_unlearnable.audit.sharpness import learnable_above
from hf_unlearnable.image.learning.surrogate import resnet18, small_cnn, tiny_cnn


def given(rows=24, classes=3, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(rows) % classes
    shade = labels[:, None, None, None] / classes
    return (torch.rand(rows, 3, size, size, generator=generator) + shade).clamp(0, 1), labels


def network(build=tiny_cnn, classes=3, seed=0, steps=6):
    """Trained a little, so that its batch norm has counted something."""
    torch.manual_seed(seed)
    model, (inputs, labels) = build(classes).to(memory_format=torch.channels_last), given(classes=classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return model.eval()


def plain(model, rows, radius=0.05, passes=10, rate=0.1, batch_size=None):
    """As published, layer by layer: two clones, SGD, the whole network at every pass, both evaluated after each."""
    loss_of, model = nn.CrossEntropyLoss(), deepcopy(model).to(memory_format=torch.contiguous_format)
    found = {}
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        start = lowest = highest = loss_of(model(rows[0]), rows[1]).item()
        for sign in (1, -1):
            clone = deepcopy(model)
            moved = list(clone.get_submodule(name).parameters())
            for weight in set(clone.parameters()) - set(moved):
                weight.requires_grad_(False)
            before = nn.utils.parameters_to_vector(module.parameters()).detach()
            optimizer = torch.optim.SGD(moved, lr=rate)
            for _ in range(passes):
                size = batch_size or len(rows[0])
                for inputs, labels in zip(rows[0].split(size), rows[1].split(size)):
                    optimizer.zero_grad()
                    (sign * loss_of(clone(inputs), labels)).backward()
                    optimizer.step()
                change = nn.utils.parameters_to_vector(moved).detach() - before
                ratio = (change.norm() / before.norm()).item()
                if ratio > radius:
                    nn.utils.vector_to_parameters(before + change * (radius / ratio), moved)
                with torch.no_grad():
                    loss = loss_of(clone(rows[0]), rows[1]).item()
                lowest, highest = min(lowest, loss), max(highest, loss)
        up, down = highest - start, start - lowest
        found[name] = up if abs(up) > abs(down) else down
    return found


@pytest.mark.parametrize(
    ("build", "layers", "settings"),
    [
        (small_cnn, 4, {}),
        (tiny_cnn, 4, {"radius": 0.2, "learning_rate": 0.5, "steps": 4}),
        (tiny_cnn, 4, {"batch_size": 7}),
        (tiny_cnn, 4, {"batch_size": 24, "steps": 3}),
        (partial(resnet18, width=8), 21, {"steps": 1}),
    ],
)
def test_the_fast_way_agrees_with_a_plain_one_to_a_hundredth(build, layers, settings, monkeypatch):
    monkeypatch.setattr("hf_unlearnable.audit.sharpness._AT_ONCE", 10)  # in parts of 10, 10 and 4 rows
    rows, model = given(), network(build)
    found = sharpness_aware_learnability(model, rows, **settings)
    names = {"steps": "passes", "learning_rate": "rate"}
    expected = plain(model, rows, **{names.get(name, name): value for name, value in settings.items()})
    assert list(found) == list(expected) and len(found) == layers
    assert found == pytest.approx(expected, rel=0.01, abs=1e-6)
    assert unlearnable_distance([found], [expected]) == 1 and max(found.values()) > 0


def test_a_model_that_is_no_chain_and_a_chosen_layer_give_the_same_numbers():
    class Wrapped(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x)

    model, rows = network(), given()
    every = sharpness_aware_learnability(model, rows)
    wrapped = sharpness_aware_learnability(Wrapped(model), rows)
    assert {name.removeprefix("inner."): value for name, value in wrapped.items()} == pytest.approx(every, rel=1e-3)
    some = sharpness_aware_learnability(model, rows, layers=["14", "4"])
    assert list(some) == ["14", "4"] and some == pytest.approx({name: every[name] for name in some}, rel=1e-6)


def test_the_loss_of_a_linear_layer_moves_by_what_can_be_computed_by_hand():
    """One weight vector, logits (w x, 0), x = 1, class 0: within |w| 0.05 the loss log(1 + exp(-w)) is monotonous."""
    model = nn.Sequential(nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0], [-4.0]]))  # of norm 5: it moves by a quarter
    rows = torch.ones(7, 1), torch.zeros(7, dtype=torch.long)
    found = sharpness_aware_learnability(model, rows, learning_rate=1e4)
    moved = 0.25 * math.sqrt(2)  # the gradient points along (1, -1)
    assert found["0"] == pytest.approx(math.log1p(math.exp(-7 + moved)) - math.log1p(math.exp(-7)), rel=1e-3)


def test_the_model_and_its_gradients_stay_and_no_grad_around_it_changes_nothing():
    model, rows = network(), given()
    before = deepcopy(model.state_dict())
    model.train()
    first = sharpness_aware_learnability(model, rows)
    with torch.no_grad():
        assert sharpness_aware_learnability(model, rows) == first
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_layer_whose_weights_are_all_0_cannot_move():
    model = network()
    with torch.no_grad():
        model[14].weight.zero_()
        model[14].bias.zero_()
    assert sharpness_aware_learnability(model, given(), layers=["14"]) == {"14": 0.0}


def diverged():
    model = network()
    with torch.no_grad():
        model[4].weight[0] = torch.inf
    return model


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        (network(), {"layers": ["3"]}, "Layer '3' has no weights"),
        (network(), {"layers": ["0", "13"]}, "Layer '13' has no weights"),
        (network(), {"layers": ["head"]}, "no layer 'head'. It has: 0, 1, 2"),
        (nn.Sequential(nn.Flatten(), nn.LayerNorm(192)), {}, "no convolution and no linear layer"),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), {}, "no parameters"),
        (diverged(), {}, "its training diverged"),
        (network(), {"radius": 0.0}, "radius is 0.0"),
        (network(), {"learning_rate": math.nan}, "learning_rate is nan"),
        (network(), {"steps": 0}, "steps is 0"),
        (network(), {"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_bad_input_of_a_model_is_named(model, settings, said):
    with pytest.raises(ValueError, match=said):
        sharpness_aware_learnability(model, given(), **settings)


@pytest.mark.parametrize(("rows", "labels"), [(0, 0), (3, 2), (2, 3)])
def test_rows_without_labels_and_no_rows_are_refused(rows, labels):
    with pytest.raises(ValueError, match=f"{rows} rows and {labels} labels"):
        sharpness_aware_learnability(network(), (torch.zeros(rows, 3, 8, 8), torch.zeros(labels, dtype=torch.long)))


def test_a_loss_that_is_no_number_is_said_with_its_layer():
    inputs, labels = given()
    with pytest.raises(FloatingPointError, match="when layer '0' moves"):
        sharpness_aware_learnability(network(), (inputs * torch.nan, labels))


@pytest.mark.parametrize(
    ("values", "threshold"),
    [([0.0, 1.0], 0.5), ([0, 0.1, 0.2, 2.0], 1.05), ([1, 1.2, 5, 5.2, 5.4], 3.15), ([3, 3], 3.0)],
)  # fmt: skip
def test_the_threshold_is_midway_between_the_two_centres(values, threshold):
    from sklearn.cluster import KMeans

    look = {str(i): float(value) for i, value in enumerate(values)}
    assert learnable_above([look]) == pytest.approx(threshold)
    if len(set(values)) > 1:
        centres = KMeans(2, n_init=10, random_state=0).fit([[value] for value in values]).cluster_centers_
        assert learnable_above([look]) == pytest.approx(centres.mean())
    lower = {name: value / 2 for name, value in look.items()}
    assert learnable_above([look, lower]) == pytest.approx(0.75 * threshold)


def test_the_distance_counts_learnable_layers_over_all_epochs():
    clean = [{"a": 0.0, "b": 2.0, "c": 2.0}, {"a": 0.0, "b": 4.0, "c": 0.0}]  # thresholds 1 and 2: 1.5
    assert unlearnable_distance(clean, clean) == 1
    assert unlearnable_distance([{"a": 0.0, "b": 1.4, "c": 0.0}] * 2, clean) == 0
    assert unlearnable_distance([{"a": 0.0, "b": 1.6, "c": 0.0}, {"a": 0.0, "b": 0.1, "c": 0.0}], clean) == 1 / 3
    assert unlearnable_distance([{"a": 2.0, "b": 2.0, "c": 2.0}] * 2, clean) == 2
    assert unlearnable_distance([clean[1]], [clean[1]]) == 1  # one epoch only


@pytest.mark.parametrize(
    ("protected", "clean", "said"),
    [
        ([], [], "There is no epoch"),
        ([{"a": 1, "b": 0}], [{"a": 1, "b": 0}] * 2, "1 epochs of the protected training and 2"),
        ([{"a": 1, "c": 0}], [{"a": 1, "b": 0}], "other layers"),
        ([{"a": 1}], [{"a": 1}], "of two or more"),
        ([{"a": 1, "b": 0}] * 2, [{"a": 1, "b": 0}, {"a": 1}], "of the same layers"),
        ([{"a": math.nan, "b": 0}], [{"a": 1, "b": 0}], "layer 'a' is no number: the protected"),
        ([{"a": 1, "b": 0}], [{"a": 1, "b": math.inf}], "layer 'b' is no number: the clean"),
        ([{"a": 1, "b": 0}], [{"a": 1, "b": 1}], "nothing to compare with"),
    ],
)
def test_bad_input_of_the_distance_is_named(protected, clean, said):
    with pytest.raises(ValueError, match=said):
        unlearnable_distance(protected, clean)
