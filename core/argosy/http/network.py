"""How the service is reached: through which proxy, and whose certificates are trusted.

Redirects from https to http: refused unless the configuration allows them, and never sent credentials.

Answers that make no sense: places that are not valid, character sets that are none.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3.exceptions

from argosy.errors import ConfigError
from argosy.toolkit.secrets import Secret


@dataclass(frozen=True, slots=True)
class Network:
    """How all sessions of a process reach the service.

    Parameters
    ----------
    ca_bundle
        The certificate authorities to trust; None for the usual ones.
    proxy
        The URL of an HTTP proxy, perhaps with a password in it; None to ask the service itself.
    allow_downgrade
        Whether a redirect may lead from https to http.
    """

    ca_bundle: Path | None = None
    proxy: Secret | None = None
    allow_downgrade: bool = False


def proxy_of(
    value: str | Mapping[str, Any],
    resolve: Callable[[str | Mapping[str, Any]], Secret],
    on_secret: Callable[[str], None],
) -> Secret:
    """Return the proxy that a configuration names.

    Parameters
    ----------
    value
        Its URL, or where the URL is kept.
    resolve
        Finds out what is kept there.
    on_secret
        Told the password in the URL, so that it can be redacted.

    Raises
    ------
    ConfigError
        If what is kept there is no URL of an HTTP proxy. Its text does not show it.
    """
    proxy = Secret(value) if isinstance(value, str) else resolve(value)
    try:
        parts = urlsplit(proxy.reveal())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 80) > 0
        extra = parts.path not in ("", "/") or parts.query or parts.fragment
    except ValueError:
        usable, extra = False, ""
    if not usable or extra:
        raise ConfigError(
            'What "proxy" names is not the URL of an HTTP proxy.',
            hint="It looks like http://proxy.example:3128, or http://USER:PASSWORD@proxy.example:3128 where the proxy "
            "asks who you are. SOCKS proxies cannot be used.",
        )
    if parts.password:
        for password in {parts.password, unquote(parts.password)}:
            on_secret(password)
    return proxy


#: What to do about a redirect from https to http.
DOWNGRADE_HINT = (
    'Report it to the service. To follow such redirects, without credentials: "allow_downgrade": true.'
)


class Downgraded(requests.RequestException):
    """A redirect leads from https to http; `request` was not sent, and `response` is the redirect."""


def is_downgraded(request: requests.PreparedRequest) -> bool:
    """Return whether a request goes over http because a redirect led there from https."""
    return getattr(request, "argosy_redirected_by", None) is not None


#: Codecs of Python that are not the character set of a page: some raise, some take quadratic time.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "utf-7"}
)


def charset_of(name: str | None) -> str | None:
    """Return the character set that a service names; None if it is not one."""
    try:
        codec = codecs.lookup(name or "")
    except (LookupError, ValueError):  # a null character is a ValueError
        return None
    text = getattr(codec, "_is_text_encoding", True)  # not rot13, not hex
    return None if codec.name in _NO_CHARSETS or not text else codec.name


@contextmanager
def odd_places() -> Iterator[None]:
    """Turn what requests and urllib3 raise for a place that is not valid into one exception.

    Raises
    ------
    requests.exceptions.InvalidURL
        If a request could not be sent to its place.
    """
    try:
        yield
    except requests.RequestException:
        raise
    except (ValueError, OverflowError, urllib3.exceptions.LocationValueError):
        # a label of a host that is empty or too long, a port beyond 65535, a Location that is not UTF-8
        raise requests.exceptions.InvalidURL("a place that is not a valid URL") from None
