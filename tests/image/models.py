"""A tiny image model with its processor, for what asks for a pretrained one."""

import json
import tempfile
from functools import cache
from pathlib import Path

_KEPT: list[tempfile.TemporaryDirectory] = []


@cache
def tiny_model(seed: int = 0, size: int = 32) -> str:
    """The folder of a convolutional network that was not trained, with the same weights in every session."""
    import torch
    import transformers

    made = tempfile.TemporaryDirectory(prefix="hf-unlearnable-model-")
    _KEPT.append(made)  # until the tests end
    folder = Path(made.name)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformers.ResNetForImageClassification(config).eval().save_pretrained(folder)
    settings = {"image_processor_type": "ViTImageProcessor", "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    settings["size"] = {"height": size, "width": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return str(folder)


def needed(name: str) -> dict:
    """Arguments without which a method asks for a model of the Hub, or takes long."""
    if name == "feature-shift":
        return {"backbones": [tiny_model(size=16)], "epsilon": 8 / 255}
    if name != "unlearnable-clusters":
        return {}
    return {"cluster_model": tiny_model(size=16), "num_clusters": 3, "max_steps": 2, "epsilon": 8 / 255}
