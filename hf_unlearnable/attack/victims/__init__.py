"""The models an adversary trains. Importing this loads no framework; calling a victim does.

Every victim is a function `(train_inputs, train_labels, test_inputs, *, seed, ...) -> predicted labels`.
"""

from collections.abc import Callable

from .image import linear_probe, pretrained_image_model, resnet18, simclr_probe, small_cnn
from .text import causal_lm, finetuned_encoder, naive_bayes, small_llama, tfidf_logistic_regression

TEXT_VICTIMS: dict[str, Callable] = {
    "tfidf_logistic_regression": tfidf_logistic_regression,
    "naive_bayes": naive_bayes,
    "small_llama": small_llama,
    "finetuned_encoder": finetuned_encoder,
    "causal_lm": causal_lm,
}
IMAGE_VICTIMS: dict[str, Callable] = {
    "small_cnn": small_cnn,
    "resnet18": resnet18,
    "pretrained_image_model": pretrained_image_model,
    "linear_probe": linear_probe,
    "simclr_probe": simclr_probe,
}

__all__ = [
    "IMAGE_VICTIMS",
    "TEXT_VICTIMS",
    "causal_lm",
    "finetuned_encoder",
    "linear_probe",
    "naive_bayes",
    "pretrained_image_model",
    "resnet18",
    "simclr_probe",
    "small_cnn",
    "small_llama",
    "tfidf_logistic_regression",
]
