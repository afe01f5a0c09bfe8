"""The models that noise is computed on."""

import json

import pytest
import torch

from hf_unlearnable import ErrorMinTransform
from hf_unlearnable.image.learning.surrogate import image_classifier
from tests.examples import pictures

OWN = {
    "tiny_cnn": 24_346, "small_cnn": 94_762, "resnet18": 11_173_962, "small_vgg": 89_402, "small_resnet": 78_042,
    "small_densenet": 34_874, "small_vit": 137_802,
}  # fmt: skip


@pytest.mark.parametrize(("name", "weights"), OWN.items())
def test_own_models(name, weights):
    model = image_classifier(name, 10).eval()
    assert sum(p.numel() for p in model.parameters()) == weights
    assert model(torch.rand(2, 3, 32, 32)).shape == model(torch.rand(2, 3, 40, 24)).shape == (2, 10)


def test_a_transformer_sees_where_a_patch_is():
    torch.manual_seed(0)
    model = image_classifier("small_vit", 10).eval()
    images = torch.rand(1, 3, 32, 32)
    moved = images.roll(8, -1), images.roll(8, -2)
    assert all((model(images) - model(one)).abs().max() > 1e-3 for one in moved)


def test_resnet18_keeps_the_resolution_of_small_images():
    stem = image_classifier("resnet18", 10).eval()[:3]
    assert stem(torch.rand(1, 3, 32, 32)).shape[2:] == (32, 32)


@pytest.fixture
def pretrained(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=7
    )
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "model")
    processor = {
        "image_processor_type": "ConvNextImageProcessor",
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.25, 0.5],
    }
    (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps(processor))
    return str(tmp_path / "model")


def test_a_model_of_the_hub_gets_a_head_and_its_normalisation(pretrained):
    from transformers import AutoModelForImageClassification

    images = torch.rand(2, 3, 32, 32)
    model = image_classifier(pretrained, 7).eval()
    plain = AutoModelForImageClassification.from_pretrained(pretrained).eval()
    mean, std = torch.tensor([0.5, 0.4, 0.3])[:, None, None], torch.tensor([0.2, 0.25, 0.5])[:, None, None]
    assert torch.allclose(model(images), plain((images - mean) / std).logits, atol=1e-5)
    assert image_classifier(pretrained, 4)(images).shape == (2, 4)


def test_noise_on_a_model_of_the_hub(pretrained):
    cloak = ErrorMinTransform(surrogate=pretrained, seed=1, max_rounds=2, image_size=32).fit(pictures(12))
    assert abs(cloak.key.tensors["levels"]).max() in (4, 8)


def test_no_such_model():
    with pytest.raises(OSError):
        image_classifier("no/such-folder-or-model-here", 3)
