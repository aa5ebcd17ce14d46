"""One response on the wire, with limits on its time, bytes and lines.

Every byte that our connections receive passes through a `_Wire`, and every line of framing through a `_Stream`: status
lines, headers, interim responses, a proxy's response to CONNECT, chunk sizes and trailers. So the limits hold no matter
whether `http.client`, urllib3 or requests reads.
"""

from __future__ import annotations

import contextlib
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

#: The header lines that `http.client` accepts; it takes any other line for the end of the headers.
_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:")
_LONGEST_LINE = 65536


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How long a body may take, and how large it may be."""

    total: float = math.inf  # seconds for the whole body
    low_speed: float = 0.0  # bytes per second on average, over `low_speed_time` seconds of waiting
    low_speed_time: float = 60.0
    size: float = math.inf  # bytes as received


class _Wire(io.RawIOBase):
    """The bytes of one response: the headers must arrive by a deadline; then the limits of a body apply."""

    def __init__(self, raw: Any, deadline: float) -> None:
        super().__init__()
        self.sock: socket.socket = raw._sock
        self._raw = raw
        self._timeout = self.sock.gettimeout()
        self._end = min(deadline, time.monotonic() + (self._timeout or math.inf))
        self._limits: BodyLimits | None = None  # none during the headers
        self._size = 0
        self._waited, self._received = 0.0, 0  # since the speed was last checked

    def begin_body(self, limits: BodyLimits) -> None:
        """Apply the limits of a body from now on: the headers are in."""
        self.sock.settimeout(self._timeout)
        self._limits = limits
        self._end = time.monotonic() + limits.total

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Receive bytes; raise TimeoutError for late headers, and TransferError for a body beyond its limits."""
        begun = time.monotonic()
        if self._limits is None and self._end < math.inf:
            self.sock.settimeout(max(self._end - begun, 0.001))  # 0 would mean: do not wait
        count: int | None = self._raw.readinto(buffer)
        now = time.monotonic()
        if self._limits is None:
            if now > self._end:
                raise TimeoutError("the headers did not arrive in time")
        elif count:  # the end of a body is never late
            self._size += count
            self._received += count
            self._waited += now - begun
            self._check_body(self._limits, now)
        return count

    def _check_body(self, limits: BodyLimits, now: float) -> None:
        if now > self._end:
            raise TransferError("The body did not arrive in time.", kind="total", retryable=True)
        if self._size > limits.size:
            raise TransferError(f"The body is larger than {limits.size:.0f} bytes.", kind="too-large")
        if self._waited >= limits.low_speed_time:
            if self._received < limits.low_speed * self._waited:
                speed = f"{self._received} bytes in {self._waited:.0f} seconds"
                raise TransferError(f"The body was too slow: {speed}.", kind="slow", retryable=True)
            self._waited, self._received = 0.0, 0

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Stream(io.BufferedReader):
    """The stream of one response: it repairs header lines for `http.client`, and bounds all lines.

    It drops lines that are not headers: `http.client` would stop there and miss a token, or the length of the body.
    Headers that end without an empty line are an error: a missing line may have held the token.
    """

    def __init__(self, wire: _Wire) -> None:
        super().__init__(wire)
        self.wire = wire
        self.in_headers = False
        self._framing = 0
        self._kept = False  # whether the last line was a header, which a folded line continues

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line; of the headers, only valid ones, and the empty line at their end."""
        limit = _LONGEST_LINE + 1 if size is None or size < 0 else size
        while True:
            line = super().readline(limit)
            self._framing += len(line)
            if self._framing > MAX_FRAMING:
                raise http.client.HTTPException(f"the server sent more than {MAX_FRAMING} bytes of framing")
            if not self.in_headers or len(line) == limit:  # http.client rejects a line that is too long
                return line
            if not line.endswith(b"\n"):
                raise http.client.IncompleteRead(line)
            text = line.rstrip(b"\r\n").replace(b"\r", b" ")
            if not text:
                self.in_headers = self._kept = False
                return line
            header = _HEADER.match(text)
            self._kept = header is not None or (self._kept and text[:1] in b" \t")
            if header is not None:
                return header[1] + b":" + text[header.end() :] + b"\r\n"
            if self._kept:
                return text + b"\r\n"

    def read(self, size: int | None = -1, /) -> bytes:
        self._framing = 0  # bytes of a body
        return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        self._framing = 0
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        self._framing = 0
        return super().readinto(buffer)


class Response(http.client.HTTPResponse):
    """Skips interim responses, and does not take broken or truncated headers for complete ones."""

    #: Whether more bytes came than the response announced.
    left_over = False

    def __init__(self, sock: Any, *args: Any, deadline: float = math.inf, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp: Any = _Stream(_Wire(self.fp.detach(), deadline))

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            self.fp.in_headers = False
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # not in the stubs
            self.fp.in_headers = True
            if not 102 <= status[1] < 200:
                return status
            http.client.parse_headers(self.fp)  # 103 Early Hints (RFC 8297): the final response follows

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
