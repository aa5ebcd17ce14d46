"""How to reach the service: proxy, certificates, and redirects from https to http."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from argosy.errors import ConfigError
from argosy.toolkit.secrets import Secret


@dataclass(frozen=True, slots=True)
class Network:
    """How all sessions of a process reach the service."""

    #: The certificate authorities to trust; None for the default ones.
    ca_bundle: Path | None = None
    #: The URL of an HTTP proxy, which may contain a password.
    proxy: Secret | None = None
    #: Follow redirects from https to http, without credentials.
    allow_downgrade: bool = False


def proxy_of(
    value: str | Mapping[str, Any],
    resolve: Callable[[str | Mapping[str, Any]], Secret],
    on_secret: Callable[[str], None],
) -> Secret:
    """Return the proxy that a configuration names, by its URL or a reference; `on_secret` is told its password."""
    proxy = Secret(value) if isinstance(value, str) else resolve(value)
    try:
        parts = urlsplit(proxy.reveal())
        extra = parts.path.strip("/") or parts.query or parts.fragment
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not extra
    except ValueError:
        usable = False
    if not usable:  # the message must not contain it
        raise ConfigError(
            '"proxy" is not the URL of an HTTP proxy.',
            hint="Use http://proxy.example:3128 or http://USER:PASSWORD@proxy.example:3128. "
            "SOCKS proxies are not supported.",
        )
    if parts.password:
        for password in {parts.password, unquote(parts.password)}:
            on_secret(password)
    return proxy


def is_downgraded(request: requests.PreparedRequest) -> bool:
    """Return whether a request goes over http because a redirect led there from https."""
    return getattr(request, "argosy_redirected_by", None) is not None
