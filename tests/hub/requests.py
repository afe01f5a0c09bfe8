"""What every request to the tests' Hub goes through: its route, its body, its answer, and who may do what."""

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub import PIECE_BYTES, Commit, Repo, User

ROUTES: list[tuple[list[str], re.Pattern[str], bool, Callable]] = []


def route(methods: str, pattern: str, write: bool = False):
    """Registers a method for requests to these paths; `write`: only who owns the repository may."""

    def register(endpoint):
        ROUTES.append((methods.split(), re.compile(pattern), write, endpoint))
        return endpoint

    return register


class Refusal(Exception):
    """An answer other than success, with the code from which the client picks its exception."""

    def __init__(self, status: int, message: str, code: str | None = None, **headers: str):
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **headers}


class Requests(BaseHTTPRequestHandler):
    """Finds the endpoint of each request among those that `route` registered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    # One request

    def handle_any(self) -> None:
        self.hub = self.server.hub
        self.incoming = self.pieces()
        self.hub.log.append((self.command, self.path))
        fault = self.hub.fail(self.command, self.path)
        self.silent = fault in ("drop", "drop-after")
        self.close_connection = self.silent or self.close_connection
        if fault == "drop":
            return
        try:
            if isinstance(fault, int):
                raise Refusal(fault, f"{fault} was injected")
            self.dispatch(urlsplit(self.path).path)
        except Refusal as refusal:
            self.drain()
            self.answer({"error": str(refusal)}, refusal.status, refusal.headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def dispatch(self, path: str) -> None:
        for methods, pattern, write, endpoint in ROUTES:
            match = pattern.fullmatch(path)
            if match and self.command in methods:
                named = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
                kind, repo_id = named.pop("kind", "models").removesuffix("s"), named.pop("repo_id", None)
                repo = {"repo": self.find_repo(kind, repo_id, write)} if repo_id else {}
                return endpoint(self, **repo, **named)
        raise Refusal(404, f"no such endpoint: {self.command} {path}")

    def pieces(self) -> Iterator[bytes]:
        """The body of the request, as it arrives."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self.exactly(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield from self.exactly(size)
            self.rfile.readline()
        self.rfile.readline()

    def exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, PIECE_BYTES))
            if not piece:
                raise ConnectionError("the client went away within a request")
            size -= len(piece)
            self.hub.take(len(piece))
            yield piece

    def drain(self) -> None:
        for _ in self.incoming:
            pass

    def body(self) -> bytes:
        return b"".join(self.incoming)

    def answer(self, value=None, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.begin(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD" and not self.silent:
            self.wfile.write(body)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        if self.silent:
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args) -> None:
        """Quiet: `Hub.log` has it."""

    # Who may do what

    @property
    def user(self) -> User | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if token and token not in self.hub.users:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.hub.users.get(token)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def find_repo(self, kind: str, repo_id: str, write: bool) -> Repo:
        repo = self.hub.repos.get((kind, repo_id))
        if repo is None or (repo.private and not repo.owned_by(self.user)):
            raise Refusal(404 if self.user else 401, f"Repository {repo_id} not found", "RepoNotFound")
        if write:
            self.check_write(repo_id)
        return repo

    def check_write(self, repo_id: str) -> None:
        user = self.user
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        if not user.write:
            raise Refusal(403, "you must use a write token to upload to a repository.")
        if repo_id.split("/")[0] != user.name:
            raise Refusal(403, f"You don't have the rights to write to the namespace of {repo_id}")

    def check_gate(self, repo: Repo) -> None:
        user = self.user
        if repo.gated and not repo.owned_by(user) and (user is None or user.name not in repo.readers):
            raise Refusal(403 if user else 401, f"Access to {repo.id} is restricted.", "GatedRepo")

    def commit_at(self, repo: Repo, revision: str) -> Commit:
        commit = repo.at(revision)
        if commit is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit
