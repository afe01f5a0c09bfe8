"""The images of a fit at rest: one flat array of levels, batches of one size out of it, and results back into it.

Photos differ in size, and a network takes one size at a time. So images lie one after the other without padding, in
memory on the accelerator where they fit and mapped from disk otherwise, and a batch holds images of one shape only.
Noise of every image is an array of the same layout.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._words import counted
from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.learning.noise import fitted_to
from hf_unlearnable.key import row_stream
from hf_unlearnable.rows import label_order

if TYPE_CHECKING:
    import torch
    from torch import Tensor

logger = logging.getLogger(__name__)

_VALUES = 2**26  # levels of whole images that are in one batch at most, whatever its size


@dataclass(eq=False)
class Gallery:
    """Images with labels, one after the other in one flat array.

    Args:
        labels: Of each image.
        streams: Random streams of the rows (see `key.row_stream`), uint64 [n].
        shapes: Height, width and channels of each image, int32 [n, 3].
        levels: All images, uint8, flat.
    """

    labels: list[Any]
    streams: np.ndarray
    shapes: np.ndarray
    levels: np.ndarray

    def __post_init__(self) -> None:
        self.starts = np.cumsum([0, *self.shapes.prod(axis=1, dtype=np.int64)])[:-1].astype(np.int64)
        self.sizes = {tuple(shape) for shape in np.unique(self.shapes, axis=0).tolist()}

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[Picture, Any, bytes]], seed: int, folder: Path) -> Gallery:
        """Writes the levels of pictures to disk and maps them.

        Args:
            rows: Pictures with their label and what identifies them. Of equal images the first counts.
            seed: The key's, which turns what identifies a row into its random stream.
            folder: Where the levels are kept meanwhile.
        """
        streams: dict[int, int] = {}
        contents: list[bytes] = []
        clashes = 0
        shapes: list[tuple[int, ...]] = []
        labels: list[Any] = []
        with tempfile.TemporaryFile(dir=folder) as file:
            for picture, label, identity in rows:
                stream = row_stream(identity, seed)
                content = hashlib.sha256(picture.content).digest()
                if stream in streams:
                    if contents[streams[stream]] != content:
                        raise ValueError(
                            f"Two images are both identified by {identity.decode(errors='replace')}: id_column must "
                            "tell the rows apart."
                        )
                    clashes += labels[streams[stream]] != label
                    continue
                streams[stream] = len(shapes)
                contents.append(content)
                shapes.append(picture.levels.shape)
                labels.append(label)
                file.write(np.ascontiguousarray(picture.levels).data)
            if clashes:
                logger.warning(
                    "%s there under several labels: noise goes by the first one.",
                    counted(clashes, "image is", "images are"),
                )
            file.flush()
            levels = np.memmap(file, np.uint8, "c") if shapes else np.empty(0, np.uint8)
        ids = np.fromiter(streams, np.uint64, len(streams))
        return cls(labels, ids, np.array(shapes, np.int32).reshape(-1, 3), levels)

    def __len__(self) -> int:
        return len(self.shapes)

    def uniform(self, shape: tuple[int, int, int]) -> Gallery:
        """The same images, all resized (by nearest pixels) to one shape."""
        parts = [
            fitted_to(self.levels[start : start + int(np.prod(size))].reshape(size), shape)
            for start, size in zip(self.starts, self.shapes, strict=True)
        ]
        levels = np.concatenate([part.reshape(-1) for part in parts])
        return Gallery(self.labels, self.streams, np.tile(np.array(shape, np.int32), (len(self), 1)), levels)

    def batches(self, rows: Tensor, batch_size: int) -> list[Tensor]:
        """Rows in batches of one shape, with no more images in one than memory bears."""
        import torch

        kinds, which = np.unique(self.shapes[rows.numpy()], axis=0, return_inverse=True)
        kind = torch.from_numpy(which.reshape(-1))
        return [
            part
            for k, shape in enumerate(kinds)
            for part in rows[kind == k].split(max(1, min(batch_size, _VALUES // int(shape.prod(dtype=np.int64)))))
        ]

    def take(self, flat: Tensor, rows: Tensor) -> Tensor:
        """Rows of one shape out of an array that lies as `levels` does: [n, height, width, channels]."""
        import torch

        shape = tuple(self.shapes[int(rows[0])].tolist())
        if len(self.sizes) == 1:
            return flat.view(-1, *shape)[rows.to(flat.device)]
        size = int(np.prod(shape))
        starts = self.starts[rows.numpy()].tolist()
        return torch.stack([flat[start : start + size].view(shape) for start in starts])

    def put(self, flat: Tensor, rows: Tensor, values: Tensor) -> None:
        """Writes what `take` gives back to where it came from."""
        if len(self.sizes) == 1:
            flat.view(-1, *values.shape[1:])[rows.to(flat.device)] = values
            return
        for row, one in zip(rows.tolist(), values, strict=True):
            start = int(self.starts[row])
            flat[start : start + one.numel()] = one.reshape(-1)


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """On the accelerator where it takes less than a quarter of what is free there."""
    import torch

    tensor = torch.from_numpy(array)
    if device.type == "cuda" and array.nbytes < torch.cuda.mem_get_info()[0] / 4:
        return tensor.to(device)
    return tensor


def agreed(gallery: Gallery) -> tuple[list, set[tuple[int, int, int]], int, int]:
    """What all processes must agree on: classes, shapes, number of images, and the fewest that one process has."""
    from accelerate.utils import gather_object

    told = gather_object([(set(gallery.labels), gallery.sizes, len(gallery))])
    classes = sorted(set().union(*(labels for labels, _, _ in told)), key=label_order)
    shapes = set().union(*(shapes for _, shapes, _ in told))
    num_rows, fewest = sum(count for _, _, count in told), min(count for _, _, count in told)
    if fewest == 0:
        raise ValueError(f"{counted(num_rows, 'image is', 'images are')} fewer than the processes that share them.")
    if len(classes) < 2 and classes != [None]:  # no method that reads labels meets a row without one
        raise ValueError(f"The labels name one class only ({classes[0]!r}): a model has nothing to learn.")
    return classes, shapes, num_rows, fewest
