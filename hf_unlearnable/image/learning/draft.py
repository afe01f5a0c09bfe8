"""Noise while it is computed: as it is now, and the best so far.

Noise of every image is whole levels, in an array that lies as the images do. Noise that a class shares moves by the
mean of its images' signs, less than a level a step, so it stays fractional until it is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.image.learning.gallery import Gallery, on_device
from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise
from hf_unlearnable.image.learning.processes import average

if TYPE_CHECKING:
    from torch import Tensor


class NoiseDraft:
    """The noise of all images of this process, or of all classes.

    Args:
        gallery: The images; all of one shape if the noise is a class's.
        targets: The class of each image, int64 [n], on the device that computes.
        classes: The classes as the dataset names them.
        per_class: Whether a class shares one noise, or every image has its own.
        folder: Where noise of more than a gigabyte is kept meanwhile.
    """

    def __init__(self, gallery: Gallery, targets: Tensor, classes: list[Any], per_class: bool, folder: Path):
        self._gallery, self._targets, self._classes, self._per_class = gallery, targets, classes, per_class
        self._shape = (len(classes), *gallery.shapes[0].tolist()) if per_class else (len(gallery.levels),)
        self.now, self.best = (on_device(self._zeros(folder / name), targets.device) for name in ("noise", "best"))

    def _zeros(self, path: Path) -> np.ndarray:
        """An array for noise, in memory or, from a gigabyte on, on disk."""
        kind, size = np.dtype(np.float32 if self._per_class else np.int8), int(np.prod(self._shape))
        if size * kind.itemsize < 2**30:
            return np.zeros(size, kind)
        return np.memmap(path, kind, "w+", shape=(size,))

    def of(self, rows: Tensor) -> Tensor:
        """The noise of rows of one shape, float [n, channels, height, width] in [-1, 1]."""
        if self._per_class:
            table = self.now.view(self._shape)
            return table[self._targets[rows.to(self._targets.device)]].movedim(3, 1) / 255
        return self._gallery.take(self.now, rows).to(self._targets.device).movedim(3, 1).float() / 255

    def put(self, rows: Tensor, noise: Tensor, max_levels: int) -> None:
        """Writes moved noise back, in whole levels; that of a class becomes the mean over its images.

        Args:
            rows: Rows of one shape, int64 [n].
            noise: As `of` gives it.
            max_levels: Bound in whole levels of 255.
        """
        import torch

        levels = (noise * 255).movedim(1, 3)
        if self._per_class:
            table = self.now.view(self._shape)
            classes, count = self._targets[rows.to(self._targets.device)].unique(return_inverse=True)
            total = torch.zeros(len(classes), *levels.shape[1:], device=levels.device).index_add_(0, count, levels)
            mean = total / count.bincount()[:, None, None, None]
            table[classes] = mean.clamp(-max_levels, max_levels)
            return
        self._gallery.put(self.now, rows, levels.round().to(torch.int8).to(self.now.device))

    def share(self) -> None:
        """Noise of a class becomes the mean over the processes, by the images of that class that each one holds."""
        import torch

        if self._per_class:
            held = torch.bincount(self._targets, minlength=len(self._classes)).float().to(self.now.device)
            table = self.now.view(len(self._classes), -1)
            table *= held[:, None]
            average([table, held])
            table /= held[:, None]

    def result(self) -> SampleNoise | ClassNoise:
        """The best noise of this process's rows."""
        noise = self.best.cpu().numpy()
        if self._per_class:
            return ClassNoise(self._classes, np.rint(noise).astype(np.int8).reshape(self._shape))
        gallery, order = self._gallery, np.argsort(self._gallery.streams)
        return SampleNoise(gallery.streams[order], gallery.starts[order], gallery.shapes[order], noise)
