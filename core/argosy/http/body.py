"""Response bodies: peeking at them, bounded decompression, discarding them, and ending a lease with the last byte."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import requests
import urllib3.exceptions

from argosy.errors import TransferError
from argosy.http.limits import UNWANTED, UNWANTED_SECONDS, Expansion, wire_of

#: Bytes read or decompressed at a time.
CHUNK = 64 * 1024

#: The content codings that are decoded.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


def coding_of(headers: Mapping[str, str]) -> str:
    """Return the ``Content-Encoding`` in lower case, or an empty string."""
    return headers.get("Content-Encoding", "").strip().lower()


def is_plain(response: requests.Response) -> bool:
    """Return whether the body is not compressed."""
    return coding_of(response.headers) in ("", "identity")


class Body:
    """Wraps the raw body of a response.

    Parameters
    ----------
    raw
        urllib3's response.
    start
        Bytes that were already read and come first.
    on_end
        Called once: with True at the last byte, or with False if the body was abandoned or broke off.
    """

    def __init__(self, raw: Any, *, start: bytes = b"", on_end: Callable[[bool], None] | None = None) -> None:
        self._raw = raw
        self._start = start
        self._on_end = on_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __del__(self) -> None:
        self._ended(complete=False)

    def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        """Read as `urllib3.HTTPResponse.read` does."""
        if self._start:
            start = self._take_start(amt)
            return start if amt is not None else start + self.read(None, *args, **kwargs)
        data = self._read(self._raw.read, amt, *args, **kwargs)
        if amt is None:
            self._ended(complete=True)
        return data

    def read1(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        """Read what is available, as `urllib3.HTTPResponse.read1` does."""
        if self._start:
            return self._take_start(amt)
        return self._read(self._raw.read1, amt, *args, **kwargs)

    def stream(self, amt: int = CHUNK, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body as `urllib3.HTTPResponse.stream` does; decode gzip and deflate within bounds."""
        coding = coding_of(self._raw.headers)
        if decode_content and coding in _CODINGS:
            yield from inflated(self.stream(amt, False), coding)
            return
        if self._start:
            yield self._take_start(None)
        complete = False
        try:
            yield from self._raw.stream(amt, decode_content=decode_content)
            complete = True
        finally:
            self._ended(complete=complete)

    def close(self) -> None:
        """Abandon the body."""
        complete = self._is_complete()
        self._raw.close()
        self._ended(complete=complete)

    def release_conn(self) -> None:
        """Give the connection back."""
        complete = self._is_complete()
        self._raw.release_conn()
        self._ended(complete=complete)

    def _take_start(self, amt: int | None) -> bytes:
        size = len(self._start) if amt is None else amt
        start, self._start = self._start[:size], self._start[size:]
        return start

    def _read(self, read: Callable[..., bytes], amt: int | None, *args: Any, **kwargs: Any) -> bytes:
        try:
            data = read(amt, *args, **kwargs)
        except BaseException:
            self._ended(complete=False)
            raise
        if not data and amt != 0:
            self._ended(complete=True)
        return data

    def _is_complete(self) -> bool:
        """Return whether the last byte was read; there may be none, as after a HEAD."""
        return getattr(self._raw, "length_remaining", None) == 0

    def _ended(self, *, complete: bool) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(complete)


def discard(
    response: requests.Response, *, size: float = UNWANTED, seconds: float = UNWANTED_SECONDS
) -> None:
    """End a response whose body is unwanted.

    A short body is read, so that its connection can be reused and a lease that lasts to the last byte ends well: an
    error response that arrived in full leaves nothing in doubt.

    Parameters
    ----------
    response
        Made with ``stream=True``.
    size, seconds
        How many bytes to read at most, and for how long.
    """
    if (wire := wire_of(response.raw)) is not None:
        wire.hurry(seconds)
    try:
        while size > 0 and (data := response.raw.read(CHUNK, decode_content=False)):
            size -= len(data)
    except (OSError, urllib3.exceptions.HTTPError, TransferError):
        pass  # closing it decides what follows
    finally:
        response.close()


def drop(response: requests.Response) -> None:
    """Discard the body of a redirect before requests reads all of it."""
    discard(response)
    response._content = b""
    response._content_consumed = True  # type: ignore[attr-defined]  # not in the stubs


def left_over(response: requests.Response) -> bool:
    """Return whether more bytes came than the response announced, as far as can be seen."""
    return bool(getattr(getattr(response.raw, "_original_response", None), "left_over", False))


def peek(response: requests.Response, size: int) -> bytes:
    """Return the first bytes of a body, decompressed if gzip, and leave the body as if it were unread.

    Parameters
    ----------
    response
        Made with ``stream=True``, its body unread.
    size
        The largest number of bytes.
    """
    if isinstance(response._content, bytes):  # it was read or dropped
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


def inflated(raw: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of a body.

    Parameters
    ----------
    raw
        The compressed bytes.
    coding
        The content coding. With gzip, several members may follow each other (RFC 1952 section 2.2).

    Raises
    ------
    TransferError
        If the coding is unknown, or the body is damaged or out of bounds.
    """
    if coding not in _CODINGS:
        raise TransferError(f"Unknown content coding {coding!r}.", kind="coding")
    gzip = coding != "deflate"
    wbits = 47 if gzip else 15  # 47: gzip or zlib, by the header
    inflate, bounds = zlib.decompressobj(wbits), Expansion()
    try:
        for piece in raw:
            bounds.came(len(piece))
            rest = piece
            while rest:
                if inflate.eof:
                    if not gzip:
                        raise TransferError("Bytes follow the end of the compressed body.", kind="coding")
                    inflate = zlib.decompressobj(wbits)
                data = inflate.decompress(rest, CHUNK)
                rest = inflate.unconsumed_tail or inflate.unused_data
                bounds.made(len(data))
                if data:
                    yield data
        tail = inflate.flush()
    except zlib.error:
        raise TransferError("The compressed body is damaged.", kind="cut", retryable=True) from None
    if tail:
        yield tail
    if not inflate.eof:
        raise TransferError("The compressed body ended early.", kind="cut", retryable=True)
