"""Pretrained image models that cannot be had or used: one sentence says what was given and what to give instead."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="models need torch")
transformers = pytest.importorskip("transformers", reason="models of the Hub need transformers")

from hf_unlearnable.audit.grid import audit  # noqa: E402
from hf_unlearnable.audit.records import Version  # noqa: E402
from hf_unlearnable.image.learning.surrogate import image_classifier  # noqa: E402
from hf_unlearnable.image.victims import linear_probe, pretrained_image_model, small_cnn  # noqa: E402
from hf_unlearnable.image.victims.pretrained import model_size  # noqa: E402
from tests.examples import levels, pictures  # noqa: E402

SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


@pytest.fixture
def folder(tmp_path):
    """A transformer that takes 32 pixels a side and nothing else."""
    config = transformers.ViTConfig(**SMALL, image_size=32, patch_size=8, num_labels=3)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    processor(tmp_path / "vit", size={"height": 32, "width": 32})
    return tmp_path / "vit"


def processor(folder, **settings) -> None:
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        **settings,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def refused(victim, model) -> str:
    """The one line that a victim says of a model."""
    with pytest.raises(OSError) as caught:
        victim(levels(6), np.arange(6) % 3, levels(2), model=str(model))
    assert "\n" not in str(caught.value) and ". " not in str(caught.value), "one sentence"
    return str(caught.value)


@pytest.mark.parametrize("victim", [linear_probe, pretrained_image_model], ids=lambda one: one.name)
@pytest.mark.parametrize("name", ["microsoft/resnet-18", "no/such-model", "./not/there", "/not/there either"])
def test_no_folder_and_no_network(victim, name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = refused(victim, name)
    assert said.startswith(f"{name} is no folder here") and "connect to it, or give a folder" in said


@pytest.mark.parametrize("victim", [linear_probe, pretrained_image_model], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ("empty", "image processor"), ("weights alone", "image processor"), ("a text model", "image classifier"),
        ("damaged weights", "image classifier"), ("damaged settings", "image processor"), ("a file", "image processor"),
    ],
)  # fmt: skip
def test_a_folder_without_an_image_classifier(victim, wrong, part, folder, tmp_path):
    given = folder
    if wrong == "empty":
        given = tmp_path / "empty"
        given.mkdir()
    elif wrong == "weights alone":
        (folder / "preprocessor_config.json").unlink()
    elif wrong == "a text model":
        transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=20)).save_pretrained(folder)
    elif wrong == "damaged weights":
        (folder / "model.safetensors").write_bytes(b"abc")
    elif wrong == "damaged settings":
        (folder / "config.json").write_text("{")
    else:
        given = tmp_path / "weights.pth"
        given.write_bytes(b"abc")
    said = refused(victim, given)
    assert said.startswith(f"{given} holds no {part} that can be loaded (")
    assert said.endswith(
        "give the folder of an AutoModelForImageClassification that was saved with its image processor."
    )


@pytest.mark.parametrize("victim", [linear_probe, pretrained_image_model], ids=lambda one: one.name)
@pytest.mark.parametrize("size", [16, 48, 224])
def test_a_processor_that_makes_another_size_than_the_model_takes(victim, size, folder):
    processor(folder, size={"height": size, "width": size})
    said = refused(victim, folder)
    assert f"RGB images of {size} pixels a side" in said and "preprocessor_config.json" in said


def test_a_model_of_gray_images_is_refused_and_one_of_any_size_is_not(folder, tmp_path):
    config = transformers.ViTConfig(**SMALL, image_size=32, patch_size=8, num_channels=1)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    assert "RGB images of 32 pixels a side" in refused(linear_probe, folder)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "resnet")
    for size in (16, 40):
        processor(tmp_path / "resnet", size={"height": size, "width": size})
        predicted = linear_probe(levels(6), np.arange(6) % 3, levels(2), model=str(tmp_path / "resnet"))
        assert set(predicted) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]),
        ({"do_normalize": False}, [0, 0, 0], [1, 1, 1]),
        ({"do_normalize": False, "image_mean": None, "image_std": None}, [0, 0, 0], [1, 1, 1]),
    ],
)
def test_levels_are_those_of_the_processor(settings, mean, std, folder):
    processor(folder, size={"height": 32, "width": 32}, **settings)
    model = image_classifier(str(folder), 3)
    assert model.mean.flatten().tolist() == pytest.approx(mean) and model.std.flatten().tolist() == pytest.approx(std)


def test_a_processor_that_names_the_longer_edge(folder):
    processor(folder, size={"longest_edge": 32})
    assert model_size(str(folder)) == 32


def test_an_attack_goes_on_without_the_victim_and_keeps_features_in_its_store(folder, tmp_path):
    train, test = pictures(24, height=32, width=32), pictures(8, height=32, width=32)
    versions, store = [Version("clean", train, "clean", share=0.0)], tmp_path / "store"
    victims = {"cnn": small_cnn.configured(epochs=1), "probe": linear_probe.configured(model=str(folder))}
    options = {"input_column": "image", "seeds": [0], "store": store}
    whole = audit(versions, test, victims, **options)
    assert [cell.victim for cell in whole.cells] == ["cnn", "probe"] and not whole.not_run
    assert (store / "features" / "features.sqlite").is_file()
    processor(folder, size={"height": 48, "width": 48})
    part = audit(versions, test, {**victims, "probe": victims["probe"].configured(C=0.2)}, **options)
    assert [cell.victim for cell in part.cells] == ["cnn"]
    assert "RGB images of 48 pixels a side" in str(part.not_run)
