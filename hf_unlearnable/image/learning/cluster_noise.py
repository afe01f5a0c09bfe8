"""Noise that moves the features of a cluster's images to the centre of the next cluster.

Nothing but the noise is trained, so clusters do not depend on each other, and the gradient of a batch is the sum of
those of its parts: of however many images fit in memory, on however many processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.image.learning.generator import Generator, NoiseSource, Tile
from hf_unlearnable.image.learning.views import crop_and_flip, resize
from hf_unlearnable.learning.processes import average, processes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_AT_ONCE = {"cpu": 16}  # images whose gradient is computed at once
_SHIFTS = 28  # a view is shifted by up to its width over this


@dataclass(frozen=True)
class Pool:
    """The images that noise is computed on, all of one size.

    Args:
        levels: uint8 [n, side, side, 3], mapped from disk.
        clusters: The cluster of each, int64 [n].
    """

    levels: np.ndarray
    clusters: np.ndarray

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[np.ndarray, int]], side: int, path: Path) -> Pool:
        """Resizes images and writes them to a file.

        Args:
            rows: Levels of each image, of any size, and its cluster.
            side: Pixels a side that the images get.
            path: A new file.
        """
        import torch

        clusters = []
        with path.open("wb") as file:
            for levels, cluster in rows:
                image = resize(torch.from_numpy(np.array(levels)).movedim(2, 0)[None].float(), side)[0]
                file.write(image.round().clamp(0, 255).byte().movedim(0, 2).contiguous().numpy().data)
                clusters.append(cluster)
        shape = (len(clusters), side, side, 3)
        held = np.memmap(path, np.uint8, "r", shape=shape) if clusters else np.empty(shape, np.uint8)
        return cls(held, np.array(clusters, np.int64))

    def batch(self, rows: Tensor) -> Tensor:
        """Images [n, 3, side, side] in [0, 1]."""
        import torch

        return torch.from_numpy(self.levels[rows.numpy()]).movedim(3, 1).float() / 255


@dataclass(frozen=True, kw_only=True)
class ClusterNoiseLearner:
    """Computes the noise of one cluster after another.

    Args:
        pool: The images; of all processes, or of this one's clusters.
        model: From images [n, 3, size, size] in [0, 1] to features; frozen.
        size: Pixels a side that the model takes.
        centres: Of the clusters, float32 [clusters, features].
        max_levels: Bound in whole levels of 255.
        generator: Whether a network makes the noise, to the published loss.
        tile: Pixels a side after which noise repeats, at the size of the pool's images.
        batch_size: Images per step, of all processes together.
        num_epochs, max_steps, step_size: As for `UnlearnableClustersTransform`.
        shared: Whether all processes work on one cluster, each on its part of a batch.
        autocast: Context in which the model runs.
    """

    pool: Pool
    model: nn.Module
    size: int
    centres: np.ndarray
    max_levels: int
    generator: bool
    tile: int
    batch_size: int
    num_epochs: int
    max_steps: int | None
    step_size: float
    shared: bool
    autocast: Callable[[], Any]

    def noise(self, cluster: int, rows: np.ndarray, seed: int) -> np.ndarray:
        """The noise of a cluster in whole levels, int8 [side, side, 3].

        Args:
            cluster: Its number.
            rows: Of the pool's images that it is computed on.
            seed: Of the order of images and of their views.
        """
        import torch

        side = self.pool.levels.shape[1]
        draws = torch.Generator().manual_seed(seed % 2**63)
        order, batch_size = torch.empty(0, dtype=torch.long), min(self.batch_size, len(rows))
        steps = self.num_epochs * -(-len(rows) // batch_size)
        steps = steps if self.max_steps is None else min(steps, self.max_steps)
        source, device = self._source(side, draws), processes().device
        for step in range(steps):
            while len(order) < batch_size:
                order = torch.cat([order, torch.randperm(len(rows), generator=draws)])
            batch, order = torch.from_numpy(rows)[order[:batch_size]], order[batch_size:]
            images = self.pool.batch(batch).to(device)
            views = crop_and_flip((images + source.noise()).clamp(0, 1), draws, side // _SHIFTS)
            views.backward(self._gradient(views.detach(), cluster))
            source.step(1 - step / steps)
        levels = (source.noise().detach()[0] * 255).round().clamp(-self.max_levels, self.max_levels)
        return levels.movedim(0, 2).to(torch.int8).cpu().numpy()

    def _source(self, side: int, draws: torch.Generator) -> NoiseSource:
        epsilon, device = self.max_levels / 255, processes().device
        if self.generator:
            return Generator(side, epsilon, self.step_size, draws, device)
        return Tile(self.tile, side, epsilon, self.step_size, device)

    def _gradient(self, views: Tensor, cluster: int) -> Tensor:
        """The gradient of the loss at what the model sees, of the whole batch on every process."""
        import torch

        mean = torch.from_numpy(self.centres.mean(axis=0)).to(views.device)
        wanted = torch.from_numpy(self.centres[(cluster + 1) % len(self.centres)]).to(views.device)
        first, every = (processes().process_index, processes().num_processes) if self.shared else (0, 1)
        gradient = torch.zeros_like(views)
        mine = torch.arange(first, len(views), every)
        for part in mine.split(_AT_ONCE.get(views.device.type, 256)):
            seen = views[part].requires_grad_()
            with self.autocast():
                shown = resize(seen, self.size).contiguous(memory_format=torch.channels_last)
                features = self.model(shown).flatten(1)
            if self.generator:
                told, aimed = features.float().log_softmax(1), wanted.softmax(0)
                loss = torch.nn.functional.kl_div(told, aimed.expand_as(told), reduction="sum") / len(views)
            else:
                loss = -torch.cosine_similarity(features.float() - mean, (wanted - mean)[None]).sum()
            (gradient[part],) = torch.autograd.grad(loss, seen)
        if self.shared:
            average([gradient])
        return gradient
