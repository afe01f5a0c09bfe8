"""A victim that knows the language already: an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.text.language_model.loading import had
from hf_unlearnable.text.victims.training import TextTraining, train_and_predict

if TYPE_CHECKING:
    import torch


@victim("text", TextTraining, epochs=2, batch_size=32, learning_rate=1e-4, max_length=64, hooks=("on_epoch",))
def finetuned_encoder(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: TextTraining,
    *,
    model: str = "sentence-transformers/all-MiniLM-L6-v2",
) -> np.ndarray:
    """A pretrained encoder with a new classification head, all of its weights fine-tuned.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train.
        model: a model id on the Hub or a local folder, with its tokenizer.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch or transformers is not installed.
        OSError: the model cannot be found or loaded.
        ValueError: as in `small_llama`, or the tokenizer has no padding token.
    """
    require("attack", "torch", "transformers")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    classes, targets = class_indices(train_texts, train_labels, test_texts)
    tokenizer = had("tokenizer", model, AutoTokenizer.from_pretrained)
    if tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer of {model!r} has no padding token; use an encoder such as the default model")

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return tokenizer(list(texts), truncation=True, max_length=training.max_length)["input_ids"]

    def build() -> torch.nn.Module:
        # .float(): some checkpoints are stored in half precision, in which AdamW loses small updates.
        load = partial(
            AutoModelForSequenceClassification.from_pretrained, num_labels=len(classes), ignore_mismatched_sizes=True
        )
        return had("classifier", model, load).float()

    return train_and_predict(
        build,
        encode(train_texts),
        targets,
        encode(test_texts),
        classes=classes,
        pad_token_id=tokenizer.pad_token_id,
        training=training,
    )
