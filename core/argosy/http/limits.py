"""What one answer may cost, whoever reads it: time, bytes and lines.

Every byte that a connection of ours receives passes through a `Wire`, and every line of its framing through a
`Stream`: of status lines, headers, interim answers, a proxy's answer to CONNECT, chunk sizes and trailers. So the
bounds also hold where `http.client`, urllib3 or requests does the reading.
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
FRAMING = 256 * 1024
#: Interim answers (1xx) before the final one.
INTERIM = 100
#: Bytes and seconds that are spent on a body that nobody wants, to keep its connection.
UNWANTED, UNWANTED_SECONDS = 64 * 1024, 10.0
#: Seconds that are spent on a body that nobody wants, where the lease ends with its last byte.
LEASED_SECONDS = 60.0
#: Bytes of a body that is held in memory as a whole.
IN_MEMORY = 256 << 20
#: Bytes of a body that belongs to a login.
OF_A_LOGIN = 64 << 20
#: A compressed body may be this many times as large as what came, beyond the first `EXPANDED` bytes.
MOST_EXPANSION = 100
EXPANDED = 16 << 20
#: And what came may be this many times as large as the body, beyond the first `OVERHEAD` bytes.
MOST_OVERHEAD = 1.1
OVERHEAD = 1 << 20

#: What the header parser of `http.client` accepts as a header; it takes any other line for the end of the headers.
_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:")
_LONGEST_LINE = 65536


class TooMuch(http.client.HTTPException):
    """An answer has more framing than it may have."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How long a body may take, and how large it may be.

    Parameters
    ----------
    total
        Seconds until it must be whole.
    low_speed
        Bytes per second that it must bring on average while we wait for it; 0 for any.
    low_speed_time
        The seconds of waiting that this average is taken over.
    size
        Bytes that it may have on the wire.
    """

    total: float = math.inf
    low_speed: float = 0.0
    low_speed_time: float = 60.0
    size: float = math.inf


class Wire(io.RawIOBase):
    """The bytes of one answer, as they come from its socket.

    The head must be whole within the time that the socket may wait for its first byte. From `begin_body` on, the
    limits of a body apply.
    """

    def __init__(self, raw: Any) -> None:
        super().__init__()
        self.sock: socket.socket = raw._sock
        #: Bytes received.
        self.came = 0
        self._raw = raw
        self._limits: BodyLimits | None = None
        self._end = time.monotonic() + (self.sock.gettimeout() or math.inf)
        self._waited, self._received, self._before = 0.0, 0, 0

    def begin_body(self, limits: BodyLimits) -> None:
        """Apply the limits of a body: the head is in."""
        self._limits, self._before = limits, self.came
        self._end = time.monotonic() + limits.total

    def hurry(self, seconds: float) -> None:
        """Allow no more than this many seconds from now on."""
        self._end = min(self._end, time.monotonic() + seconds)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Receive some bytes.

        Raises
        ------
        TimeoutError
            If the head takes too long.
        TransferError
            If the body takes too long, comes too slowly or is too large.
        """
        begun = time.monotonic()
        count: int | None = self._raw.readinto(buffer)
        now = time.monotonic()
        self.came += count or 0
        if self._limits is not None:
            self._check_body(self._limits, now, now - begun, count or 0)
        elif now > self._end:
            raise TimeoutError("the headers did not arrive in time")
        return count

    def _check_body(self, limits: BodyLimits, now: float, waited: float, received: int) -> None:
        if not received:
            return  # the end, which is not late
        if now > self._end:
            raise TransferError("The body was not complete in time.", kind="total", retryable=True)
        if self.came - self._before > limits.size:
            raise TransferError(
                f"The body is larger than the {limits.size:.0f} bytes that are accepted here.",
                kind="too-large",
            )
        self._waited += waited
        self._received += received
        if self._waited < limits.low_speed_time:
            return
        if self._received < limits.low_speed * self._waited:
            raise TransferError(
                f"The body came too slowly: {self._received} bytes in {self._waited:.0f} seconds.",
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
    """The stream of one answer; makes header lines fit for `http.client`, and bounds all lines.

    A line that is not a header is left out, as it would hide what follows it: a token, or the length of the body.
    And headers that end without their empty line are an error, not the end of the headers: the token may have been
    in what is missing.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.wire = wire
        self._framing = 0
        self._in_headers = False
        self._kept = False  # whether the line before was a header, so that a folded one belongs to it

    def begin_headers(self, begun: bool = True) -> None:
        """Expect header lines, or, with False, none."""
        self._in_headers, self._kept = begun, False

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line; of the headers, only those that are headers, and the empty line that ends them.

        Raises
        ------
        TooMuch
            If there are too many bytes of lines.
        http.client.IncompleteRead
            If headers end without their empty line.
        """
        limit = _LONGEST_LINE + 1 if size is None or size < 0 else size
        while True:
            line = super().readline(limit)
            self._framing += len(line)
            if self._framing > FRAMING:
                raise TooMuch(
                    f"the server sent more than {FRAMING} bytes of headers, interim answers or trailers"
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
        """Read bytes of a body that are there."""
        self._framing = 0
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes of a body."""
        self._framing = 0
        return super().readinto(buffer)


class Expansion:
    """Bounds what a compressed body makes of what came: neither a bomb, nor an endless nothing."""

    def __init__(self) -> None:
        self._came = self._made = 0

    def came(self, size: int) -> None:
        """Count bytes of the wire, before they are decompressed.

        Raises
        ------
        TransferError
            If more came than the body has.
        """
        self._came += size
        if self._came > OVERHEAD + MOST_OVERHEAD * self._made + size:
            raise TransferError(
                f"The server sent {self._came} compressed bytes that contain only {self._made} bytes.",
                kind="coding",
            )

    def made(self, size: int) -> None:
        """Count bytes of the body.

        Raises
        ------
        TransferError
            If there are far more of them than came.
        """
        self._made += size
        if self._made > EXPANDED and self._made > self._came * MOST_EXPANSION:
            raise TransferError(
                f"The compressed body is more than {MOST_EXPANSION} times as large as what was sent.",
                kind="too-large",
            )


def wire_of(raw: Any) -> Wire | None:
    """Return the wire of a response's raw body; None where its last byte was read."""
    stream = getattr(getattr(raw, "_original_response", None), "fp", None)
    return stream.wire if isinstance(stream, Stream) else None
