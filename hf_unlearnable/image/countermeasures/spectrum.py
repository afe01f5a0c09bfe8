"""What a filter that knows no labels finds in the spectra of all images: frequencies that stand out everywhere."""

from __future__ import annotations

import numpy as np

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.countermeasures.pixels import levels_of, whole

_AROUND = 7  # frequencies per side that one is compared with
_STANDS_OUT = 2.0  # times the median amplitude around it
_COARSE = 1 / 8  # cycles per pixel, below which pictures have peaks of their own


def spectrum_peak_removal(rows: Rows, attacker: Attacker) -> Rows:
    """Images without the frequencies whose mean amplitude over all images is twice that of those around.

    Idea: the spectrum of photos falls smoothly, and a grain that repeats is a few sharp peaks, in every image at the
    same frequencies. No label is looked at, and no period is known: what `grain-removal` is told, this one finds. A
    peak stands out against its row, its column and its square of 7 x 7 frequencies, above 1/8 cycle per pixel. Of
    images of several sizes the middle of the smallest is compared.
    Costs nothing on clean photos, for no frequency stands out. Breaks texture where an image holds many repetitions:
    of periods up to 7 on photos of 224 pixels, and of the default's on 32 pixels. Leaves what has no period.
    """
    from scipy.ndimage import median_filter

    images = levels_of(rows)
    if not images:
        return rows
    height, width = np.min([image.shape[:2] for image in images], axis=0)
    mean = np.zeros((height, width, 3))
    for image in images:
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        window = image[top : top + height, left : left + width]
        mean += np.abs(np.fft.fft2(window, axes=(0, 1)))
    sizes = [(_AROUND, _AROUND, 1), (_AROUND, 1, 1), (1, _AROUND, 1)]
    around = np.max([median_filter(mean, size, mode="wrap") for size in sizes], axis=0)
    fine = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) > _COARSE
    gone = (mean > _STANDS_OUT * around) & fine[:, :, None]

    def cleaned(image: np.ndarray) -> np.ndarray:
        down = np.rint(np.fft.fftfreq(image.shape[0]) * height).astype(int) % height
        right = np.rint(np.fft.fftfreq(image.shape[1]) * width).astype(int) % width
        spectrum = np.fft.fft2(image, axes=(0, 1)) * ~gone[down[:, None], right]
        return whole(np.fft.ifft2(spectrum, axes=(0, 1)).real)

    return Rows([cleaned(image) for image in images], rows.labels)
