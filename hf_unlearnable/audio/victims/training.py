"""What audio victims share: how they train, and how they hear recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Training, class_indices
from hf_unlearnable.adversary.loop import device, trained
from hf_unlearnable.audio.features import WINDOW, waves

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from hf_unlearnable.audio.clip import Clip

HOOKS = ("on_epoch", "in_training")
HIGHEST, LONGEST = 16_000, 4.0  # frames per second and seconds that a model hears when nothing else is said
_AT_ONCE = 256  # recordings that are labelled together


@dataclass(frozen=True, kw_only=True)
class AudioTraining(Training):
    """How an audio victim trains: the fields of `Training`, and three more.

    The schedule is a cosine, of AdamW with a weight decay of 0.01. `in_training` is given the recordings as they are
    heard, in mono at one rate, float [batch, frames] with full scale 1, before any front end.

    Args:
        rate: Frames per second at which the model hears; None for the most frequent rate of the training recordings,
            at most 16,000.
        duration: Seconds of each recording that the model hears, from its beginning; silence follows shorter ones.
            None for what covers 95 of 100 training recordings, at most 4.
        normalised: Whether the front end subtracts each band's mean over the clip, of training and test clips alike,
            as many speech recognisers do (cepstral mean normalisation). It removes a filter that does not move.
    """

    rate: int | None = None
    duration: float | None = None
    normalised: bool = False


def heard(clips: Sequence[Clip], training: AudioTraining) -> tuple[int, int]:
    """Rate and number of frames at which a victim hears these training recordings, at least one window of each."""
    rate = training.rate or min(HIGHEST, Counter(clip.rate for clip in clips).most_common(1)[0][0])
    lengths = [len(clip.samples) / clip.rate for clip in clips]
    duration = training.duration or min(LONGEST, float(np.percentile(lengths, 95)))
    return rate, max(round(WINDOW * rate), round(duration * rate))


def train_and_predict(
    build: Callable[[int, int, int], nn.Module], train_clips: Sequence[Clip], train_labels: Sequence[int],
    test_clips: Sequence[Clip], training: AudioTraining,
) -> np.ndarray:  # fmt: skip
    """Builds a classifier `build(classes, rate, frames)` of waves, trains it and labels the test recordings."""
    require("attack", "torch", "transformers")
    import torch

    classes, targets = class_indices(train_clips, train_labels, test_clips)
    rate, frames = heard(train_clips, training)
    sounds, tests = (waves(clips, rate, frames) for clips in (train_clips, test_clips))
    sounds, labels = sounds.to(device()), torch.as_tensor(targets, device=device())

    def batches(generator: torch.Generator) -> tuple[Tensor, ...]:
        return torch.randperm(len(sounds), generator=generator).split(training.batch_size)

    def scored(model: nn.Module, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        batch, wanted = sounds[rows.to(labels.device)], labels[rows.to(labels.device)]
        if training.in_training is not None:
            batch, wanted = training.in_training(batch, wanted, model, generator)
        return model(batch), wanted

    def predicted(model: nn.Module) -> np.ndarray:
        model.eval()
        with torch.inference_mode():
            answers = [model(part.to(device())).argmax(1).cpu() for part in tests.split(_AT_ONCE)]
        return classes[torch.cat(answers).numpy()]

    return trained(
        lambda: build(len(classes), rate, frames), training, len(sounds), batches=batches, scored=scored,
        optimizer=partial(torch.optim.AdamW, lr=training.learning_rate, weight_decay=0.01),
        schedule=_warmed_cosine, predicted=predicted, largest_norm=5.0,
    )  # fmt: skip


def _warmed_cosine(optimizer: Any, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A rate that rises during the first tenth of the steps and falls as a cosine."""
    import torch

    warm = max(1, steps // 10)

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, steps - warm))))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)
