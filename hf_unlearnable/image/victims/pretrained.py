"""Pretrained models: fine-tuned whole, or probed as they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.adversary.loop import device
from hf_unlearnable.image.learning.surrogate import model_size
from hf_unlearnable.image.victims.features import features, head
from hf_unlearnable.image.victims.training import HOOKS, ImageTraining, rgb, side, train_and_predict

if TYPE_CHECKING:
    from torch import Tensor, nn


@victim("image", ImageTraining, epochs=8, batch_size=64, learning_rate=0.02, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
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
        OSError: the model cannot be found or loaded, or takes no RGB images of the size that its processor makes.
        ValueError: as `small_cnn`, or the model does not end in a linear layer.
    """
    require("attack", "transformers")
    size = training.image_size or min(side(train_images), model_size(model))
    return train_and_predict(
        lambda classes: _fresh(model, classes), train_images, train_labels, test_images, size, training
    )


@victim("image", ImageTraining, image_size=None, cache=None)
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
        training: seed, `image_size` as in `pretrained_image_model`, and `cache`, by which an image that was seen
            before costs nothing.
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
    size = training.image_size or min(side(train_images), model_size(model))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(training.seed)
        frozen = _fresh(model, len(classes)).to(device())
    images, tests = rgb(train_images, size), rgb(test_images, size)
    return classes[probed(frozen, images, targets, tests, C, training.cache)]


def _fresh(name: str, num_classes: int) -> nn.Module:
    """A pretrained model with a head that knows nothing, from images in [0, 1] of any size to logits.

    A head for the same number of classes would otherwise stay, and it may know the very classes. An `OSError` says
    where the model does not take what its processor makes.
    """
    import torch

    from hf_unlearnable.image.learning.surrogate import first_sentence, image_classifier
    from hf_unlearnable.image.learning.views import resize

    model, size = image_classifier(name, num_classes), model_size(name)
    head(model).reset_parameters()

    class Resized(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.size = model, size

        def forward(self, x: Tensor) -> Tensor:
            return self.model(resize(x, size))

    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, size, size))
    except (ValueError, RuntimeError) as error:
        raise OSError(
            f"{name} does not take what its image processor makes, RGB images of {size} pixels a side "
            f"({first_sentence(error)}): set the size in its preprocessor_config.json to the one that the model takes."
        ) from error
    return Resized()


def probed(
    model: nn.Module, images: Tensor, targets: np.ndarray, tests: Tensor, C: float,  # noqa: N803
    cache: str | os.PathLike | None = None,
) -> np.ndarray:  # fmt: skip
    """Class indices [m] of the tests by logistic regression on the features of the model as it is.

    Args:
        model: From images in [0, 1] to anything that its last linear layer makes.
        images, tests: uint8 [n, size, size, 3] and [m, size, size, 3].
        targets: Class indices [n].
        C: Inverse strength of the L2 penalty.
        cache: See `features`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    classifier.fit(features(model, images, cache), targets)
    return classifier.predict(features(model, tests, cache))
