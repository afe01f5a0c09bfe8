"""A victim that learns the language from the training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.text.victims.training import TextTraining, one_thread, train_and_predict

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PAD, _END = 0, 1


@victim("text", TextTraining, epochs=12, batch_size=16, learning_rate=3e-3, max_length=128, hooks=("on_epoch",))
def small_llama(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: TextTraining,
    *,
    vocab_size: int = 4096,
    hidden_size: int = 128,
    num_hidden_layers: int = 1,
    num_attention_heads: int = 4,
) -> np.ndarray:
    """A small Llama-style classifier and its own tokenizer, both trained from nothing on the training texts.

    The defaults suit hundreds or a few thousand short texts, where one block learns as much as two in half the time.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train; the end token that every text gets is part of `max_length`.
        vocab_size: largest size of the byte-level BPE vocabulary; few texts give a smaller one.
        hidden_size: width of the model, a multiple of `2 * num_attention_heads`.
        num_hidden_layers: number of transformer blocks.
        num_attention_heads: attention heads per block.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, transformers or tokenizers is not installed.
        ValueError: no test texts, or train_labels that are not one integer per text from at least two classes.
    """
    require("attack", "torch", "transformers", "tokenizers")
    from transformers import LlamaConfig, LlamaForSequenceClassification

    classes, targets = class_indices(train_texts, train_labels, test_texts)
    tokenizer = _tokenizer(train_texts, vocab_size)

    def encode(texts: Sequence[str]) -> list[list[int]]:
        # Llama classifies from the last token that is not padding. Ending every text with the same token gives it one
        # place to learn to gather the text in, and gives an empty text something to be.
        return [[*one.ids[: training.max_length - 1], _END] for one in tokenizer.encode_batch(list(texts))]

    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=hidden_size, intermediate_size=2 * hidden_size,
        num_hidden_layers=num_hidden_layers, num_attention_heads=num_attention_heads,
        max_position_embeddings=training.max_length, pad_token_id=_PAD, bos_token_id=None, eos_token_id=_END,
    )  # fmt: skip
    config.num_labels = len(classes)
    with one_thread():
        return train_and_predict(
            lambda: LlamaForSequenceClassification(config), encode(train_texts), targets, encode(test_texts),
            classes=classes, pad_token_id=_PAD, training=training,
        )  # fmt: skip


def _tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE, learned from the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=["<pad>", "<end>"],  # numbered first, in this order
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
