"""Restricts credentials to the configured origins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from argosy.errors import ConfigError
from argosy.interfaces.base import PluginContext
from argosy.models.session import origin_of
from argosy.toolkit.hosts import is_loopback
from argosy.toolkit.urls import check_url

#: The JSON Schema of the option ``origins``.
ORIGINS_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "uniqueItems": True,
    "description": "The only origins that receive the credentials: scheme, host and port of the"
    " service's URLs, such as https://api.example.",
}


def origins_of(options: Mapping[str, Any], context: PluginContext, plugin: str) -> tuple[str, ...]:
    """Return the origins in a plugin's options; raise ConfigError if one is invalid."""
    found = []
    for given in options["origins"]:
        problem = check_url(given)
        if problem is None and (urlsplit(given).path not in ("", "/") or urlsplit(given).query):
            problem = "has a path, and credentials go to a whole host"
        if problem is not None:
            raise ConfigError(
                f"One of the origins of the auth {plugin} {problem}.",
                hint="Write scheme and host, and the port unless it is the default: https://api.example",
            )
        if not is_secure_url(given):
            context.notice(
                f"The credentials go to {origin_of(given)} unencrypted; others on the network can read them."
            )
        found.append(origin_of(given))
    return tuple(found)


class HeaderSigner(AuthBase):
    """Adds a header field to requests to some origins."""

    def __init__(self, name: str, value: str, origins: Iterable[str]) -> None:
        self._name, self._value = name, value
        self._origins = frozenset(origins)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the field."""
        if origin_of(request.url or "") in self._origins:
            request.headers[self._name] = self._value
        return request


def is_secure_url(url: str) -> bool:
    """Return whether a request to a URL cannot be read on its way: it uses https or stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback((parts.hostname or "").rstrip("."))
