"""Diffusion models as victims: what they answer, what they learn, pipelines, sizes, and what is refused."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="image victims need torch")
diffusers = pytest.importorskip("diffusers", reason="diffusion models need diffusers")

import torch  # noqa: E402

from hf_unlearnable.adversary import Generator, victim  # noqa: E402
from hf_unlearnable.image import ddpm as process  # noqa: E402
from hf_unlearnable.image.victims import ddpm, finetuned_ddpm  # noqa: E402
from hf_unlearnable.image.victims.training import ImageTraining, rgb, seen  # noqa: E402

FEW = {"epochs": 1, "steps": 2}


def plain(count, size=8):
    """Dark images of class 4 and bright ones of class 9."""
    rng = np.random.default_rng(0)
    labels = [(4, 9)[i % 2] for i in range(count)]
    return [rng.integers(20, 60, (size, size, 3), np.uint8) + (label == 9) * np.uint8(160) for label in labels], labels


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A tiny unconditional pipeline for images of 8 pixels that halves them once."""
    folder = str(tmp_path_factory.mktemp("pipeline"))
    unet = diffusers.UNet2DModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4, add_attention=False,
        down_block_types=["DownBlock2D"] * 2, up_block_types=["UpBlock2D"] * 2,
    )  # fmt: skip
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(100)).save_pretrained(folder)
    return folder


def test_a_model_learns_which_class_is_dark():
    made = ddpm(*plain(32), [4, 9] * 4, epochs=40, batch_size=32, learning_rate=5e-3, steps=5)
    means = np.array([image.mean() for image in made])
    assert means[0::2].mean() + 60 < means[1::2].mean()


def test_it_makes_an_image_of_each_label_and_repeats_itself():
    images, labels = plain(8)
    one, two, other = (ddpm(images, labels, [9, 4, 9], seed=seed, **FEW) for seed in (1, 1, 2))
    assert len(one) == 3 and all(image.shape == (8, 8, 3) and image.dtype == np.uint8 for image in one)
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_a_class_that_was_not_there_gives_a_gray_image():
    made = ddpm(*plain(8), [4, 7], **FEW)
    assert (made[1] == 127).all() and not (made[0] == 127).all()


def test_it_is_a_generator_without_hooks():
    assert isinstance(ddpm, Generator) and ddpm.generates
    assert {"on_epoch", "in_training"}.isdisjoint(ddpm.takes)
    with pytest.raises(TypeError, match="ddpm has no setting 'in_training'"):
        ddpm([], [], [], in_training=None)
    assert isinstance(ddpm.configured(steps=3), Generator)
    assert not victim("image")(lambda a, b, c, training: c).generates


def test_its_unet_has_the_weights_that_the_docstring_tells():
    _, build = process.small(16, 10)
    assert 155_000 < sum(p.numel() for p in build().parameters()) < 165_000


@pytest.mark.parametrize(("size", "made"), [(3, 8), (8, 8), (13, 16), (30, 32)])
def test_images_of_any_size_are_seen_at_a_size_that_can_be_halved(size, made):
    assert ddpm(*plain(4, size), [4], **FEW)[0].shape == (made, made, 3)


@pytest.mark.parametrize(("size", "advice"), [(10, 12), (2, 4), (6, 8)])
def test_a_size_that_cannot_be_halved_is_refused(size, advice):
    with pytest.raises(ValueError, match=f"have {size} pixels per side.*multiple of 4, such as {advice}"):
        ddpm(*plain(4), [4], image_size=size, **FEW)


def test_gray_images_are_taken():
    images, labels = plain(4)
    assert ddpm([image[:, :, 0] for image in images], labels, [4], **FEW)[0].shape == (8, 8, 3)


@pytest.mark.parametrize(("count", "told"), [(0, "0 classes"), (1, "1 class")])
def test_one_image_names_no_two_classes(count, told):
    with pytest.raises(ValueError, match=f"The labels hold {told}"):
        ddpm(plain(count)[0], np.array(plain(count)[1], int), [4], **FEW)


def test_an_unconditional_model_learns_from_one_image():
    images = rgb(plain(1)[0], 8)
    made = process.small(8, None)
    drawn = process.trained_ddpm(
        made, images, None, ImageTraining(epochs=80, learning_rate=5e-3, augment=False),
        lambda unet: made[0].drawn(unet, None, (2, 3, 8, 8), 5, 0),
    )  # fmt: skip
    assert np.abs(drawn.astype(int) - images.numpy()).mean() < 25


@pytest.mark.parametrize("start", [0.0, 0.2, 1.0])
def test_purification_goes_as_far_as_it_is_told(start):
    diffusion, build = process.small(8, None)
    images = rgb(plain(4)[0], 8)
    purified = diffusion.purified(build(), images, None, start, 10, seed=0)
    assert purified.shape == images.shape
    assert np.array_equal(purified, images) == (start == 0)


def test_the_process_is_undone_by_a_model_that_knows_the_image():
    for kind in ("epsilon", "sample", "v_prediction"):
        scheduler = diffusers.DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2", prediction_type=kind)
        diffusion, image = process.Diffusion(scheduler, classes=False), torch.rand(2, 3, 8, 8) * 2 - 1
        noise, step = torch.randn(image.shape), torch.tensor([400, 400])
        covered = scheduler.add_noise(image, noise, step)
        answer = {"epsilon": noise, "sample": image, "v_prediction": scheduler.get_velocity(image, noise, step)}[kind]
        found, rest = diffusion._parted(answer, covered, float(scheduler.alphas_cumprod[400]))
        assert torch.allclose(found, image, atol=1e-4) and torch.allclose(rest, noise, atol=1e-4)


def test_a_loss_that_is_no_number_is_told():
    with pytest.raises(FloatingPointError, match="The loss is nan: the diffusion model diverged. Lower learning_rate"):
        ddpm(*plain(8), [4], learning_rate=1e30, epochs=9, batch_size=2, steps=1)


def test_steps_start_at_1():
    with pytest.raises(ValueError, match="steps is 0"):
        ddpm(*plain(8), [4], epochs=1, steps=0)


def test_a_pretrained_model_goes_on_from_its_weights(pipeline):
    diffusion, build = process.pretrained(pipeline, 8, 2)
    before = diffusers.UNet2DModel.from_pretrained(pipeline, subfolder="unet").state_dict()
    after = build().state_dict()
    assert set(after) - set(before) == {"class_embedding.weight"} and after["class_embedding.weight"].shape == (2, 32)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert diffusion.patch == 1 and diffusion.scheduler.config.num_train_timesteps == 100


def test_a_pretrained_model_is_fine_tuned_at_its_own_size(pipeline):
    made = finetuned_ddpm(*plain(8, 20), [4, 9], model=pipeline, epochs=1, steps=2)
    assert [image.shape for image in made] == [(8, 8, 3)] * 2


def test_lora_leaves_the_weights_alone_and_learns(pipeline):
    pytest.importorskip("peft", reason="LoRA needs peft")
    before = diffusers.UNet2DModel.from_pretrained(pipeline, subfolder="unet").state_dict()
    diffusion, build = process.pretrained(pipeline, 8, 2)
    images, labels = plain(32)
    targets, training = torch.tensor(labels) // 9, ImageTraining(epochs=40, learning_rate=1e-2, augment=False)
    unet = process.trained_ddpm(
        (diffusion, process.adapted(build, 4)), rgb(images, 8), targets.numpy(), training, lambda unet: unet
    )
    kept = {name.replace(".base_layer", ""): value for name, value in unet.base_model.model.state_dict().items()}
    assert all(torch.equal(kept[name], before[name]) for name in before)
    learned = {name for name, value in unet.named_parameters() if value.requires_grad}
    assert any("class_embedding" in name for name in learned) and any("conv_in.lora_A" in name for name in learned)
    loss = [
        float(diffusion.loss(one.eval(), seen(rgb(images, 8)), targets, torch.Generator().manual_seed(0)))
        for one in (build(), unet)
    ]
    assert loss[1] < 0.75 * loss[0]


def test_lora_is_a_setting_of_the_victim(pipeline):
    pytest.importorskip("peft", reason="LoRA needs peft")
    some = plain(8), [4, 9]
    whole, thin = (finetuned_ddpm(*some[0], some[1], model=pipeline, lora_rank=rank, **FEW) for rank in (None, 2))
    assert thin[0].shape == (8, 8, 3) and not np.array_equal(whole, thin)
    with pytest.raises(ValueError, match="lora_rank is 0, but it starts at 1"):
        finetuned_ddpm(*some[0], some[1], model=pipeline, lora_rank=0, **FEW)


def test_an_unconditional_victim_is_told_no_class(pipeline):
    for model in (ddpm.configured(**FEW), finetuned_ddpm.configured(model=pipeline, **FEW)):
        one, two, told = (
            model(*plain(8), labels, conditional=conditional)
            for labels, conditional in (([4, 9], False), ([9, 7], False), ([4, 9], True))
        )
        assert np.array_equal(one, two) and not np.array_equal(one, told)


def test_a_pretrained_model_has_to_be_named():
    with pytest.raises(TypeError, match="finetuned_ddpm has no default for model"):
        finetuned_ddpm(*plain(4), [4])


@pytest.mark.parametrize("missing", ["scheduler", "unet"])
def test_a_pipeline_without_a_part_is_named(pipeline, tmp_path, missing):
    import shutil

    shutil.copytree(pipeline, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / missing)
    with pytest.raises(OSError, match=f"copy holds no {missing} that can be loaded: give the id or folder of a whole"):
        finetuned_ddpm(*plain(4), [4], model=str(tmp_path / "copy"), image_size=8)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_pretrained_model_refuses_images_smaller_than_it_can_halve(pipeline, size):
    with pytest.raises(ValueError, match=f"have {size} pixels per side, and the UNet halves them until 2"):
        finetuned_ddpm(*plain(4), [4], model=pipeline, image_size=size, **FEW)
