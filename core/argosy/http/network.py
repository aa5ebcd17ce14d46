"""How to reach the service: proxy and certificates; redirects from https to http; what servers name wrongly."""

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
        The certificate authorities to trust; None for the default ones.
    proxy
        The URL of an HTTP proxy, which may contain a password; None for no proxy.
    allow_downgrade
        Follow redirects from https to http, without credentials.
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
        Looks up what is kept there.
    on_secret
        Called with the password in the URL, so that it can be redacted.

    Raises
    ------
    ConfigError
        If it is not the URL of an HTTP proxy. The message does not contain it.
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
            '"proxy" is not the URL of an HTTP proxy.',
            hint="Use http://proxy.example:3128, or http://USER:PASSWORD@proxy.example:3128 if the proxy asks for a "
            "password. SOCKS proxies are not supported.",
        )
    if parts.password:
        for password in {parts.password, unquote(parts.password)}:
            on_secret(password)
    return proxy


def is_downgraded(request: requests.PreparedRequest) -> bool:
    """Return whether a request goes over http because a redirect led there from https."""
    return getattr(request, "argosy_redirected_by", None) is not None


#: Python codecs that are not the character set of a page: some raise, some take quadratic time.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "utf-7"}
)


def charset_of(name: str | None) -> str | None:
    """Return the Python codec for a character set that a service names, or None."""
    try:
        codec = codecs.lookup(name or "")
    except (LookupError, ValueError):  # a null character is a ValueError
        return None
    text = getattr(codec, "_is_text_encoding", True)  # not rot13, not hex
    return None if codec.name in _NO_CHARSETS or not text else codec.name


@contextmanager
def invalid_urls() -> Iterator[None]:
    """Turn what requests and urllib3 raise for an invalid URL into `requests.exceptions.InvalidURL`."""
    try:
        yield
    except requests.RequestException:
        raise
    except (ValueError, OverflowError, urllib3.exceptions.LocationValueError):
        # an empty or overlong label of a host, a port beyond 65535, a Location that is not UTF-8
        raise requests.exceptions.InvalidURL("not a valid URL") from None
