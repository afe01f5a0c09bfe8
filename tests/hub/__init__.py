"""A Hub on 127.0.0.1 for tests, which the real `huggingface_hub` and `datasets` clients push to and load from.

    with Hub(tmp_path, users={"hf_test": "tester", "hf_read": User("tester", write=False)}) as hub:
        hub.client_settings(monkeypatch)  # the clients of this process, offline until now, talk to this Hub alone
        dataset.push_to_hub("tester/notes", private=True)
        assert hub.repo("tester/notes").private

This module holds what a Hub knows: users, repositories, commits, files. `http` speaks the protocol over it.
Large files lie on disk and are never read whole, so that the size of a push is bounded by the disk alone.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

LARGE_SUFFIXES = (".arrow", ".bin", ".jpg", ".npz", ".parquet", ".png", ".safetensors", ".wav", ".zip")
LARGE_BYTES = 10_000_000
PIECE_BYTES = 1 << 20
CLIENT_SECONDS = (
    120  # that clients wait for an answer: usually 10, too few on a machine that is busy with other things
)

Fault = int | str | None


@dataclass(frozen=True)
class User:
    """Who a token belongs to, and whether the token may write; a user owns the repositories under its name."""

    name: str
    write: bool = True


@dataclass(frozen=True)
class File:
    """A file of a commit: a small one as bytes, a large one (of LFS) as the path of its blob."""

    content: bytes | Path
    oid: str

    @classmethod
    def small(cls, content: bytes) -> "File":
        return cls(content, hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())

    @property
    def large(self) -> bool:
        return isinstance(self.content, Path)

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    description: str
    files: dict[str, File]


@dataclass
class Repo:
    """A repository with its whole history.

    Attributes:
        kind: "dataset", "model" or "space".
        gated: False, "auto" or "manual", as `update_repo_settings` takes it.
        readers: names of the users who were let in to a gated repository, beside its owner.
        commits: by id, oldest first. The first one, which creating the repository makes, holds .gitattributes only.
        refs: branches ("main") and pull requests ("refs/pr/1") with the ids of their last commits.
    """

    kind: str
    id: str
    private: bool = False
    gated: bool | str = False
    readers: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.commit("main", None, "initial commit", "", {".gitattributes": File.small(b"")})

    def commit(self, ref: str, parent: str | None, title: str, description: str, files: dict[str, File]) -> Commit:
        oid = hashlib.sha1(f"{self.id} {len(self.commits)} {title}".encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, title, description, files)
        self.refs[ref] = oid
        return self.commits[oid]

    def at(self, revision: str) -> Commit | None:
        return self.commits.get(self.refs.get(revision, revision))

    def owned_by(self, user: User | None) -> bool:
        return user is not None and self.id.split("/")[0] == user.name


class Hub:
    """The server; it runs inside `with`.

    Args:
        folder: where blobs and the clients' caches go, a fresh one.
        users: token -> user, or the name of one who may write.
        fail: called once for each request with its method and its path, query included; decides its fate. None: carry
            it out. A status: answer with it instead. "drop": close the connection without an answer. "drop-after":
            carry it out, then close the connection without an answer. Can be set at any time.
        rate: bytes a second that all requests together bring in at most.

    Attributes:
        url: the address, for `HfApi(endpoint=...)`.
        log: (method, path with query) of every request, in order.
    """

    def __init__(
        self,
        folder: Path,
        users: dict[str, str | User] | None = None,
        fail: Callable[[str, str], Fault] = lambda method, path: None,
        rate: float = float("inf"),
    ):
        from tests.hub.http import Server

        users = {"hf_test": "tester"} if users is None else users
        self.folder = Path(folder)
        self.users = {token: User(user) if isinstance(user, str) else user for token, user in users.items()}
        self.fail = fail
        self.rate = rate
        self.log: list[tuple[str, str]] = []
        self.repos: dict[tuple[str, str], Repo] = {}
        self.lock = threading.RLock()
        self.xet: Path | None = None
        self._line = threading.Lock()
        self._blobs = self.folder / "blobs"
        self._blobs.mkdir(parents=True)
        self._server = Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Hub":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def repo(self, repo_id: str, kind: str = "dataset") -> Repo:
        return self.repos[kind, repo_id]

    def files(self, repo_id: str, revision: str = "main", kind: str = "dataset") -> dict[str, bytes | Path]:
        """Path in the repository -> content: bytes, or the path of the blob where the file is a large one."""
        commit = self.repo(repo_id, kind).at(revision)
        if commit is None:
            raise KeyError(f"{repo_id} has no revision {revision!r}")
        return {path: file.content for path, file in commit.files.items()}

    def serve_folder(self, repo_id: str, folder: Path, kind: str = "dataset") -> Repo:
        """Serves the files of a folder as one commit of a public repository, without copying the large ones."""
        files = {}
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            if is_large(name, path.stat().st_size):
                with path.open("rb") as source:
                    files[name] = File(path, sha256(iter(lambda: source.read(PIECE_BYTES), b"")))
            else:
                files[name] = File.small(path.read_bytes())
        repo = self.repos.setdefault((kind, repo_id), Repo(kind, repo_id))
        repo.commit("main", repo.refs["main"], f"Serve {Path(folder).name}", "", files)
        return repo

    def enable_xet(self) -> None:
        """Takes large files over Xet too, as the Hub does; skips the test where `hf_xet` cannot simulate its server.

        Call it before `client_settings` and `environment`, which tell the clients whether to use Xet.
        """
        from tests.hub.xet import check_simulation

        check_simulation()
        self.xet = self.folder / "xet"
        self.xet.mkdir()

    def blob(self, oid: str) -> Path | None:
        """The file on disk whose sha256 is `oid`, if it was uploaded."""
        path = self._blobs / oid
        if not path.exists() and self.xet is not None:
            from tests.hub.xet import fetch

            with self.lock:
                fetch(self.xet, oid, path)
        return path if path.exists() else None

    def store(self, oid: str, pieces: Iterable[bytes]) -> bool:
        """Writes a blob piece by piece; False, and nothing is kept, where its sha256 is not `oid`."""
        part = self._blobs / f"{oid}.{threading.get_ident()}"
        try:
            with part.open("wb") as sink:
                right = sha256(piece for piece in pieces if sink.write(piece)) == oid
            if right:
                part.replace(self._blobs / oid)
            return right
        finally:
            part.unlink(missing_ok=True)

    def take(self, size: int) -> None:
        """Waits as long as so many bytes take on the line."""
        with self._line:
            time.sleep(size / self.rate)

    def environment(self, token: str | None = "hf_test") -> dict[str, str]:
        """The environment in which another process uses this Hub as this user (None: as nobody), and no other cache."""
        home = self.folder / "client"
        settings = {
            "HF_DATASETS_CACHE": str(home / "datasets"),
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": str(CLIENT_SECONDS),
            "HF_HUB_ETAG_TIMEOUT": str(CLIENT_SECONDS),
            "HF_HUB_DISABLE_XET": "0" if self.xet else "1",
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": token or "",
            "HF_XET_CACHE": str(home / "xet"),
        }
        return {**os.environ, **settings}

    def client_settings(self, monkeypatch: pytest.MonkeyPatch, token: str | None = "hf_test") -> None:
        """Has the clients of this process use this Hub as this user (None: as nobody), until the test ends.

        Both libraries read their environment once, at import, into the constants which they look up at each call:
        those are replaced here, so that a test in an offline process needs no process of its own. The environment is
        set too, for the processes that a push with `num_proc` starts.
        """
        import datasets
        import huggingface_hub
        from huggingface_hub import HfFileSystem, constants

        environment = self.environment(token)
        downloads = self.folder / "client" / "datasets" / "downloads"
        replaced: dict[Any, dict[str, Any]] = {
            constants: {
                "ENDPOINT": self.url,
                "HUGGINGFACE_CO_URL_TEMPLATE": self.url + "/{repo_id}/resolve/{revision}/{filename}",
                "HF_HOME": environment["HF_HOME"],
                "HF_HUB_CACHE": environment["HF_HUB_CACHE"],
                "HF_HUB_DISABLE_TELEMETRY": True,
                "HF_HUB_DOWNLOAD_TIMEOUT": CLIENT_SECONDS,
                "HF_HUB_ETAG_TIMEOUT": CLIENT_SECONDS,
                "HF_HUB_DISABLE_XET": self.xet is None,
                "HF_HUB_OFFLINE": False,
                "HF_TOKEN_PATH": str(self.folder / "client" / "token"),
                "HF_XET_CACHE": environment["HF_XET_CACHE"],
            },
            datasets.config: {
                "HF_ENDPOINT": self.url,
                "HUB_DATASETS_URL": self.url + "/datasets/{repo_id}/resolve/{revision}/{path}",
                "HF_HUB_OFFLINE": False,
                "HF_CACHE_HOME": environment["HF_HOME"],
                "HF_DATASETS_CACHE": downloads.parent,
                "DOWNLOADED_DATASETS_PATH": downloads,
                "EXTRACTED_DATASETS_PATH": downloads / "extracted",
            },
            huggingface_hub.hf_api.api: {"endpoint": self.url},
        }
        for owner, values in replaced.items():
            for name, value in values.items():
                monkeypatch.setattr(owner, name, value)
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        HfFileSystem.clear_instance_cache()


def is_large(name: str, size: int) -> bool:
    """Whether a file goes to LFS."""
    return name.endswith(LARGE_SUFFIXES) or size > LARGE_BYTES


def sha256(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
