"""A surrogate that learns, and noise that answers it, in rounds: one fit, in one process or several.

The same seed, data and number of processes on the same kind of machine give the same bytes, also when a fit was killed
and resumed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.learning.cloud import Cloud
from hf_unlearnable.learning.fit import Fit
from hf_unlearnable.learning.noise import RowNoise
from hf_unlearnable.learning.pgd import MINIMIZE, frozen, pgd
from hf_unlearnable.learning.processes import average, mean
from hf_unlearnable.learning.round import Round

if TYPE_CHECKING:
    import torch
    from torch import Tensor

logger = logging.getLogger(__name__)


class Learner(Fit):
    """One fit, in rounds; its arguments are those of `Fit`."""

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
                total=max_rounds * self.num_rows, initial=done * self.num_rows, desc=description,
                unit=f" {self.gallery.things}", disable=None if self.processes.is_main_process else True,
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
        """Steps of the surrogate on the rows with their noise.

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
                    seen = self._laid_out(seen)
                    all_of_it = seen.repeat(copies, *(1,) * (seen.ndim - 1))
                    logits = self._forward(self.model, seen) if cloud is None else cloud(all_of_it)
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
        seen = [self._met((self._inputs(part) + self._noise_of(part)).clamp(*self.span)) for part in parts]
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
        momentum: float = 0.0,
        model: Callable[[Tensor], Tensor] | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Moves the noise of every row against the frozen surrogate, and tells the round its error and loss.

        Args:
            this: The round.
            max_levels: Bound in whole levels.
            step_size: Change of a value per step, in the unit of the kind of rows.
            num_steps, direction, num_draws, momentum, loss: As for `pgd`.
            targets: From rows and their classes to what the loss is about.
            view: What the surrogate sees of a batch, given a generator.
            model: Answers instead of the surrogate; frozen.
        """

        def seen(inputs: Tensor) -> Tensor:
            met = self._met(inputs)
            return self._laid_out(met if view is None else view(met, self.generator))

        total = correct = 0.0
        pending = self.batches()[::-1]
        model = model or partial(self._forward, frozen(self.model))
        while pending:
            rows = pending.pop()
            inputs, classes = self._inputs(rows), self.targets[rows.to(self.device)]
            epsilon, step = self._bounds(rows, max_levels, step_size)
            try:
                noise, mean_loss, right = pgd(
                    model, inputs, self._noise_of(rows), targets(rows, classes), epsilon=epsilon, step_size=step,
                    num_steps=num_steps, direction=direction, view=seen, num_draws=num_draws, momentum=momentum,
                    loss=loss, autocast=self.autocast, span=self.span,
                )  # fmt: skip
            except (RuntimeError, MemoryError) as error:
                self.noise_batch_size = self._halved(len(rows), error)
                pending = [part for batch in pending for part in batch.split(self.noise_batch_size)[::-1]]
                pending += rows.split(self.noise_batch_size)[::-1]
                continue
            self._put(rows, noise, max_levels)
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
        logger.warning("Out of memory: going on with batches of %d %s.", -(-size // 2), self.gallery.things)
        return -(-size // 2)

    def result(self) -> Any:
        """The best noise; with several processes that of all of them."""
        mine = self._kept()
        if self._checkpoint is None or self.processes.num_processes == 1 or not isinstance(mine, RowNoise):
            return mine
        return self._checkpoint.joined(mine)

    def batches(self) -> list[Tensor]:
        """This process's rows in batches of one shape."""
        import torch

        return self.gallery.batches(torch.arange(len(self.gallery)), self.noise_batch_size)
