"""Linear classifiers: of statistics of cepstral coefficients, and of a pretrained voice encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.adversary.loop import device
from hf_unlearnable.audio.features import cepstral_statistics, log_mel, resampled, waves
from hf_unlearnable.audio.victims.training import AudioTraining, heard

if TYPE_CHECKING:
    from torch import Tensor

    from hf_unlearnable.audio.clip import Clip

_VIEWS = 4  # changed versions of each recording that a linear model is shown, where they change in training
_ENCODER_RATE = 16_000


@victim("audio", AudioTraining, batch_size=256, rate=None, duration=None, normalised=False, hooks=("in_training",))
def mfcc_linear(
    train_clips: Sequence[Clip],
    train_labels: Sequence[int],
    test_clips: Sequence[Clip],
    training: AudioTraining,
    *,
    C: float = 1.0,  # noqa: N803, scikit-learn's name
) -> np.ndarray:
    """Logistic regression on statistics of 20 MFCC per clip: seconds, and no position to lean on.

    With an `in_training` it is shown four changed versions of each recording.

    Args:
        train_clips: n training recordings.
        train_labels: their n integer labels.
        test_clips: m recordings to label.
        training: seed, how the recordings are heard, and the hook.
        C: inverse strength of the L2 penalty on the weights of the standardised statistics, above 0.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, transformers, scikit-learn, scipy or soxr is not installed.
        ValueError: as `log_mel_cnn`.
    """
    require("attack", "torch", "transformers", "sklearn", "scipy")
    import torch

    classes, targets = class_indices(train_clips, train_labels, test_clips)
    rate, frames = heard(train_clips, training)
    front = log_mel(rate).to(device())

    def statistics(sounds: Tensor) -> np.ndarray:
        with torch.inference_mode():
            mel = torch.cat([front(part.to(device())).cpu() for part in sounds.split(training.batch_size)])
        return cepstral_statistics(mel.numpy().astype(np.float64), normalised=training.normalised)

    sounds, labels = waves(train_clips, rate, frames), torch.as_tensor(targets)
    if training.in_training is None:
        shown, wanted = [statistics(sounds)], [targets]
    else:
        shown, wanted = [], []
        generator = torch.Generator().manual_seed(training.seed)
        for _ in range(_VIEWS):
            for rows in torch.randperm(len(sounds), generator=generator).split(training.batch_size):
                batch, told = training.in_training(sounds[rows], labels[rows], front, generator)
                shown.append(statistics(batch))
                wanted.append((told if told.ndim == 1 else told.argmax(1)).numpy())
    answers = _fitted(np.concatenate(shown), np.concatenate(wanted), statistics(waves(test_clips, rate, frames)), C)
    return classes[answers]


@victim("audio", AudioTraining, batch_size=256, rate=None, duration=None, normalised=True, hooks=("in_training",))
def mfcc_linear_normalised(
    train_clips: Sequence[Clip], train_labels: Sequence[int], test_clips: Sequence[Clip], training: AudioTraining
) -> np.ndarray:
    """`mfcc_linear` that normalises every clip, as `log_mel_cnn_normalised` does.

    Data, result and errors are those of `mfcc_linear`.
    """
    return mfcc_linear.train(train_clips, train_labels, test_clips, training)


@victim("audio", AudioTraining)
def voice_encoder_probe(
    train_clips: Sequence[Clip],
    train_labels: Sequence[int],
    test_clips: Sequence[Clip],
    training: AudioTraining,
    *,
    C: float = 1.0,  # noqa: N803, scikit-learn's name
) -> np.ndarray:
    """Logistic regression on the voices that a pretrained encoder hears (Resemblyzer), for labels that are speakers.

    It was trained on thousands of other voices, so it does not learn to hear from the protected rows, and there is
    little to mislead. Nothing here is random: all seeds give the same answer.

    Paper: L. Wan, Q. Wang, A. Papir, I. Lopez Moreno, "Generalized End-to-End Loss for Speaker Verification", ICASSP
    2018, arXiv:1710.10467. The weights (17 MB) come with the package.

    Args:
        train_clips: n training recordings.
        train_labels: their n integer labels.
        test_clips: m recordings to label.
        training: seed.
        C: as in `mfcc_linear`.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: scikit-learn or the encoder is not installed; the message says how.
        ValueError: as `log_mel_cnn`.
    """
    require("attack", "sklearn")
    classes, targets = class_indices(train_clips, train_labels, test_clips)
    return classes[_fitted(_voices(train_clips), targets, _voices(test_clips), C)]


def _voices(clips: Sequence[Clip]) -> np.ndarray:
    """Embeddings float32 [n, 256]; of silence and clips of under a window, those of silence."""
    try:
        from resemblyzer import VoiceEncoder
    except ImportError as error:  # the plain installation takes a webrtcvad that needs an old setuptools
        raise ImportError(
            f"The voice encoder does not load ({error}). Install it: pip install --no-deps resemblyzer && pip install "
            "webrtcvad-wheels librosa",
            name="resemblyzer",
        ) from error
    encoder = VoiceEncoder(device(), verbose=False)
    return np.stack([encoder.embed_utterance(resampled(clip.mono, clip.rate, _ENCODER_RATE)) for clip in clips])


def _fitted(shown: np.ndarray, targets: np.ndarray, asked: np.ndarray, C: float) -> np.ndarray:  # noqa: N803
    """Class indices [m] of the asked by logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    return classifier.fit(shown, targets).predict(asked)
