"""What images meet in the loop is what Pillow does to them, and noise has a gradient through it."""

from functools import partial

import numpy as np
import pytest
import torch

from hf_unlearnable.image.countermeasures.pixels import gaussian_blur, grayscale, half_size, jpeg
from hf_unlearnable.image.learning import weather
from tests.examples import levels

KINDS = {
    "jpeg-10": (weather._compressed, partial(jpeg, quality=10), 10),
    "jpeg-90": (weather._compressed, partial(jpeg, quality=90), 90),
    "half": (weather._halved, half_size, 0),
    "blur": (weather._blurred, gaussian_blur, 0),
    "gray": (weather._gray, grayscale, 0),
}


def smooth(size=48):
    """An image with colours and edges of several sizes, as a tensor and in levels."""
    small = levels(1, 3, size // 6, size // 6)[0]
    image = np.kron(small, np.ones((6, 6, 1))).astype(np.uint8)
    return torch.from_numpy(image.copy()).movedim(2, 0)[None].float() / 255, image


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_near_to_what_pillow_does_and_nearer_than_the_image(kind):
    change, pillow, quality = KINDS[kind]
    tensor, image = smooth()
    here = (change(tensor, torch.tensor([float(quality)]))[0].movedim(0, 2).numpy() * 255).clip(0, 255)
    there = pillow(image).astype(float)
    apart, moved = np.abs(here - there).mean(), np.abs(image - there).mean()
    assert apart < max(1.0, 0.45 * moved), (apart, moved)


@pytest.mark.parametrize("size", [8, 17])
def test_every_size_goes_through_with_a_gradient(size):
    images = torch.rand(40, 3, size, size, generator=torch.Generator().manual_seed(1), requires_grad=True)
    seen = weather.weathered(images, torch.Generator().manual_seed(2))
    assert seen.shape == images.shape and torch.isfinite(seen).all()
    (gradient,) = torch.autograd.grad(seen.square().sum(), images)
    assert (gradient.flatten(1).abs().sum(1) > 0).all() and torch.isfinite(gradient).all()


def test_the_same_draws_give_the_same_views_and_every_kind_comes(monkeypatch):
    met = []
    for name in ("_compressed", "_halved", "_blurred", "_gray"):
        change = getattr(weather, name)
        monkeypatch.setattr(weather, name, lambda x, q, name=name, change=change: met.append(name) or change(x, q))
    images = torch.rand(60, 3, 16, 16)
    first, again, other = (weather.weathered(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert set(met) == {"_compressed", "_halved", "_blurred", "_gray"}
