"""One response on the wire, with limits on its time, bytes and lines.

Every byte that our connections receive passes through a `_Wire`, and every line of framing through a `_Stream`: status
lines, headers, interim responses, a proxy's response to CONNECT, chunk sizes and trailers. So the limits hold no matter
whether `http.client`, urllib3 or requests reads.
"""

from __future__ import annotations

import contextlib
import http
import http.client
import io
import math
import re
import socket
import time
from dataclasses import dataclass
from typing import Any

from argosy.errors import TransferError

#: Bytes of framing in a row, without a byte of a body in between.
MAX_FRAMING = 256 * 1024

#: Header fields of one response.
MAX_FIELDS = 100

#: A header line.
_HEADER = re.compile(r"([!-9;-~]+)[ \t]*:")
_LONGEST_LINE = 65536

#: The versions as numbers; any other HTTP/1.x is 11.
_VERSIONS = {"HTTP/0.9": 10, "HTTP/1.0": 10, "HTTP/1.1": 11}


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How long a body may take, and how large it may be."""

    total: float = math.inf  # seconds for the whole body
    low_speed: float = 0.0  # bytes per second on average, over `low_speed_time` seconds of waiting
    low_speed_time: float = 60.0
    size: float = math.inf  # bytes as received


class BodyMeter:
    """Counts the bytes of one body, and the time spent waiting for them."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._end = time.monotonic() + limits.total
        self._size = 0
        self._waited, self._received = 0.0, 0  # since the speed was last checked

    def count(self, size: int, begun: float) -> None:
        """Count received bytes, for which somebody has waited since `begun`; raise TransferError beyond a limit."""
        now, limits = time.monotonic(), self._limits
        self._size += size
        self._received += size
        self._waited += now - begun
        if now > self._end:
            raise TransferError("The body did not arrive in time.", kind="total", retryable=True)
        if self._size > limits.size:
            raise TransferError(f"The body is larger than {limits.size:.0f} bytes.", kind="too-large")
        if self._waited >= limits.low_speed_time:
            if self._received < limits.low_speed * self._waited:
                speed = f"{self._received} bytes in {self._waited:.0f} seconds"
                raise TransferError(f"The body was too slow: {speed}.", kind="slow", retryable=True)
            self._waited, self._received = 0.0, 0


class _Wire(io.RawIOBase):
    """The bytes of one response: the headers must arrive by a deadline; then the limits of a body apply."""

    def __init__(self, raw: Any, deadline: float) -> None:
        super().__init__()
        self.sock: socket.socket = raw._sock
        self._raw = raw
        self._timeout = self.sock.gettimeout()
        self._end = min(deadline, time.monotonic() + (self._timeout or math.inf))
        self._meter: BodyMeter | None = None  # none during the headers

    def begin_body(self, limits: BodyLimits) -> None:
        """Apply the limits of a body from now on: the headers are in."""
        self.sock.settimeout(self._timeout)
        self._meter = BodyMeter(limits)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Receive bytes; raise TimeoutError for late headers, and TransferError for a body beyond its limits."""
        begun = time.monotonic()
        if self._meter is None and self._end < math.inf:
            self.sock.settimeout(max(self._end - begun, 0.001))  # 0 would mean: do not wait
        count: int | None = self._raw.readinto(buffer)
        if self._meter is None:
            if time.monotonic() > self._end:
                raise TimeoutError("the headers did not arrive in time")
        elif count:  # the end of a body is never late
            self._meter.count(count, begun)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Stream(io.BufferedReader):
    """The stream of one response, which bounds all lines."""

    def __init__(self, wire: _Wire) -> None:
        super().__init__(wire)
        self.wire = wire
        self._framing = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line."""
        line = super().readline(_LONGEST_LINE + 1 if size is None or size < 0 else size)
        self._framing += len(line)
        if self._framing > MAX_FRAMING:
            raise http.client.HTTPException(f"the server sent more than {MAX_FRAMING} bytes of framing")
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        self._framing = 0  # bytes of a body
        return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        self._framing = 0
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        self._framing = 0
        return super().readinto(buffer)

    def readinto1(self, buffer: Any, /) -> int:
        self._framing = 0
        return super().readinto1(buffer)


class Response(http.client.HTTPResponse):
    """Skips interim responses, and neither breaks off at a broken header nor takes truncated headers for complete ones."""

    #: Whether more bytes came than the response announced.
    left_over = False

    def __init__(self, sock: Any, *args: Any, deadline: float = math.inf, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp: Any = _Stream(_Wire(self.fp.detach(), deadline))

    def begin(self) -> None:
        """Read the headers as `http.client` does, but faster, and keep those behind a line that is none."""
        if self.headers is not None:
            return
        while True:
            version, status, reason = self._read_status()
            fields = self._read_fields()
            if status >= 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                break  # else an interim response, such as 103 Early Hints (RFC 8297): another one follows
        if version not in _VERSIONS and not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.version = _VERSIONS.get(version, 11)
        self.code = self.status = status
        self.reason = reason.strip()
        self.headers = self.msg = http.client.HTTPMessage()
        self.headers._headers = fields
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.will_close = self._check_close()
        self.length = None
        length = self.headers.get("Content-Length", "")
        if status in (204, 304) or self._method == "HEAD":
            self.length = 0
        elif length.isascii() and length.isdigit() and not self.chunked:
            self.length = int(length)
        if not self.chunked and self.length is None:
            self.will_close = True

    def _read_fields(self) -> list[tuple[str, str]]:
        """Return the header fields, without lines that are none: `http.client` would stop there and miss a token.

        Headers that end without an empty line are an error: a missing line may have held the token.
        """
        fields: list[tuple[str, str]] = []
        can_continue = False
        while True:
            line = self.fp.readline(_LONGEST_LINE + 1)
            if len(line) > _LONGEST_LINE:
                raise http.client.LineTooLong("header line")
            if not line.endswith(b"\n"):
                raise http.client.IncompleteRead(line)
            text = line.rstrip(b"\r\n").replace(b"\r", b" ").decode("latin-1")
            if not text:
                return fields
            field = _HEADER.match(text)
            if field is not None:
                fields.append((field[1], text[field.end() :].strip(" \t")))
                can_continue = True
            elif can_continue and text[0] in " \t":  # a folded line (RFC 9112 section 5.2)
                name, value = fields.pop()
                fields.append((name, f"{value} {text.strip()}"))
            else:
                can_continue = False
            if len(fields) > MAX_FIELDS:
                raise http.client.HTTPException(f"the server sent more than {MAX_FIELDS} header fields")

    def readinto1(self, buffer: Any, /) -> int:
        """Read what is there of the body, in one read, and without a copy if it is plain; return 0 at its end."""
        if self.chunked:
            data = self.read1(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        if self.fp is None:
            return 0
        count: int = self.fp.readinto1(buffer if self.length is None else buffer[: self.length])
        if self.length is not None:
            self.length -= count
        if not count or self.length == 0:
            self._close_conn()
        return count

    def _close_conn(self) -> None:
        """At the end of the body, look for more bytes; if there are any, the connection is useless."""
        if self.length == 0:
            with contextlib.suppress(OSError):
                wire: _Wire = self.fp.wire
                wire.begin_body(BodyLimits())  # nothing can be late anymore
                wire.sock.settimeout(0)  # bytes that arrive later are found when the connection is reused
                self.left_over = bool(self.fp.peek(1))
                if self.left_over:
                    socket.socket.shutdown(wire.sock, socket.SHUT_RDWR)
        super()._close_conn()  # type: ignore[misc]  # not in the stubs


def wire_of(raw: Any) -> _Wire | None:
    """Return the wire of a response's raw body; None if its last byte was read."""
    stream = getattr(getattr(raw, "_original_response", None), "fp", None)
    return stream.wire if isinstance(stream, _Stream) else None
