"""Audio classifiers that an adversary may train: from nothing, on fixed features, and pretrained.

They fail in different ways. A convolution on log-mel spectrograms finds the signal of a protection first, a raw
waveform sees phases that a spectrogram does not, and statistics of cepstral coefficients have no position that a
protection could lean on. Those that are normalised do not hear a filter that stays as it is. A pretrained model hears
already, as a linear probe on a frozen voice encoder does.

Each is a `Victim`, called as `victim(train_clips, train_labels, test_clips, seed=0, **settings)`. What its docstring
does not name among its settings is described in `AudioTraining`. Recordings are `Clip`s, heard in mono at one rate. On
one machine's CPU the same seed and number of threads give the same predictions; the caller's torch generators are left
as they were.
"""

from __future__ import annotations

from hf_unlearnable.adversary import Victim
from hf_unlearnable.audio.victims.linear import mfcc_linear, mfcc_linear_normalised, voice_encoder_probe
from hf_unlearnable.audio.victims.networks import audio_transformer, log_mel_cnn, log_mel_cnn_normalised, raw_cnn
from hf_unlearnable.audio.victims.pretrained import pretrained_audio_model
from hf_unlearnable.audio.victims.training import AudioTraining

__all__ = [
    "AUDIO_VICTIMS", "AudioTraining", "audio_transformer", "log_mel_cnn", "log_mel_cnn_normalised", "mfcc_linear",
    "mfcc_linear_normalised", "pretrained_audio_model", "raw_cnn", "voice_encoder_probe",
]  # fmt: skip

AUDIO_VICTIMS: dict[str, Victim] = {
    "log_mel_cnn": log_mel_cnn,
    "log_mel_cnn_normalised": log_mel_cnn_normalised,
    "raw_cnn": raw_cnn,
    "mfcc_linear": mfcc_linear,
    "mfcc_linear_normalised": mfcc_linear_normalised,
    "audio_transformer": audio_transformer,
    "pretrained_audio_model": pretrained_audio_model,
    "voice_encoder_probe": voice_encoder_probe,
}
