"""The cookies of a session, as an immutable tuple with one cookie per name, domain, path and origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import replace

from argosy.cookies.matching import Target, default_path, domain_match, path_match
from argosy.cookies.parse import MAX_AGE, SetCookie, parse_cookie_date, parse_set_cookie
from argosy.models.cookie import Cookie
from argosy.toolkit.hosts import is_ip, is_public_suffix

Jar = tuple[Cookie, ...]

#: The most cookies of one domain, and of all (RFC 6265bis section 6.1).
MAX_OF_DOMAIN, MAX_COOKIES = 50, 3000


def settle(jar: Jar, headers: Iterable[str], url: str, now: float, date: str | None = None) -> Jar:
    """Return the jar after a response to `url` (RFC 6265bis section 5.7); the same object if nothing changed.

    Lifetimes are measured by the server's clock (`date`, the response's ``Date``), so that a wrong clock on either side
    does not end the session.
    """
    target = Target.of(url)
    after = jar
    for header in headers:
        parsed = parse_set_cookie(header)
        cookie = _accept(parsed, target, after, _expiry(parsed, now, date)) if parsed is not None else None
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
    candidates = [
        number for number, cookie in enumerate(jar) if cookie.scheme is not None and cookie.name not in tokens
    ]
    candidates.sort(
        key=lambda number: (not jar[number].expired(now), jar[number].secure, jar[number].http_only)
    )
    of_domain, evicted = Counter(cookie.domain for cookie in jar), set[int]()
    for number in candidates:
        domain = jar[number].domain
        if of_domain[domain] > MAX_OF_DOMAIN or len(jar) - len(evicted) > MAX_COOKIES:
            of_domain[domain] -= 1
            evicted.add(number)
    return tuple(cookie for number, cookie in enumerate(jar) if number not in evicted) if evicted else jar


def _accept(parsed: SetCookie, target: Target, kept: Jar, expires: float | None) -> Cookie | None:
    """Return the cookie that a response sets, or None if it must not."""
    domain, host_only = target.host, True
    if parsed.domain is not None and parsed.domain != target.host:
        if not domain_match(target.host, parsed.domain) or is_public_suffix(parsed.domain):
            return None
        domain, host_only = parsed.domain, False
    elif parsed.domain is not None and not is_ip(target.host) and not is_public_suffix(target.host):
        host_only = False
    if (parsed.secure and not target.secure) or not _prefix_holds(parsed, host_only):
        return None
    cookie = Cookie(
        parsed.name,
        parsed.value,
        domain,
        parsed.path or default_path(target.path),
        expires,
        parsed.secure,
        parsed.http_only,
        host_only,
        target.scheme,
        target.port,
    )
    for old in kept:
        if old.scheme is None and old.meets(cookie):  # an imported cookie keeps its wide origin
            cookie = replace(cookie, scheme=None, port=old.port)
            break
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
        server_now = parse_cookie_date(date) if date else None
        lifetime = parsed.expires - (server_now if server_now is not None else now)
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


def place_of(cookie: Cookie) -> str:
    """Return the origin of a cookie, for people: ``https://library.example:8443``, or only a host."""
    host = f"[{cookie.domain}]" if ":" in cookie.domain else cookie.domain
    if cookie.scheme is None:
        return host
    usual = cookie.port in (None, 443 if cookie.scheme == "https" else 80)
    return f"{cookie.scheme}://{host}" + ("" if usual else f":{cookie.port}")


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
