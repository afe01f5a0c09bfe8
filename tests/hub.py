"""A Hub on 127.0.0.1 that serves folders as data sets, read-only: enough for the real clients to load from it."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

SHA = "0" * 39 + "1"


@contextmanager
def loopback_hub(repos: dict[str, Path]):
    """Serves each folder under its id, "owner/name"; gives the address for HF_ENDPOINT."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status, body=b"", **headers):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), "X-Repo-Commit": SHA, **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            api = parts[:2] == ["api", "datasets"]
            owner, name, *rest = parts[2:] if api else parts[1:]
            folder = repos.get(f"{owner}/{name}")
            if folder is None:
                return self.answer(404, X_Error_Code="RepoNotFound")
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            names = [path.relative_to(folder).as_posix() for path in files]
            if api and rest[:1] == ["tree"]:
                inside = [
                    {"type": "file", "path": n, "size": f.stat().st_size, "oid": SHA} for n, f in zip(names, files)
                ]
                below = "/".join(rest[2:])
                if below:
                    return self.answer(404, X_Error_Code="EntryNotFound")
                return self.answer(200, inside)
            if api:
                siblings = [{"rfilename": n} for n in names]
                info = {"id": f"{owner}/{name}", "sha": SHA, "private": False, "siblings": siblings, "tags": []}
                return self.answer(200, info)
            wanted = "/".join(rest[2:])  # resolve/<revision>/<path>
            if wanted not in names:
                return self.answer(404, X_Error_Code="EntryNotFound")
            body = (folder / wanted).read_bytes()
            return self.answer(200, body, ETag=f'"{hashlib.sha256(body).hexdigest()}"')

        do_HEAD = do_GET

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(200, [])

        def log_message(self, *args):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
