"""Gateways in processes of their own, and a service that shows what reaches it."""

from __future__ import annotations

import http.client
import http.server
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import warm
from argosy_devkit import LibraryServer

#: The token of the configuration for an `Origin`.
TOKEN = "t0ken-of-the-session"


@dataclass
class Seen:
    """A request that reached the service."""

    method: str
    path: str
    fields: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


@dataclass
class Answer:
    """What the service responds; a ConnectionError, also of a piece, ends the connection."""

    status: int = 200
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterator[bytes] = b""
    length: int | None = None  # of a body in pieces
    chunked: bool = False


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    origin: Origin


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        return True  # the body comes anyway

    def _serve(self) -> None:
        origin = self.server.origin
        seen = Seen(self.command, self.path, list(self.headers.items()), self._body())
        origin.seen.append(seen)
        try:
            self._respond(origin.answer(seen))
        except ConnectionError:
            self.close_connection = True

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _respond(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        length = len(answer.body) if isinstance(answer.body, bytes) else answer.length
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in answer.fields:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.chunked else piece)
            self.server.origin.sent += len(piece)
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


class Origin:
    """A service that answers with what a test says, and keeps what it sees; `answer` gets each request."""

    def __init__(self, answer: Callable[[Seen], Answer] = lambda seen: Answer(body=b"ok")) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self.sent = 0  # bytes of bodies
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.origin = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def config(self, root: Path, **changes: Any) -> Path:
        """Write a configuration with a bearer token for it."""
        (root / "token").write_text(TOKEN, "utf-8")
        auth = {"use": "bearer", "token": {"file": "token"}, "origins": [self.url]}
        return write(root / "origin.json", {"auth": auth, **changes})


def library_config(root: Path, server: LibraryServer, **changes: Any) -> Path:
    """Write a configuration with the login of a library."""
    (root / "password.txt").write_text(server.password, "utf-8")
    auth = {
        "use": "form-login",
        "url": server.login_url,
        "fields": {"user": server.user, "password": {"file": "password.txt"}},
    }
    store = {"use": "json-file", "path": "cookies.json"}
    return write(root / "argosy.json", {"auth": auth, "cookie_store": store, **changes})


def write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(json.dumps(config), "utf-8")
    return path


class Gateway:
    """A process of ``argosy gateway``; its log is a file, so that it never waits for a reader."""

    def __init__(self, config: Path, *arguments: str) -> None:
        command = ("gateway", *arguments, str(config))
        self.process: subprocess.Popen[str] = warm.shared().start(*command, cwd=config.parent)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.url = self.process.stdout.readline().strip()
        self._log: list[str] = []
        self._reader = threading.Thread(target=self._log.extend, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        if not self.url:
            self.process.wait(60)
            raise AssertionError(self.log)

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def secret(self) -> str:
        return urlsplit(self.url).path.strip("/")

    @property
    def log(self) -> str:
        """What it has logged and said; complete once it has ended."""
        if self.process.poll() is not None:
            self._reader.join(60)
        return "".join(self._log)

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it with a signal, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._reader.join(60)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def get(self, path: str, method: str = "GET", body: Any = None, **fields: str) -> Got:
        """Send one request to a path below its URL; underscores in names of fields are hyphens."""
        return ask(self.url + path, method, body, **fields)


@dataclass
class Got:
    """A response."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


def ask(url: str, method: str = "GET", body: Any = None, **fields: str) -> Got:
    """Send one request, without changing its URL."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        target = url.partition(parts.netloc)[2] or "/"
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return Got(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def send(port: int, data: bytes) -> socket.socket:
    """Send bytes to a port of this machine; return the connection."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(data)
    return connection
