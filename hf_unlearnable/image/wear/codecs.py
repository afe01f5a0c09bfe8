"""Lossy codecs, each by the library that most programs use, at the qualities that platforms do."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hf_unlearnable._extras import require

# Pillow's name of a format that a package adds to it: the package as it is imported, and as it is installed.
_ADDED = {"HEIF": ("pillow_heif", "pillow-heif"), "JXL": ("pillow_jxl", "pillow-jxl-plugin")}


@dataclass(frozen=True)
class Codec:
    """A codec at a quality.

    Args:
        format: Pillow's name of it.
        options: Of `PIL.Image.Image.save`.
    """

    format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions that it takes."""
        return ("pillow", *(_ADDED[self.format][1:] if self.format in _ADDED else ()))

    def coded(self, levels: np.ndarray) -> bytes:
        """The file that an image is stored as.

        Args:
            levels: uint8 [height, width, 3].

        Raises:
            ImportError: The codec is not installed; the message says what to install.
            ValueError: The codec does not take images of this size.
        """
        from PIL import Image

        self._require()
        file = io.BytesIO()
        try:
            Image.fromarray(levels).save(file, self.format, **self.options)
        except (OSError, ValueError) as error:  # WebP ends at 16,383 pixels a side, JPEG at 65,500
            height, width = levels.shape[:2]
            raise ValueError(f"{self.format} does not take an image of {width} x {height} pixels: {error}") from None
        return file.getvalue()

    def through(self, levels: np.ndarray) -> np.ndarray:
        """An image stored and opened again.

        Args:
            levels: uint8 [height, width, 3].
        """
        return opened(self.coded(levels))

    def _require(self) -> None:
        if self.format not in _ADDED:
            from PIL import features

            if self.format == "AVIF" and not features.check("avif"):
                raise ImportError("This Pillow has no AVIF. Install pillow>=11.3: pip install 'hf-unlearnable[wear]'")
            return
        module = _ADDED[self.format][0]
        require("wear", module)
        if self.format == "HEIF":
            import pillow_heif

            pillow_heif.register_heif_opener()
        else:
            import pillow_jxl  # noqa: F401  # adds the format when it is imported


def opened(data: bytes) -> np.ndarray:
    """What a file shows.

    Args:
        data: As `Codec.coded` returns it.

    Returns:
        uint8 [height, width, 3].
    """
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


CODECS: dict[str, Codec] = {
    **{f"jpeg-{quality}-420": Codec("JPEG", {"quality": quality, "subsampling": "4:2:0"}) for quality in (50, 75, 90)},
    **{f"jpeg-{quality}-444": Codec("JPEG", {"quality": quality, "subsampling": "4:4:4"}) for quality in (50, 75, 90)},
    **{f"webp-{quality}": Codec("WEBP", {"quality": quality}) for quality in (50, 75, 90)},
    **{f"avif-{quality}": Codec("AVIF", {"quality": quality}) for quality in (40, 60, 80)},
    **{f"jxl-{quality}": Codec("JXL", {"quality": quality, "lossless": False}) for quality in (50, 75, 90)},
    **{f"heic-{quality}": Codec("HEIF", {"quality": quality}) for quality in (40, 60, 80)},
}
