"""The gradient loop: its bounds, its direction, and what it leaves as it was."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable.image.learning.surrogate import image_classifier
from hf_unlearnable.image.learning.views import crop_and_flip, resize
from hf_unlearnable.learning.pgd import MAXIMIZE, MINIMIZE, frozen, pgd, project


class Linear(torch.nn.Module):
    """Logits that are linear in the pixels, so that the right sign of every step is known."""

    def __init__(self, pixels: int, classes: int = 3):
        super().__init__()
        torch.manual_seed(0)
        self.map = torch.nn.Linear(pixels, classes)

    def forward(self, x):
        return self.map(x.flatten(1))


def batch(n=5, channels=3, size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, size, size, generator=generator), torch.arange(n) % 3


def test_one_step_down_is_minus_the_sign_of_the_gradient():
    images, labels = batch(1)
    images = images * 0.5 + 0.25  # far from 0 and 1
    model = Linear(108)
    noise, loss, correct = pgd(
        model, images, torch.zeros_like(images), labels, epsilon=0.1, step_size=0.02, num_steps=1
    )
    logits = model(images)
    gradient = (logits.softmax(1)[0] - torch.eye(3)[labels[0]]) @ model.map.weight
    assert torch.allclose(noise.flatten(), -0.02 * gradient.sign(), atol=1e-7)
    assert float(loss) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels).detach()), rel=1e-5)
    assert int(correct) == int((logits.argmax(1) == labels).sum())


@pytest.mark.parametrize(("direction", "better"), [(MINIMIZE, lambda a, b: a < b), (MAXIMIZE, lambda a, b: a > b)])
def test_the_loss_moves_in_the_direction(direction, better):
    images, labels = batch(12, size=8)
    model = image_classifier("small_cnn", 3)
    losses = [
        float(pgd(frozen(model), images, torch.zeros_like(images), labels, epsilon=8 / 255, step_size=2 / 255,
                  num_steps=steps, direction=direction)[1])
        for steps in (1, 8)
    ]  # fmt: skip
    assert better(losses[1], losses[0] + (-0.005 if direction == MINIMIZE else 0.005))


@given(st.integers(0, 40), st.floats(0.001, 0.3), st.integers(0, 4), st.integers(0, 2**31))
def test_never_out_of_the_ball_nor_of_the_image(levels, step_size, steps, seed):
    images, labels = batch(3, seed=seed)
    images = (images * 255).round() / 255
    epsilon = levels / 255
    noise, _, _ = pgd(
        Linear(108), images, torch.zeros_like(images), labels, epsilon=epsilon, step_size=step_size, num_steps=steps
    )
    whole = (noise * 255).round()
    assert whole.abs().max() <= levels
    assert (images + noise).min() >= 0 and (images + noise).max() <= 1


def test_several_draws_average_their_gradients():
    images, labels = batch(2)
    images = images * 0.5 + 0.25
    model = Linear(108)
    views = iter([torch.cat([torch.ones(2, 3, 6, 6), torch.zeros(2, 3, 6, 6)])])  # the second draw sees nothing
    both, _, _ = pgd(
        model, images, torch.zeros_like(images), labels, epsilon=0.1, step_size=0.01, num_steps=1, num_draws=2,
        view=lambda x: x * next(views),
    )  # fmt: skip
    alone, _, _ = pgd(model, images, torch.zeros_like(images), labels, epsilon=0.1, step_size=0.01, num_steps=1)
    assert torch.equal(both, alone)


@pytest.mark.parametrize(("momentum", "expected"), [(0.0, [0.01, -0.01]), (0.5, [0.02, 0.0])])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_momentum_steps_by_the_sum_of_directions(momentum, expected, scale):
    # By half of what was carried: (4, 2) / 3, then (-0.83, 0.83), (-1.42, -0.58), and a gradient of nothing keeps that.
    gradients = iter(torch.tensor([[4.0, 2.0], [-3.0, 1.0], [-1.0, -1.0], [0.0, 0.0]]))
    image = torch.full((1, 1, 1, 2), 0.5)
    noise, _, _ = pgd(
        torch.nn.Flatten(), image, torch.zeros_like(image), torch.zeros(1, dtype=torch.long), epsilon=0.4,
        step_size=0.01, num_steps=4, momentum=momentum, loss=lambda answers, _: scale * (answers * next(gradients)).sum(),
    )  # fmt: skip
    assert noise.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_momentum_weighs_every_image_of_a_batch_by_itself():
    images, labels = batch(4)
    settings = {"epsilon": 0.1, "step_size": 0.01, "num_steps": 3, "momentum": 0.9}
    together, _, _ = pgd(Linear(108), images, torch.zeros_like(images), labels, **settings)
    for i in range(4):
        alone, _, _ = pgd(Linear(108), images[i : i + 1], torch.zeros(1, 3, 6, 6), labels[i : i + 1], **settings)
        assert torch.allclose(together[i], alone[0], atol=1e-6)


def test_project():
    images = torch.tensor([0.0, 0.5, 1.0])
    assert torch.allclose(project(torch.tensor([-0.3, 0.3, 0.05]), images, 0.1), torch.tensor([0.0, 0.1, 0.0]))


@pytest.mark.parametrize("name", ["tiny_cnn", "small_cnn", "resnet18"])
def test_a_frozen_model_answers_and_differentiates_as_the_model_does(name):
    torch.manual_seed(0)
    model = image_classifier(name, 3)
    for _ in range(3):
        model(torch.rand(8, 3, 16, 16))  # statistics that differ from the initial ones
    before = {key: value.clone() for key, value in model.state_dict().items()}
    copy = frozen(model)
    assert not copy.training and not any(p.requires_grad for p in copy.parameters())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in copy.modules())
    assert model.training and all(p.requires_grad for p in model.parameters())

    images, labels = batch(4, size=16)
    gradients = []
    for each in (model.eval(), copy):
        noise = torch.zeros_like(images, requires_grad=True)
        logits = each(images + noise)
        gradients.append(torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), noise)[0])
    assert torch.allclose(model(images), copy(images), rtol=1e-3, atol=1e-5)
    assert torch.allclose(*gradients, rtol=1e-2, atol=1e-2 * float(gradients[0].abs().max()))
    with torch.no_grad():
        next(copy.parameters()).zero_()  # a copy: nothing of it reaches the model
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_batch_norm_that_cannot_be_folded_stays():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.BatchNorm2d(4))
    alone = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4, track_running_stats=False))
    for each in (model, alone):
        images = torch.rand(2, 3, 8, 8)
        assert torch.equal(frozen(each)(images), each.eval()(images))


@given(st.integers(1, 4), st.integers(4, 12), st.integers(4, 12), st.integers(0, 3), st.integers(0, 2**31))
def test_crop_and_flip_is_a_shift_and_a_mirror(n, height, width, padding, seed):
    images = torch.rand(n, 2, height, width)
    got = crop_and_flip(images, torch.Generator().manual_seed(seed), padding)
    assert got.shape == images.shape
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    for i in range(n):
        windows = [
            window[:, :, ::step]
            for y in range(2 * padding + 1)
            for x in range(2 * padding + 1)
            for window in [padded[i, :, y : y + height, x : x + width]]
            for step in (1, -1)
        ]
        assert any(np.array_equal(got[i].numpy(), window) for window in windows)


def test_crop_and_flip_draws_all_of_them_and_passes_gradients():
    images = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(600, 1, 1, 1).requires_grad_()
    got = crop_and_flip(images, torch.Generator().manual_seed(0), 1)
    assert len({tuple(one.flatten().tolist()) for one in got}) == 18  # 3 x 3 shifts, mirrored or not
    (got * got.detach()).sum().backward()
    assert torch.allclose(images.grad.sum(), got.sum())  # each shown pixel passes its value back once


def test_resize():
    gray = torch.rand(2, 1, 9, 5)
    assert resize(gray, 8).shape == (2, 3, 8, 8)
    same = torch.rand(2, 3, 8, 8)
    assert resize(same, 8) is same
    flat = torch.full((1, 3, 100, 60), 0.25)
    assert torch.allclose(resize(flat, 16), torch.tensor(0.25))
