"""Networks trained from nothing: on log-mel spectrograms, on the wave itself, and a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.adversary import victim
from hf_unlearnable.audio.networks import log_mel_network, raw_network
from hf_unlearnable.audio.victims.training import HOOKS, AudioTraining, train_and_predict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hf_unlearnable.audio.clip import Clip


@victim("audio", AudioTraining, epochs=6, batch_size=64, learning_rate=3e-3, rate=None, duration=None,
        normalised=False, hooks=HOOKS)  # fmt: skip
def log_mel_cnn(
    train_clips: Sequence[Clip], train_labels: Sequence[int], test_clips: Sequence[Clip], training: AudioTraining
) -> np.ndarray:
    """Four convolutions on a log-mel spectrogram of 40 bands: thousands of short clips in a minute on one core.

    Args:
        train_clips: n training recordings.
        train_labels: their n integer labels.
        test_clips: m recordings to label.
        training: how to train.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, transformers or soxr is not installed.
        ValueError: no test recordings, or train_labels that are not one integer per recording from at least two
            classes.
    """

    def build(classes: int, rate: int, frames: int) -> nn.Module:
        return log_mel_network(classes, rate, training.normalised)

    return train_and_predict(build, train_clips, train_labels, test_clips, training)


@victim("audio", AudioTraining, epochs=6, batch_size=64, learning_rate=3e-3, rate=None, duration=None,
        normalised=True, hooks=HOOKS)  # fmt: skip
def log_mel_cnn_normalised(
    train_clips: Sequence[Clip], train_labels: Sequence[int], test_clips: Sequence[Clip], training: AudioTraining
) -> np.ndarray:
    """`log_mel_cnn` that normalises every clip, so that it does not hear a filter that stays as it is.

    Cepstral mean normalisation is no countermeasure on rows, for many models hear so in training and test alike. It is
    the first thing to try against an equaliser. Two notches of 250 Hz per class on FSDD left `log_mel_cnn` 21 %. They
    leave this one 99.7 (clean: 99.7; one key, one seed). Data, result and errors are those of `log_mel_cnn`.
    """
    return log_mel_cnn.train(train_clips, train_labels, test_clips, training)


@victim("audio", AudioTraining, epochs=12, batch_size=64, learning_rate=3e-3, rate=None, duration=None, hooks=HOOKS)
def raw_cnn(
    train_clips: Sequence[Clip], train_labels: Sequence[int], test_clips: Sequence[Clip], training: AudioTraining
) -> np.ndarray:
    """Four convolutions on the wave itself, the first over ten milliseconds: M5 at a quarter of its width.

    Paper: W. Dai, C. Dai, S. Qu, J. Li, S. Das, "Very deep convolutional neural networks for raw waveforms", ICASSP
    2017, arXiv:1610.00087. Data, result and errors are those of `log_mel_cnn`.
    """
    return train_and_predict(
        lambda classes, rate, _: raw_network(classes, rate), train_clips, train_labels, test_clips, training
    )


@victim("audio", AudioTraining, epochs=15, batch_size=64, learning_rate=1e-3, rate=None, duration=None, hooks=HOOKS)
def audio_transformer(
    train_clips: Sequence[Clip], train_labels: Sequence[int], test_clips: Sequence[Clip], training: AudioTraining
) -> np.ndarray:
    """A small audio spectrogram transformer (three layers of 96) on patches of a log-mel spectrogram of 40 bands.

    Paper: Y. Gong, Y.-A. Chung, J. Glass, "AST: Audio Spectrogram Transformer", Interspeech 2021, arXiv:2104.01778.
    Data, result and errors are those of `log_mel_cnn`.
    """
    return train_and_predict(_transformer, train_clips, train_labels, test_clips, training)


def _transformer(classes: int, rate: int, frames: int) -> nn.Module:
    from torch import nn
    from transformers import ASTConfig, ASTForAudioClassification

    from hf_unlearnable.audio.features import HOP, log_mel

    times = max(8, 1 + frames // round(HOP * rate))
    config: Any = ASTConfig(
        hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=192, patch_size=8,
        frequency_stride=8, time_stride=4, max_length=times, num_mel_bins=40,
    )  # fmt: skip
    config.num_labels = classes

    class Heard(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front, self.scale = log_mel(rate, 40), nn.BatchNorm1d(1)
            self.model = ASTForAudioClassification(config)

        def forward(self, x: Tensor) -> Tensor:
            mel = self.front(x)
            mel = nn.functional.pad(mel, (0, max(0, times - mel.shape[2])), value=float(mel.min()))[:, :, :times]
            seen = self.scale(mel.reshape(len(mel), 1, -1)).view_as(mel)
            return self.model(input_values=seen.transpose(1, 2)).logits

    return Heard()
