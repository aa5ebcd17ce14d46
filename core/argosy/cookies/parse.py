"""Reading ``Set-Cookie`` by RFC 6265bis, from the raw header.

`http.cookiejar` drops a whole cookie for an attribute it cannot read (``Max-Age=3600.5``); for a session whose token is
replaced that means losing the session. Here such an attribute is ignored, as the RFC asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: RFC 6265bis 5.6: longer pairs of name and value, and longer attribute values, are ignored; in octets.
MAX_PAIR, MAX_ATTRIBUTE = 4096, 1024

#: RFC 6265bis 5.5: no cookie lives longer than this many seconds (400 days).
MAX_AGE = 400 * 24 * 3600

_BLANK = " \t"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FOLD = re.compile(r"\r?\n[ \t]+")
_MAX_AGE = re.compile(r"(-?)([0-9]+)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One ``Set-Cookie`` header, parsed but not yet judged. Attributes that are missing or invalid are None."""

    name: str
    value: str = field(repr=False)  # secret
    domain: str | None = None  # lower case without the leading dot
    path: str | None = None
    max_age: int | None = None
    expires: float | None = None  # seconds since the epoch by the server's clock
    secure: bool = False
    http_only: bool = False


def parse_set_cookie(header: str) -> SetCookie | None:
    """Parse one header (as `http.client` decodes it) by RFC 6265bis section 5.6; None if the RFC ignores it."""
    header = _FOLD.sub(" ", header)  # a line that was folded (RFC 9112 section 5.2)
    if _CONTROL.search(header):
        return None
    pair, *attributes = header.split(";")
    if "=" not in pair:  # section 5.6 step 3: it is a value without a name
        pair = f"={pair}"
    name, value = (part.strip(_BLANK) for part in pair.split("=", 1))
    if (not name and not value) or len(name) + len(value) > MAX_PAIR:
        return None
    found: dict[str, Any] = {}
    for attribute in attributes:  # the last one that can be read wins (section 5.7)
        key, _, text = attribute.partition("=")
        text = text.strip(_BLANK)
        if len(text) <= MAX_ATTRIBUTE:
            found |= _read_attribute(key.strip(_BLANK).lower(), text)
    return SetCookie(name, value, **found)


def _read_attribute(key: str, text: str) -> dict[str, Any]:
    """Return the field of `SetCookie` that an attribute sets, if any."""
    if key == "max-age" and (number := _MAX_AGE.match(text)) is not None:
        # int() refuses thousands of digits; the sign and the first ten are enough
        return {"max_age": int(number[1] + (number[2].lstrip("0")[:10] or "0"))}
    if key == "expires" and (when := parse_cookie_date(text)) is not None:
        return {"expires": when}
    if key == "domain":
        return {"domain": text.removeprefix(".").lower() or None}
    if key == "path":
        return {"path": text if text.startswith("/") else None}
    flags = {"secure": "secure", "httponly": "http_only"}
    return {flags[key]: True} if key in flags else {}


_DELIMITERS = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D|\Z)", re.ASCII)
_DAY = re.compile(r"(\d{1,2})(?:\D|\Z)", re.ASCII)
_YEAR = re.compile(r"(\d{2,4})(?:\D|\Z)", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_cookie_date(text: str) -> float | None:
    """Parse a date by RFC 6265bis section 5.1.1, which reads many formats; return seconds since the epoch, or None."""
    time = day = month = year = None
    for token in _DELIMITERS.split(text):
        if time is None and (match := _TIME.match(token)):
            time = int(match[1]), int(match[2]), int(match[3])
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and (name := token[:3].lower()) in _MONTHS:
            month = _MONTHS.index(name) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
            year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    if time is None or day is None or month is None or year is None or year < 1601:
        return None
    try:
        return datetime(year, month, day, *time, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
