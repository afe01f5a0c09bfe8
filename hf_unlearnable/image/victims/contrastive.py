"""Features learned by telling images apart: SimCLR, MoCo v2 and SimSiam without labels, SupCon with them.

All of them train a network on random views of the images. Then they label by what its last layer reads: with a linear
probe, or by the nearest training images. There are no hooks, as in `linear_probe`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.adversary.loop import device, trained
from hf_unlearnable.image.victims.features import features
from hf_unlearnable.image.victims.pretrained import probed
from hf_unlearnable.image.victims.training import LARGEST, ImageTraining, rgb, seen, shuffled, side
from hf_unlearnable.learning.precision import mixed_precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Parts = Any  # an `nn.ModuleDict`: "body", and what a method adds
_contrastive = partial(
    victim, "image", ImageTraining, contrastive=True, epochs=10, batch_size=256, learning_rate=1e-3, image_size=None,
    bf16=False,
)  # fmt: skip
_UNLIKE = -1e9  # likeness of a view to itself: it has no part in a sum over exp, and 0 times it is 0
_SHARPNESS = 0.1  # the weight of a neighbour is exp(cosine / this), as is usual (Z. Wu et al., CVPR 2018)


@_contrastive()
def simclr_probe(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    temperature: float = 0.5,
    network: str = "small_cnn",
    evaluation: str = "linear",
    C: float = 0.1,  # noqa: N803, scikit-learn's name
) -> np.ndarray:
    """A network trained by SimCLR on the images without their labels, then a linear probe with them.

    Two random views of an image (crop that scales, mirror, colours, gray) shall be nearer to each other than to those
    of other images: T. Chen et al., ICML 2020, arXiv:2002.05709. With z the unit vectors of all 2b views

        loss(i, j) = -log  exp(z_i z_j / temperature)  /  sum over k != i of exp(z_i z_k / temperature)

    Args:
        train_images: n training images.
        train_labels: their n integer labels.
        test_images: m images to label.
        training: how to train, with Adam. Each image is told from the others of its batch.
        temperature: as above.
        network: "tiny_cnn", "small_cnn" or "resnet18", from scratch.
        evaluation: "linear" for a logistic regression on the features, "knn" for a vote of the 20 nearest training
            images (cosine), for which `C` means nothing.
        C: inverse strength of the L2 penalty on the weights of the standardised features, above 0.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, pillow or scikit-learn is not installed.
        ValueError: as `small_cnn`, or there is no such evaluation.
    """

    def scored(parts: Parts, views: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return likeness(parts["body"](views), temperature), partners(views)

    return _learned((train_images, train_labels, test_images), training, (network, evaluation, C), scored)


@_contrastive()
def supcon_probe(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    temperature: float = 0.1,
    network: str = "small_cnn",
    evaluation: str = "linear",
    C: float = 0.1,  # noqa: N803
) -> np.ndarray:
    """As `simclr_probe`, but near shall be the views of all images of a class: supervised contrastive learning.

    P. Khosla et al., NeurIPS 2020, arXiv:2004.11362; the mean over the partners stands outside the logarithm. Data,
    settings, result and errors are those of `simclr_probe`.
    """

    def scored(parts: Parts, views: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        twice = labels.repeat(2)
        same = (twice[:, None] == twice).float().fill_diagonal_(0)
        return likeness(parts["body"](views), temperature), same / same.sum(1, keepdim=True)

    return _learned((train_images, train_labels, test_images), training, (network, evaluation, C), scored)


@_contrastive()
def moco_probe(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    temperature: float = 0.2,
    momentum: float = 0.99,
    queue: int = 1024,
    network: str = "small_cnn",
    evaluation: str = "linear",
    C: float = 0.1,  # noqa: N803
) -> np.ndarray:
    """As `simclr_probe`, but one view of an image is told from the views of a queue: MoCo v2.

    A second encoder, which follows the first slowly, makes the other view of the image and the queue: K. He et al.,
    CVPR 2020; X. Chen et al., arXiv:2003.04297. Data, result and errors are those of `simclr_probe`.

    Args:
        train_images, train_labels, test_images, training, temperature, network, evaluation, C: as in
            `simclr_probe`.
        momentum: share of the second encoder that stays in each step, from 0 to 1.
        queue: views that the queue holds.
    """
    from copy import deepcopy

    import torch
    from torch import nn
    from torch.nn.functional import normalize

    if queue < 1:
        raise ValueError(f"queue is {queue}, but it holds at least one view.")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum is {momentum}, but it is a share, from 0 to 1.")

    def extended(parts: Parts) -> None:
        parts["encoder"] = nn.Sequential(parts["body"], nn.ReLU(), nn.Linear(64, 64))
        parts["follower"] = deepcopy(parts["encoder"]).requires_grad_(False)
        parts.register_buffer("queue", normalize(torch.randn(queue, 64), dim=1))

    def scored(parts: Parts, views: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        one, other = views.chunk(2)
        asked = normalize(parts["encoder"](one), dim=1)
        with torch.no_grad():
            for its, new in zip(parts["follower"].parameters(), parts["encoder"].parameters(), strict=True):
                its.lerp_(new, 1 - momentum)
            key = normalize(parts["follower"](other), dim=1)
        scores = torch.cat([(asked * key).sum(1, keepdim=True), asked @ parts.queue.T], 1) / temperature
        parts.queue = torch.cat([key, parts.queue])[:queue]
        return scores, torch.zeros(len(one), dtype=torch.long, device=views.device)

    return _learned((train_images, train_labels, test_images), training, (network, evaluation, C), scored, extended)


@_contrastive()
def simsiam_probe(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    network: str = "small_cnn",
    evaluation: str = "linear",
    C: float = 0.1,  # noqa: N803
) -> np.ndarray:
    """As `simclr_probe`, but one view shall predict the other, and no other images are looked at: SimSiam.

    X. Chen, K. He, CVPR 2021, arXiv:2011.10566. What is predicted gets no gradient. Data, settings, result and errors
    are those of `simclr_probe`.
    """
    from torch import nn
    from torch.nn.functional import normalize

    def extended(parts: Parts) -> None:
        parts["head"] = nn.Sequential(nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.BatchNorm1d(64))
        parts["predictor"] = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 64))

    def scored(parts: Parts, views: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        z = parts["head"](parts["body"](views))
        return normalize(parts["predictor"](z), dim=1) @ normalize(z.detach(), dim=1).T, partners(views)

    def loss(scores: Tensor, targets: Tensor) -> Tensor:
        return -scores.gather(1, targets[:, None]).mean()

    return _learned(
        (train_images, train_labels, test_images), training, (network, evaluation, C), scored, extended, loss
    )


def _learned(
    data: tuple[Sequence[Any], Sequence[int], Sequence[Any]], training: ImageTraining,
    settings: tuple[str, str, float],
    scored: Callable[[Parts, Tensor, Tensor], tuple[Tensor, Tensor]],
    extended: Callable[[Parts], None] = lambda parts: None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> np.ndarray:  # fmt: skip
    """Trains on two views of each image, and labels the tests by the features.

    Args:
        data: Training images, their labels, test images.
        training: How to train.
        settings: Network, evaluation and C, as for `simclr_probe`.
        scored: From the parts of the model, views [2b] of which i and i + b are of one image, and class indices [b],
            to what `trained` takes.
        extended: Adds parts to "body", the network, whose last layer projects to 64 dimensions.
        loss: As for `trained`.
    """
    require("attack", "sklearn")
    require("image", "torch", "PIL")
    import torch
    from torch import nn

    from hf_unlearnable.image.learning.surrogate import image_classifier
    from hf_unlearnable.image.learning.views import contrastive_view

    network, evaluation, penalty = settings
    if evaluation not in ("linear", "knn"):
        raise ValueError(f"evaluation is {evaluation!r}. Give linear or knn.")
    classes, targets = class_indices(*data)
    size = training.image_size or min(side(data[0]), LARGEST)
    images, tests = rgb(data[0], size).to(device()), rgb(data[2], size)
    labels = torch.as_tensor(targets, device=device())

    def build() -> Parts:
        parts = nn.ModuleDict({"body": image_classifier(network, 64)})
        extended(parts)
        return parts

    precision = mixed_precision(torch.device(device())) if training.bf16 else nullcontext

    def answered(model: nn.Module, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = rows.to(images.device)
        views = contrastive_view(seen(images[rows]).repeat(2, 1, 1, 1), generator)
        with precision():
            scores, wanted = scored(model, views.contiguous(memory_format=torch.channels_last), labels[rows])
        return scores.float(), wanted

    def predicted(model: Parts) -> np.ndarray:
        body = model["body"]
        if evaluation == "linear":
            return classes[probed(body, images, targets, tests, penalty)]
        return classes[voted(features(body, images), targets, features(body, tests))]

    return trained(
        build, training, len(images), batches=shuffled(len(images), training.batch_size), scored=answered,
        optimizer=partial(torch.optim.Adam, lr=training.learning_rate),
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR, predicted=predicted, loss=loss,
    )  # fmt: skip


def likeness(vectors: Tensor, temperature: float) -> Tensor:
    """How alike vectors [2b, d] are, as logits [2b, 2b]: cosines over the temperature, and nothing to itself."""
    from torch.nn.functional import normalize

    z = normalize(vectors, dim=1)
    return (z @ z.T / temperature).fill_diagonal_(_UNLIKE)


def partners(views: Tensor) -> Tensor:
    """Which view [2b] is of the same image as each: i and i + b are."""
    import torch

    return torch.arange(len(views), device=views.device).roll(len(views) // 2)


def voted(known: np.ndarray, targets: np.ndarray, asked: np.ndarray, neighbours: int = 20) -> np.ndarray:
    """Class indices [m] by the vote of the nearest of the known features, by cosine and weighted by it.

    Args:
        known: Float [n, d].
        targets: Their class indices [n].
        asked: Float [m, d].
        neighbours: How many vote; all where there are fewer.
    """
    known, asked = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for one in (known, asked))
    cosines = asked @ known.T
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :neighbours]
    weights = np.exp(np.take_along_axis(cosines, nearest, 1) / _SHARPNESS)
    votes = np.zeros((len(asked), int(targets.max()) + 1))
    np.add.at(votes, (np.arange(len(asked))[:, None], targets[nearest]), weights)
    return votes.argmax(1)
