"""The models that noise is computed on: our own, and any image classifier of the Hub.

A narrow one does best for error-minimising noise, and costs least: it learns less of what the images show, so it leans
on the noise sooner, and a victim four times as wide leans on the same noise (recipes/bench).

The stem decides. A ResNet-18 that halves a 32-pixel image three times before its first block computes noise that costs
a victim half as much (the ImageNet stem; HanxunH/Unlearnable-Examples, issue 1), so ours keeps the resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from torch import nn


def image_classifier(name: str, num_classes: int) -> nn.Module:
    """A classifier from images [n, 3, size, size] in [0, 1] to logits [n, num_classes], in channels-last memory.

    Args:
        name: "tiny_cnn", "small_cnn", "resnet18", "small_vgg", "small_resnet", "small_densenet", "small_vit", or the
            id or folder of an `AutoModelForImageClassification`, which gets a new head where its number of classes
            differs.
        num_classes: How many classes.

    Raises:
        ImportError: torch, or for a model of the Hub transformers, is not installed.
        OSError: No such model.
    """
    require("image", "torch")
    import torch

    own = {network.__name__: network for network in (tiny_cnn, small_cnn, resnet18)} | families()
    model: Any = own[name](num_classes) if name in own else pretrained(name, num_classes)
    return model.to(memory_format=torch.channels_last)


def families() -> dict[str, Callable[[int], nn.Module]]:
    """By name: those of `families`."""
    from hf_unlearnable.image.learning.families import small_densenet, small_resnet, small_vgg, small_vit

    return {network.__name__: network for network in (small_vgg, small_resnet, small_densenet, small_vit)}


def tiny_cnn(num_classes: int) -> nn.Module:
    """`small_cnn` at half its width (24,000 weights), for a surrogate that moves fast.

    Its batch norm keeps the statistics of the last few steps only: with those of the last ten, as usual, noise is made
    for a model that is gone.
    """
    return small_cnn(num_classes, width=16, momentum=0.5)


def small_cnn(num_classes: int, width: int = 32, momentum: float = 0.1) -> nn.Module:
    """Three convolutions, each with batch norm, a 2x2 maximum and ReLU, then a linear layer: 95,000 weights."""
    from torch import nn

    layers: list[nn.Module] = []
    for inputs, outputs in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs, momentum=momentum), nn.MaxPool2d(2), nn.ReLU()]  # a quarter to rectify
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, num_classes))


def resnet18(num_classes: int, width: int = 64) -> nn.Module:
    """ResNet-18 with the CIFAR stem: 3x3, stride 1, no pooling (He et al., CVPR 2016, arXiv:1512.03385)."""
    return residual_network(num_classes, ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)), blocks=2)


def residual_network(num_classes: int, stages: Sequence[tuple[int, int]], blocks: int) -> nn.Module:
    """A ResNet of basic blocks with the CIFAR stem.

    Args:
        num_classes: How many classes.
        stages: Of each its channels and its first stride.
        blocks: Per stage.
    """
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int):
            super().__init__()
            self.residual = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
            )
            self.shortcut: nn.Module = nn.Identity()
            if stride != 1 or inputs != outputs:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            return nn.functional.relu(self.residual(x) + self.shortcut(x))

    parts: list[nn.Module] = []
    inputs = width = stages[0][0]
    for outputs, stride in stages:
        for number in range(blocks):
            parts.append(Block(inputs, outputs, 1 if number else stride))
            inputs = outputs
    stem = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*stem, *parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes))


def pretrained(name: str, num_classes: int | None = None) -> nn.Module:
    """An image classifier of the Hub, from images in [0, 1] to logits.

    Args:
        name: Its id or folder.
        num_classes: Of a new head where the model's own has another number; None for the model as it is.

    Raises:
        ImportError: transformers is not installed.
        OSError: There is no such model, or it classifies no images.
    """
    require("attack", "transformers")
    import torch
    from torch import nn
    from transformers import AutoConfig, AutoModelForImageClassification

    def load() -> Any:
        config = AutoConfig.from_pretrained(name, **({} if num_classes is None else {"num_labels": num_classes}))
        return AutoModelForImageClassification.from_pretrained(name, config=config, ignore_mismatched_sizes=True)

    processor, model = image_processor(name), _had(name, "image classifier", load)
    normalizes = processor.do_normalize and processor.image_mean is not None

    class Normalized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.image_size = model, getattr(model.config, "image_size", None)
            mean, std = (processor.image_mean, processor.image_std) if normalizes else ([0.0] * 3, [1.0] * 3)
            self.register_buffer("mean", torch.tensor(mean)[:, None, None])
            self.register_buffer("std", torch.tensor(std)[:, None, None])

        def forward(self, x):
            return self.model(pixel_values=(x - self.mean) / self.std).logits

    return Normalized()


def image_processor(name: str) -> Any:
    """The processor of an image model.

    Raises:
        ImportError: transformers is not installed.
        OSError: There is none.
    """
    require("attack", "transformers")
    from transformers import AutoImageProcessor

    return _had(name, "image processor", lambda: AutoImageProcessor.from_pretrained(name))


def model_size(name: str) -> int:
    """Pixels a side that a pretrained model's processor asks for."""
    processor = image_processor(name)
    cropped = getattr(processor, "do_center_crop", False) and processor.crop_size
    size = dict(cropped or processor.size)
    return int(size.get("height") or size.get("shortest_edge") or size["longest_edge"])


def _had(name: str, what: str, load: Callable[[], Any]) -> Any:
    """A part of a model, or an `OSError` that says in a sentence what to give instead."""
    from safetensors import SafetensorError

    try:
        return load()
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if Path(name).exists():
            raise OSError(
                f"{name} holds no {what} that can be loaded ({first_sentence(error)}): give the folder of an "
                "AutoModelForImageClassification that was saved with its image processor."
            ) from error
        raise OSError(
            f"{name} is no folder here, and no {what} of that id could be had from the Hub: connect to it, or give a "
            "folder, such as the one that recipes/efficientnet_lite0.py writes."
        ) from error


def first_sentence(error: Exception) -> str:
    """What an error of another library says first, without its full stop."""
    return str(error).split("\n")[0].split(". ")[0].rstrip(".")
