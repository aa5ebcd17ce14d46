"""``Retry-After``: how long a server asks to be left alone."""

from __future__ import annotations

import time
from collections.abc import Mapping

from argosy.toolkit.dates import seconds_of

#: A server that asks for more patience than this many seconds is asked again after it.
LONGEST_RETRY_AFTER = 300.0

#: The statuses it is read with; with a redirect (RFC 9110 allows it there, too) nobody uses it.
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
        0 to `LONGEST_RETRY_AFTER`. None where the server asks for nothing, or nobody can tell for what.

    Notes
    -----
    A date is taken relative to the server's own ``Date``, so that a clock that is wrong there or here does
    no harm.
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
