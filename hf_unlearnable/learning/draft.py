"""Noise while it is computed: as it is now, and the best so far.

Noise of every row is whole levels, in an array that lies as the rows do. Noise that a class shares moves by the mean
of its rows' signs, less than a level a step, so it stays fractional until it is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.learning.gallery import Gallery, on_device
from hf_unlearnable.learning.processes import average

if TYPE_CHECKING:
    from torch import Tensor


class NoiseDraft:
    """The noise of all rows of this process, or of all classes.

    Args:
        gallery: The rows; all of one shape if the noise is a class's.
        targets: The class of each row, int64 [n], on the device that computes.
        classes: The classes as the dataset names them.
        per_class: Whether a class shares one noise, or every row has its own.
        folder: Where noise of more than a gigabyte is kept meanwhile.
    """

    def __init__(self, gallery: Gallery, targets: Tensor, classes: list[Any], per_class: bool, folder: Path):
        self._gallery, self._targets, self._classes, self.per_class = gallery, targets, classes, per_class
        self._shape = (len(classes), *gallery.shapes[0].tolist()) if per_class else (len(gallery.levels),)
        self.now, self.best = (on_device(self._zeros(folder / name), targets.device) for name in ("noise", "best"))

    def _zeros(self, path: Path) -> np.ndarray:
        """An array for noise, in memory or, from a gigabyte on, on disk."""
        kind, size = np.dtype(np.float32 if self.per_class else np.int8), int(np.prod(self._shape))
        if size * kind.itemsize < 2**30:
            return np.zeros(size, kind)
        return np.memmap(path, kind, "w+", shape=(size,))

    def of(self, rows: Tensor) -> Tensor:
        """The noise of rows of one shape, in levels, float [n, ...]."""
        if self.per_class:
            return self.now.view(self._shape)[self._targets[rows.to(self._targets.device)]]
        return self._gallery.take(self.now, rows).to(self._targets.device).float()

    def put(self, rows: Tensor, levels: Tensor, max_levels: int) -> None:
        """Writes moved noise back, in whole levels; that of a class becomes the mean over its rows.

        Args:
            rows: Rows of one shape, int64 [n].
            levels: As `of` gives it.
            max_levels: Bound in whole levels.
        """
        import torch

        if self.per_class:
            table = self.now.view(self._shape)
            classes, count = self._targets[rows.to(self._targets.device)].unique(return_inverse=True)
            total = torch.zeros(len(classes), *levels.shape[1:], device=levels.device).index_add_(0, count, levels)
            mean = total / count.bincount().view(-1, *(1,) * (levels.ndim - 1))
            table[classes] = mean.clamp(-max_levels, max_levels)
            return
        self._gallery.put(self.now, rows, levels.round().to(torch.int8).to(self.now.device))

    def share(self) -> None:
        """Noise of a class becomes the mean over the processes, by the rows of that class that each one holds."""
        import torch

        if self.per_class:
            held = torch.bincount(self._targets, minlength=len(self._classes)).float().to(self.now.device)
            table = self.now.view(len(self._classes), -1)
            table *= held[:, None]
            average([table, held])
            table /= held[:, None]

    def of_classes(self) -> np.ndarray:
        """The best noise of all classes, int8 [classes, ...]."""
        return np.rint(self.best.cpu().numpy()).astype(np.int8).reshape(self._shape)

    def of_rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The best noise of this process's rows, as a `RowNoise` takes it: ids, starts, shapes and levels."""
        gallery, order = self._gallery, np.argsort(self._gallery.streams)
        return gallery.streams[order], gallery.starts[order], gallery.shapes[order], self.best.cpu().numpy()
