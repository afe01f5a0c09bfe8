"""Folders: which files are in them, and which of them are splits."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

# As `datasets` names splits, by words in names of folders and files.
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_JUNK = ("thumbs.db", "desktop.ini")


def walk(folder: Path) -> Iterator[Path]:
    """All files in a folder that are not hidden, those behind links too; no folder twice."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(files):
            if not name.startswith(".") and name.lower() not in _JUNK:
                yield Path(root, name)


def split_folders(folder: Path, endings: Collection[str]) -> dict[str, Path]:
    """Folders of splits, where there is nothing else; a folder of files is "train" by itself.

    Args:
        folder: Of files of one kind.
        endings: What their names end in, such as ".png".

    Raises:
        ValueError: A file stands beside the folders of splits.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    names = {entry.name: entry for entry in entries if entry.is_dir()}
    words = {"train": "train", **dict.fromkeys(SPLITS["validation"], "validation"), "test": "test"}
    splits = [words.get(name) for name in names]
    if (
        not names
        or None in splits
        or len(set(splits)) < len(splits)
        or any((folder / name).is_file() for name in METADATA)
    ):
        return {"train": folder}
    stray = [entry for entry in entries if entry.suffix.lower() in endings and entry.is_file()]
    if stray:
        raise ValueError(f"{stray[0]} stands beside the folders of splits. Move it into one of them, or away.")
    return {words[name]: names[name] for name in sorted(names, key=list(words).index)}
