"""Pretrained models, fine-tuned whole."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import victim
from hf_unlearnable.audio.victims.training import HOOKS, AudioTraining, train_and_predict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hf_unlearnable.audio.clip import Clip


@victim("audio", AudioTraining, epochs=5, batch_size=16, learning_rate=1e-4, duration=None, hooks=HOOKS)
def pretrained_audio_model(
    train_clips: Sequence[Clip],
    train_labels: Sequence[int],
    test_clips: Sequence[Clip],
    training: AudioTraining,
    *,
    model: str = "facebook/wav2vec2-base",
) -> np.ndarray:
    """A pretrained model with a fresh head, all of its weights fine-tuned: what most people train today.

    Data, result and errors are those of `log_mel_cnn`, with these differences.

    Args:
        train_clips, train_labels, test_clips: as in `log_mel_cnn`.
        training: how to train. The rate is that of the model's feature extractor.
        model: id on the Hub or folder of an `AutoModelForAudioClassification` (Wav2Vec2, HuBERT, WavLM, AST,
            Whisper), with its feature extractor.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, transformers or soxr is not installed.
        OSError: the model cannot be found or loaded.
        ValueError: as `log_mel_cnn`.
    """
    require("attack", "torch", "transformers")
    from transformers import AutoFeatureExtractor

    extractor = _had(model, "feature extractor", lambda: AutoFeatureExtractor.from_pretrained(model))
    return train_and_predict(
        lambda classes, rate, frames: _fresh(model, extractor, classes), train_clips, train_labels, test_clips,
        replace(training, rate=extractor.sampling_rate),
    )  # fmt: skip


def _fresh(name: str, extractor: Any, classes: int) -> nn.Module:
    """A pretrained model with a head that knows nothing, from waves to logits."""
    import torch
    from transformers import AutoConfig, AutoModelForAudioClassification

    def load() -> Any:
        config = AutoConfig.from_pretrained(name, num_labels=classes)
        return AutoModelForAudioClassification.from_pretrained(name, config=config, ignore_mismatched_sizes=True)

    model = _had(name, "audio classifier", load)
    for module in model.classifier.modules():  # a head for as many classes may know the very ones
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()

    # Wav2Vec2's extractor pads only when asked, and needs the mask to normalise each clip by itself. Its model wants
    # the mask only where it was trained with one. Those of spectrograms pad by themselves.
    pads = inspect.signature(extractor.__call__).parameters.get("padding")
    options = {"padding": True, "return_attention_mask": True} if pads is not None and pads.default is False else {}

    class Heard(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            clips = [_spoken(wave) for wave in x.detach().cpu().numpy()]
            given = extractor(clips, sampling_rate=extractor.sampling_rate, return_tensors="pt", **options)
            if options and not extractor.return_attention_mask:
                del given["attention_mask"]
            return self.model(**given.to(x.device)).logits

    return Heard()


def _spoken(wave: np.ndarray) -> np.ndarray:
    """A wave without the silence at its end, a tenth of a second at least."""
    sounds = np.flatnonzero(wave)
    return wave[: max(int(sounds[-1]) + 1 if len(sounds) else 0, 1600)]


def _had(name: str, what: str, load: Any) -> Any:
    """A part of a model, or an `OSError` that says in a sentence what to give instead."""
    from safetensors import SafetensorError

    try:
        return load()
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        said = str(error).split("\n")[0].split(". ")[0].rstrip(".")
        if Path(name).exists():
            raise OSError(
                f"{name} holds no {what} that can be loaded ({said}): give the folder of an "
                "AutoModelForAudioClassification that was saved with its feature extractor."
            ) from error
        raise OSError(
            f"{name} is no folder here, and no {what} of that id could be had from the Hub: connect to it, or give a "
            "folder."
        ) from error
