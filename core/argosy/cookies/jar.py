"""The cookies of a session (RFC 6265bis): an immutable tuple, with one cookie per name, domain, path and origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from argosy.cookies.parse import MAX_AGE, SetCookie, parse_cookie_date, parse_set_cookie
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


def origin_of_cookie(cookie: Cookie) -> str:
    """Return the origin of a cookie, for people: ``https://library.example:443``, or only a host."""
    return f"{cookie.scheme}://{cookie.domain}:{cookie.port}" if cookie.scheme else cookie.domain


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
