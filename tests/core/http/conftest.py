"""Servers that a script controls byte by byte, and sessions on stores."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from argosy.cookies.jar import Jar
from argosy.http.adapter import LeasedAdapter
from argosy.http.session import PlainSession, open_session
from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Policy
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy_devkit import LibraryServer
from argosy_plugins.cookie_stores.memory import MemoryStore

#: Takes a connection and the number of the request on it (from 0), with its head read; sends any bytes.
Script = Callable[[socket.socket, int], None]


class RawServer:
    """Accepts connections and lets a script answer each request; keeps the heads of all requests."""

    def __init__(self, script: Script) -> None:
        self.heads: list[str] = []
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cookies(self) -> list[str]:
        """The Cookie header of each request, in order; empty if it has none."""
        found = [re.search(r"(?mi)^cookie: (.*?)\r?$", head) for head in self.heads]
        return [match[1] if match else "" for match in found]

    def close(self) -> None:
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            number, received = 0, b""
            while True:
                while b"\r\n\r\n" not in received:
                    data = connection.recv(65536)
                    if not data:
                        return
                    received += data
                head, _, received = received.partition(b"\r\n\r\n")
                self.heads.append(head.decode("latin-1"))
                self._script(connection, number)
                number += 1


def answer(*headers: str, status: str = "200 OK", body: bytes = b"fine", length: bool = True) -> bytes:
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.fixture
def raw_server() -> Iterator[Callable[[Script | bytes], RawServer]]:
    """Start a server that runs a script, or always answers the same bytes."""
    with contextlib.ExitStack() as servers:

        def start(script: Script | bytes) -> RawServer:
            run = script if callable(script) else lambda connection, number: connection.sendall(script)
            return servers.enter_context(contextlib.closing(RawServer(run)))

        yield start


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))


class Reader:
    """A plain requests session on a LeasedAdapter."""

    def __init__(self, store: MemoryStore, *, deadline: float = 20.0, lease: str = "exclusive", **options: Any) -> None:
        self.store = store
        self.http = PlainSession()
        self.adapter = LeasedAdapter(store, lease=lease, deadline=deadline, **options)
        self.http.mount("http://", self.adapter)

    @property
    def record(self) -> SessionRecord:
        found = self.store.read("default")
        assert found is not None
        return found

    def tokens(self) -> dict[str, str]:
        return {cookie.name: cookie.value for cookie in self.record.cookies}

    def is_free(self) -> bool:
        release = self.store.acquire("default", wait=False)
        if release is not None:
            release()
        return release is not None

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.http.get(url, **options)


@pytest.fixture
def reader(store: MemoryStore) -> Iterator[Callable[..., Reader]]:
    """Make a reader whose session has the token ``first``."""
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> Reader:
            if store.read("default") is None:
                store.write(SessionRecord("default", 1, (Cookie("token", "first", "127.0.0.1"),), logins=1), 0)
            made = Reader(store, **options)
            stack.callback(made.http.close)
            return made

        yield make


def log_in(server: LibraryServer) -> Jar:
    """Log in to a library server as a person would, and return the cookies."""
    jar = open_session((10.0, 20.0))
    with jar.http as http:
        page = http.get(server.login_url).text
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', page))
        form = {**hidden, "user": server.user, "password": server.password}
        assert http.post(server.login_url, data=form, allow_redirects=False).status_code == 303
    return jar.cookies


@pytest.fixture
def member(store: MemoryStore) -> Callable[..., SessionManager]:
    """Make a session manager that logs in to a library server."""

    def make(server: LibraryServer, **policy: Any) -> SessionManager:
        return SessionManager(store, "default", Policy(**policy), login=lambda: log_in(server))

    return make
