"""Reading a response: its status and its length."""

from __future__ import annotations

import requests

from argosy.errors import TransferError
from argosy.pacing.retry_after import retry_after

#: Digits of a length that are believed: 10^18 bytes are more than any file has, and int() refuses thousands.
MOST_DIGITS = 18

#: Statuses that may be different next time, though the server did not ask for patience.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def content_length(response: requests.Response) -> int | None:
    """Return the announced length (RFC 9110 section 8.6); a length that is none is an error."""
    value = response.headers.get("Content-Length")
    if value is None or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS):
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
    raise TransferError(
        f"The server answered {status} {response.reason or ''}".rstrip() + ".",
        kind="status",
        retryable=status in PASSING,
        retry_after=retry_after(status, response.headers),
        status=status,
    )
