"""What images meet in the loop is what Pillow does to them, and noise has a gradient through it."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import features

from hf_unlearnable import ErrorMinTransform
from hf_unlearnable.image.countermeasures.pixels import gaussian_blur, grayscale, half_size, jpeg
from hf_unlearnable.image.learning import weather
from hf_unlearnable.image.wear import IMAGE_WEAR
from tests.examples import levels, real
from tests.image.methods.cases import arrays, fitted

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


WORN = ["jpeg-50-420", "webp-50", "thumbnails"]


def test_wear_in_the_loop_is_that_of_the_real_libraries_and_the_gradient_that_of_halving():
    images = torch.from_numpy(np.stack([smooth()[1]] * 40)).movedim(3, 1).float() / 255
    images.requires_grad_()
    seen = weather.through_wear(WORN)(images, torch.Generator().manual_seed(1))
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(2))
    gradients = [torch.autograd.grad((weights * one).sum(), images)[0] for one in (seen, weather._halved(images))]
    assert torch.equal(*gradients) and gradients[0].any()
    there = [smooth()[1], *(IMAGE_WEAR[name].change([smooth()[1]])[0] for name in WORN)]
    found = (seen.detach() * 255).round().to(torch.uint8).movedim(1, 3).numpy()
    met = [[np.array_equal(one, wanted) for wanted in there] for one in found]
    assert all(sum(row) == 1 for row in met) and np.any(met, axis=0).all()


@pytest.mark.parametrize("name", ["jpeg-76", "resize-kornia"])
def test_wear_that_is_not_there_or_changes_the_size_is_refused_before_anything_is_learned(name):
    with pytest.raises(ValueError, match=rf"no wear '{name}' that keeps the size.*jpeg-75-420"):
        fitted("error-min", None, wear=["webp-75", name])


def test_a_codec_that_is_not_installed_is_named_before_anything_is_learned(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(ImportError, match="pillow>=11.3"):
        fitted("error-min", None, wear="avif-60")


@pytest.mark.slow
def test_noise_that_is_learned_under_a_codec_is_told_after_it(monkeypatch):
    """What a surrogate tells from the noise of a class on new images, once they are JPEGs."""
    learners, make = [], ErrorMinTransform._learner
    monkeypatch.setattr(ErrorMinTransform, "_learner", lambda *a, **k: learners.append(make(*a, **k)) or learners[-1])
    images = real("cifar10_jpeg").shuffle(seed=7)
    rows, new = images.select(range(400)), images.select(range(400, 700))

    def told(**wear):
        cloak = ErrorMinTransform(noise="class", seed=3, **wear).fit(rows)
        coded = np.stack(IMAGE_WEAR["jpeg-75-420"].change(arrays(new.map(cloak, batched=True))))
        with torch.no_grad():
            answers = learners[-1].model.eval()(torch.from_numpy(coded).movedim(3, 1).float() / 255).argmax(1)
        return np.mean(answers.numpy() == np.array(new["label"][:]))

    assert told(wear="jpeg-75-420") > told() + 0.1
