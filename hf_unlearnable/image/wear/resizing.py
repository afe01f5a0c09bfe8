"""Resizers as loaders and platforms use them; their names say which antialias and which do not."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from hf_unlearnable._extras import require

_STEP = Fraction(224, 256)  # the most frequent step of loaders: a photo of 256 pixels to 224
_CHAIN = (Fraction(160, 224), Fraction(112, 224), Fraction(1))  # of the size that an image has


def scaled(levels: np.ndarray, share: Fraction = _STEP) -> tuple[int, int]:
    """Height and width of an image times a share, at least one pixel each."""
    return max(1, round(levels.shape[0] * share)), max(1, round(levels.shape[1] * share))


def thumbnails(levels: np.ndarray) -> np.ndarray:
    """An image made 160/224, 112/224 and 1 times its size in turn, each from the one before (Pillow, Lanczos).

    Costs half of the resolution. A side never gets below one pixel, so any image goes through.

    Args:
        levels: uint8 [height, width, 3].
    """
    from PIL import Image

    image = Image.fromarray(levels)
    for share in _CHAIN:
        image = image.resize(scaled(levels, share)[::-1], Image.Resampling.LANCZOS)
    return np.asarray(image)


def _pillow(levels: np.ndarray, **options: Any) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(levels).resize(scaled(levels)[::-1], **options))


def pillow_bilinear(levels: np.ndarray) -> np.ndarray:
    """Pillow, bilinear, which antialiases: torchvision's default on PIL images, and the slow image processors'."""
    from PIL import Image

    return _pillow(levels, resample=Image.Resampling.BILINEAR)


def pillow_bicubic(levels: np.ndarray) -> np.ndarray:
    """Pillow, bicubic: its default, and that of CLIP's image processor."""
    from PIL import Image

    return _pillow(levels, resample=Image.Resampling.BICUBIC)


def pillow_reducing_gap(levels: np.ndarray) -> np.ndarray:
    """Pillow, bicubic with `reducing_gap=2.0`, as `Image.thumbnail` does; other than bicubic below a half only."""
    from PIL import Image

    return _pillow(levels, resample=Image.Resampling.BICUBIC, reducing_gap=2.0)


def opencv_area(levels: np.ndarray) -> np.ndarray:
    """OpenCV, INTER_AREA: each pixel the mean of what it covers."""
    require("wear", "cv2")
    import cv2

    return cv2.resize(levels, scaled(levels)[::-1], interpolation=cv2.INTER_AREA)


def opencv_bilinear(levels: np.ndarray) -> np.ndarray:
    """OpenCV, INTER_LINEAR, its default, which does not antialias."""
    require("wear", "cv2")
    import cv2

    return cv2.resize(levels, scaled(levels)[::-1], interpolation=cv2.INTER_LINEAR)


def _torch(levels: np.ndarray, antialias: bool) -> np.ndarray:
    require("image", "torch")
    import torch

    pixels = torch.from_numpy(levels.copy()).permute(2, 0, 1)[None].float()
    made = torch.nn.functional.interpolate(pixels, scaled(levels), mode="bilinear", antialias=antialias)
    return made[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def torch_antialias(levels: np.ndarray) -> np.ndarray:
    """Torch, bilinear with `antialias=True`: torchvision's default on tensors, and the fast image processors'."""
    return _torch(levels, antialias=True)


def torch_bilinear(levels: np.ndarray) -> np.ndarray:
    """Torch, bilinear as `interpolate` does it by default, which does not antialias."""
    return _torch(levels, antialias=False)


def scikit_image(levels: np.ndarray) -> np.ndarray:
    """scikit-image's `resize` with its defaults: bilinear after a Gaussian, which does nothing at this small step."""
    require("image", "skimage")
    from skimage.transform import resize

    made = resize(levels, scaled(levels), preserve_range=True)
    return np.rint(made).clip(0, 255).astype(np.uint8)


def kornia(levels: np.ndarray) -> np.ndarray:
    """Bilinear by kornia with `antialias=True`, whose Gaussian does nothing at this small step."""
    require("attack", "torch", "kornia")
    import torch
    from kornia.geometry import resize

    pixels = torch.from_numpy(levels.copy()).permute(2, 0, 1)[None].float()
    made = resize(pixels, scaled(levels), interpolation="bilinear", antialias=True)
    return made[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def transformers(levels: np.ndarray) -> np.ndarray:
    """The `resize` of transformers' image processors that go through Pillow, bilinear as in those of ViT."""
    require("attack", "transformers")
    from transformers.image_transforms import resize
    from transformers.image_utils import PILImageResampling

    made = resize(levels, scaled(levels), resample=PILImageResampling.BILINEAR, input_data_format="channels_last")
    return np.asarray(made)


# What resizes, and the distribution that it comes from.
RESIZERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "pillow-bilinear": (pillow_bilinear, "pillow"),
    "pillow-bicubic": (pillow_bicubic, "pillow"),
    "pillow-reducing-gap": (pillow_reducing_gap, "pillow"),
    "opencv-area": (opencv_area, "opencv-python-headless"),
    "opencv-bilinear": (opencv_bilinear, "opencv-python-headless"),
    "torch-antialias": (torch_antialias, "torch"),
    "torch-bilinear": (torch_bilinear, "torch"),
    "scikit-image": (scikit_image, "scikit-image"),
    "kornia": (kornia, "kornia"),
    "transformers": (transformers, "transformers"),
}
