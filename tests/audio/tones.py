"""Recordings made here: tones and noises of any rate, length and number of channels."""

import numpy as np

from hf_unlearnable.audio.clip import Clip

PITCHES = (300, 700, 1500)  # Hz, of three classes


def clip(samples, rate: int = 8000) -> Clip:
    """Of samples [frames] or [frames, channels]."""
    samples = np.asarray(samples, np.float32)
    return Clip(samples[:, None] if samples.ndim == 1 else samples, rate)


def tone(pitch: float, frames: int = 4000, rate: int = 8000, level: float = 0.3, phase: float = 0.0) -> np.ndarray:
    """A sine, float [frames]."""
    return level * np.sin(2 * np.pi * pitch * np.arange(frames) / rate + phase)


def noise(frames: int = 4000, seed: int = 0, channels: int = 1, level: float = 0.1) -> np.ndarray:
    """White noise, float [frames, channels]."""
    return np.random.default_rng(seed).normal(0, level, (frames, channels))


def tones(n: int, seed: int, labels=(3, 8, 5), rate: int = 8000) -> tuple[list[Clip], list[int]]:
    """Noisy tones of 0.15 to 0.3 seconds, a class for each pitch, of any phase and level."""
    random = np.random.default_rng(seed)
    made, names = [], []
    for i in range(n):
        frames = int(random.integers(0.15 * rate, 0.3 * rate))
        pitch = PITCHES[i % 3] * random.uniform(0.93, 1.07)
        wave = tone(pitch, frames, rate, random.uniform(0.05, 0.5), random.uniform(0, 6))
        made.append(clip(wave + random.normal(0, 0.01, frames), rate))
        names.append(labels[i % 3])
    return made, names


def level_at(samples, pitch: float, rate: int = 8000) -> float:
    """How strong a pitch is in the middle half of samples [frames] or of their first channel, as a sine's level."""
    one = np.asarray(samples, float).reshape(len(samples), -1)[len(samples) // 4 : 3 * len(samples) // 4, 0]
    window = np.hanning(len(one))
    return 2 * abs(np.sum(window * one * np.exp(-2j * np.pi * pitch * np.arange(len(one)) / rate))) / window.sum()


def decibels(ratio: float) -> float:
    return float(20 * np.log10(max(ratio, 1e-12)))


# Of every shape that a change must bear: one sample, two, silence, none, stereo and more, 8 to 96 kHz.
ODD = [
    clip([[0.2]]), clip([[0.1], [-0.1]]), clip(np.zeros((900, 1))), clip(np.zeros((0, 1))),
    clip(noise(700, 1, 2), 16_000), clip(noise(3000, 2, 2), 44_100), clip(noise(1500, 3, 3), 48_000),
    clip(noise(2500, 4), 96_000), clip(noise(400, 5), 11_025), clip(noise(5, 6, 2), 22_050),
]  # fmt: skip
