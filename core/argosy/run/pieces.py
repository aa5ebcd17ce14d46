"""Reading the body of a response in pieces: none too slow, and none that is small on the wire and endless here."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator

import requests

from argosy.errors import TransferError
from argosy.run.checking import CHUNK
from argosy.run.limits import Limits

#: Seconds after which a piece is handed on, though it is small: so a slow body shows its progress, and can be stopped.
PATIENCE = 0.25

#: Bytes that are worth handing on at once.
ENOUGH = CHUNK // 2

#: A body that was compressed unasked may be so many times as large as what came, beyond the first `EXPANDED` bytes.
MOST_EXPANSION = 100
EXPANDED = 16 << 20


def is_plain(response: requests.Response) -> bool:
    """Return whether the body is not compressed."""
    return response.headers.get("Content-Encoding", "identity").strip().lower() in ("", "identity")


def pieces(response: requests.Response, limits: Limits) -> Iterator[bytes]:
    """Yield the body; one that was compressed although nobody asked for it must come to its proper end.

    Raises
    ------
    TransferError
        If it is too slow, or compressed in a way that is unknown, broken or without measure.
    """
    raw = _as_they_come(response, limits)
    if is_plain(response):
        yield from raw
        return
    coding = response.headers["Content-Encoding"].strip().lower()
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise TransferError(f"The server sent the unknown content coding {coding!r}.", kind="coding")
    yield from _inflated(raw, many=coding != "deflate")


def _as_they_come(response: requests.Response, limits: Limits) -> Iterator[bytes]:
    """Yield the bytes of the wire in pieces of some size; what came before an error comes before the error."""
    read1 = response.raw.read1
    patience = _Patience(limits)
    parts: list[bytes] = []
    size, since = 0, time.monotonic()
    while True:
        begun = time.monotonic()
        try:
            data = read1(CHUNK, decode_content=False)
        except BaseException:
            if parts:
                yield b"".join(parts)
            raise
        now = time.monotonic()
        if data:
            parts.append(data)
            size += len(data)
        if parts and (not data or size >= ENOUGH or now - since >= PATIENCE):
            yield parts[0] if len(parts) == 1 else b"".join(parts)
            parts, size, since = [], 0, now
        if not data:
            return
        patience.tried(now, now - begun, len(data))


class _Patience:
    """Ends with a body that takes too long, or brings less than it must while we wait for it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seconds, self._bytes = 0.0, 0
        self._end = time.monotonic() + limits.total

    def tried(self, now: float, seconds: float, received: int) -> None:
        """Take when one reading was over, what it took, and what it brought."""
        if now > self._end:
            raise TransferError(
                f"The body was not whole after {self._limits.total:g} seconds.", kind="total", retryable=True
            )
        self._seconds += seconds
        self._bytes += received
        if self._seconds < self._limits.low_speed_time:
            return
        if self._bytes < self._limits.low_speed * self._seconds:
            raise TransferError(
                f"The body came too slowly: {self._bytes} bytes in {self._seconds:.0f} seconds.",
                kind="slow",
                retryable=True,
            )
        self._seconds, self._bytes = 0.0, 0


def _inflated(raw: Iterator[bytes], *, many: bool) -> Iterator[bytes]:
    """Yield the bytes of a compressed body, in pieces that are no larger than usual.

    Parameters
    ----------
    raw
        The compressed bytes.
    many
        Whether it is gzip, which may have several members behind each other (RFC 1952 section 2.2).
    """
    wbits = 47 if many else 15  # 47: gzip or zlib, by the header
    inflate = zlib.decompressobj(wbits)
    came = made = 0
    for piece in raw:
        came += len(piece)
        rest = piece
        while rest:
            if inflate.eof and many:
                inflate = zlib.decompressobj(wbits)
            elif inflate.eof:
                raise TransferError("Something follows the end of the compressed body.", kind="coding")
            data = inflate.decompress(rest, CHUNK)
            rest = inflate.unconsumed_tail or inflate.unused_data
            made += len(data)
            if made > EXPANDED and made > came * MOST_EXPANSION:
                raise TransferError(
                    f"The body was compressed unasked, and is more than {MOST_EXPANSION} times as large as what came.",
                    kind="too-large",
                )
            if data:
                yield data
    if tail := inflate.flush():
        yield tail
    if not inflate.eof:
        raise TransferError("The compressed body ended too early.", kind="cut", retryable=True)
