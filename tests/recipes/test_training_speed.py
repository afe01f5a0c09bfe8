"""The bench of training the small CNN: every way does the same work, and the roofline counts what there is."""

import pytest
import torch
from torch import nn

from hf_unlearnable.image.learning.surrogate import image_classifier
from recipes.bench import training_speed


def test_the_roofline_counts_each_convolution_once_per_pass_and_no_gradient_of_the_image():
    first, second, third = 3 * 32 * 9 * 32**2, 32 * 64 * 9 * 16**2, 64 * 128 * 9 * 8**2
    assert training_speed.convolutions(image_classifier("small_cnn", 5)) == 2 * (2 * first + 3 * second + 3 * third)


def test_every_way_moves_the_weights_as_todays_does():
    found = {}
    ways = {"today": {}, "contiguous": {"layout": torch.contiguous_format}, "fused": {"fused": True}}
    for name, options in ways.items():
        step = training_speed.Step(8, **options)
        before = [one.detach().clone() for one in step.model.parameters()]
        step()
        found[name] = [after.detach() - one for one, after in zip(before, step.model.parameters(), strict=True)]
    assert all(one.abs().max() > 0 for one in found["today"])
    for name in ("contiguous", "fused"):
        for one, other in zip(found["today"], found[name], strict=True):
            assert torch.allclose(one, other, atol=1e-5), name


def test_several_networks_at_once_get_the_gradients_of_each_alone():
    several = training_speed.Several(4)
    several.augment = False
    images = several.images()
    gradients = several.gradients(several.weights, several.buffers, images)
    alone = image_classifier("small_cnn", training_speed.CLASSES).train()
    for place in range(training_speed.VICTIMS):
        alone.load_state_dict({name: value[place] for name, value in several.weights.items()}, strict=False)
        alone.zero_grad()
        nn.functional.cross_entropy(alone(images), several.labels).backward()
        for name, weight in alone.named_parameters():
            assert torch.allclose(weight.grad, gradients[name][place], atol=1e-4), name


def test_what_is_measured_is_told_as_ratios_to_today(monkeypatch):
    took = iter([0.4, 0.8, 0.2, 0.4, 0.1, 0.6])
    monkeypatch.setattr(training_speed, "seconds", lambda call: next(took, 1.0))
    monkeypatch.setattr(training_speed, "decoding", lambda count: 1e-5)
    monkeypatch.setattr(training_speed, "rate", lambda dtype, repeats: 1e10)
    monkeypatch.setattr(training_speed.Step, "__call__", lambda self: None)
    monkeypatch.setattr(training_speed.Several, "__call__", lambda self: None)
    found = training_speed.measured(4, 1)
    assert found["times_as_fast"] == {
        "today": 1, "contiguous": 0.5, "bf16": 2, "fused": 1, "no augmentation": 4, "several": 2,
    }  # fmt: skip
    assert found["milliseconds"]["today"] == pytest.approx(100) and found["decoding"] == 0.01
    assert found["roofline"]["float32"] == pytest.approx(1e3 * 60.162048e6 / 1e10, abs=1e-2)
