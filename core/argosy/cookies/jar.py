"""The cookies of a session (RFC 6265bis): an immutable tuple, with one cookie per name, domain, path and origin.

``Set-Cookie`` is read from the raw header: `http.cookiejar` drops a whole cookie for an attribute that it cannot read
(``Max-Age=3600.5``), which would lose a session whose token is replaced. The RFC ignores such an attribute.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from argosy.models.cookie import Cookie
from argosy.toolkit.hosts import is_ip, is_loopback, is_public_suffix

Jar = tuple[Cookie, ...]

#: The most cookies of one domain, and of all (RFC 6265bis section 6.1).
MAX_OF_DOMAIN, MAX_COOKIES = 50, 3000


class Target(NamedTuple):
    """The parts of a URL that decide which cookies a request carries."""

    host: str  # lower case, without port; an IPv6 address without brackets
    path: str
    secure: bool  # https, or this machine itself
    scheme: str
    port: int

    @staticmethod
    @lru_cache(maxsize=256)  # asked several times for each request
    def of(url: str) -> Target:
        """Return the target of a URL."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        return Target(host, parts.path or "/", secure or is_loopback(host), parts.scheme, port)


def domain_match(host: str, domain: str) -> bool:
    """Return whether a host is a domain or below it (section 5.1.3)."""
    return host == domain or (host.endswith("." + domain) and not is_ip(host))


def path_match(path: str, cookie_path: str) -> bool:
    """Return whether a request path is a cookie's path or below it (section 5.1.4)."""
    rest = path.removeprefix(cookie_path)
    return path.startswith(cookie_path) and (cookie_path.endswith("/") or rest[:1] in ("", "/"))


def default_path(path: str) -> str:
    """Return the path of a cookie that names none: the folder of the request's path (section 5.1.4)."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def settle(jar: Jar, headers: Iterable[str], url: str, now: float, date: str | None = None) -> Jar:
    """Return the jar after a response to `url` (RFC 6265bis section 5.7); the same object if nothing changed.

    Lifetimes are measured by the server's clock (`date`, the response's ``Date``), so that a wrong clock on either side
    does not end the session.
    """
    target, after = Target.of(url), jar
    for parsed in filter(None, map(parse_set_cookie, headers)):
        cookie = _accept(parsed, target, after, _expiry(parsed, now, date))
        if cookie is not None:
            after = put(after, cookie, now)
    return jar if after == jar else after


def put(jar: Jar, cookie: Cookie, now: float) -> Jar:
    """Return the jar with a cookie, or without it if it has expired; it keeps the position of the one it replaces."""
    place = next((number for number, old in enumerate(jar) if old.meets(cookie)), len(jar))
    rest = [old for old in jar if not old.meets(cookie)]
    if not cookie.expired(now):
        rest.insert(place, cookie)
    return tuple(rest)


def within_bounds(jar: Jar, tokens: Container[str], now: float) -> Jar:
    """Return the jar (the oldest cookie first) without excess cookies (RFC 6265bis section 5.7).

    Expired cookies go first, then those that scripts may read and plain http may carry, the oldest of each first. Cookies
    with the names in `tokens` are kept, and imported ones, as they cannot be fetched again.
    """
    if len(jar) <= MAX_OF_DOMAIN:
        return jar
    candidates = sorted(
        (cookie for cookie in jar if cookie.scheme is not None and cookie.name not in tokens),
        key=lambda cookie: (not cookie.expired(now), cookie.secure, cookie.http_only),
    )
    of_domain, evicted = Counter(cookie.domain for cookie in jar), set[Cookie]()
    for cookie in candidates:
        if of_domain[cookie.domain] > MAX_OF_DOMAIN or len(jar) - len(evicted) > MAX_COOKIES:
            of_domain[cookie.domain] -= 1
            evicted.add(cookie)
    return tuple(cookie for cookie in jar if cookie not in evicted) if evicted else jar


def _accept(parsed: SetCookie, target: Target, kept: Jar, expires: float | None) -> Cookie | None:
    """Return the cookie that a response sets, or None if it must not."""
    domain = parsed.domain or target.host
    host_only = parsed.domain is None or is_ip(domain) or is_public_suffix(domain)
    if domain != target.host and (host_only or not domain_match(target.host, domain)):
        return None
    if (parsed.secure and not target.secure) or not _prefix_holds(parsed, host_only):
        return None
    path = parsed.path or default_path(target.path)
    flags = (parsed.secure, parsed.http_only, host_only)
    cookie = Cookie(parsed.name, parsed.value, domain, path, expires, *flags, target.scheme, target.port)
    imported = next((old for old in kept if old.scheme is None and old.meets(cookie)), None)
    if imported is not None:
        cookie = replace(cookie, scheme=None, port=imported.port)  # it keeps its wide origin
    if not target.secure and any(old.secure and old.place == cookie.place for old in kept):
        return None  # "leave secure cookies alone": plain http must not replace what https set
    return cookie


def _prefix_holds(parsed: SetCookie, host_only: bool) -> bool:
    """Return whether a cookie meets the requirements of its name prefix (section 4.1.3)."""
    name = parsed.name.lower()
    if name.startswith("__secure-"):
        return parsed.secure
    if name.startswith("__host-"):
        return parsed.secure and host_only and parsed.domain is None and parsed.path == "/"
    return True


def _expiry(parsed: SetCookie, now: float, date: str | None) -> float | None:
    lifetime: float | None = parsed.max_age
    if lifetime is None and parsed.expires is not None:
        lifetime = parsed.expires - (parse_cookie_date(date or "") or now)
    if lifetime is None:
        return None
    return now + min(lifetime, MAX_AGE) if lifetime > 0 else 0.0


def matching(jar: Jar, url: str, now: float) -> list[Cookie]:
    """Return the cookies that a request to a URL carries, in the order of RFC 6265bis section 5.8.3."""
    target = Target.of(url)
    found = [
        cookie
        for cookie in jar
        if _belongs(cookie, target)
        and path_match(target.path, cookie.path)
        and (target.secure or not cookie.secure)
        and not cookie.expired(now)
    ]
    return sorted(found, key=lambda cookie: -len(cookie.path))


def concerns(jar: Jar, url: str) -> bool:
    """Return whether any cookie belongs to the origin of a URL, with any path."""
    target = Target.of(url)
    return any(_belongs(cookie, target) for cookie in jar)


def _belongs(cookie: Cookie, target: Target) -> bool:
    """Return whether a cookie belongs to the origin of a request."""
    return (
        (target.host == cookie.domain or (not cookie.host_only and domain_match(target.host, cookie.domain)))
        and cookie.scheme in (None, target.scheme)
        and cookie.port in (None, target.port)
    )


def cookie_header(jar: Jar, url: str, now: float) -> str | None:
    """Return the value of the ``Cookie`` header for a request, or None."""
    pairs = [f"{c.name}={c.value}" if c.name else c.value for c in matching(jar, url, now)]
    return "; ".join(pairs) or None


# -- reading Set-Cookie

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
