"""Countermeasures on images take away what they are meant to, leave the rest, and draw from the given generator only."""

import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from hf_unlearnable.adversary import Attacker, Rows, composed
from hf_unlearnable.image.countermeasures import (
    IMAGE_COUNTERMEASURES,
    box_blur,
    class_mean_subtraction,
    coin,
    constant_pixel_repair,
    cutmix,
    cutout,
    grayscale,
    jpeg,
    median_filter,
    mixup,
    orthogonal_projection,
    random_resized_crop,
    random_sharpening_kernels,
    reduced_bits,
    rounded_bits,
    sharpening_and_low_pass,
    spectrum_equalisation,
    without_grain,
)
from hf_unlearnable.image.countermeasures.classes import _linear_weights
from hf_unlearnable.image.methods.convolution import class_kernel, convolved
from hf_unlearnable.image.methods.texture import tiled
from tests.examples import levels

torch = pytest.importorskip("torch", reason="image countermeasures need torch")

ON_ROWS = [name for name, measure in IMAGE_COUNTERMEASURES.items() if measure.on_rows and not measure.needs]
IN_TRAINING = [name for name, measure in IMAGE_COUNTERMEASURES.items() if measure.in_training]
KORNIA = {"rand-augment", "ueraser"}


def photos(rows: int, seed: int = 0, size: int = 16) -> np.ndarray:
    """Smooth pictures from 40 to 215: room for noise on both sides."""
    return (40 + levels(rows, seed, size, size) * (175 / 255)).astype(np.uint8)


def classed(change, rows: int = 200, classes: int = 4, size: int = 16) -> tuple[Rows, np.ndarray]:
    """Photos of classes in turn, `change(levels, label)` made to each, and the photos as they were."""
    before = photos(rows, size=size)
    labels = [i % classes for i in range(rows)]
    return Rows([change(one, label) for one, label in zip(before, labels)], labels), before


def stacked(rows: Rows) -> np.ndarray:
    return np.stack(rows.inputs).astype(float)


# ------------------------------------------------------------------ on rows
@pytest.mark.parametrize("name", ON_ROWS)
def test_on_rows_is_pure_and_keeps_size_and_labels(name):
    arrays = [*photos(6, size=16), *photos(6, 1, size=20)[:, :, :13]]
    images = [
        *arrays,
        Image.fromarray(arrays[0]).convert("L"),
        Image.fromarray(arrays[1]).convert("RGBA"),
        arrays[2][:, :, :1],
    ]
    labels = [i % 3 for i in range(len(images))]
    before = [np.asarray(image).copy() for image in images]
    random_state = random.getstate(), str(np.random.get_state())
    measure = IMAGE_COUNTERMEASURES[name]
    first, again = (measure.on_rows(Rows(images, labels), Attacker(seed=3)) for _ in range(2))
    assert (random.getstate(), str(np.random.get_state())) == random_state
    assert list(first.labels) == labels
    for image, old, out, same in zip(images, before, first.inputs, again.inputs):
        assert out.dtype == np.uint8 and out.shape == (*old.shape[:2], 3)
        assert (out == same).all() and (np.asarray(image) == old).all()


def test_the_names_and_their_order():
    names = list(IMAGE_COUNTERMEASURES)
    assert names[:4] == ["jpeg-10", "jpeg-50", "jpeg-90", "grayscale"] and names[-1] == "clean-20%"
    assert [name for name in names if IMAGE_COUNTERMEASURES[name].needs] == [
        "clean-1%",
        "clean-5%",
        "clean-20%",
    ]
    assert all(measure.on_rows or measure.in_training for measure in IMAGE_COUNTERMEASURES.values())


def test_clean_data_is_mixed_in():
    rows, clean = Rows(list(photos(40)), [0, 1] * 20), Rows([Image.fromarray(one) for one in photos(9, 5)], [0] * 9)
    mixed = IMAGE_COUNTERMEASURES["clean-20%"].on_rows(rows, Attacker(clean=clean))
    assert len(mixed) == 48 and list(mixed.labels) == [0, 1] * 20 + [0] * 8


def test_jpeg_is_that_of_pillow_and_coarser_with_less_quality():
    image = levels(1, height=16, width=16)[0]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=50)
    assert (jpeg(image, 50) == np.asarray(Image.open(file))).all()
    error = [np.abs(jpeg(image, quality).astype(float) - image).mean() for quality in (10, 50, 90)]
    assert error[0] > error[1] > error[2] > 0


def test_gray_and_bits():
    image = levels(1, height=16, width=16)[0]
    gray = grayscale(image)
    assert (gray == gray[:, :, :1]).all() and (gray[:, :, 0] == np.asarray(Image.fromarray(image).convert("L"))).all()
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert rounded_bits(every).ravel().tolist() == [0] * 43 + [85] * 85 + [170] * 85 + [255] * 43
    assert reduced_bits(every).ravel().tolist() == [0] * 64 + [64] * 64 + [128] * 64 + [192] * 64


@pytest.mark.parametrize("bits", range(1, 9))
def test_reduced_bits_are_those_of_posterize(bits):
    image = levels(1, bits, height=9, width=7)[0]
    assert (reduced_bits(image, bits) == np.asarray(ImageOps.posterize(Image.fromarray(image), bits))).all()
    assert len(np.unique(reduced_bits(np.arange(256, dtype=np.uint8), bits))) == 2**bits


def test_the_median_takes_a_single_pixel_without_a_trace():
    image = np.full((9, 9, 3), 90, np.uint8)
    image[4, 5] = 255, 0, 255
    assert (median_filter(image) == 90).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(0, 24))
def test_a_box_of_two_takes_a_grain_of_two(seed, start):
    tile = np.random.default_rng(seed).choice([-8, 8], (2, 2, 3))
    grained = (120 + tiled(tile, (16, 16, 3), 1, start)).astype(np.uint8)
    inside = box_blur(grained)[1:-1, 1:-1].astype(int)
    assert (np.ptp(inside.reshape(-1, 3), axis=0) <= 1).all()
    assert np.abs(inside.mean((0, 1)) - grained.mean((0, 1))).max() <= 1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(0, 24), st.sampled_from([(20, 20), (17, 23), (64, 40)]))
def test_what_repeats_is_removed_whatever_it_is_and_little_else(seed, period, start, size):
    photo = (50 + levels(1, seed, *size)[0] * 0.6).astype(np.uint8)
    tile = np.random.default_rng(seed).choice([-8, 8], (period, period, 3)).astype(np.int8)
    grain = tiled(tile, photo.shape, 1, start)
    difference = without_grain((photo + grain).astype(np.uint8)).astype(float) - without_grain(photo)
    left = difference - difference.mean((0, 1))
    assert np.abs(left).max() <= 5 and left.std() < 1.6, "of a grain of 8 levels; the periods share a little"


def test_grain_that_grew_with_the_image_is_removed_too():
    photo = np.full((448, 448, 3), 120, np.uint8)
    tile = np.random.default_rng(0).choice([-8, 8], (2, 2, 3)).astype(np.int8)
    grained = (photo + tiled(tile, photo.shape, 2, 3)).astype(np.uint8)
    for removed in (without_grain(grained), box_blur(grained)[4:-4, 4:-4]):
        assert grained.std((0, 1)).min() > 3 and removed.std((0, 1)).max() < 1


def nearest_mean(rows: Rows, tests: np.ndarray, labels: list) -> float:
    """How often the nearest class mean of the rows is right about other images: what a linear signal gives away."""
    images, classes = stacked(rows).reshape(len(rows), -1), np.asarray(rows.labels)
    means = np.stack([images[classes == label].mean(0) for label in np.unique(classes)])
    scores = tests.reshape(len(tests), -1) @ means.T - (means**2).sum(1) / 2
    return (scores.argmax(1) == np.asarray(labels)).mean()


def patterned(cell: int = 1):
    pattern = (
        np.random.default_rng(1).choice([-30, 30], (4, 16 // cell, 16 // cell, 3)).repeat(cell, 1).repeat(cell, 2)
    )
    return lambda one, label: (one + pattern[label]).astype(np.uint8)


def test_the_mean_of_a_class_shows_its_noise_and_subtracting_it_takes_most_of_it():
    protected, before = classed(patterned(), rows=400)
    made = class_mean_subtraction(protected, Attacker())
    labels = np.array(protected.labels)
    noise, left = stacked(protected) - before, stacked(made) - before
    noise, left = noise - noise.mean(0), left - left.mean(0)  # what all classes share tells nothing
    for label in range(4):
        assert np.corrcoef(left[labels == label].mean(0).ravel(), noise[labels == label].mean(0).ravel())[0, 1] < 0.5
    assert left[:4].std() < 0.75 * noise.std()
    probe = stacked(Rows([patterned()(one, i % 4) for i, one in enumerate(photos(200, 9))], []))
    assert nearest_mean(protected, probe, [i % 4 for i in range(200)]) > 0.95
    assert nearest_mean(made, probe, [i % 4 for i in range(200)]) < 0.75


@pytest.mark.parametrize("cell", [1, 4])
def test_a_linear_model_reads_nothing_after_the_projection(cell):
    from hf_unlearnable.image.methods.linearization import linear_classifier

    protected, _ = classed(patterned(cell), rows=400)
    made = orthogonal_projection(protected, Attacker())

    def read(rows: Rows) -> float:
        flat, labels = stacked(rows).reshape(400, -1), np.array(rows.labels)
        weights = linear_classifier(flat[:300].astype(np.uint8), labels[:300], 4, 20, 0.003, 0)
        return (np.argmax(flat[300:] @ weights.T, 1) == labels[300:]).mean()

    assert read(protected) > 0.9
    assert read(made) < 0.5


@pytest.mark.parametrize(("rows", "classes"), [(60, 2), (200, 4), (1500, 5)])
def test_the_linear_model_of_the_projection_is_trained_as_published(rows, classes):
    """980 steps of plain SGD in batches of 1,024 in the order of the rows, done again by torch."""
    images, targets = photos(rows, rows, size=6).reshape(rows, -1), np.arange(rows) % classes
    model = torch.nn.Linear(108, classes, bias=False).double()
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [490, 735], 0.1)
    batches = list(zip((torch.tensor(images) / 255.0).double().split(1024), torch.tensor(targets).split(1024)))
    for step in range(980):
        x, y = batches[step % len(batches)]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()
    ours = _linear_weights(images, targets, classes)
    assert np.abs(ours - model.weight.detach().numpy()).max() < 1e-3 * np.abs(ours).max()


def test_a_pixel_that_is_constant_in_its_class_is_repaired_and_no_other():
    def marked(one: np.ndarray, label: int) -> np.ndarray:
        out = one.copy()
        out[3 + label, 7] = (255, 0, 255)
        return out

    protected, before = classed(marked, rows=80)
    made = stacked(constant_pixel_repair(protected, Attacker()))
    here = np.zeros(before.shape[:3], bool)
    for i, label in enumerate(protected.labels):
        here[i, 3 + label, 7] = True
    assert (made[~here] == before[~here]).all()
    assert np.abs(made - before)[here].mean() < 25 < 100 < np.abs(stacked(protected) - before)[here].mean()


def test_equalising_takes_images_of_any_sizes():
    images = [levels(1, i, *size)[0] for i, size in enumerate([(31, 31), (32, 32), (40, 31), (31, 64)])]
    made = spectrum_equalisation(Rows(images, [0, 1, 0, 1]), Attacker())
    assert [one.shape for one in made.inputs] == [one.shape for one in images]


def test_equalising_takes_a_filter_of_a_class_out_of_its_spectrum():
    def filtered(one: np.ndarray, label: int) -> np.ndarray:
        return convolved(one, class_kernel(label + 11, 3, 0.3))

    protected, _ = classed(filtered, rows=400)
    made = spectrum_equalisation(protected, Attacker())

    def apart(rows: Rows) -> float:
        """How far the classes' mean amplitudes lie apart, as a share of them."""
        labels = np.array(rows.labels)
        amplitude = np.abs(np.fft.rfft2(stacked(rows), axes=(1, 2))).mean(3)
        means = np.stack([amplitude[labels == label].mean(0) for label in range(4)])
        return (means.std(0) / means.mean(0)).mean()

    assert apart(made) < 0.05 < 0.2 < apart(protected)


# ------------------------------------------------------------------ in training
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


@settings(deadline=None, max_examples=20)
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


@settings(deadline=None, max_examples=20)
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


@settings(deadline=None, max_examples=20)
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
