"""The models an adversary trains. Importing this loads no framework; calling a victim does.

Every victim is a function `(train_texts, train_labels, test_texts, *, seed, ...) -> predicted labels`.
"""

from collections.abc import Callable

from .text import finetuned_encoder, small_llama, tfidf_logistic_regression

TEXT_VICTIMS: dict[str, Callable] = {
    "tfidf_logistic_regression": tfidf_logistic_regression,
    "small_llama": small_llama,
    "finetuned_encoder": finetuned_encoder,
}

__all__ = ["TEXT_VICTIMS", "finetuned_encoder", "small_llama", "tfidf_logistic_regression"]
