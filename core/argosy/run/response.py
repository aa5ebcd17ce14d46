"""Reading a response: its status and its length."""

from __future__ import annotations

import email.utils
import time
from datetime import UTC

import requests

from argosy.errors import TransferError

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
        return float(value.lstrip("0")[:9] or 0)
    try:
        when = _seconds(value)
        asked = response.headers.get("Date")
        now = _seconds(asked) if asked else time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(when - now, 0.0)


def _seconds(date: str) -> float:
    """Return an HTTP date (RFC 9110 section 5.6.7) in seconds since the epoch; one without a zone is in UTC."""
    when = email.utils.parsedate_to_datetime(date)
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
