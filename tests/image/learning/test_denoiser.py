"""The small denoiser: its errors, how it draws steps, sizes that it takes, and latents."""

import math

import pytest

torch = pytest.importorskip("torch", reason="denoisers need torch")

from hf_unlearnable.image.learning.denoiser import NUM_STEPS, denoiser, denoising_errors  # noqa: E402
from hf_unlearnable.learning.pgd import frozen  # noqa: E402


def images(count=4, size=12):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(8, 8), (9, 14), (5, 7), (33, 32)])
def test_an_answer_has_the_size_of_the_images(shape):
    x = torch.rand(2, 3, *shape)
    assert denoiser(3)(x, torch.tensor([0, 999])).shape == x.shape


def test_a_denoiser_has_the_weights_that_its_docstring_tells():
    assert round(sum(p.numel() for p in denoiser(3).parameters()), -3) == 55_000


def test_the_step_changes_the_answer():
    model, x = denoiser(3), images()
    one, two = (model(x, torch.full((4,), step)) for step in (0, 900))
    assert (one - two).abs().max() > 1e-3


def test_an_answer_of_zero_is_as_wrong_as_the_noise_is_large():
    model = denoising_errors("uniform")
    for parameter in model.denoiser.last.parameters():
        torch.nn.init.zeros_(parameter)
    torch.manual_seed(1)
    errors = model(images(64))
    assert errors.shape == (64, 1)
    assert errors.mean().item() == pytest.approx(1, abs=0.03)  # the variance of e


@pytest.mark.parametrize(("timesteps", "mean"), [("uniform", 0.5), ("noise-weighted", 0.5 - 2 / math.pi**2)])
def test_steps_are_drawn_as_told(timesteps, mean):
    weights = denoising_errors(timesteps).weights
    torch.manual_seed(0)
    drawn = weights.multinomial(20_000, replacement=True) / NUM_STEPS
    assert drawn.mean().item() == pytest.approx(mean, abs=0.01)  # of t cos(t pi / 2)^2 / the integral of the latter


def test_the_same_seed_draws_the_same_errors():
    model = denoising_errors("uniform")
    found = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        found.append(model(images()))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_a_frozen_copy_gives_the_gradient_of_the_image_and_keeps_none_of_its_own():
    model, x = frozen(denoising_errors("noise-weighted")), images().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert (gradient != 0).all(dim=(1, 2, 3)).any()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    diffusers = pytest.importorskip("diffusers", reason="latents need diffusers")
    folder = str(tmp_path_factory.mktemp("vae"))
    diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
        norm_num_groups=4, latent_channels=4, scaling_factor=0.5,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_in_latents_the_gradient_goes_through_the_encoder(autoencoder):
    model, x = denoising_errors("uniform", autoencoder), images(2, 16).requires_grad_()
    assert model.denoiser.first.in_channels == 16  # 4 latent channels, folded by 2
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert gradient.abs().amax(dim=(1, 2, 3)).min() > 0
    assert not any("encoder" in name for name in model.state_dict())  # a checkpoint holds no autoencoder


def test_the_encoder_is_shared_by_copies_and_not_trained(autoencoder):
    model = denoising_errors("uniform", autoencoder)
    trained = sum(p.numel() for p in model.parameters())
    assert trained == sum(p.numel() for p in denoiser(4).parameters())


@pytest.mark.parametrize("content", [None, "{}", '{"_class_name": "UNet2DModel"}'])
def test_a_folder_without_an_autoencoder_is_named(tmp_path, content):
    pytest.importorskip("diffusers", reason="latents need diffusers")
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(OSError, match=f"{tmp_path} holds no AutoencoderKL that can be loaded"):
        denoising_errors("uniform", str(tmp_path))
