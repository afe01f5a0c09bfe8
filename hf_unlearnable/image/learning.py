"""What the protections that follow gradients share: a surrogate that learns, and noise that answers it, in rounds.

The images lie in one flat array of levels, the noise in another, on the accelerator where they fit and mapped from
disk otherwise. Under `accelerate launch` every process owns a slice of the rows and their noise; only the surrogate's
gradients (and class-wise noise, which all share) are averaged over the processes. The same seed, data and number of
processes on the same kind of machine give the same bytes, also when a fit was killed and resumed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.noise import ClassNoise, SampleNoise, fitted_to
from hf_unlearnable.image.pgd import MINIMIZE, frozen, pgd, resize
from hf_unlearnable.image.surrogate import image_classifier
from hf_unlearnable.image.transform import BoundedImageTransform, add_levels
from hf_unlearnable.key import new_seed, row_stream

if TYPE_CHECKING:
    import torch
    from torch import Tensor

logger = logging.getLogger(__name__)

_VALUES = 2**26  # levels of whole images that are in one batch at most, whatever its size
_SMALLEST, _LARGEST = 8, 64  # pixels a side that a surrogate sees when nothing else is said


class Gallery:
    """Images with labels, one after the other in one flat array.

    Args:
        rows: Pictures with their label and what identifies them. Of rows that are identified alike the first counts.
        seed: The key's, which turns what identifies a row into its random stream.
        folder: Where the levels are kept meanwhile.
    """

    def __init__(self, rows: Iterable[tuple[Picture, Any, bytes]], seed: int, folder: Path):
        streams: dict[int, int] = {}
        shapes: list[tuple[int, ...]] = []
        self.labels: list[Any] = []
        with tempfile.TemporaryFile(dir=folder) as file:
            for picture, label, identity in rows:
                stream = row_stream(identity, seed)
                if stream in streams:
                    if shapes[streams[stream]] != picture.levels.shape:
                        raise ValueError(f"Two images of different size are both identified by {identity!r}.")
                    continue
                streams[stream] = len(shapes)
                shapes.append(picture.levels.shape)
                self.labels.append(label)
                file.write(np.ascontiguousarray(picture.levels).data)
            file.flush()
            self.levels = np.memmap(file, np.uint8, "c") if shapes else np.empty(0, np.uint8)
        self.streams = np.fromiter(streams, np.uint64, len(streams))
        self.shapes = np.array(shapes, np.int32).reshape(-1, 3)
        self.starts = np.cumsum([0, *self.shapes.prod(axis=1, dtype=np.int64)])[:-1].astype(np.int64)

    def __len__(self) -> int:
        return len(self.shapes)

    def uniform(self, shape: tuple[int, int, int]) -> Gallery:
        """The same images, all resized (by nearest pixels) to one shape."""
        same = object.__new__(Gallery)
        same.labels, same.streams = self.labels, self.streams
        parts = [
            fitted_to(self.levels[start : start + int(np.prod(size))].reshape(size), shape)
            for start, size in zip(self.starts, self.shapes, strict=True)
        ]
        same.levels = np.concatenate([part.reshape(-1) for part in parts])
        same.shapes = np.tile(np.array(shape, np.int32), (len(self), 1))
        same.starts = np.arange(len(self), dtype=np.int64) * int(np.prod(shape))
        return same


class NoiseLearner:
    """One fit: the images, their noise and the surrogate, in one or several processes.

    Args:
        rows: As for `Gallery`; of this process only.
        seed: The key's seed.
        per_class: Whether a class shares one noise, or every image has its own.
        surrogate: See `image_classifier`.
        image_size: Pixels a side of what the surrogate sees; None for the images' own size, from 8 to 64.
        batch_size: Images a step of the surrogate, all processes together.
        noise_batch_size: Images a step of the noise in one process; halved when memory runs out.
        learning_rate: Of the surrogate.
        accelerator: `accelerate.Accelerator`, for mixed precision and compilation; None for neither.
        checkpoint_dir: Where to save after every round and to resume from; all processes must see it.
        identity: What else the fit depends on: a checkpoint of another fit is refused.
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
    ):
        import torch
        from accelerate import PartialState

        self.processes = PartialState()
        self.device = self.processes.device
        self.autocast = nullcontext if accelerator is None else accelerator.autocast
        self.folder = Path(checkpoint_dir) if checkpoint_dir is not None else None
        if self.folder is None and self.processes.num_processes > 1:
            raise ValueError("Several processes need checkpoint_dir, a folder that all of them see.")
        self._scratch = tempfile.TemporaryDirectory(prefix="hf-unlearnable-")
        self.gallery = Gallery(rows, seed, Path(self._scratch.name))
        self.per_class = per_class

        # What all processes must agree on: the classes, the size, the order of steps.
        mine = {tuple(shape) for shape in np.unique(self.gallery.shapes, axis=0).tolist()}
        told = self._told((set(self.gallery.labels), mine, len(self.gallery)))
        self.classes = sorted(set().union(*(labels for labels, _, _ in told)), key=_order)
        shapes = set().union(*(shapes for _, shapes, _ in told))
        self.num_rows = sum(count for _, _, count in told)
        fewest = min(count for _, _, count in told)
        if fewest == 0:
            raise ValueError(f"{self.num_rows} images are fewer than the processes that share them.")
        if len(self.classes) < 2:
            raise ValueError(f"The labels name one class only ({self.classes[0]!r}): a model has nothing to learn.")
        largest = max(max(shape[:2]) for shape in shapes)
        self.image_size = image_size or min(max(_SMALLEST, largest), _LARGEST)
        if per_class and len(shapes) > 1:
            shapes = {(self.image_size, self.image_size, 3)}
            self.gallery = self.gallery.uniform(*shapes)
        self._one_shape = len(shapes) == 1

        index = {label: i for i, label in enumerate(self.classes)}
        self.targets = torch.tensor([index[label] for label in self.gallery.labels], device=self.device)
        self._noise_shape = (len(self.classes), *min(shapes)) if per_class else (len(self.gallery.levels),)
        self._pixels = self._on_device(self.gallery.levels)
        # Noise that a class shares moves by the mean of its images' signs, less than a level: it stays fractional.
        self._noise = self._on_device(self._zeros("noise", np.float32 if per_class else np.int8))
        self._noise_batch_size = noise_batch_size or (64 if self.device.type == "cpu" else 512)
        self.best_error = float("inf")
        self._best = self._on_device(self._zeros("best", np.float32 if per_class else np.int8))

        self._batch_size = min(max(1, batch_size // self.processes.num_processes), fewest)
        self._generator = torch.Generator().manual_seed((seed + 7919 * self.processes.process_index) % 2**63)
        self._order = torch.empty(0, dtype=torch.long)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**63)
            self.model = image_classifier(surrogate, len(self.classes)).to(self.device)
        self._forward = self._compiled(accelerator)
        self._optimizer = torch.optim.SGD(self.model.parameters(), learning_rate, momentum=0.9, weight_decay=5e-4)
        self._identity = self._fingerprint(identity)
        self.image_passes = 0  # forward and backward, of one image each

    # ------------------------------------------------------------------ rounds
    def rounds(self, max_rounds: int, stop_error: float | None, description: str) -> Iterator[Round]:
        """The rounds that are still to do, until the error is low enough.

        After each, the noise is kept if its error is the lowest so far, and everything is saved.
        """
        import torch
        from datasets.utils import tqdm

        done = self._resume()
        with (
            torch.random.fork_rng(devices=[]),
            tqdm(
                total=max_rounds * self.num_rows,
                initial=done * self.num_rows,
                desc=description,
                unit=" images",
                disable=None if self.processes.is_main_process else True,
            ) as bar,
        ):
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
                if this.error <= self.best_error:
                    self.best_error = this.error
                    self._best.copy_(self._noise)
                bar.set_postfix(error=f"{this.error:.3f}")
                bar.update(self.num_rows)
                logger.info("%s, round %d: error %.4f, loss %.4f", description, number, this.error, this.loss)
                self._save(number + 1)

    # ------------------------------------------------------------------ the surrogate
    def train(
        self,
        num_steps: int | None,
        *,
        view: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        adversary: Callable[..., Tensor] | None = None,
    ) -> float:
        """Steps of SGD of the surrogate on the images with their noise.

        Args:
            num_steps: How many; None for one pass over the data.
            view: What the surrogate sees of a batch, given a generator: augmentation.
            adversary: From a model, what it sees and its targets to what it is trained on instead.

        Returns:
            The mean loss.
        """
        import torch
        from torch.nn.functional import cross_entropy

        share = -(-self.num_rows // self.processes.num_processes)
        steps = -(-share // self._batch_size) if num_steps is None else num_steps
        total = 0.0
        self.model.train()
        for _ in range(steps):
            rows = self._next_rows()
            seen, targets = self._seen(rows)
            seen = seen if view is None else view(seen, self._generator)
            if adversary is not None:
                seen = adversary(seen, targets)
            with self.autocast():
                logits = self._forward(seen.contiguous(memory_format=torch.channels_last))
            loss = cross_entropy(logits.float(), targets)
            self._optimizer.zero_grad()
            loss.backward()
            self._average([p.grad for p in self.model.parameters() if p.grad is not None])
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self._optimizer.step()
            total += float(loss.detach())
            self.image_passes += len(rows)
        self._average([buffer for buffer in self.model.buffers() if buffer.is_floating_point()])
        return self._mean(total / max(steps, 1))

    def _next_rows(self) -> Tensor:
        """A batch of this process's rows, every one once before any comes again."""
        import torch

        while len(self._order) < self._batch_size:
            self._order = torch.cat([self._order, torch.randperm(len(self.gallery), generator=self._generator)])
        rows, self._order = self._order[: self._batch_size], self._order[self._batch_size :]
        return rows

    def _seen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What the surrogate sees of rows of any shape, and their classes."""
        import torch

        shapes = self.gallery.shapes[rows.numpy()]
        kinds, which = np.unique(shapes, axis=0, return_inverse=True)
        parts = [
            part
            for k, shape in enumerate(kinds)
            for part in rows[torch.from_numpy(which.reshape(-1) == k)].split(_at_most(len(rows), shape))
        ]
        seen = [resize((self._images(part) + self._noise_of(part)).clamp(0, 1), self.image_size) for part in parts]
        return torch.cat(seen), self.targets[torch.cat(parts).to(self.device)]

    # ------------------------------------------------------------------ the noise
    def update(
        self,
        this: Round,
        *,
        epsilon: int,
        step_size: float,
        num_steps: int,
        direction: int = MINIMIZE,
        targets: Callable[[Tensor], Tensor] = lambda classes: classes,
        view: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        num_draws: int = 1,
    ) -> None:
        """Moves the noise of every image against the frozen surrogate, and tells the round its error and loss.

        Args:
            this: The round.
            epsilon: Bound in whole levels of 255.
            step_size, num_steps, direction, num_draws: As for `pgd`.
            targets: From the images' classes to those that the loss is about.
            view: What the surrogate sees of a batch, given a generator.
        """
        import torch
        from accelerate.utils.memory import should_reduce_batch_size

        def seen(images: Tensor) -> Tensor:
            small = resize(images, self.image_size)
            small = small if view is None else view(small, self._generator)
            return small.contiguous(memory_format=torch.channels_last)

        loss = correct = 0.0
        pending = self._batches()[::-1]
        with frozen(self.model):
            while pending:
                rows = pending.pop()
                images, classes = self._images(rows), self.targets[rows.to(self.device)]
                try:
                    noise, mean_loss, right = pgd(
                        self._forward, images, self._noise_of(rows), targets(classes), epsilon=epsilon / 255,
                        step_size=step_size, num_steps=num_steps, direction=direction, view=seen,
                        num_draws=num_draws, autocast=self.autocast,
                    )  # fmt: skip
                except (RuntimeError, MemoryError) as error:
                    if len(rows) == 1 or not (should_reduce_batch_size(error) or isinstance(error, MemoryError)):
                        raise
                    self._noise_batch_size = -(-len(rows) // 2)
                    logger.warning("Out of memory: going on with batches of %d images.", self._noise_batch_size)
                    pending = [part for batch in pending for part in batch.split(self._noise_batch_size)[::-1]]
                    pending += rows.split(self._noise_batch_size)[::-1]
                    continue
                self._keep(rows, noise, epsilon)
                loss, correct = loss + float(mean_loss) * len(rows), correct + float(right)
                self.image_passes += len(rows) * num_steps * num_draws
        if self.per_class:
            # The mean over the processes, each with the weight of the images of that class that it holds.
            held = torch.bincount(self.targets, minlength=len(self.classes)).float().to(self._noise.device)
            table = self._noise.view(len(self.classes), -1)
            table *= held[:, None]
            self._average([table, held])
            table /= held[:, None]
        loss, correct = self._mean(loss), self._mean(correct)
        each = self.num_rows / self.processes.num_processes
        this.loss, this.error = loss / each, 1 - correct / each

    def _keep(self, rows: Tensor, noise: Tensor, epsilon: int) -> None:
        """Writes moved noise back, in whole levels; that of a class becomes the mean over its images."""
        import torch

        levels = (noise * 255).movedim(1, 3)
        if self.per_class:
            table = self._noise.view(self._noise_shape)
            classes, count = self.targets[rows.to(self.device)].unique(return_inverse=True)
            total = torch.zeros(len(classes), *levels.shape[1:], device=self.device).index_add_(0, count, levels)
            mean = total / count.bincount()[:, None, None, None]
            table[classes] = mean.clamp(-epsilon, epsilon)
            return
        levels = levels.round().to(torch.int8).to(self._noise.device)
        if self._one_shape:
            self._noise.view(-1, *levels.shape[1:])[rows.to(self._noise.device)] = levels
        else:
            for row, one in zip(rows.tolist(), levels, strict=True):
                start = int(self.gallery.starts[row])
                self._noise[start : start + one.numel()] = one.reshape(-1)

    def result(self) -> SampleNoise | ClassNoise:
        """The best noise; with several processes that of all of them."""
        noise = self._best.cpu().numpy()
        if self.per_class:
            return ClassNoise(self.classes, np.rint(noise).astype(np.int8).reshape(self._noise_shape))
        gallery, order = self.gallery, np.argsort(self.gallery.streams)
        mine = SampleNoise(gallery.streams[order], gallery.starts[order], gallery.shapes[order], noise)
        return mine if self.processes.num_processes == 1 else self._joined(mine)

    def _joined(self, mine: SampleNoise) -> SampleNoise:
        """Every process writes its noise, the first one joins the files, all map the result."""
        assert self.folder is not None
        private, name = self.folder / "joined", "noise-{:05d}.npz"
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        np.savez(private / name.format(self.processes.process_index), **mine.state()[1])  # type: ignore[arg-type]
        self.processes.wait_for_everyone()
        whole = private / "noise.npy"
        parts = [dict(np.load(private / name.format(i))) for i in range(self.processes.num_processes)]
        offsets = np.cumsum([0, *(len(part["levels"]) for part in parts)])
        if self.processes.is_main_process:
            levels = np.lib.format.open_memmap(whole, "w+", np.int8, (int(offsets[-1]),))
            for part, offset in zip(parts, offsets, strict=False):
                levels[offset : offset + len(part["levels"])] = part["levels"]
            levels.flush()
        self.processes.wait_for_everyone()
        ids = np.concatenate([part["ids"] for part in parts])
        starts = np.concatenate([part["starts"] + offset for part, offset in zip(parts, offsets, strict=False)])
        shapes = np.concatenate([part["shapes"] for part in parts])
        ids, first = np.unique(ids, return_index=True)  # an image that two processes hold: the first one's noise
        return SampleNoise(ids, starts[first], shapes[first], np.load(whole, mmap_mode="r"))

    # ------------------------------------------------------------------ arrays
    def _zeros(self, name: str, kind: type) -> np.ndarray:
        """An array for noise, in memory or, from a gigabyte on, on disk."""
        size = int(np.prod(self._noise_shape))
        if size * np.dtype(kind).itemsize < 2**30:
            return np.zeros(size, kind)
        return np.memmap(Path(self._scratch.name, name), kind, "w+", shape=(size,))

    def _on_device(self, array: np.ndarray) -> Tensor:
        """On the accelerator where it takes less than a quarter of what is free there."""
        import torch

        tensor = torch.from_numpy(array)
        if self.device.type == "cuda" and array.nbytes < torch.cuda.mem_get_info()[0] / 4:
            return tensor.to(self.device)
        return tensor

    def _images(self, rows: Tensor) -> Tensor:
        """Rows of one shape, float [n, channels, height, width] in [0, 1], channels last in memory."""
        return self._taken(self._pixels, rows)

    def _noise_of(self, rows: Tensor) -> Tensor:
        if self.per_class:
            table = self._noise.view(self._noise_shape)
            return table[self.targets[rows.to(self.device)]].movedim(3, 1) / 255
        return self._taken(self._noise, rows)

    def _taken(self, flat: Tensor, rows: Tensor) -> Tensor:
        import torch

        gallery = self.gallery
        shape = tuple(gallery.shapes[int(rows[0])].tolist())
        if self._one_shape:
            block = flat.view(-1, *shape)[rows.to(flat.device)]
        else:
            size = int(np.prod(shape))
            starts = gallery.starts[rows.numpy()].tolist()
            block = torch.stack([flat[start : start + size].view(shape) for start in starts])
        return block.to(self.device).movedim(3, 1).float() / 255

    def _batches(self) -> list[Tensor]:
        """This process's rows in batches of one shape."""
        import torch

        kinds, which = np.unique(self.gallery.shapes, axis=0, return_inverse=True)
        kind = torch.from_numpy(which.reshape(-1))
        return [
            part
            for k, shape in enumerate(kinds)
            for part in (kind == k).nonzero()[:, 0].split(_at_most(self._noise_batch_size, shape))
        ]

    # ------------------------------------------------------------------ processes
    def _average(self, tensors: list[Tensor]) -> None:
        """Puts the mean over the processes in place."""
        import torch
        from accelerate.utils import reduce

        if self.processes.num_processes == 1 or not tensors:
            return
        flat = reduce(torch.cat([tensor.reshape(-1) for tensor in tensors]), "mean")
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def _mean(self, value: float) -> float:
        import torch

        one = torch.tensor([value], dtype=torch.float32, device=self.device)
        self._average([one])
        return float(one)

    def _told(self, value: Any) -> list:
        from accelerate.utils import gather_object

        return gather_object([value])

    def _compiled(self, accelerator: Any) -> Callable[[Tensor], Tensor]:
        """The surrogate, compiled where `accelerate launch --dynamo_backend` asks for it."""
        import torch

        plugin = getattr(getattr(accelerator, "state", None), "dynamo_plugin", None)
        if plugin is None or plugin.backend.value == "NO":
            return self.model
        return torch.compile(self.model, **plugin.to_kwargs())

    # ------------------------------------------------------------------ checkpoints
    def _fingerprint(self, identity: Any) -> str:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
        for array in (self.gallery.streams, self.gallery.shapes, self.targets.cpu().numpy()):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def _save(self, done: int) -> None:
        """A folder a round: what each process owns, what all share, and at last a mark that it is whole."""
        import torch

        if self.folder is None:
            return
        main, rank = self.processes.is_main_process, self.processes.process_index
        folder = self.folder / f"round-{done:05d}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = {
            "noise": self._noise.cpu(), "best": self._best.cpu(),
            "best_error": self.best_error, "generator": self._generator.get_state(), "order": self._order,
            "image_passes": self.image_passes, "fingerprint": self._identity,
        }  # fmt: skip
        torch.save(own, folder / f"process-{rank:05d}.pt")
        if main:
            torch.save({"model": self.model.state_dict(), "sgd": self._optimizer.state_dict()}, folder / "model.pt")
        self.processes.wait_for_everyone()
        if main:
            Path(folder, "whole").touch()
            for older in self.folder.glob("round-*"):
                if older.name < folder.name:
                    shutil.rmtree(older)

    def _resume(self) -> int:
        """Goes back to the last whole round, and returns how many are done."""
        import torch

        found = sorted(mark.parent for mark in self.folder.glob("round-*/whole")) if self.folder else []
        if not found:
            return 0
        path = found[-1] / f"process-{self.processes.process_index:05d}.pt"
        own: Any = torch.load(path, weights_only=True) if path.is_file() else {"fingerprint": None}
        if own["fingerprint"] != self._identity:
            raise ValueError(
                f"{self.folder} holds a fit of other data or parameters, or of another number of processes. Give "
                "another checkpoint_dir, or remove it."
            )
        self._noise.copy_(own["noise"])
        self._best.copy_(own["best"])
        self.best_error, self._order, self.image_passes = own["best_error"], own["order"], own["image_passes"]
        self._generator.set_state(own["generator"])
        shared = torch.load(found[-1] / "model.pt", weights_only=True, map_location=self.device)
        self.model.load_state_dict(shared["model"])
        self._optimizer.load_state_dict(shared["sgd"])
        return int(found[-1].name.rpartition("-")[2])


@dataclass
class Round:
    """One round of a fit.

    Args:
        number: From 0 on.
        error: Share of images that the surrogate got wrong, with their noise.
        loss: The surrogate's mean loss on them.
    """

    number: int
    error: float = 1.0
    loss: float = 0.0


def _at_most(batch_size: int, shape: np.ndarray) -> int:
    """The batch size, or as many images of a shape as memory bears."""
    return max(1, min(batch_size, _VALUES // int(shape.prod(dtype=np.int64))))


def _order(label: Any) -> tuple:
    return (isinstance(label, str), label)


@dataclass(kw_only=True, repr=False, eq=False)
class LearnedNoiseTransform(BoundedImageTransform):
    """Base class of the protections whose noise is computed at `fit`, for all rows, on a surrogate.

    `fraction`, `classes` and `mask_column` choose rows when the noise is applied, so they may change later with the
    same key.

    Args:
        surrogate: The model that noise is computed on: "tiny_cnn", "small_cnn", "resnet18", or the id or folder of an
            `AutoModelForImageClassification`.
        image_size: Pixels a side of what the surrogate sees; None for the images' own size, from 8 to 64.
        learning_rate: Of the surrogate's SGD.
        batch_size: Images a step of the surrogate, all processes together.
        noise_batch_size: Images a step of the noise in one process; halved when memory runs out. None for 64 on a CPU,
            whose caches hold no more, and 512 elsewhere.
    """

    surrogate: str = "tiny_cnn"
    image_size: int | None = None
    learning_rate: float = 0.1
    batch_size: int = 128
    noise_batch_size: int | None = None

    differs_by_row: ClassVar[bool] = False  # equal images get equal noise, whatever they are called

    def fit(
        self, dataset: Any, *, accelerator: Any = None, checkpoint_dir: str | os.PathLike | None = None
    ) -> LearnedNoiseTransform:
        """Computes the noise of every image.

        Args:
            dataset: A `Dataset` or `IterableDataset`. Under `accelerate launch` each process takes its part of it.
            accelerator: An `accelerate.Accelerator`, for mixed precision and compilation.
            checkpoint_dir: Folder to save every round in and to resume a killed fit from. It holds what the key
                holds: keep it private, and remove it afterwards. Several processes need one that all of them see.

        Raises:
            ValueError: A column or a label is missing, an image cannot be protected, the checkpoint is of another fit.
            FloatingPointError: The surrogate diverged.
        """
        require("image", "torch", "accelerate", "PIL")
        self._check_parameters()
        self._noise = None
        if self.max_levels == 0:
            self._noise = SampleNoise.empty()
            return self
        from accelerate import PartialState
        from datasets.distributed import split_dataset_by_node

        processes = PartialState()
        self._seed = shared_seed(self.seed, checkpoint_dir)
        if processes.num_processes > 1:
            rank, world = processes.process_index, processes.num_processes
            if hasattr(dataset, "num_rows"):  # every world-th row, so that each process meets every class
                dataset = dataset.shard(world, rank, contiguous=False)
            else:
                dataset = split_dataset_by_node(dataset, rank, world)
        learner = NoiseLearner(
            self._pictures(dataset),
            seed=self._resolved_seed(),
            per_class=getattr(self, "noise", "sample") == "class",
            surrogate=self.surrogate,
            image_size=self.image_size,
            batch_size=self.batch_size,
            noise_batch_size=self.noise_batch_size,
            learning_rate=self.learning_rate,
            accelerator=accelerator,
            checkpoint_dir=checkpoint_dir,
            identity=[self.method, self.method_version, {**self.get_params(), "seed": None}],
        )
        self._learn(learner)
        self._noise, self.image_passes = learner.result(), learner.image_passes
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        counts = ("max_rounds", "num_steps", "num_draws", "batch_size", "noise_batch_size", "surrogate_steps")
        for name, least in [*((name, 1) for name in counts), ("image_size", _SMALLEST)]:
            value = getattr(self, name, None)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, but it starts at {least}.")

    def _learn(self, learner: NoiseLearner) -> None:
        """The method itself: rounds of `learner.train` and `learner.update`."""
        raise NotImplementedError

    def _cloak(self, levels: np.ndarray, label: Any, stream: int) -> np.ndarray:
        noise = self._fitted(self._noise)
        return add_levels(levels, noise.of(label if isinstance(noise, ClassNoise) else stream, levels.shape))

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self._fitted(self._noise).state()

    def _set_state(self, state: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self._noise = (ClassNoise if "labels" in state else SampleNoise).from_state(state, tensors)

    _noise: Any = field(default=None, init=False)
    image_passes: int = field(default=0, init=False)  # that `fit` took: forward and backward, of one image each


def shared_seed(seed: int | None, checkpoint_dir: str | os.PathLike | None) -> int | None:
    """The seed that all processes use, and that a resumed fit used before: kept in `checkpoint_dir`."""
    from accelerate import PartialState

    if seed is not None or checkpoint_dir is None:
        return seed
    path = Path(checkpoint_dir, "seed")
    processes = PartialState()
    if processes.is_main_process and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(str(new_seed()))
    processes.wait_for_everyone()
    return int(path.read_text())
