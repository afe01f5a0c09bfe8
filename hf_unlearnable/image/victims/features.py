"""Features of images by a model that stays as it is, kept on disk by model and image."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from hf_unlearnable.adversary.loop import device
from hf_unlearnable.image.victims.training import at_once, seen

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

LARGEST = 256 * 2**20  # bytes of features that a cache holds


def head(model: nn.Module) -> Any:
    """The last linear layer: what it reads are a model's features.

    Raises:
        ValueError: There is none.
    """
    from torch import nn

    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(f"{type(model).__name__} has no linear layer; give an AutoModelForImageClassification")
    return linear[-1]


def features(model: nn.Module, levels: Tensor, cache: str | os.PathLike | None = None) -> np.ndarray:
    """What the last linear layer of a model reads of images. The model is in evaluation mode afterwards.

    Args:
        model: From images in [0, 1] to anything that its last linear layer makes.
        levels: uint8 [n, size, size, 3], at least one.
        cache: Folder where features are kept for later calls; None keeps none.

    Returns:
        float32 [n, number of features].

    Raises:
        ValueError: The model has no linear layer.
    """
    import torch

    read: list[Tensor] = []
    hook = head(model).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].flatten(1).cpu()))

    def computed(part: Tensor) -> np.ndarray:
        read.clear()
        with torch.inference_mode():
            model(seen(part.to(device())))
        return torch.cat(read).float().numpy()

    model.eval()
    answer = computed if cache is None else FeatureCache(cache, model).completed(computed)
    try:
        return np.concatenate([answer(part) for part in levels.split(at_once(model, levels.shape[1]))])
    finally:
        hook.remove()


class FeatureCache:
    """Features in a file, named by the weights of their model and the pixel values of their image.

    Processes may share it. Where it is full, the oldest features go. A damaged file is begun anew, and one that cannot
    be written to is done without: a warning says so.

    Args:
        folder: Where the file `features.sqlite` is or will be.
        model: What computes the features; the weights of its last linear layer do not count.
        largest: Bytes of features that it holds.
    """

    def __init__(self, folder: str | os.PathLike, model: nn.Module, largest: int = LARGEST):
        self.path, self.largest = Path(folder, "features.sqlite"), largest
        last = head(model)
        layers = [(name, str(one)) for name, one in model.named_modules() if one is not last and not [*one.children()]]
        hashed = xxhash.xxh3_128(repr((layers, getattr(model, "size", None))).encode())
        skipped = {id(value) for value in last.state_dict(keep_vars=True).values()}
        for name, value in model.state_dict(keep_vars=True).items():
            if id(value) not in skipped:
                hashed.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                hashed.update(value.detach().cpu().float().numpy().tobytes())
        self.model = hashed.digest()

    def completed(self, compute: Callable[[Tensor], np.ndarray]) -> Callable[[Tensor], np.ndarray]:
        """`compute`, which is asked for what is not known only."""

        def answer(levels: Tensor) -> np.ndarray:
            names = [self._name(image) for image in levels.cpu().numpy()]
            found = self._read(names)
            missing = [place for place, name in enumerate(names) if name not in found]
            if missing:
                new = dict(zip((names[place] for place in missing), compute(levels[missing]), strict=True))
                self._write(new)
                found |= new
            return np.stack([found[name] for name in names])

        return answer

    def _name(self, image: np.ndarray) -> bytes:
        hashed = xxhash.xxh3_128(self.model)
        hashed.update(repr(image.shape).encode())
        hashed.update(image.tobytes())
        return hashed.digest()

    def _read(self, names: list[bytes]) -> dict[bytes, np.ndarray]:
        def read(file: sqlite3.Connection) -> dict[bytes, np.ndarray]:
            wanted = f"SELECT name, vector FROM features WHERE name IN ({', '.join('?' * len(names))})"
            return {name: np.frombuffer(vector, np.float32) for name, vector in file.execute(wanted, names)}

        return self._with_file(read) or {}

    def _write(self, new: dict[bytes, np.ndarray]) -> None:
        rows = [(name, np.float32(vector).tobytes()) for name, vector in new.items()]
        most = self.largest // len(rows[0][1])

        def write(file: sqlite3.Connection) -> None:
            file.executemany("INSERT OR REPLACE INTO features (name, vector) VALUES (?, ?)", rows)
            oldest = "SELECT place FROM features ORDER BY place DESC LIMIT 1 OFFSET ?"  # of those that are too many
            file.execute(f"DELETE FROM features WHERE place <= ({oldest})", (most,))

        self._with_file(write)

    def _with_file(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """What `work` returns, its changes written; None where the file cannot be used."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=60)) as file, file:
                file.execute("PRAGMA synchronous = OFF")
                file.execute(
                    "CREATE TABLE IF NOT EXISTS features (place INTEGER PRIMARY KEY, name BLOB UNIQUE, vector BLOB)"
                )
                return work(file)
        except (sqlite3.DatabaseError, OSError) as error:
            logger.warning("%s cannot be used (%s): features are computed again.", self.path, error)
            if type(error) is sqlite3.DatabaseError:  # it is no database, or a damaged one
                self.path.unlink(missing_ok=True)
            return None
