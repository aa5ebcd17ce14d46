"""Reading ``Set-Cookie`` by RFC 6265bis, from the raw header.

`http.cookiejar` drops a whole cookie for an attribute it cannot read (``Max-Age=3600.5``); for a session
whose token is replaced that means losing the session. Here an attribute that cannot be read is ignored, as
the RFC asks, and the cookie stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

#: RFC 6265bis 5.6: a cookie whose name and value have more than this many octets is ignored.
MAX_PAIR = 4096

#: RFC 6265bis 5.6: attribute values above this many octets are ignored.
MAX_ATTRIBUTE = 1024

#: RFC 6265bis 5.5: no cookie lives longer than this many seconds (400 days).
MAX_AGE = 400 * 24 * 3600

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FOLD = re.compile(r"\r?\n[ \t]+")
_MAX_AGE = re.compile(r"(-?)([0-9]+)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One ``Set-Cookie`` header, parsed but not yet judged.

    Parameters
    ----------
    name, value
        As they came, white space around them removed.
    domain
        Lower case without the leading dot; None where there was none (the cookie is for the host alone).
    path
        None where there was none, or none that starts with a slash.
    max_age
        Seconds; None where there was none that can be read.
    expires
        Seconds since the epoch by the server's clock; None where there was none that can be read.
    secure, http_only
        The flags.
    """

    name: str
    value: str
    domain: str | None = None
    path: str | None = None
    max_age: int | None = None
    expires: float | None = None
    secure: bool = False
    http_only: bool = False

    def __repr__(self) -> str:
        return f"SetCookie({self.name!r}, '***')"


def parse_set_cookie(header: str) -> SetCookie | None:
    """Parse one header by RFC 6265bis section 5.6.

    Parameters
    ----------
    header
        The header's value, decoded as ISO-8859-1 (as `http.client` does).

    Returns
    -------
    SetCookie or None
        None where the RFC says to ignore the header entirely.
    """
    header = _FOLD.sub(" ", header)  # a line that was folded (RFC 9112 section 5.2)
    if _CONTROL.search(header):
        return None
    pair, *attributes = header.split(";")
    name, equals, value = pair.partition("=")
    if not equals:  # section 5.6 step 3: a pair without "=" is a value without a name
        name, value = "", pair
    name, value = name.strip(" \t"), value.strip(" \t")
    if (not name and not value) or len(name) + len(value) > MAX_PAIR:
        return None
    found: dict[str, str] = {}
    for attribute in attributes:
        key, _, text = attribute.partition("=")
        text = text.strip(" \t")
        if len(text) <= MAX_ATTRIBUTE:
            _read_attribute(found, key.strip(" \t").lower(), text)
    expires = found.get("expires")
    return SetCookie(
        name,
        value,
        domain=found.get("domain") or None,
        path=found.get("path"),
        max_age=int(found["max-age"]) if "max-age" in found else None,
        expires=float(expires) if expires is not None else None,
        secure="secure" in found,
        http_only="httponly" in found,
    )


def _read_attribute(found: dict[str, str], key: str, text: str) -> None:
    """Note an attribute; the last one that can be read wins (section 5.7)."""
    if key == "max-age":
        if (number := _MAX_AGE.match(text)) is not None:
            # int() refuses thousands of digits; the sign and the first ten say enough
            found[key] = number[1] + (number[2].lstrip("0")[:10] or "0")
    elif key == "expires":
        when = parse_cookie_date(text)
        if when is not None:
            found[key] = repr(when)
    elif key == "domain":
        found[key] = text.removeprefix(".").lower()
    elif key == "path":
        if text.startswith("/"):
            found[key] = text
        else:
            found.pop(key, None)  # section 5.6.4: the default path
    else:
        found[key] = text


_DELIMITERS = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D|\Z)", re.ASCII)
_DAY = re.compile(r"(\d{1,2})(?:\D|\Z)", re.ASCII)
_YEAR = re.compile(r"(\d{2,4})(?:\D|\Z)", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_cookie_date(text: str) -> float | None:
    """Parse a date by RFC 6265bis section 5.1.1, which reads far more than one format.

    Returns
    -------
    float or None
        Seconds since the epoch; None where there is no date in it.
    """
    time: tuple[int, int, int] | None = None
    day = month = year = None
    for token in _DELIMITERS.split(text):
        if time is None and (match := _TIME.match(token)):
            time = (int(match[1]), int(match[2]), int(match[3]))
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
            year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    if time is None or day is None or month is None or year is None or year < 1601:
        return None
    try:
        return datetime(year, month, day, *time, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
