"""Limits on one response: time, bytes and lines.

Every byte that our connections receive passes through a `Wire`, and every line of framing through a `Stream`: status
lines, headers, interim responses, a proxy's response to CONNECT, chunk sizes and trailers. So the limits also hold when
`http.client`, urllib3 or requests reads.
"""

from __future__ import annotations

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
#: Interim responses (1xx) before the final one.
MAX_INTERIM = 100
#: Bytes and seconds spent on an unwanted body, to keep its connection.
UNWANTED, UNWANTED_SECONDS = 64 * 1024, 10.0
#: Seconds spent on an unwanted body if the lease ends with its last byte.
LEASED_SECONDS = 60.0
#: Bytes of a body that is kept in memory.
IN_MEMORY = 256 << 20
#: Bytes of a body that belongs to a login.
OF_A_LOGIN = 64 << 20
#: Beyond the first `EXPANDED` bytes, a body may be this many times as large as its compressed form; and beyond the
#: first `OVERHEAD` bytes, the compressed form may be this many times as large as the body.
MAX_EXPANSION, EXPANDED = 100, 16 << 20
MAX_OVERHEAD, OVERHEAD = 1.1, 1 << 20

#: The header lines that `http.client` accepts; it takes any other line for the end of the headers.
_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:")
_LONGEST_LINE = 65536


class TooMuch(http.client.HTTPException):
    """A response has too much framing."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How long a body may take, and how large it may be.

    Parameters
    ----------
    total
        Seconds for the whole body.
    low_speed
        The slowest average speed while we wait for it, in bytes per second; 0 for any.
    low_speed_time
        Seconds of waiting over which that average is taken.
    size
        Its largest size as received, in bytes.
    """

    total: float = math.inf
    low_speed: float = 0.0
    low_speed_time: float = 60.0
    size: float = math.inf


class Wire(io.RawIOBase):
    """The bytes of one response, as they come from its socket.

    The headers must be complete within the socket's timeout. From `begin_body` on, the limits of a body apply.
    """

    def __init__(self, raw: Any) -> None:
        super().__init__()
        self.sock: socket.socket = raw._sock
        self._raw = raw
        self._limits: BodyLimits | None = None
        self._end = time.monotonic() + (self.sock.gettimeout() or math.inf)
        self._size = 0  # bytes of the body
        self._waited, self._received = 0.0, 0  # since the speed was last checked

    def begin_body(self, limits: BodyLimits) -> None:
        """Apply the limits of a body: the headers are in."""
        self._limits = limits
        self._end = time.monotonic() + limits.total

    def hurry(self, seconds: float) -> None:
        """Allow at most so many seconds from now on."""
        self._end = min(self._end, time.monotonic() + seconds)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Receive bytes.

        Raises
        ------
        TimeoutError
            If the headers take too long.
        TransferError
            If the body takes too long, is too slow or too large.
        """
        begun = time.monotonic()
        count: int | None = self._raw.readinto(buffer)
        now = time.monotonic()
        if self._limits is None:
            if now > self._end:
                raise TimeoutError("the headers did not arrive in time")
        elif count:  # the end of a body is never late
            self._check_body(self._limits, now, now - begun, count)
        return count

    def _check_body(self, limits: BodyLimits, now: float, waited: float, received: int) -> None:
        if now > self._end:
            raise TransferError("The body did not arrive in time.", kind="total", retryable=True)
        self._size += received
        if self._size > limits.size:
            raise TransferError(f"The body is larger than {limits.size:.0f} bytes.", kind="too-large")
        self._waited += waited
        self._received += received
        if self._waited < limits.low_speed_time:
            return
        if self._received < limits.low_speed * self._waited:
            raise TransferError(
                f"The body was too slow: {self._received} bytes in {self._waited:.0f} seconds.",
                kind="slow",
                retryable=True,
            )
        self._waited, self._received = 0.0, 0

    def close(self) -> None:
        """Close the file; the socket stays open."""
        if not self.closed:
            self._raw.close()
        super().close()


class Stream(io.BufferedReader):
    """The stream of one response: it repairs header lines for `http.client`, and bounds all lines.

    It drops lines that are not headers: `http.client` would stop there and miss a token, or the length of the body.
    Headers that end without an empty line are an error: a missing line may have held the token.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.wire = wire
        self._framing = 0
        self._in_headers = False
        self._kept = False  # whether the last line was a header, which a folded line continues

    def begin_headers(self, begun: bool = True) -> None:
        """Expect header lines, or none."""
        self._in_headers, self._kept = begun, False

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line; of the headers, only valid ones, and the empty line at their end.

        Raises
        ------
        TooMuch
            If there is too much framing.
        http.client.IncompleteRead
            If headers end without an empty line.
        """
        limit = _LONGEST_LINE + 1 if size is None or size < 0 else size
        while True:
            line = super().readline(limit)
            self._framing += len(line)
            if self._framing > MAX_FRAMING:
                raise TooMuch(
                    f"the server sent more than {MAX_FRAMING} bytes of headers, interim responses or trailers"
                )
            if not self._in_headers:
                return line
            if not line.endswith(b"\n"):
                if len(line) < limit:
                    raise http.client.IncompleteRead(line)
                return line
            text = line.rstrip(b"\r\n").replace(b"\r", b" ")
            if not text:
                self._in_headers = False
                return line
            header = _HEADER.match(text)
            self._kept = header is not None or (self._kept and text[:1] in b" \t")
            if header is not None:
                return header[1] + b":" + text[header.end() :] + b"\r\n"
            if self._kept:
                return text + b"\r\n"

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes of a body."""
        self._framing = 0
        return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        """Read available bytes of a body."""
        self._framing = 0
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes of a body."""
        self._framing = 0
        return super().readinto(buffer)


class Expansion:
    """Bounds a compressed body: neither a bomb nor endless nothing."""

    def __init__(self) -> None:
        self._came = self._made = 0

    def came(self, size: int) -> None:
        """Count received bytes before they are decompressed.

        Raises
        ------
        TransferError
            If far more came than the body has.
        """
        self._came += size
        if self._came > OVERHEAD + MAX_OVERHEAD * self._made + size:
            raise TransferError(
                f"The server sent {self._came} compressed bytes that contain only {self._made} bytes.",
                kind="coding",
            )

    def made(self, size: int) -> None:
        """Count decompressed bytes.

        Raises
        ------
        TransferError
            If there are far more of them than came.
        """
        self._made += size
        if self._made > EXPANDED and self._made > self._came * MAX_EXPANSION:
            raise TransferError(
                f"The compressed body expands more than {MAX_EXPANSION} times.", kind="too-large"
            )


def wire_of(raw: Any) -> Wire | None:
    """Return the wire of a response's raw body; None if its last byte was read."""
    stream = getattr(getattr(raw, "_original_response", None), "fp", None)
    return stream.wire if isinstance(stream, Stream) else None
