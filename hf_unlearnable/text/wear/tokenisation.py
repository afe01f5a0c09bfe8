"""Texts split into tokens and put together again: what a model that was trained on them can know."""

from __future__ import annotations

from collections.abc import Sequence

from hf_unlearnable._extras import require
from hf_unlearnable.text.language_model.loading import had

_VOCABULARY = 4096


def through_tokenizer(texts: Sequence[str], model: str) -> list[str | None]:
    """Texts through the tokenizer of a model, without special tokens.

    Args:
        texts: Any.
        model: Hub id or folder of a model.

    Raises:
        OSError: The tokenizer is not to be had, such as without a network.
    """
    require("attack", "transformers")
    from transformers import AutoTokenizer

    tokenizer = had("tokenizer", model, AutoTokenizer.from_pretrained)
    ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    return [text or None for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]


def through_own_bpe(texts: Sequence[str]) -> list[str | None]:
    """Texts through a byte-level BPE as GPT-2's, of 4,096 tokens that are learned from these texts."""
    require("attack", "tokenizers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    every = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=_VOCABULARY, initial_alphabet=every, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return [tokenizer.decode(one.ids) or None for one in tokenizer.encode_batch(list(texts))]
