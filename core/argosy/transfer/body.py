"""Reading the body of a response in pieces that are worth writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import requests

from argosy.http.body import coding_of, inflated, is_plain
from argosy.transfer.verify import CHUNK

#: Seconds after which a piece is handed on, though it is small: so a slow body shows its progress, and can be stopped.
PATIENCE = 0.25

#: Bytes that are worth handing on at once.
ENOUGH = CHUNK // 2


def iter_body(response: requests.Response, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the body; one that was compressed although nobody asked for it must come to its proper end.

    Parameters
    ----------
    response
        Its body is unread.
    check
        Called after each reading of the wire, also while a compressed body yields nothing; may raise.

    Raises
    ------
    TransferError
        If it is too slow, or compressed in a way that is unknown, broken or without measure.
    """
    raw = _as_they_come(response, check)
    yield from raw if is_plain(response) else inflated(raw, coding_of(response.headers))


def _as_they_come(response: requests.Response, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the bytes of the wire in pieces of some size; what came before an error comes before the error."""
    read1 = response.raw.read1
    parts: list[bytes] = []
    size, since = 0, time.monotonic()
    while True:
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
        check()
