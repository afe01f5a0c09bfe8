"""The nearest class mean of a coarse spectrum."""

from collections.abc import Sequence

import numpy as np

from hf_unlearnable.adversary import Training, victim


@victim("sound")
def nearest_class_mean(
    train_sounds: Sequence[np.ndarray],
    train_labels: Sequence[int],
    test_sounds: Sequence[np.ndarray],
    training: Training,
    *,
    bands: int = 32,
) -> np.ndarray:
    """Labels a sound by the class whose mean spectrum is nearest to its own.

    Args:
        train_sounds: n training sounds, int16 [frames, channels] each.
        train_labels: Their n integer labels.
        test_sounds: m sounds to label.
        training: How to train; nothing is random here.
        bands: Bands of the spectrum, equally wide.

    Returns:
        Predicted labels, int array [m].
    """
    spectra = np.stack([_spectrum(sound, bands) for sound in train_sounds])
    labels = np.array(train_labels)
    classes = np.unique(labels)
    means = np.stack([spectra[labels == label].mean(axis=0) for label in classes])
    tests = np.stack([_spectrum(sound, bands) for sound in test_sounds])
    return classes[np.linalg.norm(tests[:, None] - means, axis=2).argmin(axis=1)]


def _spectrum(sound: np.ndarray, bands: int) -> np.ndarray:
    """Logarithm of the energy in each band, float [bands]."""
    energy = np.abs(np.fft.rfft(sound.mean(axis=1), n=max(len(sound), 2 * bands))) ** 2
    return np.log1p([part.mean() for part in np.array_split(energy, bands)])
