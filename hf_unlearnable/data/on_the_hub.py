"""Parquet files on the Hub, read piece by piece where they are: nothing of them is kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

SCHEME = "hf://"


@dataclass(frozen=True)
class HubFile:
    """One file of one commit, which never changes.

    Args:
        path: "hf://datasets/OWNER/NAME@COMMIT/PATH".
        inside: Its path in the repository.
        size: Bytes.
        oid: What tells its contents.
    """

    path: str
    inside: str
    size: int
    oid: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.inside).name

    def __str__(self) -> str:
        return self.path

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The file as one that can be sought in."""
        from huggingface_hub import HfFileSystem

        with HfFileSystem().open(self.path, "rb") as file:
            yield file


def is_remote(source: Any) -> bool:
    """Whether a source is a path on the Hub, or several."""
    names = [source] if isinstance(source, str) else source
    return isinstance(names, Sequence) and any(str(name).startswith(SCHEME) for name in names)


def hub_files(source: str | Sequence[str]) -> list[HubFile]:
    """The Parquet files that paths on the Hub name, all of one commit per path.

    Args:
        source: "hf://datasets/OWNER/NAME/...": files, folders or patterns, each with "@REVISION" behind NAME or
            without.

    Raises:
        FileNotFoundError: There is no such repository, revision or Parquet file.
        ConnectionError: The Hub cannot be reached.
        ValueError: A path is none on the Hub, or a file is named twice.
    """
    found: list[HubFile] = []
    for path in [source] if isinstance(source, str) else source:
        if not str(path).startswith(f"{SCHEME}datasets/"):
            raise ValueError(f"{path} does not begin with {SCHEME}datasets/, as the other paths do. Give one kind.")
        found += _files(str(path))
    if len({file.path for file in found}) < len(found):
        raise ValueError(f"{source} names a file twice. Name each file once.")
    return found


def _files(path: str) -> list[HubFile]:
    from huggingface_hub import HfApi, HfFileSystem
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    system = HfFileSystem(use_listings_cache=False)
    try:
        place: Any = system.resolve_path(path)
        commit = HfApi().dataset_info(place.repo_id, revision=place.revision).sha
        root = f"datasets/{place.repo_id}@{commit}"
        inside = f"{root}/{place.path_in_repo}".rstrip("/")
        names = system.glob(inside) if set("*?[") & set(place.path_in_repo) else [inside]
        found: list[Any] = [system.find(name, detail=True) for name in names]
        listed = [info for one in found for info in one.values()]
    except (FileNotFoundError, HfHubHTTPError, ValueError) as error:
        raise FileNotFoundError(f"{path} is not found on the Hub: {' '.join(str(error).split())}") from None
    except (ConnectionError, HTTPError) as error:
        raise ConnectionError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    files = [
        HubFile(f"{SCHEME}{info['name']}", info["name"].removeprefix(f"{root}/"), info["size"], _oid(info))
        for info in sorted(listed, key=lambda info: info["name"])
        if info["name"].endswith(".parquet")
    ]
    if not files:
        raise FileNotFoundError(f"{path} holds no Parquet file. Name a folder, files or a pattern of these.")
    return files


def _oid(info: dict[str, Any]) -> str:
    lfs = info.get("lfs")
    return str(lfs["sha256"] if lfs else info["blob_id"])
