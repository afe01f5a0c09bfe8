"""Countermeasures in training draw from their generator alone, and change batches as published."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable.adversary import composed
from hf_unlearnable.image.countermeasures import (
    IMAGE_COUNTERMEASURES,
    coin,
    cutmix,
    cutout,
    mixup,
    random_resized_crop,
    random_sharpening_kernels,
    sharpening_and_low_pass,
)
from hf_unlearnable.image.methods.convolution import class_kernel, convolved
from tests.examples import levels
from tests.image.countermeasures.images import photos

torch = pytest.importorskip("torch", reason="image countermeasures need torch")

IN_TRAINING = [name for name, measure in IMAGE_COUNTERMEASURES.items() if measure.in_training]
KORNIA = {"rand-augment", "ueraser"}


def small_model(classes: int = 5) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(), torch.nn.Linear(8, classes),
        ).train()  # fmt: skip


def batch(n: int = 24, size: int = 16) -> tuple:
    images = torch.tensor(levels(n, 4, size, size)).permute(0, 3, 1, 2) / 255  # channels last in memory, as victims do
    return images, torch.arange(n) % 5


def drawn_by(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", IN_TRAINING)
def test_in_training_gives_images_drawn_from_the_generator_only(name):
    if name in KORNIA:
        pytest.importorskip("kornia", reason="strong augmentation needs kornia")
    hook = IMAGE_COUNTERMEASURES[name].in_training
    (images, targets), model = batch(), small_model()
    hook(images, targets, model, drawn_by(9))  # libraries may draw while they are imported
    kept, weights = images.clone(), {key: value.clone() for key, value in model.state_dict().items()}
    state = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    first, wanted = hook(images, targets, model, drawn_by(0))
    torch.rand(3)
    again, _ = hook(images, targets, model, drawn_by(0))
    other, _ = hook(images, targets, model, drawn_by(1))
    torch.set_rng_state(torch.tensor(state[2], dtype=torch.uint8))
    assert (random.getstate(), str(np.random.get_state())) == state[:2]
    assert first.shape == images.shape and first.dtype == images.dtype and not first.requires_grad
    assert first.isfinite().all() and first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, images)
    assert torch.equal(images, kept), "the batch itself is left as it was"
    assert model.training and all(torch.equal(model.state_dict()[key], value) for key, value in weights.items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    torch.nn.functional.cross_entropy(model(first), wanted).backward()  # what a victim does with it


@pytest.mark.parametrize("name", IN_TRAINING)
def test_in_training_leaves_the_global_generator_of_torch(name):
    if name in KORNIA:
        pytest.importorskip("kornia", reason="strong augmentation needs kornia")
    hook, (images, targets), model = IMAGE_COUNTERMEASURES[name].in_training, batch(8), small_model()
    state = torch.get_rng_state()
    hook(images, targets, model, drawn_by(0))
    assert torch.equal(torch.get_rng_state(), state)


@given(st.integers(0, 10**6))
def test_mixup_and_cutmix_mix_labels_as_they_mix_images(seed):
    images = torch.zeros(6, 3, 20, 20)
    images += torch.eye(6)[:, :3, None, None]  # images 0, 1 and 2 each have a channel of their own
    targets, model = torch.tensor([0, 1, 2, 4, 4, 4]), small_model()
    for hook in (mixup, cutmix):
        mixed, wanted = hook(images, targets, model, drawn_by(seed))
        assert wanted.shape == (6, 5) and torch.allclose(wanted.sum(1), torch.ones(6))
        assert torch.allclose(mixed.mean((2, 3)), wanted[:, :3], atol=1e-5)


def test_cutout_hides_a_square_of_half_the_width_and_nothing_else():
    images, targets = batch(200, 32)
    images = images * 0.9 + 0.1
    out, same = cutout(images, targets, small_model(), drawn_by(0))
    hidden = (out == 0).all(1)
    assert same is targets and torch.equal(out.movedim(1, 3)[~hidden], images.movedim(1, 3)[~hidden])
    areas = hidden.sum((1, 2))
    assert areas.max() <= 256 and areas.min() >= 64 and (areas == 256).float().mean() > 0.15
    assert hidden.float().mean(0).min() > 0.02, "any place may be hidden"


@given(st.integers(0, 10**6))
def test_a_crop_shows_a_part_and_nothing_from_outside(seed):
    flat = torch.full((4, 3, 16, 12), 0.3)
    assert torch.allclose(random_resized_crop(flat, drawn_by(seed)), flat, atol=1e-6)
    ramp = torch.linspace(0, 1, 64).expand(8, 1, 64, 64)
    shown = random_resized_crop(ramp, drawn_by(seed))[:, 0, 0]
    slope = (shown.diff(dim=1) * 63)[:, 8:-8]
    assert (slope > 0.3).all() and (slope < 1.01).all()  # enlarged at most by the root of 5 times 4 / 3
    assert (slope.amax(1) - slope.amin(1)).max() < 0.01


def test_sharpening_leaves_flat_images_and_cuts_the_finest_grain():
    flat = torch.full((4, 3, 16, 16), 0.4)
    targets = torch.zeros(4, dtype=torch.long)
    assert torch.allclose(sharpening_and_low_pass(flat, targets, small_model(), drawn_by(0))[0], flat, atol=1e-5)
    wave = torch.cos(torch.pi * 13 / 16 * (torch.arange(16) + 0.5))
    fine = flat + 0.05 * wave
    assert torch.allclose(sharpening_and_low_pass(fine, targets, small_model(), drawn_by(0))[0], flat, atol=1e-3)
    edge = torch.full((4, 3, 16, 16), 0.4)
    edge[..., 8:] = 0.6
    assert sharpening_and_low_pass(edge, targets, small_model(), drawn_by(0))[0].std() > edge.std()


def test_the_published_kernels_sharpen_filter_and_frame_as_published():
    """Against another way to compute it: scipy's cosine transform of an image that was convolved by hand."""
    from scipy.fft import dctn, idctn

    images, targets = batch(6, 32)
    made, same = random_sharpening_kernels(images, targets, small_model(), drawn_by(5))
    assert same is targets and made.shape == images.shape
    random = drawn_by(5)
    draws = torch.randn(6, 5, generator=random).double().numpy()
    down, right = (torch.randint(0, 7, (6,), generator=random).tolist() for _ in range(2))
    for image, out, (c, *n), y, x in zip(images.double().numpy(), made, draws, down, right):
        centre = 2.5 + 0.1 * c
        up, left, after, below = ((centre - 1) / 4 + 0.1 * np.array(n))[:, None, None, None]
        sharp = (
            centre * image[:, 1:-1, 1:-1] - up * image[:, :-2, 1:-1] - left * image[:, 1:-1, :-2]
            - after * image[:, 1:-1, 2:] - below * image[:, 2:, 1:-1]
        ).clip(0, 1)  # fmt: skip
        spectrum = dctn(sharp, axes=(1, 2), norm="ortho")
        spectrum[:, 9:], spectrum[:, :, 9:] = 0, 0  # 9 of 30 cosines per side stay
        framed = np.pad(idctn(spectrum, axes=(1, 2), norm="ortho").clip(0, 1), ((0, 0), (4, 4), (4, 4)))
        assert np.abs(framed[:, y : y + 32, x : x + 32] - out.numpy()).max() < 1e-5


@pytest.mark.parametrize("size", [8, 16, 30, 65])
def test_the_published_kernels_take_any_size_and_leave_a_flat_image_its_colour_inside(size):
    flat = torch.full((5, 3, size, size), 0.5)
    made, _ = random_sharpening_kernels(flat, torch.zeros(5, dtype=torch.long), small_model(), drawn_by(size))
    inside = made[:, :, size // 4 : -(size // 4), size // 4 : -(size // 4)]
    assert made.shape == flat.shape and (inside.amax((1, 2, 3)) - inside.amin((1, 2, 3))).max() < 1e-5
    assert (inside.mean((1, 2, 3)) - 0.5).abs().max() < 0.4, "the kernel's weights sum to 1, give or take 0.2"


@given(st.integers(0, 10**6))
def test_coin_reads_every_pixel_from_within_its_reach(seed):
    images = torch.rand(3, 2, 12, 9, generator=drawn_by(seed))
    for reach in (0.0, 0.7, 2.0):
        made, _ = coin(images, torch.arange(3), small_model(), drawn_by(seed), reach)
        near = [
            images.roll((y, x), (2, 3))
            for y in range(-2, 3)
            for x in range(-2, 3)
            if max(abs(y), abs(x)) <= -(-reach // 1)
        ]
        assert (made >= torch.stack(near).amin(0) - 1e-6).all() and (made <= torch.stack(near).amax(0) + 1e-6).all()
    assert torch.equal(coin(images, torch.arange(3), small_model(), drawn_by(seed), 0.0)[0], images)


def test_coin_draws_a_place_per_pixel_and_the_same_one_for_the_channels():
    down, across = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    made, _ = coin(torch.stack([down, down, across, across])[None], torch.zeros(1), small_model(), drawn_by(1))
    assert torch.equal(made[:, 0], made[:, 1]) and torch.equal(made[:, 2], made[:, 3])
    moved = (made[0, ::2] - torch.stack([down, across]))[:, 3:-3, 3:-3]  # inside, where nothing wraps around
    assert moved.abs().max() <= 2 and (moved.abs() > 1.9).any() and moved.mean().abs() < 0.15
    assert moved.std() == pytest.approx(2 / 3**0.5, rel=0.06), "uniform from -2 to 2"
    neighbours = torch.corrcoef(torch.stack([moved[0, :, :-1].flatten(), moved[0, :, 1:].flatten()]))[0, 1]
    assert neighbours.abs() < 0.15


def filters_recognised(hook) -> float:
    """How often the nearest mean amplitude spectrum names the filter of a class, on other photos under the same ones."""
    spectra, labels = [], np.arange(240) % 4
    for seed in (1, 2):
        filtered = [convolved(one, class_kernel(i % 4 + 11, 3, 0.3)) for i, one in enumerate(photos(240, seed, 32))]
        images = torch.tensor(np.stack(filtered)).permute(0, 3, 1, 2) / 255
        seen = images if hook is None else hook(images, torch.tensor(labels), small_model(), drawn_by(seed))[0]
        window = np.hanning(32)[:, None] * np.hanning(32)
        amplitude = np.abs(np.fft.rfft2(seen.numpy() * window)).mean(1)
        spectra.append(np.log(amplitude + 1e-3).reshape(240, -1))
    means = np.stack([spectra[0][labels == label].mean(0) for label in range(4)])
    return (((spectra[1][:, None] - means) ** 2).sum(2).argmin(1) == labels).mean()


def test_filters_of_classes_are_recognised_and_hardly_after_random_filters():
    assert filters_recognised(None) > 0.98
    assert filters_recognised(sharpening_and_low_pass) < 0.6
    assert filters_recognised(random_sharpening_kernels) < 0.45 and filters_recognised(coin) < 0.45  # by chance 0.25


@pytest.mark.parametrize("name", ["mixup+cutmix", "cutout+mixup", "mixup+adversarial-training-4", "coin+cutmix+mixup"])
def test_compositions_in_training_keep_probabilities(name):
    images, targets = batch(20)
    seen, wanted = composed(name, IMAGE_COUNTERMEASURES).in_training(images, targets, small_model(), drawn_by(3))
    assert seen.shape == images.shape and wanted.shape == (20, 5) and torch.allclose(wanted.sum(1), torch.ones(20))
    own = wanted[torch.arange(20), targets]
    assert (own > 0).all() and own.mean() < 0.95


@pytest.mark.parametrize("levels_changed", [4, 8])
def test_adversarial_batches_are_harder_than_random_noise_and_stay_in_their_ball(levels_changed):
    images, targets = batch(60)
    model = small_model()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), targets).backward()
        optimizer.step()
    optimizer.zero_grad()
    hook = IMAGE_COUNTERMEASURES[f"adversarial-training-{levels_changed}"].in_training
    hard, same = hook(images, targets, model, drawn_by(0))
    epsilon = levels_changed / 255
    assert same is targets and epsilon * 0.9 < (hard - images).abs().max() <= epsilon + 1e-6
    noise = epsilon * (2 * torch.rand(images.shape, generator=drawn_by(1)) - 1).sign()
    model.eval()

    def loss(seen: torch.Tensor) -> float:
        return torch.nn.functional.cross_entropy(model(seen), targets).item()

    assert loss(hard) > loss(images) + 0.05 and loss(hard) > loss((images + noise).clamp(0, 1)) + 0.05
