"""A victim for more than one label per row: what one network learns of several tasks at once.

A protection is made for one label. Does it keep a model from learning another one of the same images? One small
network has a head per task, and trains on the sum of their losses. Four kinds of task are known (`KINDS`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Training

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import Tensor, nn

_SIDE = 4  # pixels a side of the features
_WIDTH = 64


@dataclass(frozen=True)
class TaskScore:
    """How well a task was learned.

    Args:
        score: On the test rows. Of a class the accuracy, of a mask the mean intersection over union of its classes, of
            numbers and reconstruction the share of the variance that is explained (R squared).
        guess: What the best answer reaches that does not look at the image.
    """

    score: float
    guess: float

    def left(self, clean: TaskScore) -> float:
        """The share of what clean rows teach beyond a guess that was learned here: 1 all of it, 0 or less nothing.

        Raises:
            ValueError: The clean rows taught nothing beyond a guess.
        """
        if clean.score <= clean.guess:
            raise ValueError(f"The clean rows score {clean.score:.3f} and a guess {clean.guess:.3f}: nothing to lose.")
        return (self.score - self.guess) / (clean.score - clean.guess)


def task_scores(
    train: Dataset,
    test: Dataset,
    tasks: Mapping[str, str],
    *,
    image_column: str = "image",
    image_size: int = 32,
    epochs: int = 15,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> dict[str, TaskScore]:
    """Trains one network on several tasks at once, and tests each.

    Three convolutions (24,000 weights) and a head per task; Adam, a cosine schedule, no augmentation. A class that
    only the test has is never predicted, so it counts as wrong.

    Args:
        train: Rows to train on.
        test: Clean rows.
        tasks: Kind by column: "class" (integers or strings), "number" (one or a list), "mask" (an image or a
            nested list with a class per pixel), "reconstruction" (an image; the image column itself is usual).
        image_column: What the network sees.
        image_size: Pixels a side that the network sees, a multiple of 8. Masks are resized with their images.
        epochs, batch_size, learning_rate: How to train.
        seed: Of the initial weights and the order of the batches.

    Returns:
        The score of each task by its column.

    Raises:
        ImportError: torch or pillow is not installed.
        ValueError: There is no task or no row, a column is missing, a kind is unknown, a mask is not as large as its
            image, or a column teaches nothing: one class, one number, values that are no numbers.
    """
    require("image", "torch", "PIL")
    import torch

    from hf_unlearnable.adversary.loop import device, trained
    from hf_unlearnable.image.victims.training import rgb, seen, shuffled

    _check(train, test, tasks, image_column, image_size)
    pictures = [[*part[image_column]] for part in (train, test)]
    images, tests = (seen(rgb(part, image_size)).to(device()) for part in pictures)
    learned = {column: KINDS[kind](column, train[column], pictures[0], image_size) for column, kind in tasks.items()}
    targets = {column: task.targets(train[column], pictures[0]).to(device()) for column, task in learned.items()}
    wanted = {column: task.targets(test[column], pictures[1]) for column, task in learned.items()}

    def scored(model: nn.Module, rows: Tensor, generator: torch.Generator) -> tuple[Any, Any]:
        return model(images[rows]), rows

    def loss(scores: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        return torch.stack([task.loss(scores[name], targets[name][rows]) for name, task in learned.items()]).sum()

    def predicted(model: nn.Module) -> dict[str, TaskScore]:
        with torch.inference_mode():
            answers = model.eval()(tests)
        return {
            name: TaskScore(task.score(answers[name].cpu(), wanted[name]), task.guess(wanted[name]))
            for name, task in learned.items()
        }

    return trained(
        lambda: network({name: task.head(image_size) for name, task in learned.items()}),
        Training(seed=seed, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate), len(train),
        batches=shuffled(len(train), batch_size), scored=scored, loss=loss, predicted=predicted, largest_norm=5.0,
        optimizer=partial(torch.optim.Adam, lr=learning_rate), schedule=torch.optim.lr_scheduler.CosineAnnealingLR,
    )  # fmt: skip


def network(heads: Mapping[str, nn.Module]) -> nn.Module:
    """From images to what each head makes of the same features, by name.

    Args:
        heads: From features [n, 64, 4, 4].
    """
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for inputs, outputs in ((3, 16), (16, 32), (32, _WIDTH)):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
                layers += [nn.MaxPool2d(2), nn.ReLU()]
            self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_SIDE))
            self.heads = nn.ModuleList(heads.values())  # a column's name may be none of a module

        def forward(self, images: Tensor) -> dict[str, Tensor]:
            features = self.body(images)
            return {name: head(features) for name, head in zip(heads, self.heads, strict=True)}

    return Network()


def _check(train: Dataset, test: Dataset, tasks: Mapping[str, str], image_column: str, image_size: int) -> None:
    if not tasks:
        raise ValueError("There is no task. Give the kind of each column, such as {'digit': 'class'}.")
    for part, rows in (("train", train), ("test", test)):
        if not len(rows):
            raise ValueError(f"{part} has no rows.")
        for column in (image_column, *tasks):
            if column not in rows.column_names:
                raise ValueError(f"{part} has no column {column!r}. It has: {', '.join(rows.column_names)}.")
    for column, kind in tasks.items():
        if kind not in KINDS:
            raise ValueError(f"The kind of {column!r} is {kind!r}. There are: {', '.join(KINDS)}.")
    if image_size < 8 or image_size % 8:
        raise ValueError(f"image_size is {image_size}, but it is a multiple of 8.")


# ---------------------------------------------------------------------- the kinds
class _Kind(ABC):
    """A task: how its labels are read, what predicts them, and how that is judged.

    Args:
        column: Named in errors.
        values: Of the training rows.
        pictures: The training images.
        size: Pixels a side that the network sees.
    """

    def __init__(self, column: str, values: Sequence[Any], pictures: Sequence[Any], size: int):
        self.column, self.size = column, size
        self.learn(self.read(values, pictures))

    @abstractmethod
    def read(self, values: Sequence[Any], pictures: Sequence[Any]) -> np.ndarray:
        """The labels as an array [rows, ...]."""

    @abstractmethod
    def learn(self, labels: np.ndarray) -> None:
        """Notes what the targets depend on."""

    @abstractmethod
    def targets(self, values: Sequence[Any], pictures: Sequence[Any]) -> Tensor:
        """What the head shall give."""

    @abstractmethod
    def head(self, size: int) -> nn.Module:
        """From features to scores."""

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """What training makes small."""

    @abstractmethod
    def score(self, scores: Tensor, targets: Tensor) -> float:
        """How good the scores are."""

    @abstractmethod
    def guess(self, targets: Tensor) -> float:
        """What the best constant answer scores."""


class _Classes(_Kind):
    def read(self, values: Sequence[Any], pictures: Sequence[Any]) -> np.ndarray:
        missing = [row for row, value in enumerate(values) if value is None]
        if missing:
            raise ValueError(f"Row {missing[0]} has no {self.column}. Leave rows without a label out.")
        return np.asarray(values)

    def learn(self, labels: np.ndarray) -> None:
        self.classes = np.unique(labels)
        if len(self.classes) < 2:
            raise ValueError(f"Column {self.column!r} has one class in train, so it teaches nothing.")

    def targets(self, values: Sequence[Any], pictures: Sequence[Any]) -> Tensor:
        import torch

        labels = self.read(values, pictures)
        places = np.searchsorted(self.classes, labels).clip(max=len(self.classes) - 1)
        return torch.as_tensor(np.where(self.classes[places] == labels, places, -1))  # -1: not in train

    def head(self, size: int) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_WIDTH, len(self.classes)))

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        from torch.nn.functional import cross_entropy

        return cross_entropy(scores, targets)

    def score(self, scores: Tensor, targets: Tensor) -> float:
        return self._score(scores.argmax(1), targets)

    def guess(self, targets: Tensor) -> float:
        constants = (targets.new_full(targets.shape, label) for label in range(len(self.classes)))
        return max(self._score(constant, targets) for constant in constants)

    def _score(self, answers: Tensor, targets: Tensor) -> float:
        return float((answers == targets).float().mean())


class _Mask(_Classes):
    def read(self, values: Sequence[Any], pictures: Sequence[Any]) -> np.ndarray:
        from PIL import Image

        found = []
        for row, (value, picture) in enumerate(zip(values, pictures, strict=True)):
            mask, shape = np.asarray(value), np.asarray(picture).shape[:2]
            if mask.shape != shape:
                raise ValueError(
                    f"The {self.column} of row {row} is {' x '.join(map(str, mask.shape))} and its image "
                    f"{' x '.join(map(str, shape))} pixels. A mask has one class per pixel of its image."
                )
            asked = Image.fromarray(mask.astype(np.int32)).resize((self.size, self.size), Image.Resampling.NEAREST)
            found.append(np.asarray(asked))
        return np.stack(found)

    def head(self, size: int) -> nn.Module:
        return _pixels(len(self.classes), size)

    def _score(self, answers: Tensor, targets: Tensor) -> float:
        shares = []
        for label in range(len(self.classes)):
            one, other = answers == label, targets == label
            if (union := int((one | other).sum())) > 0:
                shares.append(int((one & other).sum()) / union)
        return float(np.mean(shares))


class _Numbers(_Kind):
    def read(self, values: Sequence[Any], pictures: Sequence[Any]) -> np.ndarray:
        labels = np.asarray(values, np.float64).reshape(len(values), -1)
        broken = np.flatnonzero(~np.isfinite(labels).all(1))
        if len(broken):
            raise ValueError(f"The {self.column} of row {broken[0]} is no number. Leave such rows out.")
        return labels

    def learn(self, labels: np.ndarray) -> None:
        self.mean, self.deviation = labels.mean(0), labels.std(0)
        if not self.deviation.all():
            raise ValueError(f"Column {self.column!r} has one value in train, so it teaches nothing.")

    def targets(self, values: Sequence[Any], pictures: Sequence[Any]) -> Tensor:
        import torch

        return torch.as_tensor((self.read(values, pictures) - self.mean) / self.deviation).float()

    def head(self, size: int) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(_WIDTH * _SIDE**2, len(self.mean)))

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        from torch.nn.functional import mse_loss

        return mse_loss(scores, targets)

    def score(self, scores: Tensor, targets: Tensor) -> float:
        return float(1 - (scores - targets).square().sum() / targets.square().sum())

    def guess(self, targets: Tensor) -> float:
        return 0.0


class _Reconstruction(_Numbers):
    def read(self, values: Sequence[Any], pictures: Sequence[Any]) -> np.ndarray:
        from hf_unlearnable.image.victims.training import rgb

        return rgb(values, self.size).numpy().transpose(0, 3, 1, 2) / 255.0

    def learn(self, labels: np.ndarray) -> None:
        self.mean, self.deviation = labels.mean(0), np.full(3, labels.std())[:, None, None]
        if not labels.std(0).any():
            raise ValueError(f"All images of column {self.column!r} are equal in train, so they teach nothing.")

    def head(self, size: int) -> nn.Module:
        return _pixels(3, size)


def _pixels(channels: int, size: int) -> nn.Module:
    """From features to an image of so many channels."""
    from torch import nn

    side = size // _SIDE
    return nn.Sequential(nn.Conv2d(_WIDTH, channels * side**2, 1), nn.PixelShuffle(side))


KINDS: dict[str, type[_Kind]] = {
    "class": _Classes, "number": _Numbers, "mask": _Mask, "reconstruction": _Reconstruction,
}  # fmt: skip
