"""Pretrained models: fine-tuned whole, or probed as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.adversary.loop import device
from hf_unlearnable.image.victims.training import HOOKS, ImageTraining, rgb, seen, side, train_and_predict

if TYPE_CHECKING:
    from torch import Tensor, nn


@victim("image", ImageTraining, epochs=8, batch_size=64, learning_rate=0.02, augment=True, image_size=None,
        hooks=HOOKS)  # fmt: skip
def pretrained_image_model(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    model: str = "microsoft/resnet-18",
) -> np.ndarray:
    """A pretrained model with a fresh head, all of its weights fine-tuned: what most people train today.

    Data, result and errors are those of `small_cnn`, with these differences.

    Args:
        train_images, train_labels, test_images: as in `small_cnn`.
        training: how to train. Images are augmented at `image_size`; None for the first image's larger side, from 8
            to the size that the model's processor asks for.
        model: id on the Hub or folder of an `AutoModelForImageClassification`, with its processor. Batches are
            enlarged to the size that the processor asks for, after augmentation.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, pillow or transformers is not installed.
        OSError: the model cannot be found or loaded.
        ValueError: as `small_cnn`, or the model does not end in a linear layer.
    """
    require("attack", "transformers")
    size = training.image_size or min(side(train_images), _model_size(model))
    return train_and_predict(
        lambda classes: _fresh(model, classes), train_images, train_labels, test_images, size, training
    )


@victim("image", ImageTraining, image_size=None)
def linear_probe(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    model: str = "microsoft/resnet-18",
    C: float = 0.1,  # noqa: N803, scikit-learn's name
) -> np.ndarray:
    """Logistic regression on the features of a pretrained model that stays as it is: seconds, and hard to mislead.

    Every image is seen once and there are no batches, so there are no hooks. What an adversary does to the rows
    applies, what it does in training does not. Nothing here is random: all seeds give the same answer.

    Args:
        train_images: n training images.
        train_labels: their n integer labels.
        test_images: m images to label.
        training: seed, and `image_size` as in `pretrained_image_model`.
        model: as in `pretrained_image_model`; the features are what its last linear layer reads.
        C: inverse strength of the L2 penalty on the weights of the standardised features, above 0.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, pillow, transformers or scikit-learn is not installed.
        OSError, ValueError: as `pretrained_image_model`.
    """
    require("attack", "transformers", "sklearn")
    require("image", "torch", "PIL")
    import torch

    classes, targets = class_indices(train_images, train_labels, test_images)
    size = training.image_size or min(side(train_images), _model_size(model))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(training.seed)
        frozen = _fresh(model, len(classes)).to(device())
    return classes[probed(frozen, rgb(train_images, size), targets, rgb(test_images, size), C)]


def _fresh(name: str, num_classes: int) -> nn.Module:
    """A pretrained model with a head that knows nothing, from images in [0, 1] of any size to logits.

    A head for the same number of classes would otherwise stay, and it may know the very classes.
    """
    import torch

    from hf_unlearnable.image.learning.pgd import resize
    from hf_unlearnable.image.learning.surrogate import image_classifier

    model, size = image_classifier(name, num_classes), _model_size(name)
    _head(model).reset_parameters()

    class Resized(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return self.model(resize(x, size))

    return Resized()


def _model_size(name: str) -> int:
    """Pixels a side that a pretrained model's processor asks for."""
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(name)
    cropped = getattr(processor, "do_center_crop", False) and processor.crop_size
    size = dict(cropped or processor.size)
    return int(size.get("height") or size["shortest_edge"])


def _head(model: nn.Module) -> Any:
    """The last linear layer: what it reads are a model's features."""
    from torch import nn

    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(f"{type(model).__name__} has no linear layer; give an AutoModelForImageClassification")
    return linear[-1]


def probed(model: nn.Module, images: Tensor, targets: np.ndarray, tests: Tensor, C: float) -> np.ndarray:  # noqa: N803
    """Class indices [m] of the tests by logistic regression on the features of the model as it is.

    Args:
        model: From images in [0, 1] to anything that its last linear layer makes.
        images, tests: uint8 [n, size, size, 3] and [m, size, size, 3].
        targets: Class indices [n].
        C: Inverse strength of the L2 penalty.
    """
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    read: list[Tensor] = []
    hook = _head(model).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].flatten(1).cpu()))

    def features(levels: Tensor) -> np.ndarray:
        read.clear()
        with torch.inference_mode():
            for part in levels.to(device()).split(256):
                model(seen(part))
        return torch.cat(read).numpy()

    model.eval()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    classifier.fit(features(images), targets)
    predicted = classifier.predict(features(tests))
    hook.remove()
    return predicted
