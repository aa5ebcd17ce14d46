"""How to reach the service: proxy, certificates, and redirects from https to http."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from argosy.errors import ConfigError
from argosy.toolkit.secrets import Secret


@dataclass(frozen=True, slots=True)
class Network:
    """How all sessions of a process reach the service."""

    ca_bundle: Path | None = None  # the certificate authorities to trust; None for the default ones
    proxy: Secret | None = None  # the URL of an HTTP proxy, which may contain a password
    allow_downgrade: bool = False  # follow redirects from https to http, without credentials


def check_proxy(proxy: Secret, on_secret: Callable[[str], None]) -> Secret:
    """Return the URL of a proxy; raise ConfigError if it is not valid. `on_secret` gets its password."""
    try:
        parts = urlsplit(proxy.reveal())
        extra = parts.path.strip("/") or parts.query or parts.fragment
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not extra
    except ValueError:
        usable = False
    if not usable:  # the message must not contain it
        raise ConfigError(
            '"proxy" is not the URL of an HTTP proxy.',
            hint="Use http://[USER:PASSWORD@]proxy.example:3128. SOCKS proxies are not supported.",
        )
    if parts.password:
        for password in {parts.password, unquote(parts.password)}:
            on_secret(password)
    return proxy


def is_downgraded(request: requests.PreparedRequest) -> bool:
    """Return whether a request goes over http because a redirect led there from https."""
    return getattr(request, "argosy_redirected_by", None) is not None
