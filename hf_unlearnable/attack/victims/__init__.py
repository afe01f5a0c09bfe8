"""The models an adversary trains. Importing this loads no framework; calling a victim does.

Every victim is a function `(train_inputs, train_labels, test_inputs, *, seed, ...) -> predicted labels`.
"""

from collections.abc import Callable

from .image import resnet18, small_cnn
from .text import finetuned_encoder, small_llama, tfidf_logistic_regression

TEXT_VICTIMS: dict[str, Callable] = {
    "tfidf_logistic_regression": tfidf_logistic_regression,
    "small_llama": small_llama,
    "finetuned_encoder": finetuned_encoder,
}
IMAGE_VICTIMS: dict[str, Callable] = {"small_cnn": small_cnn, "resnet18": resnet18}

__all__ = [
    "IMAGE_VICTIMS",
    "TEXT_VICTIMS",
    "finetuned_encoder",
    "resnet18",
    "small_cnn",
    "small_llama",
    "tfidf_logistic_regression",
]
