"""Denoising-error noise: which way the loss goes, labels that are not read, passes, latents, what is refused."""

import sys
from unittest import mock

import numpy as np
import pytest
from datasets import Dataset, Image

from hf_unlearnable import DenoisingErrorTransform
from hf_unlearnable.image.learning import denoiser
from hf_unlearnable.image.learning.rounds import NoiseLearner
from tests.examples import pictures
from tests.image.methods.cases import arrays

torch = pytest.importorskip("torch", reason="noise is learned with torch")


def unlabelled(rows=12, **shape):
    return pictures(rows, **shape).remove_columns("label")


def losses(direction, num_steps=8):
    """The loss of each step of the noise against a denoiser that stays as it is, with the same draws in each."""
    found = []

    class Watched(DenoisingErrorTransform):
        def _learn(self, learner):
            for this in learner.rounds(num_steps, None, "", keep_last=True):
                torch.manual_seed(0)
                learner.update(
                    this, max_levels=self.max_levels, step_size=2 / 255, num_steps=1, loss=lambda e, _: e.sum(),
                    direction=1 if direction == "raise" else -1,
                )  # fmt: skip
                found.append(this.loss)

    Watched(seed=1, epsilon=16 / 255, direction=direction).fit(unlabelled())
    return found


def test_the_loss_is_lowered_or_raised_as_told():
    lower, higher = losses("lower"), losses("raise")
    assert lower[0] == higher[0]
    assert lower[-1] < lower[0] < higher[-1]


@pytest.mark.parametrize("epsilon", [1 / 255, 8 / 255, 16 / 255])
def test_no_label_is_read_and_the_bound_is_kept(epsilon):
    dataset = unlabelled()
    cloak = DenoisingErrorTransform(seed=2, epsilon=epsilon, max_rounds=5).fit(dataset)
    protected = arrays(dataset.map(cloak, batched=True))
    change = [np.abs(a.astype(int) - b).max() for a, b in zip(protected, arrays(dataset), strict=True)]
    assert max(change) <= round(epsilon * 255) and min(change) > 0


def test_labels_change_nothing():
    dataset = pictures(12)
    one, two = (DenoisingErrorTransform(seed=2, max_rounds=2).fit(data) for data in (dataset, unlabelled()))
    assert np.array_equal(one.key.tensors["levels"], two.key.tensors["levels"])


@pytest.mark.parametrize(
    ("parameters", "passes"), [({"max_rounds": 3}, 6), ({"num_steps": 4}, 10), ({"surrogate_epochs": 3}, 8)]
)
def test_passes_are_those_of_the_schedule(parameters, passes):
    cloak = DenoisingErrorTransform(seed=0, batch_size=4, **{"max_rounds": 2, **parameters}).fit(unlabelled(8))
    assert cloak.image_passes == 8 * passes


@pytest.mark.parametrize("shape", [{"height": 9, "width": 14}, {"channels": 1}, {"height": 8, "width": 8}])
def test_a_single_image_of_any_shape_is_enough(shape):
    dataset = unlabelled(1, **shape)
    cloak = DenoisingErrorTransform(seed=0, max_rounds=2).fit(dataset)
    (before,), (after,) = arrays(dataset), arrays(dataset.map(cloak, batched=True))
    assert before.shape == after.shape and (before != after).any()


def test_timesteps_change_the_noise():
    found = [
        DenoisingErrorTransform(seed=0, max_rounds=2, timesteps=how).fit(unlabelled()).key.tensors["levels"]
        for how in ("uniform", "noise-weighted")
    ]
    assert (found[0] != found[1]).mean() > 0.05


def test_a_loss_that_is_no_number_ends_the_fit(monkeypatch):
    monkeypatch.setattr(NoiseLearner, "train", lambda self, *_, **__: float("nan"))
    build = denoiser.denoising_errors

    def broken(*given):
        model = build(*given)
        torch.nn.init.constant_(model.denoiser.last.bias, float("nan"))
        return model

    monkeypatch.setattr(denoiser, "denoising_errors", broken)
    with pytest.raises(FloatingPointError, match="The loss is nan in round 0: the surrogate has diverged. Lower"):
        DenoisingErrorTransform(seed=0, max_rounds=2).fit(unlabelled())


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"direction": "up"}, "direction"), ({"timesteps": "all"}, "timesteps"), ({"surrogate": "tiny_cnn"}, "surrogate"),
        ({"surrogate_epochs": 0}, "surrogate_epochs is 0, but it starts at 1"), ({"num_steps": 0}, "num_steps is 0"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_none_of_its_values_is_named(parameters, told):
    with pytest.raises(ValueError, match=told):
        DenoisingErrorTransform(**parameters).fit(unlabelled())


def test_an_autoencoder_without_diffusers_names_the_extra():
    real = sys.modules["importlib.util"].find_spec
    with (
        mock.patch("hf_unlearnable._extras.find_spec", lambda name: None if name == "diffusers" else real(name)),
        pytest.raises(ImportError, match='diffusers not installed. Install the "diffusion" extra'),
    ):
        DenoisingErrorTransform(autoencoder="vae").fit(unlabelled())


def test_pixels_need_no_diffusers():
    real = sys.modules["importlib.util"].find_spec
    with mock.patch("hf_unlearnable._extras.find_spec", lambda name: None if name == "diffusers" else real(name)):
        assert DenoisingErrorTransform(seed=0, max_rounds=1).fit(unlabelled(4)).image_passes == 8


def test_noise_of_latents_stays_within_the_bound(tmp_path):
    diffusers = pytest.importorskip("diffusers", reason="latents need diffusers")
    diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
        norm_num_groups=4,
    ).save_pretrained(tmp_path)  # fmt: skip
    dataset = unlabelled(4, height=16, width=16)
    cloak = DenoisingErrorTransform(seed=0, max_rounds=2, autoencoder=str(tmp_path)).fit(dataset)
    levels = cloak.key.tensors["levels"]
    assert 0 < np.abs(levels).max() <= 8 and (levels != 0).mean() > 0.3


def test_images_that_come_without_pixels_are_named():
    rows = Dataset.from_dict({"image": [None, {"bytes": b"no image", "path": None}]}).cast_column("image", Image())
    with pytest.raises(ValueError, match="Row 0"):
        DenoisingErrorTransform().fit(rows)
