"""A surrogate that learns, and noise that answers it, in rounds: one fit, in one process or several.

The same seed, data and number of processes on the same kind of machine give the same bytes, also when a fit was killed
and resumed.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._files import scratch_folder
from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.learning.checkpoint import Checkpoint
from hf_unlearnable.image.learning.cloud import Cloud
from hf_unlearnable.image.learning.draft import NoiseDraft
from hf_unlearnable.image.learning.gallery import Gallery, agreed, on_device
from hf_unlearnable.image.learning.noise import ClassNoise, SampleNoise
from hf_unlearnable.image.learning.pgd import MINIMIZE, frozen, pgd, resize
from hf_unlearnable.image.learning.processes import average, mean, processes
from hf_unlearnable.image.learning.round import Round
from hf_unlearnable.image.learning.scale import seen_size
from hf_unlearnable.image.learning.surrogate import compiled, image_classifier, mixed_precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

logger = logging.getLogger(__name__)


class NoiseLearner:
    """One fit: the images, their noise and the surrogate, in one or several processes.

    Args:
        rows: As for `Gallery.of_rows`; of this process only.
        seed: The key's seed.
        per_class: Whether a class shares one noise, or every image has its own.
        surrogate: See `image_classifier`.
        image_size: Pixels a side of what the surrogate sees; None for the images' own size, from 8 to 64.
        batch_size: Images a step of the surrogate, all processes together.
        noise_batch_size: Images per step of the noise in one process; halved when memory runs out.
        learning_rate: Of the surrogate.
        accelerator: `accelerate.Accelerator`, whose mixed precision (for the noise) and compilation are used; None for
            bf16 where the device computes in it, and no compilation.
        checkpoint_dir: Where to save after every round and to resume from; all processes must see it.
        identity: What else the fit depends on: a checkpoint of another fit is refused.
        build: From `surrogate` and the number of classes to the model.
        optimizer: From its parameters and `lr` to what trains it; None for SGD with momentum 0.9 and weight decay.
    """

    def __init__(
        self,
        rows: Iterable[tuple[Picture, Any, bytes]],
        *,
        seed: int,
        per_class: bool,
        surrogate: str,
        image_size: int | None,
        batch_size: int,
        noise_batch_size: int | None,
        learning_rate: float,
        accelerator: Any,
        checkpoint_dir: str | os.PathLike | None,
        identity: Any,
        build: Callable[[str, int], nn.Module] = image_classifier,
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
        self.gallery = Gallery.of_rows(rows, seed, scratch)

        self.classes, shapes, self.num_rows, fewest = agreed(self.gallery)
        largest = max(max(shape[:2]) for shape in shapes)
        self._surrogate, self._build = (surrogate, seed % 2**63), build
        self.model = self._untrained()
        self.image_size = seen_size(self.model, image_size, largest)
        if per_class and len(shapes) > 1:
            shapes = {(self.image_size, self.image_size, 3)}
            self.gallery = self.gallery.uniform(*shapes)

        index = {label: i for i, label in enumerate(self.classes)}
        self.targets = torch.tensor([index[label] for label in self.gallery.labels], device=self.device)
        self._pixels = on_device(self.gallery.levels, self.device)
        self._noise = NoiseDraft(self.gallery, self.targets, self.classes, per_class, scratch)
        self._noise_batch_size = noise_batch_size or (64 if self.device.type == "cpu" else 512)
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
        self.image_passes = 0  # forward and backward, of one image each

    # ------------------------------------------------------------------ rounds
    def rounds(
        self, max_rounds: int, stop_error: float | None, description: str, *, keep_last: bool = False
    ) -> Iterator[Round]:
        """The rounds that are still to do, until the error is low enough.

        After each, the noise is kept if its error is the lowest so far (or always), and everything is saved.
        """
        import torch
        from datasets.utils import tqdm

        done = self._resume()
        with (
            torch.random.fork_rng(devices=[]),
            tqdm(
                total=max_rounds * self.num_rows, initial=done * self.num_rows, desc=description, unit=" images",
                disable=None if self.processes.is_main_process else True,
            ) as bar,
        ):  # fmt: skip
            for number in range(done, max_rounds):
                if stop_error is not None and self.best_error <= stop_error:
                    break
                torch.manual_seed(number)  # dropout, should the surrogate have it
                this = Round(number)
                yield this
                if not np.isfinite(this.loss):
                    raise FloatingPointError(
                        f"The loss is {this.loss} in round {number}: the surrogate has diverged. Lower learning_rate."
                    )
                if keep_last or this.error <= self.best_error:
                    self.best_error = this.error
                    self._noise.best.copy_(self._noise.now)
                bar.set_postfix(error=f"{this.error:.3f}")
                bar.update(self.num_rows)
                logger.info("%s, round %d: error %.4f, loss %.4f", description, number, this.error, this.loss)
                self._save(number + 1)

    # ------------------------------------------------------------------ the surrogate
    def _untrained(self) -> nn.Module:
        import torch

        name, seed = self._surrogate
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._build(name, len(self.classes)).to(self.device)

    def restart(self) -> None:
        """Makes the surrogate what it was before it was trained."""
        self.model.load_state_dict(self._untrained().state_dict())
        self.optimizer.state.clear()

    def train(
        self,
        num_steps: int | None,
        *,
        view: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        adversary: Callable[..., Tensor] | None = None,
        cloud: Cloud | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> float:
        """Steps of the surrogate on the images with their noise.

        Args:
            num_steps: How many; None for one pass over the data.
            view: What the surrogate sees of a batch, given a generator: augmentation.
            adversary: From a model, what it sees and its targets to what it is trained on instead.
            cloud: The surrogate with noisy copies, which learn instead of it alone.
            loss: From what the model answers and its targets to the mean over the batch; None for the cross-entropy.

        Returns:
            The mean loss.
        """
        import torch
        from torch.nn.functional import cross_entropy

        share = -(-self.num_rows // self.processes.num_processes)
        steps = -(-share // self._batch_size) if num_steps is None else num_steps
        total, copies = 0.0, 1 if cloud is None else cloud.copies
        self.model.train()
        for _ in range(steps):
            rows, met = self._next_rows(), 0.0
            self.optimizer.zero_grad()
            pending = list(rows.split(self._at_once))[::-1]
            while pending:
                part = pending.pop()
                try:
                    seen, targets = self.seen(part)
                    seen = seen if view is None else view(seen, self.generator)
                    if adversary is not None:
                        seen = adversary(seen, targets)
                    seen = seen.contiguous(memory_format=torch.channels_last)
                    logits = self._forward(self.model, seen) if cloud is None else cloud(seen.repeat(copies, 1, 1, 1))
                    # In full precision: what learns in bf16 gives weaker noise.
                    own = (loss or cross_entropy)(logits, targets.repeat(copies)) * (len(part) / len(rows))
                    own.backward()
                except (RuntimeError, MemoryError) as error:
                    self._at_once = self._halved(len(part), error)
                    pending = [less for batch in pending for less in batch.split(self._at_once)[::-1]]
                    pending += part.split(self._at_once)[::-1]
                    continue
                met += float(own.detach())
            average([p.grad for p in self.model.parameters() if p.grad is not None])
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()
            total += met
            self.image_passes += len(rows) * copies
        average([buffer for buffer in self.model.buffers() if buffer.is_floating_point()])
        return mean(total / max(steps, 1))

    def _next_rows(self) -> Tensor:
        """A batch of this process's rows, every one once before any comes again."""
        import torch

        while len(self._order) < self._batch_size:
            self._order = torch.cat([self._order, torch.randperm(len(self.gallery), generator=self.generator)])
        rows, self._order = self._order[: self._batch_size], self._order[self._batch_size :]
        return rows

    def seen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What the surrogate sees of rows of any shape, and their classes."""
        import torch

        parts = self.gallery.batches(rows, len(rows))
        seen = [resize((self._images(part) + self._noise_of(part)).clamp(0, 1), self.image_size) for part in parts]
        return torch.cat(seen), self.targets[torch.cat(parts).to(self.device)]

    # ------------------------------------------------------------------ the noise
    def update(
        self,
        this: Round,
        *,
        max_levels: int,
        step_size: float,
        num_steps: int,
        direction: int = MINIMIZE,
        targets: Callable[[Tensor, Tensor], Tensor] = lambda rows, classes: classes,
        view: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        num_draws: int = 1,
        model: Callable[[Tensor], Tensor] | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Moves the noise of every image against the frozen surrogate, and tells the round its error and loss.

        Args:
            this: The round.
            max_levels: Bound in whole levels of 255.
            step_size, num_steps, direction, num_draws, loss: As for `pgd`.
            targets: From rows and their classes to what the loss is about.
            view: What the surrogate sees of a batch, given a generator.
            model: Answers instead of the surrogate; frozen.
        """
        import torch

        def seen(images: Tensor) -> Tensor:
            small = resize(images, self.image_size)
            small = small if view is None else view(small, self.generator)
            return small.contiguous(memory_format=torch.channels_last)

        total = correct = 0.0
        pending = self.batches()[::-1]
        model = model or partial(self._forward, frozen(self.model))
        while pending:
            rows = pending.pop()
            images, classes = self._images(rows), self.targets[rows.to(self.device)]
            try:
                noise, mean_loss, right = pgd(
                    model, images, self._noise_of(rows), targets(rows, classes), epsilon=max_levels / 255,
                    step_size=step_size, num_steps=num_steps, direction=direction, view=seen,
                    num_draws=num_draws, loss=loss, autocast=self.autocast,
                )  # fmt: skip
            except (RuntimeError, MemoryError) as error:
                self._noise_batch_size = self._halved(len(rows), error)
                pending = [part for batch in pending for part in batch.split(self._noise_batch_size)[::-1]]
                pending += rows.split(self._noise_batch_size)[::-1]
                continue
            self._noise.put(rows, noise, max_levels)
            total, correct = total + float(mean_loss) * len(rows), correct + float(right)
            self.image_passes += len(rows) * num_steps * num_draws
        self._noise.share()
        each = self.num_rows / self.processes.num_processes
        this.loss, taken = mean(total) / each, mean(correct) / each
        this.error = 1 - taken if direction == MINIMIZE else taken

    def _halved(self, size: int, error: Exception) -> int:
        """Half of a batch, where memory ran out and there is half of it; raises the error again otherwise."""
        from accelerate.utils.memory import should_reduce_batch_size

        if size == 1 or not (isinstance(error, MemoryError) or should_reduce_batch_size(error)):
            raise error
        logger.warning("Out of memory: going on with batches of %d images.", -(-size // 2))
        return -(-size // 2)

    def result(self) -> SampleNoise | ClassNoise:
        """The best noise; with several processes that of all of them."""
        mine = self._noise.result()
        if self._checkpoint is None or self.processes.num_processes == 1 or isinstance(mine, ClassNoise):
            return mine
        return self._checkpoint.joined(mine)

    def batches(self) -> list[Tensor]:
        """This process's rows in batches of one shape."""
        import torch

        return self.gallery.batches(torch.arange(len(self.gallery)), self._noise_batch_size)

    def _images(self, rows: Tensor) -> Tensor:
        """Rows of one shape, float [n, channels, height, width] in [0, 1], channels last in memory."""
        return self.gallery.take(self._pixels, rows).to(self.device).movedim(3, 1).float() / 255

    def _noise_of(self, rows: Tensor) -> Tensor:
        return self._noise.of(rows)

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
