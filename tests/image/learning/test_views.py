"""Random views: differentiable, as strong as they are told, and the same draws for the same generator."""

import math

import pytest

torch = pytest.importorskip("torch", reason="views need torch")

from hf_unlearnable.image.learning.views import check_strength, contrastive_view, cosine  # noqa: E402


def images(count=40, side=12):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(5))


def seen(given, seed=0, **options):
    return contrastive_view(given, torch.Generator().manual_seed(seed), **options)


def test_a_view_is_another_one_each_time_and_still_an_image():
    generator = torch.Generator().manual_seed(0)
    first, second = (contrastive_view(images(), generator) for _ in range(2))
    assert first.shape == images().shape and first.min() >= 0 and first.max() <= 1
    assert (first - second).abs().mean() > 0.05
    gray = ((first - first.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-6).float().mean()
    assert 0.02 < gray < 0.5
    assert torch.equal(seen(images(), seed=3), seen(images(), seed=3))


def test_without_strength_an_image_is_mirrored_and_stretched_and_its_colours_stay():
    ramp = torch.linspace(0, 1, 12).expand(40, 3, 12, 12).contiguous()
    found = seen(ramp, strength=0.0)
    shown = found[:, 0, 0]
    assert torch.equal(found[:, 0], found[:, 1]) and 8 < int((shown[:, 0] > shown[:, -1]).sum()) < 32
    width = (shown[:, 0] - shown[:, -1]).abs()
    assert width.min() > 0.75 and width.max() > 0.99
    blue = torch.tensor([0.1, 0.2, 0.9])[None, :, None, None].expand(8, 3, 12, 12)
    assert torch.allclose(seen(blue, strength=0.0), blue, atol=1e-6)


@pytest.mark.parametrize("strengths", [(0.0, 0.3), (0.3, 0.6), (0.6, 1.0)])
def test_more_strength_changes_more(strengths):
    flat = torch.full((200, 3, 8, 8), 0.5)
    less, more = (float((seen(flat, strength=one) - flat).abs().mean()) for one in strengths)
    assert less < more


def test_the_gradient_of_a_view_reaches_what_it_shows():
    given = images(16).requires_grad_()
    (gradient,) = torch.autograd.grad(seen(given, strength=0.6).sum(), given)
    assert gradient.isfinite().all() and (gradient != 0).float().mean() > 0.2
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()


@pytest.mark.parametrize(("done", "share"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0), (1 / 3, 0.75)])
def test_the_learning_rate_is_that_of_a_cosine(done, share):
    weight = torch.nn.Parameter(torch.zeros(1))

    class Learner:
        optimizer = torch.optim.SGD([weight], 0.3)

    cosine(Learner, 0.2, done)
    assert Learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * share)


@pytest.mark.parametrize("strength", [-0.1, 1.5, math.nan])
def test_a_strength_out_of_range_is_named(strength):
    with pytest.raises(ValueError, match=f"view_strength is {strength}"):
        check_strength(strength)
