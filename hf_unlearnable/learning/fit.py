"""One fit at rest: its rows, their noise and the surrogate, and how it is saved and taken up again."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hf_unlearnable._files import scratch_folder
from hf_unlearnable.learning.checkpoint import Checkpoint
from hf_unlearnable.learning.draft import NoiseDraft
from hf_unlearnable.learning.gallery import Gallery, agreed, on_device
from hf_unlearnable.learning.precision import compiled, mixed_precision
from hf_unlearnable.learning.processes import processes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Fit(ABC):
    """The rows, their noise and the surrogate, in one or several processes; `Learner` moves them.

    A subclass says what its rows are: how they are gathered, what a surrogate meets of them, and how noise lies on
    them.

    Args:
        seed: The key's seed.
        per_class: Whether a class shares one noise, or every row has its own.
        surrogate: What `build` is given.
        batch_size: Rows per step of the surrogate, all processes together.
        noise_batch_size: Rows per step of the noise in one process; halved when memory runs out.
        learning_rate: Of the surrogate.
        accelerator: `accelerate.Accelerator`, whose mixed precision (for the noise) and compilation are used; None for
            bf16 where the device computes in it, and no compilation.
        checkpoint_dir: Where to save after every round and to resume from; all processes must see it.
        identity: What else the fit depends on: a checkpoint of another fit is refused.
        build: From `surrogate` and the number of classes to the model.
        optimizer: From its parameters and `lr` to what trains it; None for SGD with momentum 0.9 and weight decay.
    """

    span: ClassVar[tuple[float, float]] = (0.0, 1.0)  # of the values of an input

    def __init__(
        self,
        *,
        seed: int,
        per_class: bool,
        surrogate: str,
        batch_size: int,
        noise_batch_size: int | None,
        learning_rate: float,
        accelerator: Any,
        checkpoint_dir: str | os.PathLike | None,
        identity: Any,
        build: Callable[[str, int], nn.Module],
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    ):
        import torch

        self.processes = processes()
        self.device = self.processes.device
        self.autocast = mixed_precision(self.device) if accelerator is None else accelerator.autocast
        if checkpoint_dir is None and self.processes.num_processes > 1:
            raise ValueError("Several processes need checkpoint_dir, a folder that all of them see.")
        scratch = scratch_folder(Path(tempfile.gettempdir()), "hf-unlearnable-fit")
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        self.gallery = self._gathered(seed, scratch)

        self.classes, self._shapes, self.num_rows, fewest = agreed(self.gallery)
        self._surrogate, self._build = (surrogate, seed % 2**63), build
        self.model = self._untrained()
        self.gallery = self._settled(per_class)

        index = {label: i for i, label in enumerate(self.classes)}
        self.targets = torch.tensor([index[label] for label in self.gallery.labels], device=self.device)
        self._values = on_device(self.gallery.levels, self.device)
        self._noise = NoiseDraft(self.gallery, self.targets, self.classes, per_class, scratch)
        self.noise_batch_size = noise_batch_size or (64 if self.device.type == "cpu" else 512)
        self.best_error = float("inf")

        self._batch_size = min(max(1, batch_size // self.processes.num_processes), fewest)
        self._at_once = self._batch_size  # fewer when memory runs out
        self.generator = torch.Generator().manual_seed((seed + 7919 * self.processes.process_index) % 2**63)
        self._order = torch.empty(0, dtype=torch.long)
        self._forward = compiled(accelerator)
        made = optimizer or partial(torch.optim.SGD, momentum=0.9, weight_decay=5e-4)
        self.optimizer = made(self.model.parameters(), lr=learning_rate)
        content = (self.gallery.streams, self.gallery.shapes, self.targets.cpu().numpy())
        self._checkpoint = Checkpoint(Path(checkpoint_dir), identity, content) if checkpoint_dir is not None else None
        self.image_passes = 0  # forward and backward, of one row each

    # ------------------------------------------------------------------ what a kind of rows says
    @abstractmethod
    def _gathered(self, seed: int, folder: Path) -> Gallery:
        """This process's rows."""

    def _settled(self, per_class: bool) -> Gallery:
        """The rows as the untrained model and the shapes in all processes ask for them."""
        return self.gallery

    @abstractmethod
    def _inputs(self, rows: Tensor) -> Tensor:
        """Rows of one shape, float [n, ...] with values in `span`."""

    @abstractmethod
    def _noise_of(self, rows: Tensor) -> Tensor:
        """Their noise as it is now, of the same shape and scale."""

    @abstractmethod
    def _put(self, rows: Tensor, noise: Tensor, max_levels: int) -> None:
        """Writes what `_noise_of` gave, moved, back into the draft."""

    @abstractmethod
    def _bounds(self, rows: Tensor, max_levels: int, step_size: float) -> tuple[Any, Any]:
        """The largest change of a value and that of a step, for each of the rows or for all."""

    def _met(self, inputs: Tensor) -> Tensor:
        """What a surrogate meets of inputs, before any view: their size, say. Differentiable."""
        return inputs

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """Inputs as they lie in memory when the surrogate answers."""
        return inputs

    @abstractmethod
    def _kept(self) -> Any:
        """The best noise of this process, as a key holds it."""

    def _untrained(self) -> nn.Module:
        import torch

        name, seed = self._surrogate
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._build(name, len(self.classes)).to(self.device)

    # ------------------------------------------------------------------ checkpoints
    def _save(self, done: int) -> None:
        if self._checkpoint is None:
            return
        own = {
            "noise": self._noise.now.cpu(), "best": self._noise.best.cpu(), "best_error": self.best_error,
            "generator": self.generator.get_state(), "order": self._order, "image_passes": self.image_passes,
        }  # fmt: skip
        self._checkpoint.save(done, own, {"model": self.model.state_dict(), "sgd": self.optimizer.state_dict()})

    def _resume(self) -> int:
        """Goes back to the last whole round, and returns how many are done."""
        found = self._checkpoint.load() if self._checkpoint is not None else None
        if found is None:
            return 0
        done, own, shared = found
        self._noise.now.copy_(own["noise"])
        self._noise.best.copy_(own["best"])
        self.best_error, self._order, self.image_passes = own["best_error"], own["order"], own["image_passes"]
        self.generator.set_state(own["generator"])
        self.model.load_state_dict(shared["model"])
        self.optimizer.load_state_dict(shared["sgd"])
        return done
