"""``Retry-After``: how long to wait before the next request to a server."""

from __future__ import annotations

import time
from collections.abc import Mapping

from argosy.models.host_state import LONGEST_RETRY_AFTER
from argosy.models.response_record import seconds_of

#: The statuses whose Retry-After is read; no service sends it with a redirect, as RFC 9110 also allows.
THROTTLES = frozenset({429, 503})


def retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a response's ``Retry-After`` (RFC 9110 section 10.2.3).

    Parameters
    ----------
    status
        The response's status.
    headers
        Its headers, in any case.

    Returns
    -------
    float or None
        0 to `LONGEST_RETRY_AFTER`; None if there is none, or it is invalid.

    Notes
    -----
    A date is relative to the server's own ``Date``, so a wrong clock does no harm.
    """
    value = headers.get("Retry-After", "").strip()
    if status not in THROTTLES or not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value.lstrip("0")[:9] or 0), LONGEST_RETRY_AFTER)
    when, asked = seconds_of(value), headers.get("Date")
    now = seconds_of(asked) if asked else time.time()
    if when is None or now is None:
        return None
    return min(max(when - now, 0.0), LONGEST_RETRY_AFTER)
