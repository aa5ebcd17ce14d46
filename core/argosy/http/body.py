"""A response's body with something put before it or behind it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import requests
import urllib3.exceptions

from argosy.errors import TransferError
from argosy.http.limits import LEASED_SECONDS, UNWANTED, UNWANTED_SECONDS, Expansion, wire_of

#: Bytes that are read, or decompressed, at a time.
CHUNK = 64 * 1024

#: The content codings that are decoded within bounds.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


def is_plain(response: requests.Response) -> bool:
    """Return whether the body is not compressed."""
    return coding_of(response.headers) in ("", "identity")


def coding_of(headers: Mapping[str, str]) -> str:
    """Return the content coding that a response names, in lower case; empty where it names none."""
    return headers.get("Content-Encoding", "").strip().lower()


class Body:
    """Stands in for the raw body of a response.

    Parameters
    ----------
    raw
        The body as urllib3 gives it, undecoded bytes.
    start
        Bytes that were read already and come first.
    on_end
        Called once, with True at the last byte and False where the body was given up or broke.
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
            size = len(self._start) if amt is None else amt
            start, self._start = self._start[:size], self._start[size:]
            return start if amt is not None else start + self.read(None, *args, **kwargs)
        try:
            data: bytes = self._raw.read(amt, *args, **kwargs)
        except BaseException:
            self._ended(complete=False)
            raise
        if amt is None or (not data and amt):
            self._ended(complete=True)
        return data

    def read1(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        """Read what is there, as `urllib3.HTTPResponse.read1` does."""
        if self._start:
            return self.read(len(self._start) if amt is None else amt)
        try:
            data: bytes = self._raw.read1(amt, *args, **kwargs)
        except BaseException:
            self._ended(complete=False)
            raise
        if not data and amt != 0:
            self._ended(complete=True)
        return data

    def stream(self, amt: int = CHUNK, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body in pieces as `urllib3.HTTPResponse.stream` does; decode gzip and deflate within bounds."""
        coding = coding_of(self._raw.headers)
        if decode_content and coding in _CODINGS:
            yield from inflated(self.stream(amt, False), coding)
            return
        if self._start:
            start, self._start = self._start, b""
            yield start
        complete = False
        try:
            yield from self._raw.stream(amt, decode_content=decode_content)
            complete = True
        finally:
            self._ended(complete=complete)

    def close(self) -> None:
        """Give the body up."""
        complete = self._is_whole()
        self._raw.close()
        self._ended(complete=complete)

    def release_conn(self) -> None:
        """Give the connection back."""
        complete = self._is_whole()
        self._raw.release_conn()
        self._ended(complete=complete)

    def _is_whole(self) -> bool:
        """Return whether the last byte has been read: there may have been none, as after a HEAD."""
        return getattr(self._raw, "length_remaining", None) == 0

    def _ended(self, *, complete: bool) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(complete)


def discard(response: requests.Response) -> None:
    """End a response whose body nobody wants.

    A short body is read, so that its connection can be used again, and that a lease which reaches to the
    last byte ends well: an error that was answered in full leaves nothing in doubt.
    """
    if (wire := wire_of(response.raw)) is not None:
        wire.hurry(UNWANTED_SECONDS)
    try:
        response.raw.read(UNWANTED, decode_content=False)
    except (OSError, urllib3.exceptions.HTTPError, TransferError):
        return  # it broke off, and what follows from that is decided at its close
    finally:
        response.close()


def drop(response: requests.Response) -> None:
    """Take a response's body away before requests reads all of it: nobody wants the body of a redirect."""
    discard(response)
    response._content = b""
    response._content_consumed = True  # type: ignore[attr-defined]  # not in the stubs


def exhaust(response: requests.Response) -> None:
    """Read a body that nobody wants to its end, if that comes in time: its lease reaches to there."""
    if (wire := wire_of(response.raw)) is not None:
        wire.hurry(LEASED_SECONDS)
    try:
        while response.raw.read(CHUNK, decode_content=False):
            pass
    except (OSError, urllib3.exceptions.HTTPError, TransferError):
        pass


def inflated(raw: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the bytes of a compressed body, in pieces that are no larger than usual.

    Parameters
    ----------
    raw
        The compressed bytes.
    coding
        The content coding. With gzip, there may be several members one after the other (RFC 1952 section 2.2).

    Raises
    ------
    TransferError
        If the coding is unknown or broken, or the body has no measure.
    """
    if coding not in _CODINGS:
        raise TransferError(f"The server sent the unknown content coding {coding!r}.", kind="coding")
    many = coding != "deflate"
    wbits = 47 if many else 15  # 47: gzip or zlib, by the header
    inflate, bounds = zlib.decompressobj(wbits), Expansion()
    try:
        for piece in raw:
            bounds.came(len(piece))
            rest = piece
            while rest:
                if inflate.eof and many:
                    inflate = zlib.decompressobj(wbits)
                elif inflate.eof:
                    raise TransferError("Something follows the end of the compressed body.", kind="coding")
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
        raise TransferError("The compressed body ended too early.", kind="cut", retryable=True)


def left_over(response: requests.Response) -> bool:
    """Return whether more bytes came behind a response's body than its length says, as far as can be seen."""
    return bool(getattr(getattr(response.raw, "_original_response", None), "left_over", False))


def peek(response: requests.Response, size: int) -> bytes:
    """Return the first bytes of a response's body and leave the body as if it were unread.

    Parameters
    ----------
    response
        Made with ``stream=True``, its body unread.
    size
        How many bytes to look at, at most.

    Returns
    -------
    bytes
        Decompressed where the server compressed them.
    """
    if isinstance(response._content, bytes):  # it was read, or dropped
        return response._content[:size]
    iter_body: list[bytes] = []
    missing = size
    while missing > 0:
        piece = response.raw.read(missing, decode_content=False)
        if not piece:
            break
        iter_body.append(piece)
        missing -= len(piece)
    start = b"".join(iter_body)
    response.raw = Body(response.raw, start=start)
    if coding_of(response.headers) in ("gzip", "x-gzip"):
        try:
            return zlib.decompressobj(31).decompress(start, size)
        except zlib.error:
            return b""
    return start
