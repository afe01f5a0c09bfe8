"""A recurrent victim that reads words in order, and learns them from the training rows alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.text.victims.training import TextTraining, one_thread, train_and_predict

if TYPE_CHECKING:
    import torch

_PAD, _UNKNOWN, _END = 0, 1, 2
_TOKEN = re.compile(r"\w+|[^\w\s]")


@victim("text", TextTraining, epochs=5, batch_size=32, learning_rate=3e-3, max_length=128, hooks=("on_epoch",))
def lstm(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: TextTraining,
    *,
    vocab_size: int = 20_000,
    hidden_size: int = 128,
) -> np.ndarray:
    """A long short-term memory over word vectors, both from nothing: the classifier of work on texts before BERT.

    It reads the text from left to right and classifies from its last state. Words are in lower case. Those that the
    training texts hold once only share one vector with those that they do not hold, so that it is trained too.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train; the end token that every text gets is part of `max_length`.
        vocab_size: how many words have a vector of their own at most, the most frequent ones.
        hidden_size: width of the word vectors and of the state.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch is not installed.
        ValueError: no test texts, or train_labels that are not one integer per text from at least two classes.
    """
    require("attack", "torch")

    classes, targets = class_indices(train_texts, train_labels, test_texts)
    counts = Counter(token for text in train_texts for token in _TOKEN.findall(text.lower()))
    known = [token for token, count in counts.most_common(vocab_size) if count > 1]
    number = {token: i for i, token in enumerate(known, start=_END + 1)}

    def encode(texts: Sequence[str]) -> list[list[int]]:
        tokens = (_TOKEN.findall(text.lower())[: training.max_length - 1] for text in texts)
        return [[*(number.get(token, _UNKNOWN) for token in one), _END] for one in tokens]

    with one_thread():
        return train_and_predict(
            lambda: _network(_END + 1 + len(known), hidden_size, len(classes)), encode(train_texts), targets,
            encode(test_texts), classes=classes, pad_token_id=_PAD, training=training,
        )  # fmt: skip


def _network(vocab_size: int, hidden_size: int, classes: int) -> torch.nn.Module:
    import torch

    class Recurrent(torch.nn.Module):
        """Called and answering as classifiers of transformers are."""

        def __init__(self) -> None:
            super().__init__()
            self.vectors = torch.nn.Embedding(vocab_size, hidden_size, padding_idx=_PAD)
            self.dropout = torch.nn.Dropout(0.3)
            self.cell = torch.nn.LSTM(hidden_size, hidden_size, batch_first=True)
            self.head = torch.nn.Linear(hidden_size, classes)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
            states, _ = self.cell(self.dropout(self.vectors(input_ids)))
            last = states[torch.arange(len(states)), attention_mask.sum(1) - 1]
            return SimpleNamespace(logits=self.head(self.dropout(last)))

    return Recurrent()
