"""Response bodies: reading them within limits, peeking at them, decompressing and discarding them."""

from __future__ import annotations

import functools
import http.client
import io
import math
import time
import types
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import requests
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from argosy.errors import TransferError
from argosy.interfaces.transport import Incoming, ResponseHeaders

#: Bytes read or decompressed at a time.
CHUNK = 64 * 1024
#: Bytes and seconds spent on an unwanted body, to keep its connection.
UNWANTED, UNWANTED_SECONDS = 64 * 1024, 10.0
#: Beyond the first `EXPANDED` bytes, a body may be this many times as large as its compressed form (a bomb is larger).
#: Beyond the first `OVERHEAD` bytes, the reverse applies (empty gzip members could continue without end).
MAX_EXPANSION, EXPANDED = 100, 16 << 20
MAX_OVERHEAD, OVERHEAD = 1.1, 1 << 20

#: Bytes that are copied of a body that may bring a token.
MAX_COPY = 1 << 20

#: The content codings that are decoded.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


def coding_of(headers: Mapping[str, str]) -> str:
    """Return the ``Content-Encoding`` in lower case, or an empty string."""
    return headers.get("Content-Encoding", "").strip().lower()


def is_plain(response: requests.Response) -> bool:
    """Return whether the body is not compressed."""
    return coding_of(response.headers) in ("", "identity")


class BodyLimits(NamedTuple):
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


class Body(io.RawIOBase):
    """The raw body of a response, as requests knows it from urllib3, within limits.

    `on_end` learns once whether the last byte arrived. `copy` gets what is received, up to `MAX_COPY` bytes.
    """

    def __init__(
        self,
        incoming: Incoming,
        headers: ResponseHeaders,
        limits: BodyLimits,
        *,
        length: int | None = None,
        on_end: Callable[[bool], None] | None = None,
        copy: bytearray | None = None,
    ) -> None:
        super().__init__()
        self.status, self.reason = headers.status, headers.reason
        self.decode_content = False  # whether `read` decodes gzip and deflate
        self._left, self._is_over = length, False  # bytes, if known; whether the transport has said that it is over
        self._incoming = incoming
        self.fields, self.version_text = headers.fields, headers.version
        self._on_end = on_end
        self._copy = copy
        self._start = b""  # was peeked at
        self._decoded: Iterator[bytes] | None = None
        self._rest = b""  # decoded and not read yet
        self.limit(limits)

    @functools.cached_property
    def headers(self) -> HTTPHeaderDict:
        """The header fields."""
        return HTTPHeaderDict(self.fields)

    @property
    def version(self) -> int:
        """The version of HTTP: 11 is 1.1."""
        return round(float(self.version_text.rpartition("/")[2]) * 10)

    @property
    def has_excess(self) -> bool:
        """Whether more bytes came than the response announced, as far as is known."""
        return self._incoming.has_excess

    @property
    def _original_response(self) -> object:
        """What requests looks for cookies in."""
        message = http.client.HTTPMessage()
        for name, value in self.fields:
            message[name] = value
        return types.SimpleNamespace(msg=message)

    def limit(self, limits: BodyLimits) -> None:
        """Apply limits from now on."""
        self._meter = BodyMeter(limits)

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Store the bytes that are there, as `argosy.interfaces.Incoming.readinto` does; raise as urllib3 does."""
        if self._start:
            count = min(len(self._start), len(buffer))
            buffer[:count], self._start = self._start[:count], self._start[count:]
            return count
        begun = time.monotonic()
        try:
            count = 0 if self._is_over else self._incoming.readinto(memoryview(buffer))
            if count:
                self._meter.count(count, begun)
            if self._copy is not None and len(self._copy) <= MAX_COPY:
                self._copy += buffer[:count]
            self._is_over = not count
            self._left = 0 if not count else None if self._left is None else self._left - count
            if self._left == 0:
                self._end()
            return count
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise ReadTimeoutError(None, "", "Read timed out.") from error  # type: ignore[arg-type]
            if isinstance(error, OSError):
                raise ProtocolError("Connection broken", error) from error
            raise

    def peek(self, size: int) -> bytes:
        """Return the first bytes, and leave the body as if they were unread."""
        start, self._start = self._start, b""
        while len(start) < size and (data := self.read1(size - len(start))):
            start += data
        self._start = start
        return start[:size]

    def read1(self, amt: int = CHUNK, decode_content: bool | None = None) -> bytes:
        """Return the raw bytes that are available."""
        buffer = memoryview(bytearray(amt))
        return bytes(buffer[: self.readinto(buffer)])

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Return so many bytes, or all, unless the body ends before."""
        coding, parts, left = coding_of(self.headers), [], amt
        if (self.decode_content if decode_content is None else decode_content) and coding in _CODINGS:
            self._decoded = self._decoded or self.stream(CHUNK, True)
            while (amt is None or len(self._rest) < amt) and (piece := next(self._decoded, b"")):
                self._rest += piece
            data, self._rest = self._rest[:amt], b"" if amt is None else self._rest[amt:]
            return data
        while left != 0 and (data := self.read1(CHUNK if left is None else min(left, CHUNK))):
            parts.append(data)
            left = None if left is None else left - len(data)
        return b"".join(parts)

    def stream(self, amt: int = CHUNK, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body; decode gzip and deflate within bounds."""
        coding = coding_of(self.headers)
        if decode_content and coding in _CODINGS:
            yield from inflated(self.stream(amt), coding)
            return
        try:
            while data := self.read1(amt):
                yield data
        finally:
            self._end()  # the caller stopped early, unless the body has ended

    def close(self) -> None:
        """Abandon the body."""
        self._incoming.close()
        self._end()
        super().close()

    release_conn = close

    def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self._left == 0)


def discard(response: requests.Response, *, size: float = UNWANTED, seconds: float = UNWANTED_SECONDS) -> None:
    """End a response whose body is unwanted, after reading at most so much of it.

    So its connection can be reused, and a lease that lasts to the last byte of a short body does not end in doubt.
    """
    body: Any = response.raw
    try:
        body.limit(BodyLimits(total=seconds))
        while size > 0 and (data := body.read1(CHUNK)):
            size -= len(data)
    except (OSError, HTTPError, TransferError):
        pass  # closing it decides what follows
    finally:
        response.close()


def peek(response: requests.Response, size: int) -> bytes:
    """Return the first bytes of an unread body, decompressed if gzip, and leave the body as if it were unread."""
    if isinstance(response._content, bytes):  # the body of a redirect
        return response._content[:size]
    body: Any = response.raw
    start: bytes = body.peek(size)
    if coding_of(response.headers) in ("gzip", "x-gzip"):
        try:
            return zlib.decompressobj(31).decompress(start, size)
        except zlib.error:
            return b""
    return start


def inflated(raw: Iterable[bytes | memoryview], coding: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of a body; raise `TransferError` if it is damaged or out of bounds."""
    if coding not in _CODINGS:
        raise TransferError(f"Unknown content coding {coding!r}.", kind="coding")
    wbits = 15 if coding == "deflate" else 47  # 47: gzip or zlib, by the header
    inflate = zlib.decompressobj(wbits)
    received = made = 0
    try:
        for data in raw:
            if received > OVERHEAD + MAX_OVERHEAD * made:
                raise TransferError(f"{received} compressed bytes contain only {made} bytes.", kind="coding")
            received += len(data)
            rest = data
            while rest:
                if inflate.eof:  # several gzip members may follow each other (RFC 1952 section 2.2)
                    inflate = zlib.decompressobj(wbits)
                piece = inflate.decompress(rest, CHUNK)
                rest = inflate.unconsumed_tail or inflate.unused_data
                made += len(piece)
                if made > EXPANDED and made > received * MAX_EXPANSION:
                    text = f"The compressed body expands more than {MAX_EXPANSION} times."
                    raise TransferError(text, kind="too-large")
                if piece:
                    yield piece
        tail = inflate.flush()
    except zlib.error:
        raise TransferError("The compressed body is damaged.", kind="cut", retryable=True) from None
    if tail:
        yield tail
    if not inflate.eof:
        raise TransferError("The compressed body ended early.", kind="cut", retryable=True)
