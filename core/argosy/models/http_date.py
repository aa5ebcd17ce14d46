"""HTTP dates."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime


def seconds_of(text: str) -> float | None:
    """Return an HTTP date (RFC 9110 section 5.6.7) in seconds since the epoch; None if it is invalid.

    Examples
    --------
    >>> seconds_of("Thu, 01 Jan 1970 00:01:40 GMT")
    100.0
    """
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
