"""Reading a response: its status, its length, its body."""

from __future__ import annotations

import email.utils
import time
import zlib
from collections.abc import Iterator

import requests

from argosy.errors import TransferError
from argosy.run.checking import CHUNK

#: Statuses that may be different next time, though the server did not ask for patience.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_plain(response: requests.Response) -> bool:
    """Return whether the body is not compressed."""
    return response.headers.get("Content-Encoding", "identity").strip().lower() in ("", "identity")


def decoded(response: requests.Response) -> Iterator[bytes]:
    """Yield the body; one that was compressed although nobody asked for it must come to its proper end."""
    raw = response.raw.stream(CHUNK, decode_content=False)
    if is_plain(response):
        yield from raw
        return
    coding = response.headers["Content-Encoding"].strip().lower()
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise TransferError(f"The server sent the unknown content coding {coding!r}.", kind="coding")
    inflate = zlib.decompressobj(wbits=47 if coding != "deflate" else 15)  # 47: gzip or zlib, by the header
    for piece in raw:
        yield inflate.decompress(piece)
    yield inflate.flush()
    if not inflate.eof:
        raise TransferError("The compressed body ended too early.", kind="cut", retryable=True)


def content_length(response: requests.Response) -> int | None:
    """Return the announced length (RFC 9110 section 8.6); a length that is none is an error."""
    value = response.headers.get("Content-Length")
    if value is None or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    if not (value.isascii() and value.isdigit()):
        raise TransferError(
            f"The server announces {value[:40]!r} as a length.", kind="length", retryable=True
        )
    return int(value)


def judge_status(response: requests.Response) -> None:
    """Raise where the response does not bring the resource.

    Raises
    ------
    TransferError
        With what a later attempt needs to know: whether it makes sense, and when.
    """
    status = response.status_code
    if status in (200, 203):
        return
    retry_after = _retry_after(response) if status in (429, 503) else None
    raise TransferError(
        f"The server answered {status} {response.reason or ''}".rstrip() + ".",
        kind="status",
        retryable=status in PASSING,
        retry_after=retry_after,
        status=status,
    )


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds of ``Retry-After`` (RFC 9110 section 10.2.3), a number or a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        when = email.utils.parsedate_to_datetime(value).timestamp()
        asked = response.headers.get("Date")
        now = email.utils.parsedate_to_datetime(asked).timestamp() if asked else time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(when - now, 0.0)
