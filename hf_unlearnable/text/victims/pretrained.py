"""Victims that know the language already: an encoder, and a causal language model by LoRA or in all weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
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
    tokenizer = AutoTokenizer.from_pretrained(model)
    if tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer of {model!r} has no padding token; use an encoder such as the default model")

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return tokenizer(list(texts), truncation=True, max_length=training.max_length)["input_ids"]

    def build() -> torch.nn.Module:
        # .float(): some checkpoints are stored in half precision, in which AdamW loses small updates.
        return AutoModelForSequenceClassification.from_pretrained(
            model, num_labels=len(classes), ignore_mismatched_sizes=True
        ).float()

    return train_and_predict(
        build,
        encode(train_texts),
        targets,
        encode(test_texts),
        classes=classes,
        pad_token_id=tokenizer.pad_token_id,
        training=training,
    )


@victim("text", TextTraining, epochs=3, batch_size=16, max_length=128, hooks=("on_epoch",))
def causal_lm(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: TextTraining,
    *,
    model: str,
    lora: bool = True,
    rank: int = 16,
    learning_rate: float | None = None,
) -> np.ndarray:
    """A pretrained causal language model, fine-tuned to complete "<text>, line break, Label:" with a class.

    As language models are fine-tuned today: by LoRA (Hu et al., ICLR 2022, arXiv:2106.09685) on all linear layers, or
    in all weights. The loss is on the completion only. Its classes are single tokens (letters, then any others). The
    loss and the answer are the log-probabilities among these, so that it always answers with a class.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train; "Label:" is part of `max_length` and is never cut.
        model: a causal language model's id on the Hub or a local folder, with its tokenizer; 32 bits per weight.
        lora: whether to train low-rank adapters only.
        rank: of the adapters.
        learning_rate: peak of the one-cycle schedule; None for 0.4 / width of the model with LoRA and 0.15 / width
            without: wider models take smaller steps (4,096 with LoRA: 1e-4).

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch or transformers is not installed, or peft with `lora=True`.
        OSError: the model cannot be found or loaded.
        ValueError: as in `small_llama`, or more classes than tokens, or a max_length with no room for a text.
    """
    require("attack", "torch", "transformers", *(["peft"] if lora else []))
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    classes, targets = class_indices(train_texts, train_labels, test_texts)
    tokenizer = AutoTokenizer.from_pretrained(model)
    answers = _class_tokens(tokenizer, len(classes))
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    question = tokenizer("\nLabel:", add_special_tokens=False)["input_ids"]
    taken = len(start) + len(question)
    room = training.max_length - taken
    if room < 1:
        raise ValueError(f"max_length is {training.max_length}, but the start and 'Label:' take {taken} tokens.")

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [start + ids[:room] + question for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    if learning_rate is None:
        learning_rate = (0.4 if lora else 0.15) / AutoConfig.from_pretrained(model).get_text_config().hidden_size

    def build() -> torch.nn.Module:
        language_model: Any = AutoModelForCausalLM.from_pretrained(model).float()
        if lora:
            from peft import LoraConfig, get_peft_model

            language_model = get_peft_model(
                language_model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
            )
        return _class_completion(language_model, answers)

    return train_and_predict(
        build,
        encode(train_texts),
        targets,
        encode(test_texts),
        classes=classes,
        pad_token_id=0,  # any will do: what is masked is not seen
        training=replace(training, learning_rate=learning_rate),
    )


def _class_tokens(tokenizer: Any, number: int) -> list[int]:
    """As many different tokens: those that " A" to " Z" end with, then others of the vocabulary, none special."""
    letters = [tokenizer(f" {chr(65 + i)}", add_special_tokens=False)["input_ids"][-1] for i in range(26)]
    special = set(tokenizer.all_special_ids)
    tokens = [token for token in dict.fromkeys([*letters, *range(len(tokenizer))]) if token not in special]
    if len(tokens) < number:
        raise ValueError(f"{number} classes, but the tokenizer has {len(tokens)} tokens to name them with.")
    return tokens[:number]


def _class_completion(language_model: Any, answers: list[int]) -> torch.nn.Module:
    """A classifier: the logits of the answers behind the last token."""
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

    class ClassCompletion(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.language_model = language_model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
            # Padding moves to the left: the last tokens then stand in one column, and only its logits are computed.
            width = input_ids.shape[1]
            shift = width - attention_mask.sum(1, keepdim=True)
            columns = (torch.arange(width, device=input_ids.device) - shift) % width
            mask = attention_mask.gather(1, columns)
            logits = self.language_model(
                input_ids=input_ids.gather(1, columns),
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0),
                logits_to_keep=1,
            ).logits
            return SequenceClassifierOutput(logits=logits[:, -1, answers])

    return ClassCompletion()
