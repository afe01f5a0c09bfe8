"""Models that judge together whether an image looks like one of another class: pretrained ones, and one from scratch.

A pretrained model stays as it is. Its head, the linear classifier of its features, is fitted to the clean images.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hf_unlearnable._extras import require
from hf_unlearnable.image.clusters import FeatureModel, gathered
from hf_unlearnable.image.learning.scale import LARGEST
from hf_unlearnable.image.learning.views import resize
from hf_unlearnable.learning.processes import processes

if TYPE_CHECKING:
    from hf_unlearnable.image.learning.rounds import NoiseLearner

_FITTED_ON = 20_000  # images that a head is fitted to
_PENALTY = 0.1  # C of the logistic regression, that of the victim `linear_probe`
_SURE = 2.0  # standard deviations above a guess that tell


class Panel(nn.Module):
    """Pretrained models with linear heads, and a network that is trained from scratch.

    In training mode the network from scratch answers, with logits. In evaluation mode all answer, with the mean of
    their log-probabilities.

    Args:
        backbones: The pretrained models.
        scratch: The network from scratch, which sees at most 64 pixels a side; None for none.
        num_classes: How many classes.
    """

    def __init__(self, backbones: Sequence[FeatureModel], scratch: nn.Module | None, num_classes: int):
        super().__init__()
        self._backbones = [_Backbone(model) for model in backbones]
        self.heads = nn.ModuleList(nn.Linear(model.width, num_classes) for model in self._backbones)
        self.scratch = scratch
        self.image_size = max((model.size for model in self._backbones), default=None)

    def forward(self, images: Tensor) -> Tensor:
        small = resize(images, min(images.shape[-1], LARGEST))
        if self.training and self.scratch is not None:
            return self.scratch(small)
        answers = [head(model(images)) for model, head in zip(self._backbones, self.heads, strict=True)]
        answers += [] if self.scratch is None else [self.scratch(small)]
        return torch.stack([answer.float().log_softmax(1) for answer in answers]).mean(0)

    def fit_heads(self, learner: NoiseLearner) -> list[Fitted]:
        """Fits the head of every pretrained model to the images as they are, of all processes.

        Args:
            learner: Whose images, before they have noise.

        Returns:
            How well each head tells images that it was not fitted to.
        """
        rows = torch.arange(0, len(learner.gallery), -(-learner.num_rows // _FITTED_ON))
        batches = learner.gallery.batches(rows, 64)
        order = torch.cat(batches).numpy()
        told: list[Fitted] = []
        head: Any
        for model, head in zip(self._backbones, self.heads, strict=True):
            with torch.no_grad():
                seen = np.concatenate([model(learner.seen(part)[0]).float().cpu().numpy() for part in batches])
            targets = learner.targets[torch.from_numpy(order).to(learner.device)].cpu().numpy()
            ids, features = gathered(learner.gallery.streams[order], np.hstack([targets[:, None], seen]))
            found: list[Any] = [None]
            if processes().is_main_process:
                first = np.unique(ids, return_index=True)[1]
                found = [_fitted(features[first, 1:], features[first, 0].astype(int), len(learner.classes))]
            if processes().num_processes > 1:
                from accelerate.utils import broadcast_object_list

                broadcast_object_list(found)
            weight, bias, fitted = found[0]
            with torch.no_grad():
                head.weight.copy_(torch.from_numpy(weight))
                head.bias.copy_(torch.from_numpy(bias))
            told.append(fitted)
        return told


@dataclass(frozen=True)
class Fitted:
    """How well a head tells images that it was not fitted to.

    Args:
        accuracy: Of two halves of the images, each told by a head that was fitted to the other.
        guess: Share of the largest class.
        count: How many images.
    """

    accuracy: float
    guess: float
    count: int

    @property
    def guesses(self) -> bool:
        """Whether it is no better than a guess, as far as so many images can tell."""
        spread = (self.guess * (1 - self.guess) / self.count) ** 0.5
        return self.accuracy <= self.guess + _SURE * spread


class _Backbone:
    """A pretrained model without its last layer, which copies of a panel share."""

    def __init__(self, model: FeatureModel):
        copy: Any = deepcopy(model.model)
        self.size, self._model = model.size, copy.to(memory_format=torch.channels_last)
        with torch.no_grad():
            self.width = self(torch.zeros(1, 3, self.size, self.size)).shape[1]

    def __call__(self, images: Tensor) -> Tensor:
        seen = resize(images, self.size).contiguous(memory_format=torch.channels_last)
        return self._model.to(images.device)(seen).flatten(1)

    def __deepcopy__(self, memo: dict) -> _Backbone:
        return self


def _fitted(features: np.ndarray, targets: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, Fitted]:
    """A linear head for features: weights [classes, features], biases [classes], and how well such heads tell."""
    half = np.zeros(len(targets), bool)
    for k in range(classes):
        half[np.flatnonzero(targets == k)[1::2]] = True
    right = [
        (_logits(*_head(features[part], targets[part], classes), features[~part]).argmax(1) == targets[~part])
        for part in (half, ~half)
        if part.any()
    ]
    told = np.concatenate(right)
    guess = np.bincount(targets).max() / len(targets)
    return *_head(features, targets, classes), Fitted(float(told.mean()), float(guess), len(told))


def _logits(weight: np.ndarray, bias: np.ndarray, features: np.ndarray) -> np.ndarray:
    return features @ weight.T + bias


def _head(features: np.ndarray, targets: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression on standardised features, for features as they are; a class that is missing never wins."""
    require("attack", "sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    weight, bias = np.zeros((classes, features.shape[1])), np.full(classes, -np.inf)
    there = np.unique(targets)
    if len(there) == 1:
        bias[there] = 0.0
        return weight.astype(np.float32), bias.astype(np.float32)
    scaled = StandardScaler().fit(features.astype(np.float64))
    model = LogisticRegression(C=_PENALTY, max_iter=1000).fit(scaled.transform(features), targets)
    found, more = model.coef_ / scaled.scale_, model.intercept_
    if len(there) == 2:  # one row tells both
        found, more = np.vstack([-found, found]) / 2, np.concatenate([-more, more]) / 2
    weight[there], bias[there] = found, more - found @ scaled.mean_
    return weight.astype(np.float32), bias.astype(np.float32)
