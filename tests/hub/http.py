"""The HTTP side of the tests' Hub: the requests of the real clients, one method for each."""

import base64
import hashlib
import json
import re
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from tests.hub import Commit, File, Hub, Repo, is_large
from tests.hub.card import metadata_errors
from tests.hub.requests import Refusal, Requests, route

DATE = "2026-01-01T00:00:00.000Z"
OWNER_AND_NAME = r"(?P<repo_id>[^/]+/[^/]+?)"
API = r"/api/(?P<kind>models|datasets|spaces)/" + OWNER_AND_NAME
PAGE = r"/(?:(?P<kind>datasets|spaces)/)?" + OWNER_AND_NAME
REVISION = r"/(?P<revision>[^/]+)"


class Handler(Requests):
    """One endpoint for each request of the real clients."""

    # Accounts and repositories

    @route("GET", "/api/whoami-v2")
    def whoami(self) -> None:
        user = self.user
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        token = {"displayName": "test", "role": "write" if user.write else "read"}
        name = {"name": user.name, "fullname": user.name, "avatarUrl": "/avatars/0.svg"}
        auth = {"type": "access_token", "accessToken": token}
        self.answer({"type": "user", "id": "1", **name, "email": None, "isPro": False, "orgs": [], "auth": auth})

    @route("POST", "/api/repos/create")
    def create_repo(self) -> None:
        kind, repo_id, wanted = self.named_repo()
        url = self.page(kind, repo_id)
        with self.hub.lock:
            if (kind, repo_id) in self.hub.repos:
                return self.answer({"error": "You already created this repo", "url": url}, 409)
            self.hub.repos[kind, repo_id] = Repo(kind, repo_id, private=wanted.get("visibility") == "private")
        self.answer({"url": url, "name": repo_id})

    @route("DELETE", "/api/repos/delete")
    def delete_repo(self) -> None:
        kind, repo_id, _ = self.named_repo()
        self.find_repo(kind, repo_id, write=True)
        del self.hub.repos[kind, repo_id]
        self.answer()

    def named_repo(self) -> tuple[str, str, dict]:
        wanted = json.loads(self.body())
        owner = wanted.get("organization") or (self.user.name if self.user else "")
        repo_id = f"{owner}/{wanted['name']}"
        self.check_write(repo_id)
        return wanted.get("type") or "model", repo_id, wanted

    def page(self, kind: str, repo_id: str) -> str:
        return f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"

    @route("PUT", API + "/settings", write=True)
    def settings(self, repo: Repo) -> None:
        wanted = json.loads(self.body())
        repo.gated = wanted.get("gated", repo.gated)
        if "visibility" in wanted:
            repo.private = wanted["visibility"] == "private"
        self.answer({"private": repo.private, "gated": repo.gated})

    @route("GET", API + f"(?:/revision{REVISION})?")
    def info(self, repo: Repo, revision: str = "main") -> None:
        commit = self.commit_at(repo, revision)
        names = {"_id": "0" * 24, "id": repo.id, "author": repo.id.split("/")[0], "sha": commit.oid}
        state = {"private": repo.private, "gated": repo.gated, "disabled": False, "lastModified": DATE}
        siblings = [{"rfilename": path, "size": file.size, "blobId": file.oid} for path, file in commit.files.items()]
        self.answer({**names, **state, "createdAt": DATE, "tags": [], "siblings": siblings})

    @route("GET", API + "/refs")
    def refs(self, repo: Repo) -> None:
        requests = [ref for ref in repo.refs if ref.startswith("refs/pr/")]
        branches = [ref for ref in repo.refs if ref not in requests]
        self.answer(
            {
                "branches": [{"name": b, "ref": f"refs/heads/{b}", "targetCommit": repo.refs[b]} for b in branches],
                "pullRequests": [{"name": r, "ref": r, "targetCommit": repo.refs[r]} for r in requests],
                "tags": [],
                "converts": [],
            }
        )

    @route("POST", API + "/branch/(?P<branch>[^/]+)", write=True)
    def create_branch(self, repo: Repo, branch: str) -> None:
        start = json.loads(self.body() or b"{}").get("startingPoint") or "main"
        if branch in repo.refs:
            raise Refusal(409, f"Reference {branch} already exists")
        repo.refs[branch] = self.commit_at(repo, start).oid
        self.answer()

    @route("GET", API + "/commits" + REVISION)
    def commits(self, repo: Repo, revision: str) -> None:
        commit: Commit | None = self.commit_at(repo, revision)
        history = []
        while commit:
            text = {"title": commit.title, "message": commit.description}
            history.append({"id": commit.oid, **text, "date": DATE, "authors": []})
            commit = repo.commits.get(commit.parent) if commit.parent else None
        self.answer(history)

    # Files

    @route("GET", API + f"/tree{REVISION}(?:/(?P<folder>.*))?")
    def tree(self, repo: Repo, revision: str, folder: str = "") -> None:
        commit = self.commit_at(repo, revision)
        start = f"{folder.strip('/')}/" if folder.strip("/") else ""
        inside = [path.removeprefix(start) for path in sorted(commit.files) if path.startswith(start)]
        if start and not inside:
            raise Refusal(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        if self.query.get("recursive", "").lower() in ("1", "true"):
            folders = {str(parent) for path in inside for parent in Path(path).parents} - {"."}
        else:
            folders = {path.split("/")[0] for path in inside if "/" in path}
            inside = [path for path in inside if "/" not in path]
        self.answer([entry(commit, start + path) for path in [*sorted(folders), *inside]])

    @route("POST", API + "/paths-info" + REVISION)
    def paths_info(self, repo: Repo, revision: str) -> None:
        commit = self.commit_at(repo, revision)
        paths = [path.rstrip("/") for path in parse_qs(self.body().decode()).get("paths", [])]
        folders = {str(parent) for path in commit.files for parent in Path(path).parents} - {"."}
        self.answer([entry(commit, path) for path in paths if path in commit.files or path in folders])

    @route("GET HEAD", PAGE + f"/resolve{REVISION}/(?P<path>.+)")
    def resolve(self, repo: Repo, revision: str, path: str) -> None:
        self.check_gate(repo)
        commit = self.commit_at(repo, revision)
        file = commit.files.get(path)
        headers = {"X-Repo-Commit": commit.oid}
        if file is None:
            raise Refusal(404, f"{path} not found", "EntryNotFound", **headers)
        self.send_file(file, {**headers, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"})

    def send_file(self, file: File, headers: dict[str, str]) -> None:
        start, stop = 0, file.size
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            first, last = wanted.groups()
            start = int(first) if first else max(0, file.size - int(last))
            stop = min(file.size, int(last) + 1) if first and last else file.size
            if start >= stop:
                raise Refusal(416, "Range not satisfiable", **{"Content-Range": f"bytes */{file.size}"})
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
        headers |= {"Content-Length": str(stop - start), "Content-Type": "application/octet-stream"}
        self.begin(206 if wanted else 200, headers)
        if self.command == "HEAD" or self.silent or start == stop:
            return
        if isinstance(file.content, bytes):
            self.wfile.write(file.content[start:stop])
        else:
            with file.content.open("rb") as source:
                self.connection.sendfile(source, start, stop - start)

    # Uploads

    @route("POST", API + "/preupload" + REVISION, write=True)
    def preupload(self, repo: Repo, revision: str) -> None:
        present = self.commit_at(repo, revision).files
        modes = []
        for file in json.loads(self.body())["files"]:
            path = file["path"]
            mode = "lfs" if is_large(path, file["size"]) else "regular"
            oid = present[path].oid if path in present else None
            modes.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": modes})

    @route("POST", PAGE + r"\.git/info/lfs/objects/batch", write=True)
    def lfs_batch(self, repo: Repo) -> None:
        objects = []
        for wanted in json.loads(self.body())["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if self.hub.blob(wanted["oid"]) is None:
                places = {"upload": f"{self.hub.url}/lfs/{wanted['oid']}", "verify": f"{self.hub.url}/lfs/verify"}
                answer["actions"] = {name: {"href": place, "header": {}} for name, place in places.items()}
            objects.append(answer)
        self.answer({"transfer": "basic", "objects": objects})

    @route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})")
    def lfs_upload(self, oid: str) -> None:
        if not self.hub.store(oid, self.incoming):
            raise Refusal(400, f"the sha256 of the body is not {oid}")
        self.answer(headers={"ETag": f'"{oid}"'})

    @route("POST", "/lfs/verify")
    def lfs_verify(self) -> None:
        wanted = json.loads(self.body())
        blob = self.hub.blob(wanted["oid"])
        if blob is None or blob.stat().st_size != wanted["size"]:
            raise Refusal(404, f"{wanted['oid']} was not uploaded")
        self.answer()

    @route("GET", API + "/xet-write-token" + REVISION, write=True)
    def xet_token(self, repo: Repo, revision: str) -> None:
        if self.hub.xet is None:
            raise Refusal(404, "this Hub does not take Xet; see Hub.enable_xet")
        from tests.hub.xet import access

        value, headers = access(self.hub.xet)
        self.answer(value, headers=headers)

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self) -> None:
        errors = metadata_errors(json.loads(self.body())["content"])
        self.answer({"errors": [{"message": error} for error in errors], "warnings": []}, 400 if errors else 200)

    @route("POST", API + "/commit" + REVISION, write=True)
    def commit(self, repo: Repo, revision: str) -> None:
        header, *operations = [json.loads(line) for line in self.body().splitlines() if line.strip()]
        text = header["value"]
        answer = {"success": True, "hookOutput": ""}
        with self.hub.lock:
            head = self.commit_at(repo, revision)
            if text.get("parentCommit") not in (None, head.oid):
                raise Refusal(412, "A commit has happened since. Please refresh and try again.")
            files = self.changed(head.files, operations)
            if self.query.get("create_pr"):
                number = 1 + sum(ref.startswith("refs/pr/") for ref in repo.refs)
                revision = f"refs/pr/{number}"
                answer["pullRequestUrl"] = f"{self.page(repo.kind, repo.id)}/discussions/{number}"
            done = repo.commit(revision, head.oid, text["summary"], text.get("description", ""), files)
        commit_url = f"{self.page(repo.kind, repo.id)}/commit/{done.oid}"
        self.answer({**answer, "commitOid": done.oid, "commitUrl": commit_url})

    def changed(self, files: dict[str, File], operations: list[dict]) -> dict[str, File]:
        files = dict(files)
        for operation in operations:
            value = operation["value"]
            path = value["path"]
            if operation["key"] == "file":
                files[path] = File.small(base64.b64decode(value["content"]))
            elif operation["key"] == "lfsFile":
                blob = self.hub.blob(value["oid"])
                if blob is None:
                    raise Refusal(400, f"LFS pointer pointed to a file that does not exist: {path}")
                files[path] = File(blob, value["oid"])
            elif operation["key"] == "deletedFolder":
                files = {name: file for name, file in files.items() if not name.startswith(path.rstrip("/") + "/")}
            elif files.pop(path, None) is None:
                raise Refusal(404, f"A file with the name {path} doesn't exist", "EntryNotFound")
        return files


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # clients that wait to be let in at once

    def __init__(self, hub: Hub):
        self.hub = hub
        super().__init__(("127.0.0.1", 0), Handler)


def entry(commit: Commit, path: str) -> dict:
    """A file or a folder of a commit, as listings show it."""
    last = {"lastCommit": {"id": commit.oid, "title": commit.title, "date": DATE}}
    file = commit.files.get(path)
    if file is None:
        return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, **last}
    entry = {"type": "file", "path": path, "size": file.size, "oid": file.oid[:40], **last}
    return {**entry, "lfs": {"oid": file.oid, "size": file.size, "pointerSize": 134}} if file.large else entry
