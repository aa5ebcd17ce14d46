"""A transport for argosy: HTTP/1.1 with the standard library, without proxies.

Replace what is in `_Connection` by a library of yours. What `ExampleTransport.send` does, in this order, is the contract.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import exceptions
from requests.utils import DEFAULT_CA_BUNDLE_PATH

import argosy
from argosy import Hop, Incoming, ResponseHeaders

#: Seconds after which an idle connection is not used: many servers close it after 5.
MAX_IDLE = 4.0

#: Bytes of all headers of a response, with those of interim responses; bytes of a line; lines of a response.
MAX_HEADERS, MAX_LINE, MAX_LINES = 1_000_000, 65536, 1000

_STATUS = re.compile(r"(HTTP/1\.[0-9]) +([0-9]{3})(?: +(.*))?")
_FIELD = re.compile(r"([!-9;-~]+)[ \t]*:[ \t]*(.*?)[ \t]*")


class ExampleTransport(argosy.Transport):
    """Sends requests over connections of its own, which it keeps for other requests."""

    name = "example"
    summary = "HTTP/1.1 with the standard library"
    proxy_schemes = frozenset()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._mutex = threading.Lock()
        self._idle: list[_Connection] = []
        self._contexts: dict[Any, ssl.SSLContext] = {}

    def send(
        self,
        hop: Hop,
        *,
        timeout: tuple[float, float],
        verify: bool | str,
        proxy: str | None,
        cert: str | tuple[str, str] | None = None,
    ) -> Incoming:
        """Send the request of a hop: connect, take the session, send, and report the headers."""
        parts = urlsplit(hop.request.url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise exceptions.InvalidURL("not a URL of the web")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        tls = self._context(verify, cert) if parts.scheme == "https" else None
        is_single = str(hop.request.headers.get("Connection", "")).lower() == "close"
        connection = None if is_single else self._take(parts.hostname, port, tls)
        connection = connection or _Connection(parts.hostname, port, tls, timeout[0])
        try:
            request = hop.authorize()  # from now on, others wait for the session
            if connection.is_reused and connection.has_events():  # it was closed meanwhile
                connection.close()
                connection = _Connection(parts.hostname, port, tls, timeout[0])
            message = _message(request, parts.hostname, port, is_tls=tls is not None)
            hop.sending()
            with _request_errors(exceptions.ReadTimeout):
                connection.deadline = hop.deadline
                connection.send(message)
                headers = connection.read_headers()
            hop.received(headers)  # before anything else: it may hold the only valid token
        except BaseException:
            connection.close()
            raise
        return _Body(self, connection, headers, request.method or "", timeout[1], is_single=is_single)

    def close(self) -> None:
        """Close the idle connections."""
        with self._mutex:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def keep(self, connection: _Connection) -> None:
        """Keep a connection for other requests."""
        connection.is_reused, connection.used = True, time.monotonic()
        with self._mutex:
            self._idle.append(connection)

    def _take(self, host: str, port: int, tls: ssl.SSLContext | None) -> _Connection | None:
        """Return an idle connection that is still open, as far as is known."""
        with self._mutex:
            old = [each for each in self._idle if time.monotonic() - each.used > MAX_IDLE]
            self._idle = [each for each in self._idle if each not in old]
            fitting = [each for each in self._idle if each.target == (host, port, tls)]
            if fitting:
                self._idle.remove(fitting[-1])
        for connection in old:
            connection.close()
        if not fitting or fitting[-1].has_events():
            return None
        return fitting[-1]

    def _context(self, verify: bool | str, cert: str | tuple[str, str] | None) -> ssl.SSLContext:
        """Return the settings of TLS."""
        with self._mutex:
            if (verify, cert) not in self._contexts:
                authorities = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
                context = ssl.create_default_context(cafile=authorities)
                if not verify:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                if cert is not None:
                    context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
                self._contexts[verify, cert] = context
            return self._contexts[verify, cert]


class _Connection(io.RawIOBase):
    """A connection to a server; `stream` reads from it until the deadline."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, seconds: float) -> None:
        super().__init__()
        self.target = (host, port, tls)
        self.is_reused = False
        self.used = time.monotonic()
        self.deadline = math.inf
        with _request_errors(exceptions.ConnectTimeout):
            self._socket = socket.create_connection((host, port), seconds)
            if tls is not None:
                try:
                    self._socket = tls.wrap_socket(self._socket, server_hostname=host)
                except BaseException:
                    self._socket.close()
                    raise
        self.stream = io.BufferedReader(self, 65536)

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive bytes until the deadline."""
        self._socket.settimeout(self._seconds_left())
        return self._socket.recv_into(buffer)

    def send(self, data: bytes) -> None:
        """Send bytes until the deadline."""
        self._socket.settimeout(self._seconds_left())
        self._socket.sendall(data)

    def _seconds_left(self) -> float | None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return None if left == math.inf else left

    def has_events(self) -> bool:
        """Return whether the server has closed the connection, or sent something that nobody asked for."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def has_buffered(self) -> bool:
        """Return whether there are received bytes that were not read yet."""
        self.deadline = -math.inf
        with contextlib.suppress(TimeoutError):
            return bool(self.stream.peek(1))
        return False

    def read_line(self) -> bytes:
        """Return a line of framing, without its end."""
        line = self.stream.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("a line is incomplete or too long")
        return line.rstrip(b"\r\n")

    def read_headers(self) -> ResponseHeaders:
        """Return the headers of the final response; raise OSError if they are not complete, as a token may be missing."""
        left = MAX_HEADERS
        while True:
            lines: list[str] = []
            while not lines or lines[-1]:
                lines.append(self.read_line().decode("latin-1"))
                left -= len(lines[-1]) + 2
                if left < 0 or len(lines) > MAX_LINES:
                    raise ConnectionResetError("the headers are too long")
            status = _STATUS.fullmatch(lines[0])
            if status is None:
                raise ConnectionResetError("this is not HTTP/1.1")
            fields: list[tuple[str, str]] = []
            for line in lines[1:-1]:
                if (field := _FIELD.fullmatch(line)) is not None:
                    fields.append((field[1], field[2]))
                elif line[0] in " \t" and fields:  # it continues the one before
                    fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip()}")
                else:
                    raise ConnectionResetError("a header line is not valid")
            if int(status[2]) >= 200:
                return ResponseHeaders(int(status[2]), status[3] or "", status[1], tuple(fields))

    def close(self) -> None:
        """Close it."""
        self._socket.close()
        super().close()


class _Body(Incoming):
    """The body of a response."""

    def __init__(
        self,
        transport: ExampleTransport,
        connection: _Connection,
        headers: ResponseHeaders,
        method: str,
        seconds: float,
        *,
        is_single: bool,
    ) -> None:
        self._transport = transport
        self._connection: _Connection | None = connection
        self._seconds = seconds
        lengths, codings = set(headers.all("Content-Length")), [c.lower() for c in headers.all("Transfer-Encoding")]
        has_none = method == "HEAD" or headers.status in (204, 304)
        self._is_chunked = codings == ["chunked"] and not has_none
        self._is_first = True  # among the chunks
        self._left: int | None = 0  # of the body, or of a chunk; None until the connection ends
        if not has_none and not self._is_chunked:
            length = lengths.pop() if len(lengths) == 1 and not codings else ""
            self._left = int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        # whether the next response begins where this one ends, beyond doubt (RFC 9112 section 6.3)
        is_clear = self._left is not None and not (lengths and codings)
        is_kept = headers.version == "HTTP/1.1" and "close" not in ",".join(headers.all("Connection")).lower()
        self._is_last = is_single or not is_clear or not is_kept
        if self._left == 0 and not self._is_chunked:
            self._end()

    def readinto(self, buffer: memoryview) -> int:
        """Store the bytes that are there."""
        if self._connection is None:
            return 0
        self._connection.deadline = time.monotonic() + self._seconds
        try:
            return self._read(self._connection, buffer)
        except BaseException:
            self.close()
            raise

    def _read(self, connection: _Connection, buffer: memoryview) -> int:
        if self._is_chunked and self._left == 0:
            if not self._is_first and connection.read_line():
                raise ConnectionResetError("a chunk is longer than announced")
            self._is_first = False
            size = connection.read_line().partition(b";")[0].strip()
            if not re.fullmatch(b"[0-9A-Fa-f]{1,15}", size):
                raise ConnectionResetError("the size of a chunk is not valid")
            self._left = int(size, 16)
            if self._left == 0:
                while connection.read_line():
                    pass  # the trailer section
                self._end()
                return 0
        count = connection.stream.readinto1(buffer if self._left is None else buffer[: self._left])
        if self._left is None:
            if not count:
                self.close()
            return count
        if not count:
            raise ConnectionResetError("the body ended early")
        self._left -= count
        if self._left == 0 and not self._is_chunked:
            self._end()
        return count

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        """Keep the connection for other requests, if no doubt is possible."""
        connection = self._connection
        if connection is None:
            return
        self.has_excess = connection.has_buffered() or connection.has_events()
        if self._is_last or self.has_excess:
            self.close()
            return
        self._connection = None
        self._transport.keep(connection)


def _message(request: requests.PreparedRequest, host: str, port: int, *, is_tls: bool) -> bytes:
    """Return the bytes of a request."""
    body: Any = request.body or b""
    host = f"[{host}]" if ":" in host else host
    lines = [f"{request.method} {request.path_url} HTTP/1.1"]
    if "Host" not in request.headers:
        lines.append(f"Host: {host}" if port == (443 if is_tls else 80) else f"Host: {host}:{port}")
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if any(re.search(r"[\r\n]", line) for line in lines):
        raise exceptions.InvalidHeader("a header with a line break")
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
    return head + (body.encode() if isinstance(body, str) else body)


@contextlib.contextmanager
def _request_errors(of_time: type[requests.Timeout]) -> Iterator[None]:
    """Turn errors of the network into those of requests, which argosy tells apart by their causes."""
    try:
        yield
    except TimeoutError as error:
        raise of_time(error) from error
    except ssl.SSLError as error:
        raise exceptions.SSLError(error) from error
    except OSError as error:
        raise exceptions.ConnectionError(error) from error


@argosy.hookimpl
def argosy_transport() -> type[argosy.Transport]:
    """Register the transport."""
    return ExampleTransport
