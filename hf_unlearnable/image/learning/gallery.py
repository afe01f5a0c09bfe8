"""The images of a fit at rest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.learning.noise import fitted_to
from hf_unlearnable.learning.gallery import Gallery


class PictureGallery(Gallery):
    """Images with labels: of shape height, width and channels, in levels of uint8."""

    thing: ClassVar[str] = "image"
    things: ClassVar[str] = "images"

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[Picture, Any, bytes]], seed: int, folder: Path) -> PictureGallery:
        """Writes the levels of pictures to disk and maps them.

        Args:
            rows: Pictures with their label and what identifies them. Of equal images the first counts.
            seed: The key's, which turns what identifies a row into its random stream.
            folder: Where the levels are kept meanwhile.
        """
        streams: list[int] = []
        shapes: list[tuple[int, ...]] = []
        labels: list[Any] = []
        with tempfile.TemporaryFile(dir=folder) as file:
            whole = ((picture.levels, picture.content, label, identity) for picture, label, identity in rows)
            for levels, label, stream in cls.distinct(whole, seed):
                streams.append(stream)
                shapes.append(levels.shape)
                labels.append(label)
                file.write(np.ascontiguousarray(levels).data)
            file.flush()
            held = np.memmap(file, np.uint8, "c") if shapes else np.empty(0, np.uint8)
        return cls(labels, np.array(streams, np.uint64), np.array(shapes, np.int32).reshape(-1, 3), held)

    def uniform(self, shape: tuple[int, int, int]) -> PictureGallery:
        """The same images, all resized (by nearest pixels) to one shape."""
        parts = [
            fitted_to(self.levels[start : start + int(np.prod(size))].reshape(size), shape)
            for start, size in zip(self.starts, self.shapes, strict=True)
        ]
        levels = np.concatenate([part.reshape(-1) for part in parts])
        return type(self)(self.labels, self.streams, np.tile(np.array(shape, np.int32), (len(self), 1)), levels)
