"""A local server that speaks the Hugging Face Hub's routes, as far as its client uses them to list and download."""

import contextlib
import hashlib
import http.server
import json
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Stored(NamedTuple):
    """A file of a repository; small ones aren't in LFS."""

    content: bytes
    lfs: bool = True

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob


class Hub(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Repositories at commits; `troubles` says what is to go wrong, and `asked` what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        # (kind, repository, commit) → path → file; kind is datasets or models
        self.repositories: dict[tuple[str, str, str], dict[str, Stored]] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.cdn_tokens: set[str | None] = set()
        # a part of an address → statuses with which it's answered, one after the other; the last one for ever if < 0
        self.troubles: dict[str, list[int]] = {}
        self.cuts: int = 0  # downloads that break off in the middle
        self.trickles: dict[str, int] = {}  # a part of an address → answers that come at 50 bytes a second
        self.spoil: bool = False  # a byte of each download is another one
        self.answers_for: str | None = None  # a commit in the place of the one asked for
        self.token: str | None = None  # that is needed
        self.plain: dict[str, bytes] = {}  # other files: address → content

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def cdn(self) -> str:
        """Where large files are: another host, as with the Hub."""
        return f"http://localhost:{self.server_address[1]}/cdn"

    def add(self, repository: str, files: dict[str, bytes], kind: str = "datasets", commit: str = COMMIT) -> None:
        stored = {path: Stored(content, path != "README.md") for path, content in files.items()}
        self.repositories[kind, repository, commit] = stored

    def blob(self, sha256: str) -> Stored | None:
        every = (file for files in self.repositories.values() for file in files.values())
        return next((file for file in every if file.etag == sha256), None)


@contextmanager
def running() -> Iterator[Hub]:
    """A server that runs."""
    hub = Hub()
    threading.Thread(target=hub.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status: int, code: str = "") -> None:
        self.send(status, b"{}", **({"X_Error_Code": code} if code else {}))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.asked.append(f"{self.command} {path}")
        if "/cdn/" in path:
            hub.cdn_tokens.add(self.headers.get("Authorization"))
        for part, statuses in hub.troubles.items():
            if part in path and statuses:
                status = abs(statuses[0])
                if statuses[0] > 0:
                    statuses.pop(0)
                code = {403: "GatedRepo", 401: "", 404: "RevisionNotFound"}.get(status, "")
                return self.error(status, code)
        for part, left in hub.trickles.items():
            if part in path and left:
                hub.trickles[part] -= 1
                return self.trickle()
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}" and "/cdn/" not in path:
            return self.error(401, "GatedRepo")
        if path in hub.plain:
            return self.send(200, hub.plain[path])
        if match := re.fullmatch(r"/api/(datasets|models)/([^/]+/[^/]+)/tree/([^/]+)(/.*)?", path):
            return self.tree(match[1], match[2], match[3])
        if match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.resolve("datasets" if match[1] else "models", match[2], match[3], match[4])
        if match := re.fullmatch(r"/cdn/(\w+)", path):
            return self.content(match[1])
        return self.error(404)

    def trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 999\r\n\r\n" if "/cdn/" in self.path else b"X: "))
        with contextlib.suppress(OSError):
            for _ in range(3000):
                self.wfile.write(b"x")
                time.sleep(0.02)
        self.close_connection = True

    def files(self, kind: str, repository: str, commit: str) -> dict[str, Stored] | None:
        found = self.server.repositories.get((kind, repository, commit))
        if found is None:
            known = any(key[:2] == (kind, repository) for key in self.server.repositories)
            self.error(404, "RevisionNotFound" if known else "RepoNotFound")
        return found

    def tree(self, kind: str, repository: str, commit: str) -> None:
        if (files := self.files(kind, repository, commit)) is None:
            return
        rows = []
        for name, file in files.items():
            row = {"type": "file", "path": name, "size": len(file.content), "oid": file.blob}
            if file.lfs:
                row["lfs"] = {"oid": file.sha256, "size": len(file.content), "pointerSize": 134}
            rows.append(row)
        self.send(200, json.dumps(rows).encode(), Content_Type="application/json")

    def resolve(self, kind: str, repository: str, commit: str, name: str) -> None:
        if (files := self.files(kind, repository, commit)) is None:
            return
        if name not in files:
            return self.error(404, "EntryNotFound")
        file = files[name]
        about = {"X_Repo_Commit": self.server.answers_for or commit}
        if file.lfs:
            about |= {"X_Linked_Size": str(len(file.content)), "X_Linked_Etag": f'"{file.sha256}"'}
            self.send(302, b"", Location=f"{self.server.cdn}/{file.sha256}", **about)
        else:
            self.send(200, file.content, ETag=f'"{file.blob}"', **about)

    def content(self, sha256: str) -> None:
        hub, file = self.server, self.server.blob(sha256)
        if file is None:
            return self.error(404)
        asked = self.headers.get("Range")
        hub.ranges += [asked] if asked else []
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        body = bytearray(file.content)
        if hub.spoil:
            body[len(body) // 2] ^= 1
        rest = bytes(body[start:])
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", f'"{sha256}"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if hub.cuts:
            hub.cuts -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.connection.close()
        else:
            self.wfile.write(rest)
