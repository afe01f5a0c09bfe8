"""A visitor's folders: one that the page may serve files from, one that it may not. Both go when the visitor goes."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from .limits import RefusedError

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.key import Key

LIFETIME = 3600  # seconds after which a forgotten session's files go
_SALT = secrets.token_bytes(16)  # the name of a session tells nothing of its folder's


class Session:
    """The folders of one browser tab.

    Args:
        name: Gradio's session hash.

    Attributes:
        served: What lies here can be downloaded by who knows its path.
        private: What lies here cannot: keys, originals.
    """

    def __init__(self, name: str | None):
        digest = hmac.new(_SALT, (name or secrets.token_hex()).encode(), hashlib.sha256).hexdigest()[:40]
        self.served = served_root() / "sessions" / digest
        self.private = served_root().with_name("private") / digest

    def open(self) -> Session:
        """The session with its folders there, and those of forgotten visitors away."""
        for root in (self.served.parent, self.private.parent):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in root.iterdir():
                try:
                    forgotten = time.time() - folder.stat().st_mtime > LIFETIME
                except FileNotFoundError:  # another visitor's request was faster
                    continue
                if forgotten:
                    shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.served, self.private):
            folder.mkdir(mode=0o700, exist_ok=True)
            os.utime(folder)
        return self

    def forget(self) -> None:
        """Deletes everything that the visitor brought or made. A training that is under way notices, and stops."""
        # Gradio gives equal files of two visitors one path: one that came again since, or that another visitor's
        # session names, is not this visitor's alone.
        others = {one for file in self.private.parent.glob("*/uploads") if file.parent != self.private
                  for one in _lines(file)}  # fmt: skip
        for upload in _lines(self.private / "uploads"):
            path = Path(upload.partition(" ")[2])
            if upload not in others and upload == _noted(path):
                path.unlink(missing_ok=True)
        for folder in (self.served, self.private):
            shutil.rmtree(folder, ignore_errors=True)

    # ------------------------------------------------------------------ trainings
    def start_training(self) -> Path:
        """A flag that is there as long as the visitor wants this training, and no other."""
        self.stop_training()
        flag = self.private / f"training-{secrets.token_hex(8)}"
        flag.touch()
        return flag

    def stop_training(self) -> None:
        """Takes the flags away."""
        for flag in self.private.glob("training-*"):
            flag.unlink(missing_ok=True)

    # ------------------------------------------------------------------ what is in it
    def uploaded(self, *paths: str) -> None:
        """Notes uploads, which Gradio keeps in folders of its own, so that they go too."""
        with (self.private / "uploads").open("a") as file:
            file.writelines(f"{_noted(Path(path))}\n" for path in paths if Path(path).is_relative_to(served_root()))

    def keep(self, kind: str, original: Dataset, protected: Dataset, columns: dict[str, str], key: Key) -> None:
        """Keeps what was protected last, for the other tabs."""
        (self.private / "seen").unlink(missing_ok=True)  # what would be published is another thing now
        shutil.rmtree(self.private / "last", ignore_errors=True)
        (self.private / "last").mkdir()
        original.to_parquet(self.private / "last" / "original.parquet")
        protected.to_parquet(self.private / "last" / "protected.parquet")
        key.save(self.key)
        (self.private / "last" / "about.json").write_text(json.dumps({"kind": kind, "method": key.method, **columns}))

    @property
    def key(self) -> Path:
        """The folder of the key of what was protected last."""
        return self.private / "last" / "key"

    def about(self) -> dict[str, str]:
        """What was protected last, in words: empty where nothing was."""
        file = self.private / "last" / "about.json"
        return json.loads(file.read_text()) if file.is_file() else {}

    def last(self) -> tuple[dict[str, str], Dataset, Dataset]:
        """What was protected last: about it, the original, the protected rows.

        Raises:
            RefusedError: Nothing was.
        """
        about = self.about()
        if not about:
            raise RefusedError("Nothing was protected in this session yet. Do that in the first three tabs.")
        return about, *(read_parquet(self.private / "last" / f"{name}.parquet") for name in ("original", "protected"))


def _noted(path: Path) -> str:
    """An upload as a session notes it: when it came, and where it lies."""
    try:
        return f"{path.stat().st_mtime_ns} {path}"
    except FileNotFoundError:
        return f"0 {path}"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def read_parquet(path: Path) -> Dataset:
    """A dataset in memory; `Dataset.from_parquet` would leave a copy in the cache of `datasets`."""
    from datasets import Dataset
    from pyarrow import parquet

    return Dataset(parquet.read_table(path))


def zip_key(key: Key, path: Path) -> Path:
    """Writes the key's folder as a zip archive."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = key.save(Path(scratch, path.stem))
        return zip_files({f"{path.stem}/{file.name}": file.read_bytes() for file in sorted(folder.iterdir())}, path)


def zip_files(files: dict[str, bytes], path: Path) -> Path:
    """Writes an archive of files by name, as they are: images and noise do not compress."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def served_root() -> Path:
    """The folder that Gradio serves files from, this process's own. Its parent goes when the process ends."""
    return Path(os.environ["GRADIO_TEMP_DIR"])


def make_root() -> None:
    """Gives this process folders of its own, and has them deleted at its end. Before any component is made."""
    import atexit

    if "HF_UNLEARNABLE_SPACE" not in os.environ:
        root = tempfile.mkdtemp(prefix="hf-unlearnable-space-")
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        os.environ["HF_UNLEARNABLE_SPACE"] = root
        os.environ["GRADIO_TEMP_DIR"] = str(Path(root, "served"))
