"""What the processes of one fit tell each other. With one process it costs nothing.

Under `accelerate launch` every process owns a slice of the rows and their noise. Only the surrogate's gradients, noise
that a class shares and a few numbers are averaged over the processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def processes() -> Any:
    """The `accelerate.PartialState`: how many processes there are, and which one this is.

    On its own it does not see several processes without a GPU, unless it is told that they are wanted on the CPU.
    """
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def part_of(dataset: Any) -> Any:
    """The rows of a `Dataset` or `IterableDataset` that this process owns.

    Raises:
        ValueError: A `Dataset` has fewer rows than there are processes.
    """
    from datasets.distributed import split_dataset_by_node

    rank, world = processes().process_index, processes().num_processes
    if world == 1:
        return dataset
    if getattr(dataset, "num_rows", world) < world:
        raise ValueError(f"{dataset.num_rows} rows are fewer than the {world} processes that share them.")
    if hasattr(dataset, "num_rows"):  # every world-th row, so that each process meets every class
        return dataset.shard(world, rank, contiguous=False)
    return split_dataset_by_node(dataset, rank, world)


def average(tensors: Sequence[Tensor]) -> None:
    """Puts the mean over the processes in place."""
    import torch
    from accelerate.utils import reduce

    if processes().num_processes == 1 or not tensors:
        return
    flat = reduce(torch.cat([tensor.reshape(-1) for tensor in tensors]), "mean")
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def mean(value: float) -> float:
    """The mean of a number over the processes."""
    import torch

    one = torch.tensor([value], dtype=torch.float32, device=processes().device)
    average([one])
    return float(one)
