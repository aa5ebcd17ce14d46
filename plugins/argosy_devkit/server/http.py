"""HTTP/1.1 on a bare socket, to control every byte of a response."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

_HEAD_LIMIT = 65_536
_BODY_LIMIT = 1 << 20


class BadRequest(Exception):
    """The request is not valid HTTP/1.1."""


@dataclass(slots=True)
class Request:
    """A request; header names are in lower case, and repeated headers are joined (RFC 9110 section 5.3)."""

    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    keep_alive: bool = True

    def cookies(self) -> dict[str, str]:
        """Return its cookies; of several with one name the first, as most servers do."""
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.strip().partition("=")
            if equals:
                found.setdefault(name, value)
        return found


def parse_head(head: bytes) -> Request:
    """Return the request with this head (without the empty line)."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):
        raise BadRequest(f"request line {lines[0][:80]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest("header without a colon")
        name, value = name.lower(), value.strip(" \t")
        if name in headers:
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    path, _, query = parts[1].partition("?")
    return Request(
        method=parts[0],
        target=parts[1],
        path=unquote(path, errors="surrogateescape"),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        keep_alive=parts[2] != "HTTP/1.0" and "close" not in headers.get("connection", "").lower(),
    )


def render_head(status: int, headers: list[tuple[str, str]]) -> bytes:
    """Return status line and headers with the empty line. A header without a name is written unchanged."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" if name else value for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def http_date(timestamp: float) -> str:
    """Return a time in seconds since the epoch as an HTTP date (RFC 9110 section 5.6.7)."""
    return formatdate(timestamp, usegmt=True)


class Connection:
    """An accepted connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()

    async def request(self) -> Request | None:
        """Return the next request, or None if the client closed the connection; raise BadRequest if it is invalid."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > _HEAD_LIMIT:
                raise BadRequest("headers too long")
            if not await self._receive():
                return None
        request = parse_head(bytes(self._received[:end]))
        del self._received[: end + 4]
        if "transfer-encoding" in request.headers:
            raise BadRequest("a body without a length")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _BODY_LIMIT:
            raise BadRequest("length of the body")
        while len(self._received) < int(length):
            if not await self._receive():
                return None
        request.body = bytes(self._received[: int(length)])
        del self._received[: int(length)]
        return request

    async def _receive(self) -> int:
        data = await self._loop.sock_recv(self._sock, 65_536)
        self._received += data
        return len(data)

    async def send(self, data: bytes | memoryview) -> None:
        """Send everything; the kernel has it when this returns."""
        await self._loop.sock_sendall(self._sock, data)

    async def until_closed(self) -> None:
        """Wait until the client closes the connection."""
        while await self._receive():
            self._received.clear()

    def reset(self) -> None:
        """Close with a reset; the client loses what it has not read."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        """Close normally; the client gets everything."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        self._sock.close()
