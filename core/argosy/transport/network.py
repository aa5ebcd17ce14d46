"""How the service is reached: through which proxy, and whose certificates are trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from argosy.errors import ConfigError
from argosy.secrets import Secret


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
