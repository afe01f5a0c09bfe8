"""The rows of a fit at rest: one flat array of values, batches of one shape out of it, and results back into it.

Rows may differ in shape, and a network takes one shape at a time. So they lie one after the other without padding, in
memory on the accelerator where they fit and mapped from disk otherwise, and a batch holds rows of one shape only.
Noise of every row is an array of the same layout.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from hf_unlearnable._words import counted
from hf_unlearnable.key import row_stream
from hf_unlearnable.rows import label_order

if TYPE_CHECKING:
    import torch
    from torch import Tensor

logger = logging.getLogger(__name__)

_VALUES = 2**26  # of whole rows that are in one batch at most, whatever its size

Item = TypeVar("Item")


@dataclass(eq=False)
class Gallery:
    """Rows with labels, one after the other in one flat array.

    Args:
        labels: Of each row.
        streams: Random streams of the rows (see `key.row_stream`), uint64 [n].
        shapes: Of each row, int32 [n, dimensions].
        levels: The values of all rows, flat.
    """

    labels: list[Any]
    streams: np.ndarray
    shapes: np.ndarray
    levels: np.ndarray

    thing: ClassVar[str] = "row"  # what a message calls one
    things: ClassVar[str] = "rows"

    def __post_init__(self) -> None:
        self.starts = np.cumsum([0, *self.shapes.prod(axis=1, dtype=np.int64)])[:-1].astype(np.int64)
        self.sizes = {tuple(shape) for shape in np.unique(self.shapes, axis=0).tolist()}

    def __len__(self) -> int:
        return len(self.shapes)

    @classmethod
    def distinct(cls, rows: Iterable[tuple[Item, bytes, Any, bytes]], seed: int) -> Iterator[tuple[Item, Any, int]]:
        """Rows without those that come again, of which the first counts, and the random stream of each.

        Args:
            rows: What a row holds, its content as bytes, its label and what identifies it.
            seed: The key's, which turns what identifies a row into its random stream.

        Raises:
            ValueError: Rows of different content are identified alike.
        """
        known: dict[int, tuple[bytes, Any]] = {}
        clashes = 0
        for item, held, label, identity in rows:
            stream, content = row_stream(identity, seed), hashlib.sha256(held).digest()
            if stream in known:
                if known[stream][0] != content:
                    raise ValueError(
                        f"Two {cls.things} are both identified by {identity.decode(errors='replace')}: id_column must "
                        "tell the rows apart."
                    )
                clashes += known[stream][1] != label
                continue
            known[stream] = content, label
            yield item, label, stream
        if clashes:
            logger.warning(
                "%s there under several labels: noise goes by the first one.",
                counted(clashes, f"{cls.thing} is", f"{cls.things} are"),
            )

    def batches(self, rows: Tensor, batch_size: int) -> list[Tensor]:
        """Rows in batches of one shape, with no more of them in one than memory bears."""
        import torch

        kinds, which = np.unique(self.shapes[rows.numpy()], axis=0, return_inverse=True)
        kind = torch.from_numpy(which.reshape(-1))
        return [
            part
            for k, shape in enumerate(kinds)
            for part in rows[kind == k].split(max(1, min(batch_size, _VALUES // int(shape.prod(dtype=np.int64)))))
        ]

    def take(self, flat: Tensor, rows: Tensor) -> Tensor:
        """Rows of one shape out of an array that lies as `levels` does: [n, ...]."""
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


def agreed(gallery: Gallery) -> tuple[list, set[tuple[int, ...]], int, int]:
    """What all processes must agree on: classes, shapes, number of rows, and the fewest that one process has."""
    from accelerate.utils import gather_object

    told = gather_object([(set(gallery.labels), gallery.sizes, len(gallery))])
    classes = sorted(set().union(*(labels for labels, _, _ in told)), key=label_order)
    shapes = set().union(*(shapes for _, shapes, _ in told))
    num_rows, fewest = sum(count for _, _, count in told), min(count for _, _, count in told)
    if fewest == 0:
        held = counted(num_rows, f"{gallery.thing} is", f"{gallery.things} are")
        raise ValueError(f"{held} fewer than the processes that share them.")
    if len(classes) < 2 and classes != [None]:  # no method that reads labels meets a row without one
        raise ValueError(f"The labels name one class only ({classes[0]!r}): a model has nothing to learn.")
    return classes, shapes, num_rows, fewest
