"""Requests to an authorization server: endpoints and tokens (RFC 6749, RFC 8414, RFC 8628, RFC 7009)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from argosy.errors import ArgosyError, ConfigError, LoginFailed, RefreshRefused, TransferError
from argosy.toolkit.responses import read_content
from argosy.toolkit.secrets import Secret
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._origins import is_secure_url

#: Responses of an authorization server are never larger, in bytes.
MAX_ANSWER = 1024 * 1024
#: These statuses mean that nothing was done: the request may be repeated (RFC 6585 section 4, RFC 9110 section 15.6.4).
NOT_DONE = frozenset({429, 503})
#: A token or a code: text without spaces (RFC 6749 appendix A).
TOKEN = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The URLs of an authorization server; None if unknown or missing.

    `issuer` is its identifier as its own document says it; `names_issuer` says that its answers in a browser contain that
    (RFC 9207). `challenges` are the methods of PKCE that it accepts (RFC 7636 section 4.3).
    """

    token: str
    device: str | None = None
    revocation: str | None = None
    authorization: str | None = None
    issuer: str | None = None
    names_issuer: bool = False
    challenges: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """The client (RFC 6749 section 2); a public one has no secret.

    `in_body` puts its credentials into the body instead of the field ``Authorization`` (section 2.3.1).
    """

    id: str
    secret: Secret | None = field(default=None, repr=False)
    in_body: bool = False

    @property
    def auth(self) -> AuthBase | None:
        """The client's authentication in the header, form-encoded (RFC 6749 section 2.3.1)."""
        if self.secret is None or self.in_body:
            return None
        return HTTPBasicAuth(quote_plus(self.id), quote_plus(self.secret.reveal()))

    @property
    def form(self) -> dict[str, str]:
        """The client's authentication in the body."""
        if self.auth is not None:
            return {}
        return {"client_id": self.id} | ({} if self.secret is None else {"client_secret": self.secret.reveal()})


def endpoint(url: object, what: str) -> str:
    """Return a URL for credentials; raise ConfigError unless it is https (RFC 6749 section 3.2) or on this machine."""
    problem = check_url(url) if isinstance(url, str) else "is not there"
    if problem is None and not is_secure_url(str(url)):
        problem = "is not encrypted: it begins with http:"
    if problem is not None:
        raise ConfigError(f"The {what} of the auth oauth2 {problem}.", hint="Write it as https://...")
    return str(url)


def discover(http: requests.Session, issuer: str) -> Endpoints:
    """Return the endpoints that an issuer publishes (RFC 8414 section 3, OpenID Connect Discovery section 4).

    Raises LoginFailed if it publishes none, or the documents belong to another issuer.
    """
    parts = urlsplit(endpoint(issuer, "issuer").rstrip("/"))
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path
    other = False
    for url in dict.fromkeys((
        f"{base}/.well-known/oauth-authorization-server{path}",
        f"{base}{path}/.well-known/openid-configuration",
        f"{base}/.well-known/openid-configuration{path}",  # RFC 8414 section 5
        f"{base}{path}/.well-known/oauth-authorization-server",  # some servers, against the RFC
    )):  # fmt: skip
        with http.get(url, stream=True, headers={"Accept": "application/json"}) as response:
            found = _json(response) if response.status_code == 200 else None
        if found is None:
            continue
        if str(found.get("issuer", "")).rstrip("/") == issuer.rstrip("/"):  # RFC 8414 section 3.3
            return _published(found)
        other = True
    if other:
        raise LoginFailed(
            "The document that the issuer of the auth oauth2 publishes speaks for another issuer.",
            hint="Write the issuer as its own document says it.",
        )
    raise LoginFailed(
        f"The issuer of the auth oauth2 publishes no endpoints (status {response.status_code}).",
        hint='Check its URL, or name the endpoint itself: "token_url".',
    )


def _published(found: Mapping[str, Any]) -> Endpoints:
    def optional(name: str, what: str) -> str | None:
        return None if found.get(name) is None else endpoint(found[name], what)

    challenges = found.get("code_challenge_methods_supported")
    return Endpoints(
        endpoint(found.get("token_endpoint"), "token endpoint"),
        optional("device_authorization_endpoint", "device endpoint"),
        optional("revocation_endpoint", "revocation endpoint"),
        optional("authorization_endpoint", "authorization endpoint"),
        found["issuer"],
        found.get("authorization_response_iss_parameter_supported") is True,
        tuple(map(str, challenges)) if isinstance(challenges, list) else None,
    )


def post(
    http: requests.Session, url: str, form: Mapping[str, str], auth: AuthBase | None, **headers: str
) -> requests.Response:
    """Send a form and return the response with its body, whatever its status; follow no redirects."""
    response = http.post(
        url,
        data=dict(form),
        auth=auth,
        headers={"Accept": "application/json", **headers},
        stream=True,
        allow_redirects=False,
    )
    with response:
        response._content = read_content(response, MAX_ANSWER)
    return response


def token_of(response: requests.Response, parse: Any) -> Mapping[str, Any]:
    """Return the token in the response of a token endpoint; `parse` reads a successful one (RFC 6749 section 5.1).

    Raises RefreshRefused for ``invalid_grant``, LoginFailed for other errors (section 5.2), and TransferError for anything
    else; its field ``unsent`` is only true if the server did nothing.
    """
    if response.status_code == 200:
        try:
            token: Mapping[str, Any] = parse(response.content.decode())
        except Exception:
            raise _odd(response) from None
        for name, needed in (("access_token", True), ("refresh_token", False)):
            if needed or token.get(name) is not None:
                text_of(token, name, response)
        return token
    raise refusal_of(response)


def text_of(answer: Mapping[str, Any], name: str, response: requests.Response) -> str:
    """Return a field of an answer that is a token or a code: text without spaces (RFC 6749 appendix A).

    Raises
    ------
    TransferError
        If it is missing or something else.
    """
    value = answer.get(name)
    if not isinstance(value, str) or not TOKEN.match(value):
        raise _odd(response, f"its {name} is {'missing' if value is None else 'not a token'}")
    return value


def refusal_of(response: requests.Response) -> ArgosyError:
    """Describe an error response without text that may contain a secret."""
    found = _json(response) or {}
    code = found.get("error")
    if not isinstance(code, str) or not 400 <= response.status_code < 500 or response.status_code == 429:
        return _odd(response)
    if code == "invalid_grant":
        return RefreshRefused(
            "The authorization server no longer accepts the refresh token or the grant (invalid_grant).",
            hint="Log in again: argosy login CONFIG",
            code=code,
        )
    return refusal_by(code, f"status {response.status_code}")


def refusal_by(code: str, where: str) -> LoginFailed:
    """Describe a refusal by the server's error code, without other text of the server."""
    code = code[:60] if code.isascii() and code.isprintable() else "an unknown error"
    return LoginFailed(
        f"The authorization server refused: {code} ({where}).",
        hint=_HINTS.get(code, "Check the options of the auth oauth2 with the service's documentation."),
        code=code,
    )


_HINTS = {
    "invalid_client": "Check client_id, client_secret and client_auth.",
    "unauthorized_client": "The client may not use this grant: ask the service to allow it.",
    "invalid_scope": "Check the scope.",
    "invalid_target": "Check the audience or the resource in the option parameters.",
}


def _odd(response: requests.Response, why: str = "") -> TransferError:
    return TransferError(
        f"The authorization server gave no answer that can be read ({why or f'status {response.status_code}'}).",
        kind="lost",
        retryable=True,
        unsent=response.status_code in NOT_DONE,
    )


def _json(response: requests.Response) -> Mapping[str, Any] | None:
    body = response._content if isinstance(response._content, bytes) else read_content(response, MAX_ANSWER)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
