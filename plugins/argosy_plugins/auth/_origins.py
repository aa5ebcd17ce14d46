"""Restricts credentials to the configured origins."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.auth import AuthBase, HTTPDigestAuth

from argosy.errors import ConfigError, TransferError
from argosy.interfaces.base import PluginContext
from argosy.models.session import origin_of
from argosy.toolkit.hosts import is_loopback
from argosy.toolkit.responses import InvalidAnswer
from argosy.toolkit.urls import check_url

#: Longer bodies of challenges are not read to the end, in bytes.
_UNWANTED = 64 * 1024

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


class DigestSigner(HTTPDigestAuth):
    """Answers Digest challenges of some origins (RFC 7616).

    requests would answer those of any host that a redirect leads to, and that host could then guess the password offline.
    """

    def __init__(self, user: str, password: str, origins: Iterable[str]) -> None:
        super().__init__(user, password)
        self._origins = frozenset(origins)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add a response to the last challenge, and prepare for the next one."""
        if origin_of(request.url or "") not in self._origins:
            return request
        signed: requests.PreparedRequest = super().__call__(request)  # type: ignore[no-untyped-call]  # not in the stubs
        return signed

    def build_digest_header(self, method: str, url: str) -> str | None:
        """Return the response to the last challenge; raise requests.RequestException if there is none."""
        challenge: Mapping[str, str] = self._thread_local.chal  # type: ignore[attr-defined]  # not in the stubs
        missing = [name for name in ("realm", "nonce") if name not in challenge]
        if missing:
            raise InvalidAnswer(f"the service's Digest challenge has no {missing[0]}")
        header: str | None = super().build_digest_header(method, url)  # type: ignore[no-untyped-call]  # not in the stubs
        if header is None:
            raise InvalidAnswer(
                "the service's Digest challenge asks for an algorithm or a protection that is not known"
            )
        return header

    def handle_401(self, r: requests.Response, **kwargs: Any) -> requests.Response:
        """Send the request again with the response to its challenge."""
        if origin_of(r.request.url or "") not in self._origins:
            return r
        if 400 <= r.status_code < 500 and "digest" in r.headers.get("WWW-Authenticate", "").lower():
            _drop_body(r)
        answered: requests.Response = super().handle_401(r, **kwargs)  # type: ignore[no-untyped-call]  # as above
        return answered


def _drop_body(response: requests.Response) -> None:
    """Read a short body so its connection can be reused; requests would read any length."""
    with contextlib.suppress(OSError, urllib3.exceptions.HTTPError, TransferError):
        response.raw.read(_UNWANTED, decode_content=False)
    response.close()
    response._content = b""
    response._content_consumed = True  # type: ignore[attr-defined]  # not in the stubs


def is_secure_url(url: str) -> bool:
    """Return whether a request to a URL cannot be read on its way: it uses https or stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback((parts.hostname or "").rstrip("."))
