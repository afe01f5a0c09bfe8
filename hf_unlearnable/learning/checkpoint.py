"""The folder that a fit saves its rounds in, resumes from, and shares between its processes.

A round is one folder: what each process owns, what all share, and at last a mark that it is whole. A fit that is
killed while it saves, or finds the disk full, goes back to the round before. The folder holds what the key holds, so
only its owner may read it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from hf_unlearnable._files import whole_or_nothing, write_file
from hf_unlearnable.key import new_seed
from hf_unlearnable.learning.noise import Noise
from hf_unlearnable.learning.processes import processes

logger = logging.getLogger(__name__)


class Checkpoint:
    """What is saved of one fit.

    Args:
        folder: Where; all processes must see it.
        identity: What the fit depends on, as JSON values. One that differs is another fit.
        arrays: What else it depends on: the inputs, their classes.
    """

    def __init__(self, folder: Path, identity: Any, arrays: Sequence[np.ndarray]):
        self.folder = folder
        self._processes = processes()
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
        for array in arrays:
            digest.update(array.tobytes())
        self._fingerprint = digest.hexdigest()

    def save(self, done: int, own: dict[str, Any], shared: dict[str, Any]) -> None:
        """Saves a round and removes the ones before.

        Args:
            done: How many rounds are done.
            own: State of this process.
            shared: State that all processes have alike.
        """
        import torch

        main = self._processes.is_main_process
        folder = self.folder / f"round-{done:05d}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with whole_or_nothing(folder / self._name, replace=True) as scratch:
            torch.save({**own, "fingerprint": self._fingerprint}, scratch)
        if main:
            with whole_or_nothing(folder / "model.pt", replace=True) as scratch:
                torch.save(shared, scratch)
        self._processes.wait_for_everyone()
        if main:
            write_file(folder / "whole", "")
            for older in self.folder.glob("round-*"):
                if older.name < folder.name:
                    shutil.rmtree(older)

    def load(self) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
        """The last whole round, as `save` was given it but in main memory; None if there is none.

        One that does not read in every process, as a full disk may leave it, is passed over.

        Raises:
            ValueError: It is of another fit.
        """
        from accelerate.utils import gather_object

        mine = {mark.parent.name: self._read(mark.parent) for mark in self.folder.glob("round-*/whole")}
        readable = gather_object([{name for name, files in mine.items() if files is not None}])
        names = set.intersection(*readable)
        if not names:
            return None
        last = max(names)
        own, shared = mine[last]  # type: ignore[misc]
        if own["fingerprint"] != self._fingerprint:
            raise ValueError(
                f"{self.folder} holds a fit of other data or parameters, or of another number of processes. Give "
                "another checkpoint_dir, or remove it."
            )
        return int(last.rpartition("-")[2]), own, shared

    def _read(self, folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What this process owns of a round and what all share; None, with a warning, where that does not read."""
        import torch

        path = folder / self._name
        try:
            own: Any = {"fingerprint": None}
            if path.is_file():
                own = torch.load(path, weights_only=True, map_location="cpu")
            return own, torch.load(folder / "model.pt", weights_only=True, map_location="cpu")
        except (OSError, EOFError, RuntimeError, ValueError, UnpicklingError) as error:
            logger.warning("%s does not read (%s): the fit goes on from the round before, or anew.", folder, error)
            return None

    @property
    def _name(self) -> str:
        return f"process-{self._processes.process_index:05d}.pt"

    def joined(self, mine: Noise) -> Noise:
        """The noise of all processes: each writes its own, the first one joins the files, all map the result."""
        private, name = self.folder / "joined", "noise-{:05d}.npz"
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        np.savez(private / name.format(self._processes.process_index), **mine.state()[1])  # type: ignore[arg-type]
        self._processes.wait_for_everyone()
        whole = private / "noise.npy"
        parts = [dict(np.load(private / name.format(i))) for i in range(self._processes.num_processes)]
        offsets = np.cumsum([0, *(len(part["levels"]) for part in parts)])
        if self._processes.is_main_process:
            levels = np.lib.format.open_memmap(whole, "w+", np.int8, (int(offsets[-1]),))
            for part, offset in zip(parts, offsets, strict=False):
                levels[offset : offset + len(part["levels"])] = part["levels"]
            levels.flush()
        self._processes.wait_for_everyone()
        ids = np.concatenate([part["ids"] for part in parts])
        starts = np.concatenate([part["starts"] + offset for part, offset in zip(parts, offsets, strict=False)])
        shapes = np.concatenate([part["shapes"] for part in parts])
        ids, first = np.unique(ids, return_index=True)  # a row that two processes hold: the first one's noise
        return type(mine)(ids, starts[first], shapes[first], np.load(whole, mmap_mode="r"))


def shared_seed(seed: int | None, checkpoint_dir: str | os.PathLike | None) -> int | None:
    """The seed that all processes use, and that a resumed fit used before: kept in `checkpoint_dir`."""
    if seed is not None or checkpoint_dir is None:
        return seed
    path = Path(checkpoint_dir, "seed")
    all_of_them = processes()
    if all_of_them.is_main_process:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _seed_in(path) is None:
            if any(path.parent.glob("round-*/whole")):
                raise ValueError(
                    f"{path} is missing or damaged, and the rounds beside it are of its seed. Restore it, or remove "
                    f"{checkpoint_dir} to fit anew."
                )
            with (
                whole_or_nothing(path, replace=True) as scratch,
                open(os.open(scratch, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file,
            ):
                file.write(str(new_seed()))
    all_of_them.wait_for_everyone()
    return _seed_in(path)


def _seed_in(path: Path) -> int | None:
    """The seed in a file; None where it is missing or damaged, as a full disk may leave it."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) and int(text) < 2**64 else None
