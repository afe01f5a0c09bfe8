"""Image classifiers that an adversary may train: two from nothing, two on pretrained features, one without labels.

They fail in different ways. A model trained from nothing finds the signal of a protection first, because it knows
nothing else. A pretrained one already sees what the images show; fine-tuned whole it may still leave that for the
signal, as a linear probe on frozen features hardly can. SimCLR learns features from the protected images themselves,
but without the labels that most protections lean on.

Each is a `Victim`, called as `victim(train_images, train_labels, test_images, seed=0, **settings)`. What its docstring
does not name among its settings is described in `ImageTraining`. Images are PIL images or uint8 arrays
[height, width, channels]; they are seen in RGB at one size, without further normalisation (but for that of a
pretrained model's processor), as unlearnable examples are tested in the literature since Huang et al. (ICLR 2021). On
one machine's CPU the same seed gives the same predictions; the caller's torch generators are left as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Training, Victim, class_indices, victim

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_LARGEST = 64  # pixels a side that a model trained from nothing sees when nothing else is said
_HOOKS = ("on_epoch", "in_training")


@dataclass(frozen=True, kw_only=True)
class ImageTraining(Training):
    """How an image victim trains: the fields of `Training`, and two more.

    The schedule is a cosine, where nothing else is said of SGD with momentum 0.9 and weight decay 5e-4. The accuracy
    that `on_epoch` is told is that on the images as they were met: augmented, by a model that still learned.

    Args:
        augment: Whether training images are mirrored, and shifted by up to an eighth of the width, at random.
        image_size: Pixels a side that the model sees; None for the first image's larger side, from 8 to 64.
    """

    augment: bool = True
    image_size: int | None = None


@victim("image", ImageTraining, epochs=12, batch_size=128, learning_rate=0.1, augment=True, image_size=None,
        hooks=_HOOKS)  # fmt: skip
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
    return _from_nothing("small_cnn", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=60, batch_size=128, learning_rate=0.1, augment=True, image_size=None,
        hooks=_HOOKS)  # fmt: skip
def resnet18(
    train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any], training: ImageTraining
) -> np.ndarray:
    """ResNet-18 with the CIFAR stem, the victim of most published numbers; takes a GPU for more than a few images.

    Data, result and errors are those of `small_cnn`.
    """
    return _from_nothing("resnet18", train_images, train_labels, test_images, training)


@victim("image", ImageTraining, epochs=8, batch_size=64, learning_rate=0.02, augment=True, image_size=None,
        hooks=_HOOKS)  # fmt: skip
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
    size = training.image_size or min(_side(train_images), _model_size(model))
    return _train_and_predict(
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

    Every image is seen once and there are no batches, so there are no hooks: what an adversary does to the rows
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
    size = training.image_size or min(_side(train_images), _model_size(model))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(training.seed)
        frozen = _fresh(model, len(classes)).to(_device())
    return classes[_probed(frozen, _rgb(train_images, size), targets, _rgb(test_images, size), C)]


@victim("image", ImageTraining, epochs=10, batch_size=256, learning_rate=1e-3, image_size=None)
def simclr_probe(
    train_images: Sequence[Any],
    train_labels: Sequence[int],
    test_images: Sequence[Any],
    training: ImageTraining,
    *,
    temperature: float = 0.5,
    C: float = 0.1,  # noqa: N803, scikit-learn's name
) -> np.ndarray:
    """`small_cnn` trained by SimCLR on the images without their labels, then a linear probe with them.

    Two random views (crop that scales, mirror, colours, gray) of an image shall be nearer to each other than to the
    views of other images: T. Chen et al., ICML 2020, arXiv:2002.05709. With z the unit vectors of all 2b views

        loss(i, j) = -log  exp(z_i z_j / temperature)  /  sum over k != i of exp(z_i z_k / temperature)

    There are no hooks, as in `linear_probe`.

    Args:
        train_images: n training images.
        train_labels: their n integer labels.
        test_images: m images to label.
        training: how to train, with Adam. Each image is told from the others of its batch.
        temperature: as above.
        C: inverse strength of the L2 penalty on the weights of the standardised features, above 0.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, pillow or scikit-learn is not installed.
        ValueError: as `small_cnn`.
    """
    require("attack", "sklearn")
    require("image", "torch", "PIL")
    import torch

    from hf_unlearnable.image.learning.surrogate import image_classifier

    classes, targets = class_indices(train_images, train_labels, test_images)
    size = training.image_size or min(_side(train_images), _LARGEST)
    images = _rgb(train_images, size).to(_device())
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(training.seed)
        random = torch.Generator().manual_seed(training.seed)
        model = image_classifier("small_cnn", 64).to(_device()).train()  # its last layer projects: 64 dimensions
        optimizer = torch.optim.Adam(model.parameters(), training.learning_rate)
        steps = training.epochs * -(-len(images) // training.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(training.epochs):
            for rows in torch.randperm(len(images), generator=random).split(training.batch_size):
                twice = _seen(images[rows.to(images.device)]).repeat(2, 1, 1, 1)
                loss = _nt_xent(model(_view(twice, random)), temperature)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return classes[_probed(model, images, targets, _rgb(test_images, size), C)]


def _from_nothing(
    name: str, train_images: Sequence[Any], train_labels: Sequence[int], test_images: Sequence[Any],
    training: ImageTraining,
) -> np.ndarray:  # fmt: skip
    from hf_unlearnable.image.learning.surrogate import image_classifier

    size = training.image_size or min(_side(train_images), _LARGEST)
    return _train_and_predict(
        lambda classes: image_classifier(name, classes), train_images, train_labels, test_images, size, training
    )


def _train_and_predict(
    build: Callable[[int], nn.Module], train_images: Sequence[Any], train_labels: Sequence[int],
    test_images: Sequence[Any], size: int, training: ImageTraining,
) -> np.ndarray:  # fmt: skip
    """Build a classifier of so many classes, train it by SGD on a cosine schedule, label the test images."""
    require("image", "torch", "PIL")
    import torch

    from hf_unlearnable.image.learning.pgd import crop_and_flip

    classes, targets = class_indices(train_images, train_labels, test_images)
    device = _device()
    images, tests = _rgb(train_images, size).to(device), _rgb(test_images, size).to(device)
    labels = torch.as_tensor(targets, device=device)

    def predicted() -> np.ndarray:
        model.eval()
        with torch.inference_mode():
            answers = torch.cat([model(_seen(part)).argmax(1).cpu() for part in tests.split(256)])
        model.train()
        return classes[answers.numpy()]

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(training.seed)
        random = torch.Generator().manual_seed(training.seed)
        model = build(len(classes)).to(device).train()
        steps = training.epochs * -(-len(images) // training.batch_size)
        optimizer = torch.optim.SGD(model.parameters(), training.learning_rate, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(training.epochs):
            correct = 0.0
            for rows in torch.randperm(len(images), generator=random).split(training.batch_size):
                batch, wanted = _seen(images[rows.to(device)]), labels[rows.to(device)]
                batch = crop_and_flip(batch, random) if training.augment else batch
                if training.in_training is not None:
                    batch, wanted = training.in_training(batch, wanted, model, random)
                logits = model(batch.contiguous(memory_format=torch.channels_last))
                loss = torch.nn.functional.cross_entropy(logits, wanted)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                schedule.step()
                if training.on_epoch is not None:
                    hard = wanted if wanted.ndim == 1 else wanted.argmax(1)
                    correct += (logits.argmax(1) == hard).sum().item()
            if training.on_epoch is not None:
                training.on_epoch(correct / len(images), predicted())
    return predicted()


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


def _probed(model: nn.Module, images: Tensor, targets: np.ndarray, tests: Tensor, C: float) -> np.ndarray:  # noqa: N803
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
            for part in levels.to(_device()).split(256):
                model(_seen(part))
        return torch.cat(read).numpy()

    model.eval()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    classifier.fit(features(images), targets)
    predicted = classifier.predict(features(tests))
    hook.remove()
    return predicted


def _view(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random view of each image for SimCLR: cropped, half of them mirrored, other colours, one in five gray."""
    import torch

    from hf_unlearnable.image.countermeasures import random_resized_crop
    from hf_unlearnable.image.learning.pgd import crop_and_flip

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(images), *shape, 1, 1, generator=generator).to(images.device)

    images = crop_and_flip(random_resized_crop(images, generator), generator, padding=0)
    images = (images * draw(0.6, 1.4, 3) * draw(0.6, 1.4, 1)).clamp(0, 1)  # of each channel, and brightness
    middle = images.mean((1, 2, 3), keepdim=True)
    images = ((images - middle) * draw(0.6, 1.4, 1) + middle).clamp(0, 1)  # contrast
    return torch.where(draw(0, 1, 1) < 0.2, images.mean(1, keepdim=True), images)


def _nt_xent(vectors: Tensor, temperature: float) -> Tensor:
    """The loss of SimCLR over vectors [2b, d], of which i and i + b belong together."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    z = normalize(vectors, dim=1)
    likeness = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    return cross_entropy(likeness, torch.arange(len(z), device=z.device).roll(len(z) // 2))


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _side(images: Sequence[Any]) -> int:
    """The first image's larger side in pixels, at least 8."""
    return max(8, *np.asarray(images[0]).shape[:2]) if len(images) else 8


def _seen(levels: Tensor) -> Tensor:
    """uint8 [n, height, width, 3] as a model sees it: in [0, 1], channels last in memory, as convolutions like it."""
    return levels.permute(0, 3, 1, 2).float() / 255


def _rgb(images: Sequence[Any], size: int) -> Tensor:
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


IMAGE_VICTIMS: dict[str, Victim] = {
    "small_cnn": small_cnn,
    "resnet18": resnet18,
    "pretrained_image_model": pretrained_image_model,
    "linear_probe": linear_probe,
    "simclr_probe": simclr_probe,
}
