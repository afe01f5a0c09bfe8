"""How the neural victims train on tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.adversary import Training
from hf_unlearnable.adversary.loop import device, trained

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class TextTraining(Training):
    """How a text victim trains: the fields of `Training`, and one more. The schedule is one cycle of AdamW.

    Args:
        max_length: Longest input in tokens; the rest of a text is cut.
    """

    max_length: int = 128


def train_and_predict(
    build: Callable[[], torch.nn.Module],
    train_ids: list[list[int]],
    targets: np.ndarray,
    test_ids: list[list[int]],
    *,
    classes: np.ndarray,
    pad_token_id: int,
    training: Training,
) -> np.ndarray:
    """Build a classifier, train it with AdamW on a one-cycle schedule, label the test rows.

    Args:
        build: makes the model; called once, with the generator already seeded.
        train_ids: n lists of token ids, unpadded.
        targets: class indices, int array [n].
        test_ids: m lists of token ids, unpadded.
        classes: the label of each class index [k].
        pad_token_id: what fills shorter rows of a batch.
        training: how to train.

    Returns:
        Predicted labels, int array [m].
    """
    import torch
    from torch.optim.lr_scheduler import OneCycleLR

    where, labels = device(), torch.as_tensor(targets)
    lengths = torch.tensor([len(ids) for ids in train_ids])

    def logits(model: torch.nn.Module, ids: list[list[int]], rows: torch.Tensor) -> torch.Tensor:
        batch = [torch.tensor(ids[row]) for row in rows.tolist()]
        input_ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=pad_token_id)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
        return model(input_ids=input_ids.to(where), attention_mask=mask.to(where)).logits

    def predicted(model: torch.nn.Module) -> np.ndarray:
        model.eval()
        answers = np.empty(len(test_ids), dtype=int)
        by_length = torch.tensor([len(ids) for ids in test_ids]).argsort(stable=True)
        with torch.inference_mode():
            for rows in by_length.split(4 * training.batch_size):
                answers[rows.numpy()] = logits(model, test_ids, rows).argmax(-1).cpu().numpy()
        return classes[answers]

    return trained(
        build, training, len(train_ids),
        batches=lambda generator: _length_batches(lengths, training.batch_size, generator),
        scored=lambda model, rows, _: (logits(model, train_ids, rows), labels[rows].to(where)),
        optimizer=partial(torch.optim.AdamW, lr=training.learning_rate, fused=True),
        schedule=lambda optimizer, steps: OneCycleLR(optimizer, training.learning_rate, total_steps=steps),
        predicted=predicted, largest_norm=1.0,
    )  # fmt: skip


def _length_batches(lengths: torch.Tensor, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """One epoch of row numbers, in random batches of similar length.

    Shuffle, cut into pools of eight batches, sort each pool by length, batch it, and shuffle the batches. Little
    padding is left to compute on, and every epoch still mixes the rows anew.
    """
    import torch

    batches = []
    for pool in torch.randperm(len(lengths), generator=generator).split(8 * batch_size):
        batches += pool[lengths[pool].argsort(stable=True)].split(batch_size)
    for i in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[i]


@contextmanager
def one_thread() -> Iterator[None]:
    """A model this small gains nothing from threads, and threads that wait for a busy core cost much more than it."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
