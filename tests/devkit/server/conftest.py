"""A plain client of the library server that keeps cookies as they come, and can show every byte of an answer."""

from __future__ import annotations

import http.client
import re
import socket
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from argosy_devkit import LibraryServer


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def set_cookies(self) -> list[str]:
        return self.headers.get_all("Set-Cookie", [])

    def cookies(self) -> dict[str, str]:
        pairs = (value.partition(";")[0].partition("=") for value in self.set_cookies())
        return {name: value for name, _, value in pairs}


class Browser:
    """Sends what it is told to send; `jar` is changed by its user or by `keep` only."""

    def __init__(self, server: LibraryServer) -> None:
        self.server = server
        self.jar: dict[str, str] = {}

    def fetch(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        jar: Mapping[str, str] | None = None,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request(method, path, body, {**self._cookie(jar), **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def keep(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        """Fetch, and keep the cookies that come."""
        reply = self.fetch(path, method=method, headers=headers)
        self.jar.update(reply.cookies())
        return reply

    def login(self, password: str | None = None, **changed: str) -> Reply:
        page = self.fetch("/login")
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', page.body.decode()))
        secret = self.server.password if password is None else password
        form = {**hidden, "user": self.server.user, "password": secret, **changed}
        self.jar.update(page.cookies())
        reply = self.fetch(
            "/login",
            method="POST",
            body=urllib.parse.urlencode(form),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        self.jar.update(reply.cookies())
        return reply

    def raw(self, path: str, *, headers: Mapping[str, str] | None = None) -> bytes:
        """Return every byte of an answer, up to the end of the connection."""
        lines = [f"GET {path} HTTP/1.1", "Host: library", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in {**self._cookie(None), **(headers or {})}.items()]
        received = bytearray()
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as sock:
            sock.sendall("\r\n".join([*lines, "", ""]).encode())
            while data := sock.recv(65_536):
                received += data
        return bytes(received)

    def _cookie(self, jar: Mapping[str, str] | None) -> dict[str, str]:
        jar = self.jar if jar is None else jar
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}


@pytest.fixture
def browser() -> Callable[[LibraryServer], Browser]:
    """A browser that is logged in."""

    def make(server: LibraryServer) -> Browser:
        made = Browser(server)
        if server.settings.needs_login:
            assert made.login().status == 303
        return made

    return make


@pytest.fixture
def stranger() -> Callable[[LibraryServer], Browser]:
    """A browser that is not."""
    return Browser
