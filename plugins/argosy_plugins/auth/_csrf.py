"""Values against forged requests that responses bring and requests must send back (CSRF tokens)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import requests
from requests.auth import AuthBase

from argosy.errors import ConfigError
from argosy.interfaces.auth import LoginSession, SessionSigner
from argosy.models.session import Carrier, origin_of

#: A pattern of JSON Schema for the name of a header field (RFC 9110 section 5.1).
FIELD_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_FIELD = {"type": "string", "pattern": FIELD_NAME}

#: The JSON Schema of an option that names such a value.
CSRF_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "header": {**_FIELD, "description": "The header field of responses with the value."},
        "cookie": {"type": "string", "minLength": 1, "description": "The cookie with the value."},
        "send": {
            **_FIELD,
            "default": "X-CSRF-Token",
            "description": "The header field of requests to send the newest value in.",
        },
    },
    "oneOf": [{"required": ["header"]}, {"required": ["cookie"]}],
    "additionalProperties": False,
    "description": "A value against forged requests that each request of the session sends back.",
}


@dataclass(frozen=True)
class CsrfEcho:
    """Sends the newest value of a response's field, or of a cookie, with each request to some origins."""

    origins: tuple[str, ...]
    send: str = "X-CSRF-Token"
    header: str = ""
    cookie: str = ""

    @classmethod
    def from_options(cls, options: Mapping[str, Any], origins: Iterable[str], plugin: str) -> CsrfEcho:
        """Return what the option ``csrf`` describes; raise ConfigError if it would replace a cookie or another token."""
        send: str = options.get("send", "X-CSRF-Token")
        if send.lower() in ("cookie", "authorization", "host"):
            raise ConfigError(
                f"The option csrf.send of the auth {plugin} is {send}, which requests need for something else.",
                hint="Name the field that the service's pages send, such as X-CSRF-Token or X-XSRF-TOKEN.",
            )
        return cls(tuple(map(origin_of, origins)), send, options.get("header", ""), options.get("cookie", ""))

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The header token that a response's field replaces."""
        return (Carrier(self.send, self.header, self.origins),) if self.header else ()

    def signer(self) -> AuthBase | None:
        """Return what copies the cookie into the field."""
        return CookieEcho(self.cookie, self.send, self.origins) if self.cookie else None

    def listen(self, session: LoginSession, tell: Callable[[str], None] = lambda value: None) -> None:
        """Keep the newest value of a login's responses with the session; `tell` gets each."""

        def look(response: requests.Response, **_: Any) -> None:
            value = response.headers.get(self.header, "").strip()
            if value and origin_of(response.url) in self.origins:
                session.add_header(self.send, value, self.origins)
                tell(value)

        if self.header:
            session.http.hooks["response"].append(look)


class CookieEcho(SessionSigner):
    """Copies a cookie into a header field, decoded as the service's own pages do it.

    It signs under the lease, so the cookie and the field have the same value.
    """

    proves = False

    def __init__(self, cookie: str, field: str, origins: Iterable[str]) -> None:
        self._cookie, self._field = cookie, field
        self._origins = frozenset(origins)

    def sign(self, request: requests.PreparedRequest, kept: Mapping[str, str]) -> requests.PreparedRequest:
        """Copy the cookie, if the request carries it."""
        cookies = (
            str(request.headers.get("Cookie", "")).split("; ") if origin_of(request.url or "") in self._origins else []
        )
        for cookie in cookies:
            name, _, value = cookie.partition("=")
            value = unquote(value.strip('"'))
            if name == self._cookie and value.isascii() and value.isprintable():
                request.headers[self._field] = value
                break  # the first one has the longest path
        return request
