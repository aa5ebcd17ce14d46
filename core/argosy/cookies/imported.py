"""Cookies that come from a file instead of an answer: what could harm a request never becomes a cookie."""

from __future__ import annotations

import math
import re
from typing import Any

from argosy.cookies.cookie import Cookie

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# a time so large is in milliseconds: in seconds it would be after the year 5000
_MILLISECONDS = 1e11


def imported(**fields: Any) -> Cookie | None:
    """Return a cookie with these fields, or None where it could end a header, begin another cookie, or belongs nowhere.

    Parameters
    ----------
    fields
        Those of `Cookie`; the domain may begin with a dot, and a path that does not begin with a slash is ``/``.
    """
    domain = fields["domain"].strip().lower().lstrip(".")
    path = fields["path"]
    unsafe = any(_CONTROL.search(fields[key]) for key in ("name", "value", "domain", "path"))
    if (
        unsafe
        or ";" in fields["name"] + fields["value"]
        or not domain
        or not (fields["name"] or fields["value"])
    ):
        return None
    return Cookie(**{**fields, "domain": domain, "path": path if path.startswith("/") else "/"})


def end_of(value: float) -> float | None:
    """Return an end in seconds since the epoch, of a number of seconds or milliseconds; None for a session cookie (0, -1).

    Raises
    ------
    ValueError
        If it is no time.
    """
    if not math.isfinite(value):
        raise ValueError("not a time")
    if value <= 0:
        return None
    return float(value) / 1000 if value > _MILLISECONDS else float(value)
