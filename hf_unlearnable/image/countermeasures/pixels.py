"""One image at a time: compression, fewer colours, blur. From uint8 [height, width, 3] to the same."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.image.codec import rgb_levels

_SEEN = 224  # the shorter side at which victims train on photos: small patterns grow with images beyond it


def jpeg(levels: np.ndarray, quality: int) -> np.ndarray:
    """An image saved and opened as a JPEG, which drops what the eye hardly sees: most noise of a few levels.

    Quality 10 costs 9 points on clean data and brings additive noise back to 69 to 85 % (Liu et al. 2023); 50 and 90
    cost less and leave more of it.

    Args:
        levels: uint8 [height, width, 3].
        quality: From 1 to 95.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def grayscale(levels: np.ndarray) -> np.ndarray:
    """An image without colour: noise of weakly trained surrogates (error-min) lies in colours.

    Costs 2 points on clean data; error-min comes back to 93 %, adversarial noise (error-max) stays (Liu et al. 2023).
    """
    from PIL import Image

    return np.asarray(Image.fromarray(levels).convert("L").convert("RGB"))


def reduced_bits(levels: np.ndarray, bits: int = 2) -> np.ndarray:
    """An image whose pixel values keep their top `bits` bits (bit-depth reduction, as Liu et al. 2023 publish it).

    It is torchvision's `RandomPosterize`: two bits leave 0, 64, 128 and 192, so that images become darker, on average
    by half a step. `rounded_bits` keeps the brightness.
    """
    return levels & np.uint8(256 - 2 ** (8 - bits))


def rounded_bits(levels: np.ndarray, bits: int = 2) -> np.ndarray:
    """An image in 2 to the power of `bits` pixel values per channel, each rounded to the nearest: 0, 85, 170 and 255.

    It undoes filters (`ConvolutionTransform`), whose smooth change of contrast is rounded away.
    """
    steps = 2**bits - 1
    return np.rint(np.rint(levels / 255 * steps) * (255 / steps)).astype(np.uint8)


def gaussian_blur(levels: np.ndarray, radius: float = 1.0) -> np.ndarray:
    """An image under a Gaussian whose standard deviation is `radius` pixels: fine noise goes, and fine detail.

    That of Liu et al. 2023 has a standard deviation of 0.1 pixels, which changes nothing: its published numbers are
    those of no countermeasure.
    """
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(levels).filter(ImageFilter.GaussianBlur(radius)))


def median_filter(levels: np.ndarray) -> np.ndarray:
    """Every level replaced by the median of its 3 x 3 surroundings: a single odd pixel is gone without a trace."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(levels).filter(ImageFilter.MedianFilter(3)))


def box_blur(levels: np.ndarray) -> np.ndarray:
    """An image under a box of two pixels a side, which no grain that repeats every two pixels survives.

    Against `TextureTransform`; in large images the box grows as the grain does. Costs fine detail, and a victim
    tested on sharp images feels it.
    """
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(levels).filter(ImageFilter.BoxBlur(_cell(levels) - 0.5)))


def without_grain(levels: np.ndarray) -> np.ndarray:
    """An image without what repeats in it every 2, 3, 4 or 5 pixels: what the author of `TextureTransform` would try.

    Whatever repeats is the average over all its repetitions, in which a picture cancels out and a grain does not. So
    the average is subtracted. It takes 47 of 1,024 frequencies from a 32-pixel image and leaves the rest as it is.
    """
    cell = _cell(levels)
    rows, columns = (np.arange(size) // cell for size in levels.shape[:2])
    image = levels.astype(np.float64)
    for period in (3, 4, 5):  # what repeats every 2 repeats every 4
        place = ((rows % period)[:, None] * period + columns % period).reshape(-1)
        counts = np.bincount(place, minlength=period**2).clip(1)
        for channel in np.moveaxis(image, 2, 0):
            means = np.bincount(place, channel.reshape(-1), period**2) / counts
            channel -= (means[place] - channel.mean()).reshape(channel.shape)
    return whole(image)


def on_each(*changes: Callable[[np.ndarray], np.ndarray]) -> Callable[[Rows, Attacker], Rows]:
    """Changes of one image, one after the other, as a countermeasure on rows."""

    def on_rows(rows: Rows, attacker: Attacker) -> Rows:
        images = levels_of(rows)
        for change in changes:
            images = [change(image) for image in images]
        return Rows(images, rows.labels)

    return on_rows


def levels_of(rows: Rows) -> list[np.ndarray]:
    """The images as uint8 [height, width, 3]."""
    return [rgb_levels(image) for image in rows.inputs]


def half_size(levels: np.ndarray) -> np.ndarray:
    """An image made half as large and enlarged again, bilinearly: what a pipeline that trains on thumbnails does.

    Costs fine detail, as `box_blur` does.
    """
    from PIL import Image

    image = Image.fromarray(levels)
    smaller = image.resize([max(1, side // 2) for side in image.size], Image.Resampling.BILINEAR)
    return np.asarray(smaller.resize(image.size, Image.Resampling.BILINEAR))


def _cell(levels: np.ndarray) -> int:
    """How many pixels of an image a victim sees as one."""
    return max(1, round(min(levels.shape[:2]) / _SEEN))


def whole(values: np.ndarray) -> np.ndarray:
    """Values rounded to levels: uint8, those outside 0 to 255 at the bound."""
    return np.rint(values).clip(0, 255).astype(np.uint8)
