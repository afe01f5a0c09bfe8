"""All images together, with their labels: what the images of a class share is found and taken away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.countermeasures.pixels import levels_of, median_filter, whole

_GRID = 64  # pixels a side at most at which classes are compared
_BATCH, _STEPS = 1024, 980  # of `orthogonal_projection`


def orthogonal_projection(rows: Rows, attacker: Attacker) -> Rows:
    """Images without what a linear model reads the label from.

    Logistic regression W on raw pixels, its columns made orthonormal (QR: Q), and x - Q Q' (x - mean). Breaks
    one-pixel (over 87 %), linear-separable and what else is linear and the same for a class.

    Paper: P. Sandoval-Segura, V. Singla, J. Geiping, M. Goldblum, T. Goldstein, "What Can We Learn from Unlearnable
    Datasets?", NeurIPS 2023, arXiv:2305.19254. W is trained as in its code: without a bias, by SGD without momentum,
    in batches of 1,024 in the order of the rows. It takes the 980 steps that 20 epochs of CIFAR-10 are. The learning
    rate is 0.1, a tenth of it from half and a hundredth from three quarters on. Its projected images have no mean and
    are neither rounded nor clipped; here they stay images.
    """
    images = levels_of(rows)
    small = _on_grid(images)
    flat = small.reshape(len(small), -1)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    basis, _ = np.linalg.qr(_linear_weights(flat, targets, len(classes)).T.astype(np.float64))
    mean = flat.mean(axis=0)
    read = (basis @ (basis.T @ (one - mean)) for one in flat)
    return _subtracted(images, (one.reshape(small.shape[1:]) for one in read), rows)


def _linear_weights(levels: np.ndarray, targets: np.ndarray, num_classes: int) -> np.ndarray:
    """W of `orthogonal_projection`, float32 [num_classes, pixels], for uint8 levels [n, pixels]."""
    from hf_unlearnable.image.methods.linearization import softmax

    weights = np.zeros((num_classes, levels.shape[1]), np.float32)
    batches = [slice(start, start + _BATCH) for start in range(0, len(levels), _BATCH)]
    for step in range(_STEPS):
        rows = batches[step % len(batches)]
        x = levels[rows].astype(np.float32) / 255
        residual = softmax(x @ weights.T)
        residual[np.arange(len(x)), targets[rows]] -= 1
        rate = 0.1 * 0.1 ** ((step >= _STEPS // 2) + (step >= _STEPS * 3 // 4))
        weights -= rate * (residual.T @ x) / len(x)
    return weights


def class_mean_subtraction(rows: Rows, attacker: Attacker) -> Rows:
    """Images without what is finer in the average of their class than in that of all.

    A noise that all images of a class share is what their average shows and the pictures, averaged, do not. What
    varies slowly over the image (a Gaussian of an eighth of its width) may be the class itself and stays. Breaks
    class-wise noise; costs next to nothing on clean data. With few images per class the pictures do not average out.
    """
    from scipy.ndimage import gaussian_filter

    images = levels_of(rows)
    small = _on_grid(images)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    means = np.stack([small[targets == i].mean(axis=0) for i in range(len(classes))]) - small.mean(axis=0)
    patterns = means - gaussian_filter(means, (0, means.shape[1] / 8, means.shape[2] / 8, 0))
    return _subtracted(images, (patterns[i] for i in targets), rows)


def constant_pixel_repair(rows: Rows, attacker: Attacker) -> Rows:
    """Pixels that hardly differ within a class, replaced by the median of their 3 x 3 surroundings.

    Hardly is: a standard deviation of less than a quarter of the median one in that class. Breaks one-pixel: it is
    what its author would look for. Costs next to nothing on clean data.
    """
    images = levels_of(rows)
    small = _on_grid(images)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    spread = np.stack([small[targets == i].std(axis=0).mean(axis=2) for i in range(len(classes))])
    odd = spread < np.median(spread, axis=(1, 2), keepdims=True) / 4
    excess = (one - median_filter(one).astype(np.float64) for one in small)
    change = (one * odd[i, :, :, None] for one, i in zip(excess, targets, strict=True))
    return _subtracted(images, change, rows)


def spectrum_equalisation(rows: Rows, attacker: Attacker) -> Rows:
    """Images whose class's mean amplitude at every frequency is brought to that of all images.

    A filter that a class was seen through (`ConvolutionTransform`) multiplies its spectrum. So the ratio to the
    average spectrum shows the filter, and dividing by it undoes it, but for its phase and the dark border. These are
    enough for a small CNN to tell the classes by, so `sharpening_and_low_pass` does better. What it costs on clean
    data is the part of a class that lies in its average spectrum alone.
    """
    images = levels_of(rows)
    classes, targets = np.unique(np.asarray(rows.labels), return_inverse=True)
    height, width = np.min([image.shape[:2] for image in images], axis=0)
    sums = np.zeros((len(classes), height, width // 2 + 1))
    for image, i in zip(images, targets, strict=True):
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        window = image[top : top + height, left : left + width]
        sums[i] += np.abs(np.fft.rfft2(window, axes=(0, 1))).mean(axis=2)
    counts = np.bincount(targets)[:, None, None]
    gains = sums.sum(axis=0) / len(images) / np.maximum(sums / counts, 1e-9)

    def equalised(image: np.ndarray, gain: np.ndarray) -> np.ndarray:
        down = np.rint(np.fft.fftfreq(image.shape[0]) * height).astype(int)
        right = np.rint(np.fft.rfftfreq(image.shape[1]) * width).astype(int).clip(max=width // 2)
        spectrum = np.fft.rfft2(image, axes=(0, 1)) * gain[down[:, None], right, None]
        return whole(np.fft.irfft2(spectrum, image.shape[:2], axes=(0, 1)))

    return Rows([equalised(image, gains[i]) for image, i in zip(images, targets, strict=True)], rows.labels)


def _on_grid(images: list[np.ndarray]) -> np.ndarray:
    """All images at the size of the first one, 64 pixels a side at most: uint8 [n, height, width, 3]."""
    from hf_unlearnable.image.methods.one_pixel import on_grid

    grid = (min(_GRID, images[0].shape[0]), min(_GRID, images[0].shape[1]))
    return np.stack([on_grid(image, grid) for image in images])


def _subtracted(images: list[np.ndarray], patterns: Iterator[np.ndarray], rows: Rows) -> Rows:
    """The rows with each image less its pattern, which is stretched to the image."""
    from hf_unlearnable.image.learning.noise import fitted_to

    pairs = zip(images, patterns, strict=True)
    return Rows([whole(image - fitted_to(pattern, image.shape)) for image, pattern in pairs], rows.labels)
