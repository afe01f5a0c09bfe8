"""Networks trained from nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hf_unlearnable.adversary import Rows, class_indices, victim
from hf_unlearnable.adversary.loop import device
from hf_unlearnable.image.victims.training import (
    HOOKS,
    LARGEST,
    ImageTraining,
    fitted,
    rgb,
    seen,
    side,
    train_and_predict,
)  # fmt: skip

if TYPE_CHECKING:
    from torch import Tensor, nn


@victim("image", ImageTraining, epochs=12, batch_size=128, learning_rate=0.1, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
def small_cnn(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """Three convolutions with batch norm (95,000 weights): a few thousand small images in half a minute on one core.

    Args:
        train_images: n training images.
        train_labels: their n integer labels.
        test_images: m images to label.
        training: how to train.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch or pillow is not installed.
        ValueError: no test images, or train_labels that are not one integer per image from at least two classes.
    """
    return _trained("small_cnn", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=60, batch_size=128, learning_rate=0.1, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
def small_cnn_long(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """The network of `small_cnn`, trained five times as long.

    Data, result and errors are those of `small_cnn`.
    """
    return _trained("small_cnn", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=60, batch_size=128, learning_rate=0.1, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
def resnet18(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """ResNet-18 with the CIFAR stem, the victim of most published numbers; takes a GPU for more than a few images.

    Data, result and errors are those of `small_cnn`.
    """
    return _trained("resnet18", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=30, batch_size=128, learning_rate=0.05, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
def small_vgg(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """A VGG of six convolutions: 89,000 weights, as fast as `small_cnn`.

    Data, result and errors are those of `small_cnn`.
    """
    return _trained("small_vgg", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=30, batch_size=128, learning_rate=0.1, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
def small_resnet(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """The ResNet of 8 layers for CIFAR-10: 78,000 weights.

    Data, result and errors are those of `small_cnn`.
    """
    return _trained("small_resnet", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=30, batch_size=128, learning_rate=0.1, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
def small_densenet(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """A DenseNet of twelve layers: 35,000 weights, three times as slow as `small_cnn`.

    Data, result and errors are those of `small_cnn`.
    """
    return _trained("small_densenet", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=30, batch_size=128, learning_rate=0.001, augment=True, image_size=None,
        bf16=False, hooks=HOOKS)  # fmt: skip
def small_vit(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """A vision transformer on patches of 4 pixels: 138,000 weights, trained by AdamW.

    Data, result and errors are those of `small_cnn`.
    """
    return _trained("small_vit", train_images, train_labels, test_images, training, adaptive=True)


def small_cnn_of(
    rows: Rows, others: Sequence[Rows], seed: int, on_epoch: Callable[[nn.Module], Any] | None = None, **settings: Any
) -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    """The network of `small_cnn` itself.

    Args:
        rows: To train on, as `small_cnn` does.
        others: Rows that shall be as the network sees them.
        seed: Of the training.
        on_epoch: Called with the network in evaluation mode after each epoch; it is trained on afterwards.
        settings: Fields of `ImageTraining` where they differ from those of `small_cnn`.

    Returns:
        The network, in evaluation mode, and of each of `others` images [n, 3, size, size] and class indices [n], -1
        for a class that `rows` do not have.
    """
    import torch

    from hf_unlearnable.image.learning.surrogate import image_classifier

    look = None if on_epoch is None else lambda _, network: on_epoch(network)
    training = replace(cast(ImageTraining, small_cnn.training), seed=seed, on_epoch=look, **settings)
    classes, targets = class_indices(rows.inputs, rows.labels, rows.inputs)
    size = min(side(rows.inputs), LARGEST)
    images = rgb(rows.inputs, size)
    network = fitted(
        lambda: image_classifier("small_cnn", len(classes)), images, targets, training, lambda model: model.eval()
    )
    index = {label: place for place, label in enumerate(classes.tolist())}
    found = [
        (seen(rgb(one.inputs, size).to(device())), torch.tensor([index.get(label, -1) for label in one.labels]))
        for one in others
    ]
    return network, [(images, labels.to(device())) for images, labels in found]


def _trained(
    name: str, train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any],
    training: ImageTraining, *, adaptive: bool = False,
) -> np.ndarray:  # fmt: skip
    from hf_unlearnable.image.learning.surrogate import image_classifier

    size = training.image_size or min(side(train_images), LARGEST)
    return train_and_predict(
        lambda classes: image_classifier(name, classes), train_images, train_labels, test_images, size, training,
        adaptive=adaptive,
    )  # fmt: skip
