"""Image classifiers that an adversary may train from nothing: a small CNN for laptops and a ResNet-18.

Both take `(train_images, train_labels, test_images, *, seed)` and return one predicted label per test image. Images
are PIL images or uint8 arrays [height, width, channels]; they are seen in RGB at one size, without further
normalisation, cropped and mirrored at random while training (shifts of up to an eighth of the width), as unlearnable
examples are tested in the literature since Huang et al. (ICLR 2021). On one machine's CPU the same seed gives the same
predictions; the caller's torch generators are left as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._extras import require
from .text import _class_indices

if TYPE_CHECKING:
    import torch


def small_cnn(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    *,
    seed: int,
    epochs: int = 12,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    augment: bool = True,
    image_size: int | None = None,
) -> np.ndarray:
    """Three convolutions with batch norm (95,000 weights): a few thousand small images in half a minute on one core.

    Args:
        train_images: n training images.
        train_labels: their n integer labels.
        test_images: m images to label.
        seed: decides the initial weights, the order of the batches and the augmentation.
        epochs: passes over the training images.
        batch_size: images an update.
        learning_rate: where the cosine schedule of SGD (momentum 0.9, weight decay 5e-4) starts.
        augment: whether training images are shifted and mirrored.
        image_size: pixels a side that the model sees; None for the first image's larger side, from 8 to 64.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch or pillow is not installed.
        ValueError: no test images, or train_labels that are not one integer per image from at least two classes.
    """
    return _train_and_predict("small_cnn", train_images, train_labels, test_images, seed, epochs, batch_size,
                              learning_rate, augment, image_size)  # fmt: skip


def resnet18(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    *,
    seed: int,
    epochs: int = 60,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    augment: bool = True,
    image_size: int | None = None,
) -> np.ndarray:
    """ResNet-18 with the CIFAR stem, the victim of most published numbers; takes a GPU for more than a few images.

    Arguments, result and errors are those of `small_cnn`.
    """
    return _train_and_predict("resnet18", train_images, train_labels, test_images, seed, epochs, batch_size,
                              learning_rate, augment, image_size)  # fmt: skip


def _train_and_predict(
    model_name: str, train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], seed: int,
    epochs: int, batch_size: int, learning_rate: float, augment: bool, image_size: int | None,
) -> np.ndarray:  # fmt: skip
    require("image", "torch", "PIL")
    import torch

    from ...image.pgd import crop_and_flip
    from ...image.surrogate import image_classifier

    classes, targets = _class_indices(train_images, train_labels, test_images)
    size = image_size or min(max(8, *np.asarray(train_images[0]).shape[:2]), 64)
    images, tests = _rgb(train_images, size), _rgb(test_images, size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, tests, labels = images.to(device), tests.to(device), torch.as_tensor(targets, device=device)

    def seen(levels: torch.Tensor) -> torch.Tensor:
        return levels.permute(0, 3, 1, 2).float() / 255  # channels last in memory, as the convolutions like it

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        random = torch.Generator().manual_seed(seed)
        model = image_classifier(model_name, len(classes)).to(device).train()
        steps = epochs * -(-len(images) // batch_size)
        optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(images), generator=random).split(batch_size):
                batch = seen(images[rows.to(device)])
                batch = crop_and_flip(batch, random) if augment else batch
                logits = model(batch.contiguous(memory_format=torch.channels_last))
                loss = torch.nn.functional.cross_entropy(logits, labels[rows.to(device)])
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                schedule.step()

    model.eval()
    with torch.inference_mode():
        predicted = torch.cat([model(seen(part)).argmax(1).cpu() for part in tests.split(256)])
    return classes[predicted.numpy()]


def _rgb(images: Sequence[Any], size: int) -> torch.Tensor:
    """Images as uint8 [n, size, size, 3]."""
    import torch
    from PIL import Image

    def one(image: Any) -> np.ndarray:
        opened = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image).squeeze())
        opened = opened.convert("RGB")
        if opened.size != (size, size):
            opened = opened.resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(opened)

    return torch.from_numpy(np.stack([one(image) for image in images]))
