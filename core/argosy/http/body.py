"""Response bodies: peeking at them, decompressing them within bounds, and discarding them."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import requests
import urllib3
import urllib3.exceptions
from urllib3 import HTTPHeaderDict

from argosy.errors import TransferError
from argosy.http.limits import BodyLimits, BodyMeter, Response, wire_of
from argosy.interfaces.transport import Incoming, ResponseHeaders

#: Bytes read or decompressed at a time.
CHUNK = 64 * 1024
#: Bytes and seconds spent on an unwanted body, to keep its connection.
UNWANTED, UNWANTED_SECONDS = 64 * 1024, 10.0
#: Beyond the first `EXPANDED` bytes, a body may be this many times as large as its compressed form (a bomb is larger).
#: Beyond the first `OVERHEAD` bytes, the reverse applies (empty gzip members could continue without end).
MAX_EXPANSION, EXPANDED = 100, 16 << 20
MAX_OVERHEAD, OVERHEAD = 1.1, 1 << 20

#: The content codings that are decoded.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


def coding_of(headers: Mapping[str, str]) -> str:
    """Return the ``Content-Encoding`` in lower case, or an empty string."""
    return headers.get("Content-Encoding", "").strip().lower()


def is_plain(response: requests.Response) -> bool:
    """Return whether the body is not compressed."""
    return coding_of(response.headers) in ("", "identity")


class Body:
    """Wraps the raw body of a response: `start` comes first; `on_end` learns once whether the last byte arrived."""

    def __init__(self, raw: Any, *, start: bytes = b"", on_end: Callable[[bool], None] | None = None) -> None:
        self._raw = raw
        self._start = start
        self._on_end = on_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __del__(self) -> None:
        self._end(complete=False)

    def read(self, amt: int | None = None, **options: Any) -> bytes:
        """Read as `urllib3.HTTPResponse.read` does."""
        return self._read(self._raw.read, amt, **options)

    def read1(self, amt: int = CHUNK, **options: Any) -> bytes:
        """Read the bytes that are available, as `urllib3.HTTPResponse.read1` does."""
        return self._read(self._raw.read1, amt, **options)

    def stream(self, amt: int = CHUNK, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body as `urllib3.HTTPResponse.stream` does; decode gzip and deflate within bounds."""
        coding = coding_of(self._raw.headers)
        if decode_content and coding in _CODINGS:
            yield from inflated(self.stream(amt, False), coding)
            return
        try:
            while data := self.read1(amt, decode_content=decode_content):
                yield data
        finally:
            self._end(complete=False)  # the caller stopped early, unless the body has ended

    def close(self) -> None:
        """Abandon the body."""
        complete = self._raw.length_remaining == 0  # there may be no byte at all, as after a HEAD
        self._raw.close()
        self._end(complete=complete)

    def _read(self, read: Callable[..., bytes], amt: int | None, **options: Any) -> bytes:
        start, self._start = self._start[:amt], b"" if amt is None else self._start[amt:]
        if start and amt is not None:
            return start
        try:
            data = read(amt, **options)
        except BaseException:
            self._end(complete=False)
            raise
        if amt is None or (amt and not data):
            self._end(complete=True)
        return start + data

    def _end(self, *, complete: bool) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(complete)


class IncomingBody:
    """The raw body of a response that a transport received, as urllib3 would offer it."""

    _original_response = None  # requests would look for cookies in it

    def __init__(self, incoming: Incoming, headers: ResponseHeaders, limits: BodyLimits) -> None:
        self.headers = HTTPHeaderDict(headers.fields)
        self.status, self.reason = headers.status, headers.reason
        self.version = round(float(headers.version.rpartition("/")[2]) * 10)
        self.length_remaining: int | None = None  # 0 once the last byte was read
        self._incoming = incoming
        self.begin_body(limits)

    def begin_body(self, limits: BodyLimits) -> None:
        """Apply limits from now on."""
        self._meter = BodyMeter(limits)

    def readinto(self, buffer: memoryview) -> int:
        """Store the bytes that are available, as `argosy.interfaces.Incoming.readinto` does; raise as urllib3 does."""
        begun = time.monotonic()
        try:
            count = 0 if self.length_remaining == 0 else self._incoming.readinto(buffer)
        except TimeoutError as error:
            raise urllib3.exceptions.ReadTimeoutError(None, "", "Read timed out.") from error  # type: ignore[arg-type]
        except OSError as error:
            raise urllib3.exceptions.ProtocolError("Connection broken", error) from error
        if count:
            self._meter.count(count, begun)
        else:
            self.length_remaining = 0
        return count

    def read1(self, amt: int = CHUNK, decode_content: bool | None = None) -> bytes:
        """Return the bytes that are available."""
        buffer = memoryview(bytearray(amt))
        return bytes(buffer[: self.readinto(buffer)])

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Return so many bytes, or all, unless the body ends before."""
        parts, left = [], amt
        while left != 0 and (data := self.read1(CHUNK if left is None else min(left, CHUNK))):
            parts.append(data)
            left = None if left is None else left - len(data)
        return b"".join(parts)

    def stream(self, amt: int = CHUNK, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body."""
        while data := self.read1(amt):
            yield data

    def close(self) -> None:
        """Abandon the body."""
        self._incoming.close()

    release_conn = close


def discard(response: requests.Response, *, size: float = UNWANTED, seconds: float | None = None) -> None:
    """End a response whose body is unwanted, after reading at most so much of it.

    So its connection can be reused, and a lease that lasts to the last byte of a short body does not end in doubt.
    """
    wire = response.raw if isinstance(response.raw, IncomingBody) else wire_of(response.raw)
    if wire is not None:
        wire.begin_body(BodyLimits(total=UNWANTED_SECONDS if seconds is None else seconds))
    try:
        while size > 0 and (data := response.raw.read(CHUNK, decode_content=False)):
            size -= len(data)
    except (OSError, urllib3.exceptions.HTTPError, TransferError):
        pass  # closing it decides what follows
    finally:
        response.close()


def reader(response: requests.Response) -> Callable[[memoryview], int]:
    """Return a function that reads what is there of a raw body into a buffer, and returns 0 at the end.

    A plain body goes from the socket into the buffer, and not through urllib3's own.
    """
    raw: Any = response.raw
    if isinstance(raw, IncomingBody):
        return raw.readinto
    direct = raw._original_response if type(raw) is urllib3.HTTPResponse else None
    if not isinstance(direct, Response):

        def read(buffer: memoryview) -> int:
            data = raw.read1(len(buffer), decode_content=False)
            buffer[: len(data)] = data
            return len(data)

        return read

    def read_direct(buffer: memoryview) -> int:
        with raw._error_catcher():  # closes or releases the connection
            count = direct.readinto1(buffer)
            if not count and direct.length:
                raise urllib3.exceptions.IncompleteRead(0, direct.length)
            return count

    return read_direct


def left_over(response: requests.Response) -> bool:
    """Return whether more bytes came than the response announced, as far as can be seen."""
    return bool(getattr(getattr(response.raw, "_original_response", None), "left_over", False))


def peek(response: requests.Response, size: int) -> bytes:
    """Return the first bytes of an unread body, decompressed if gzip, and leave the body as if it were unread."""
    if isinstance(response._content, bytes):  # the body of a redirect
        return response._content[:size]
    start = bytearray()
    while len(start) < size and (data := response.raw.read(size - len(start), decode_content=False)):
        start += data
    response.raw = Body(response.raw, start=bytes(start))
    if coding_of(response.headers) in ("gzip", "x-gzip"):
        try:
            return zlib.decompressobj(31).decompress(start, size)
        except zlib.error:
            return b""
    return bytes(start)


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
