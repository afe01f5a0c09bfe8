"""The image methods by their kinds, and quick fits of each."""

import numpy as np

from hf_unlearnable.image.bounded import BoundedImageTransform
from hf_unlearnable.registry import METHODS, method_class
from tests.image.models import needed

IMAGE_METHODS = [name for name in METHODS if method_class(name).modality == "image"]
BOUNDED = [name for name in IMAGE_METHODS if issubclass(method_class(name), BoundedImageTransform)]
QUICK = {
    "error-min": {"max_rounds": 2}, "error-min-one-pixel": {"max_rounds": 2},
    "stable-error-min": {"max_rounds": 2, "num_draws": 2}, "error-max": {"max_rounds": 1, "surrogate_epochs": 2},
    "augmented-error-min": {"max_rounds": 2},
    "augmented-error-max": {"max_rounds": 1, "num_steps": 4, "step_size": 4 / 255, "surrogate_epochs": 2},
    "feature-shift": {"num_steps": 2, "surrogate_epochs": 2, "step_size": 4 / 255},
    "denoising-error": {"max_rounds": 2, "step_size": 0.5},
    "bayes-error": {"max_rounds": 2}, "provable-error-min": {"noise": "sample", "max_rounds": 2, "num_pairs": 1},
}  # fmt: skip


def fitted(name, dataset, **parameters):
    return method_class(name)(**{"seed": 3, **needed(name), **QUICK.get(name, {}), **parameters}).fit(dataset)


def arrays(dataset):
    return [np.asarray(image) for image in dataset["image"]]
