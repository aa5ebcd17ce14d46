"""Which header fields pass a gateway, and how they change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from argosy.models.session import origin_of
from argosy.toolkit.redaction import Redactor
from argosy_gateway.routes import Routes

Fields = Iterable[tuple[str, str]]

#: Fields for one connection (RFC 9110 section 7.6.1), besides those that ``Connection`` names.
_HOP_BY_HOP = frozenset({
    "connection", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip

#: Fields of requests that the session or the connection to the service has its own of. The User-Agent is that of the
#: login, as some services bind a session to it.
_OF_SESSION = frozenset({
    "accept-encoding", "authorization", "content-length", "cookie", "cookie2", "expect", "host", "user-agent",
})  # fmt: skip

#: Fields of responses that may have a token, or would lead a client around the gateway. The client cannot meet a
#: challenge, as its credentials do not pass. Reports of a browser would tell others the gateway's URL; a service worker
#: below the secret ends with it, one for all paths would get what a later program at this port serves.
_OF_SERVICE = frozenset({
    "alt-svc", "authentication-info", "authorization", "clear-site-data", "content-length",
    "content-security-policy-report-only", "dpop-nonce", "nel", "proxy-authentication-info", "referrer-policy",
    "report-to", "reporting-endpoints", "sec-session-challenge", "sec-session-registration", "secure-session-challenge",
    "secure-session-registration", "service-worker-allowed", "set-cookie", "set-cookie2", "www-authenticate",
})  # fmt: skip

#: Fields of responses that hold URLs to be rewritten.
_WITH_URLS = frozenset({"content-location", "link", "location", "refresh"})

#: Fields of responses that no service uses for tokens: a short password may be part of a number in them.
_INNOCENT = frozenset({
    "accept-ranges", "age", "allow", "cache-control", "content-disposition", "content-encoding", "content-language",
    "content-range", "content-security-policy", "content-type", "date", "etag", "expires", "last-modified", "retry-after",
    "server", "strict-transport-security", "vary",
})  # fmt: skip

#: What no value of a field may have (RFC 9110 section 5.5).
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

#: What makes a browser report the URL of a page (Content Security Policy Level 3, section 6.5).
_REPORTING = re.compile(r"(?i)(?<![^;,\s])report-(?:uri|to)\b[^;,]*;?")

#: The content codings that argosy reads, to recognize a login page.
_CODING = "gzip"

#: A list of codings that has it, without the weight 0, which refuses it (RFC 9110 section 12.5.3).
_ACCEPTED = re.compile(rf"(?:^|,)\s*{_CODING}\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)


def for_service(fields: Fields, routes: Routes, base: str) -> dict[str, str]:
    """Return the fields of a client's request to the gateway at `base` that go to the service."""
    pairs = [(name.lower(), name, _latin(value)) for name, value in fields]
    dropped = _HOP_BY_HOP | _OF_SESSION | _named(pairs)
    passed: dict[str, str] = {}
    shown: dict[str, str] = {}
    for key, name, value in pairs:
        if key == "accept-encoding" and _ACCEPTED.search(value):
            passed["Accept-Encoding"] = _CODING
        if key in dropped:
            continue
        if key in ("referer", "origin"):
            value = _of_service(value, routes, base, whole=key == "referer")
        shown.setdefault(key, name)
        before = passed.get(shown[key])
        passed[shown[key]] = value if before is None else f"{before}, {value}"
    return passed


def for_client(
    fields: Fields, routes: Routes, url: str, base: str, redactor: Redactor, tokens: frozenset[str]
) -> list[tuple[str, str]]:
    """Return the fields of the response from `url` that a client of the gateway at `base` gets.

    `tokens` are the lower-case names of fields with tokens. A field with a value that the redactor knows is dropped, too.
    """
    pairs = [(name.lower(), name, value) for name, value in fields]
    dropped = _HOP_BY_HOP | _OF_SERVICE | tokens | _named(pairs)
    passed = []
    for key, name, value in pairs:
        if key in dropped or _CONTROL.search(value):
            continue
        if key in _WITH_URLS:
            value = routes.localized(key, value, url, base)
        elif key == "content-security-policy":
            value = _REPORTING.sub("", value).strip()
        elif key not in _INNOCENT and redactor.redact(value) != value:
            continue
        passed.append((name, _utf8(value)))
    # the gateway's URL has a secret, which no other site may get
    return [*passed, ("Referrer-Policy", "same-origin")]


def _named(pairs: Iterable[tuple[str, str, str]]) -> frozenset[str]:
    """Return the fields that ``Connection`` names."""
    values = (value for key, _, value in pairs if key == "connection")
    return frozenset(option.strip().lower() for value in values for option in value.split(","))


def _of_service(value: str, routes: Routes, base: str, *, whole: bool) -> str:
    """Return the service's own URL for a URL of the gateway."""
    if value == base or value.startswith(f"{base}/"):
        url = routes.url(value[len(base) :]) or routes.origins[0]
    elif origin_of(base) == _origin(value):  # without the path
        url = f"{routes.origins[0]}/"
    else:
        return value
    return url if whole else origin_of(url)


def _origin(url: str) -> str:
    try:
        return origin_of(url) if urlsplit(url).scheme else ""
    except ValueError:
        return ""


def _latin(value: str) -> str:
    """Return a value that aiohttp decoded as UTF-8 as one that requests encodes as Latin-1: the same bytes."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")


def _utf8(value: str) -> str:
    """Return a value that was decoded as Latin-1 as one that aiohttp encodes as UTF-8: the same bytes, if they are UTF-8."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except ValueError:
        return value
