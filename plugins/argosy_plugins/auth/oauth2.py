"""The auth ``oauth2``: access tokens, renewed before they expire (RFC 6749, RFC 7636, RFC 8628)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import requests
from requests.auth import AuthBase

from argosy import hookimpl
from argosy.errors import ConfigError, LoginFailed, RefreshRefused, TransferError
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.models.session import Carrier
from argosy.toolkit.failures import kind_of, reason_of
from argosy.toolkit.secrets import Secret
from argosy_plugins.auth import _authorization_code, _device, _dpop
from argosy_plugins.auth._authorization_code import AuthorizationRequest
from argosy_plugins.auth._expiry import lifetime
from argosy_plugins.auth._origins import ORIGINS_SCHEMA, origins_of
from argosy_plugins.auth._token_endpoint import (
    Client,
    Endpoints,
    discover,
    endpoint,
    post,
    refusal_of,
    token_of,
)
from argosy_plugins.refusals import RefusalRules, refusal_schema

_SECRET = {"$ref": "argosy:common#/$defs/secret"}
_URL = {"type": "string", "minLength": 1}
#: Fields that argosy sends itself, and names of oauthlib's arguments.
_RESERVED = frozenset({
    "body", "client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "code_verifier",
    "device_code", "grant_type", "include_client_id", "redirect_uri", "refresh_token", "response_type", "scope", "state",
})  # fmt: skip


class OAuth2Auth(Auth):
    """Gets access tokens and sends them to the configured origins.

    A refresh token that its use replaces is kept in the cookie store like any other token: one thread of one process sends
    it once, while the session is held and marked, and all others wait for the new one.
    """

    name = "oauth2"
    summary = "OAuth 2.0: browser, device code, refresh token or client credentials (needs argosy[oauth2])"
    remedy = "Log in again: argosy login CONFIG (with the grant refresh_token, get a new refresh token first)"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "grant": {
                "enum": ["authorization_code", "device_code", "refresh_token", "client_credentials"],
                "description": "How to get tokens: in a browser on this machine, with a code that you enter in"
                " any browser, with a refresh token that you have, or as the client itself.",
            },
            "origins": ORIGINS_SCHEMA,
            "issuer": {
                **_URL,
                "description": "The authorization server, which publishes its endpoints (discovery).",
            },
            "token_url": {**_URL, "description": "The token endpoint, instead of issuer."},
            "authorization_url": {
                **_URL,
                "description": "The page where a person allows access, if there is a token_url.",
            },
            "device_url": {
                **_URL,
                "description": "The device authorization endpoint, if there is a token_url.",
            },
            "revocation_url": {
                **_URL,
                "description": "The revocation endpoint for argosy logout, if there is a token_url.",
            },
            "redirect_uri": {
                **_URL,
                "default": _authorization_code.REDIRECT_URI,
                "description": "For authorization_code: the redirect URI that is registered at the service. On this"
                " machine (http://127.0.0.1/..., http://localhost/...), argosy listens there during the login, on a"
                " free port if it names none; you paste the answer from any other.",
            },
            "browser": {
                "type": "boolean",
                "description": "For authorization_code: whether to open a browser, or only to print the URL. By default,"
                " argosy opens one if there is a desktop.",
            },
            "client_id": {"type": "string", "minLength": 1, "description": "The client's identifier."},
            "client_secret": {**_SECRET, "description": "A reference to the client's secret, if it has one."},
            "client_auth": {
                "enum": ["header", "body"],
                "default": "header",
                "description": "Where the client's secret is sent: in the field Authorization or in the form.",
            },
            "refresh_token": {**_SECRET, "description": "A reference to the first refresh token."},
            "scope": {
                "type": "string",
                "minLength": 1,
                "description": "The requested scopes, separated by spaces.",
            },
            "parameters": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "More fields that the service needs, such as audience or resource; argosy sends them to"
                " all its endpoints.",
            },
            "dpop": {
                "type": "boolean",
                "default": False,
                "description": "Bind the tokens to a key that is kept with the session, and prove it with each request"
                " (DPoP, RFC 9449; needs argosy[dpop]).",
            },
            "refusal": refusal_schema((401,)),
        },
        "required": ["grant", "origins", "client_id"],
        "oneOf": [{"required": ["issuer"]}, {"required": ["token_url"]}],
        "if": {"properties": {"grant": {"const": "refresh_token"}}},
        "then": {"required": ["refresh_token"]},
        "else": {"not": {"required": ["refresh_token"]}},
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        try:
            from oauthlib import oauth2
        except ImportError:
            raise ConfigError(
                "The auth oauth2 needs the library oauthlib, which is not installed.",
                hint="Install it: pip install 'argosy[oauth2]'.",
            ) from None
        self._library = oauth2
        self._grant: str = options["grant"]
        self._origins = origins_of(options, context, self.name)
        secret = context.secret(options["client_secret"]) if "client_secret" in options else None
        self._client = Client(options["client_id"], secret, in_body=options["client_auth"] == "body")
        self._first: Secret | None = context.secret(options["refresh_token"]) if "refresh_token" in options else None
        for key in ("issuer", "token_url", "authorization_url", "device_url", "revocation_url"):
            if key in options:
                endpoint(options[key], f"option {key}")
        needed = {"device_code": "device_url", "authorization_code": "authorization_url"}.get(self._grant)
        if needed is not None and "token_url" in options and needed not in options:
            raise ConfigError(
                f"The auth oauth2 has a token_url and no {needed}, which the grant {self._grant} needs.",
                hint=f'Add "{needed}", or name the "issuer" instead of both.',
            )
        if taken := _RESERVED.intersection(self._extra):
            raise ConfigError(
                f"The option parameters of the auth oauth2 has {', '.join(sorted(taken))}, which argosy sets itself.",
                hint="Leave it out; client_id, scope and redirect_uri are options of their own.",
            )
        _authorization_code.check_redirect_uri(options["redirect_uri"])
        self._bound: bool = options.get("dpop", False)
        if self._bound:
            _dpop.check_library()
        self._published: Endpoints | None = None
        if "token_url" in options:
            self._published = Endpoints(
                options["token_url"],
                options.get("device_url"),
                options.get("revocation_url"),
                options.get("authorization_url"),
            )
        # never refresh another client's session in the same store
        self._mark = _digest(f"{options.get('issuer') or options['token_url']}\n{self._client.id}")
        self._rules = RefusalRules.from_options(options, statuses=(401,))

    @property
    def can_login(self) -> bool:
        """Whether a new session is possible: not with a refresh token, and with a browser only if a person is there."""
        if self._grant == "authorization_code":
            return self.context.attended  # no window opens in the middle of a download
        if self._grant == "device_code":
            return self._somebody_reads
        return self._grant == "client_credentials"

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The nonces for the proofs of the option ``dpop``."""
        return _dpop.carriers(self._origins) if self._bound else ()

    def signer(self) -> AuthBase | None:
        """Return what adds the proofs of the option ``dpop``."""
        return _dpop.DpopSigner(self._origins) if self._bound else None

    def login(self, session: LoginSession) -> None:
        """Get tokens by the grant; a first refresh token is only stored, and exchanged afterwards.

        Raises LoginFailed if the server or the person refuses, if no person can log in here, or if the first refresh
        token was replaced before.
        """
        before = session.credentials
        endpoints = self._endpoints(session)
        session.keep("client", self._mark)
        thumbprint = _dpop.make_key(session) if self._bound else None
        if self._first is not None:
            self._take_in(session, before, self._first.reveal().strip())
        elif self._grant == "client_credentials":
            client = self._library.BackendApplicationClient(self._client.id)
            body = client.prepare_request_body(
                scope=self._scope,
                include_client_id=bool(self._client.form),
                **self._extra,
                **self._client.form,
            )
            self._keep(session, self._ask(session, endpoints.token, body, client))
        elif self._grant == "authorization_code":
            self._use_browser(session, endpoints, thumbprint)
        else:
            self._enter_code(session, endpoints)

    def can_refresh(self, credentials: Mapping[str, str]) -> bool:
        """Return whether the session has a refresh token of this client."""
        is_ours = "refresh_token" in credentials and credentials.get("client") == self._mark
        return is_ours and (not self._bound or _dpop.has_key(credentials))

    def refresh(self, session: LoginSession) -> None:
        """Exchange the refresh token for new tokens (RFC 6749 section 6).

        Raises RefreshRefused for ``invalid_grant``, and LoginFailed for other errors.
        """
        token = session.credentials["refresh_token"]
        try:
            url = self._endpoints(session).token
        except requests.RequestException as error:
            raise TransferError(
                f"The authorization server cannot be asked for its endpoints: {reason_of(error)}.",
                kind=kind_of(error, sent=True),
                retryable=True,
                unsent=True,  # the refresh token
            ) from None
        client = self._library.WebApplicationClient(self._client.id)
        body = client.prepare_refresh_body(refresh_token=token, scope=self._scope, **self._extra, **self._client.form)
        # which stays good if the answer brings no other one
        self._keep(session, {"refresh_token": token, **self._ask(session, url, body, client)})

    def logout(self, session: LoginSession) -> bool:
        """Revoke the refresh token, or else the access token (RFC 7009)."""
        kept = session.credentials
        url = self._endpoints(session).revocation
        token = kept.get("refresh_token") or kept.get("access_token")
        if url is None or token is None:
            return False
        kind = "refresh_token" if "refresh_token" in kept else "access_token"
        form = {"token": token, "token_type_hint": kind, **self._client.form}
        response = post(session.http, url, form, self._client.auth)
        if response.status_code != 200:
            raise refusal_of(response)
        return True

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the service rejects the access token."""
        return self._rules.is_refusal(response)

    # -- implementation

    @property
    def _somebody_reads(self) -> bool:
        """Whether a person reads the code to enter; that needs no terminal, as nothing is typed here."""
        return self.context.attended or self.context.ask is not None

    @property
    def _scope(self) -> str | None:
        scope: str | None = self.options.get("scope")
        return scope

    @property
    def _extra(self) -> Mapping[str, str]:
        extra: Mapping[str, str] = self.options.get("parameters", {})
        return extra

    def _endpoints(self, session: LoginSession) -> Endpoints:
        if self._published is None:  # two threads may both ask; the answers are the same
            self._published = discover(session.http, self.options["issuer"])
        return self._published

    def _take_in(self, session: LoginSession, before: Mapping[str, str], token: str) -> None:
        if not token:
            raise LoginFailed("The refresh token of the auth oauth2 is empty.", hint=self.remedy)
        seed = _digest(token)
        if before.get("seed") == seed and before.get("refresh_token") != token:
            # a server that detects reuse would end the session for all its users
            raise LoginFailed(
                "This refresh token was used before, and the server has replaced it; it is not sent again. "
                "The session that came of it is as it was.",
                hint="If that one is lost, get a new refresh token from the service.",
            )
        session.keep("refresh_token", token)
        session.keep("seed", seed)
        session.expires_in(0)

    def _use_browser(self, session: LoginSession, endpoints: Endpoints, thumbprint: str | None) -> None:
        if not self.context.attended:
            raise LoginFailed("This login needs a person and a browser.", hint="Log in first: argosy login CONFIG")
        if endpoints.authorization is None:
            raise LoginFailed(
                "The authorization server offers no login in a browser: its document has no authorization_endpoint.",
                hint="Choose another grant for the auth oauth2.",
            )
        if endpoints.challenges is not None and "S256" not in endpoints.challenges:
            raise LoginFailed(
                "The authorization server does not accept PKCE with S256, so another program could use the code.",
                hint="Choose another grant for the auth oauth2, such as device_code.",
            )
        from oauthlib.common import add_params_to_uri

        client = self._library.WebApplicationClient(self._client.id)
        verifier = client.create_code_verifier(64)
        self.context.on_secret(verifier)
        challenge = client.create_code_challenge(verifier, "S256")

        def begin(redirect_uri: str) -> AuthorizationRequest:
            state = secrets.token_urlsafe(32)
            fields = {
                **self._extra,
                "response_type": "code",
                "client_id": self._client.id,
                "redirect_uri": redirect_uri,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
            if self._scope is not None:
                fields["scope"] = self._scope
            if thumbprint is not None:
                fields["dpop_jkt"] = thumbprint  # binds the code to the key (RFC 9449 section 10)
            # not prepare_request_uri, which refuses http: even on this machine
            url = add_params_to_uri(endpoints.authorization, list(fields.items()))
            return AuthorizationRequest(url, redirect_uri, state, endpoints.issuer, endpoints.names_issuer)

        browser = self.options.get("browser")
        request, code = _authorization_code.get_code(
            begin,
            self.options["redirect_uri"],
            _authorization_code.finds_browser() if browser is None else browser,
            self.context,
        )
        self.context.on_secret(code)
        form = self._client.form
        body = client.prepare_request_body(
            code=code,
            redirect_uri=request.redirect_uri,
            code_verifier=verifier,
            include_client_id="client_id" in form,
            client_secret=form.get("client_secret"),
            **self._extra,
        )
        try:
            token = self._ask(session, endpoints.token, body, client)
        except RefreshRefused:
            raise LoginFailed(
                "The authorization server did not accept the code (invalid_grant): it was used before, has expired, or"
                " belongs to another login.",
                hint="Try again: argosy login CONFIG",
            ) from None
        self._keep(session, token)

    def _enter_code(self, session: LoginSession, endpoints: Endpoints) -> None:
        if endpoints.device is None:
            raise LoginFailed(
                "The authorization server offers no device code.",
                hint="Choose another grant for the auth oauth2.",
            )
        if not self._somebody_reads:
            raise LoginFailed(
                "A code must be entered in a browser, and nobody may be here to do that.",
                hint="Log in first: argosy login CONFIG",
            )
        form = {**self._extra, **self._client.form, "client_id": self._client.id}
        if self._scope is not None:
            form["scope"] = self._scope
        client = self._library.DeviceClient(self._client.id)
        code = _device.begin(session.http, endpoints.device, form, self._client.auth)
        self.context.notice(code.invitation)
        self.context.on_secret(code.device_code)
        body = client.prepare_request_body(code.device_code, scope=None, include_client_id=True, **self._client.form)
        token = _device.wait(
            code, lambda: self._answer(session, endpoints.token, body), client.parse_request_body_response
        )
        self._keep(session, token)

    def _answer(self, session: LoginSession, url: str, body: str) -> requests.Response:
        """Send a request to the token endpoint; those of all grants are sent here."""
        form = _form(body)
        if not self._bound:
            return post(session.http, url, form, self._client.auth)
        return _dpop.send(session, url, lambda fields: post(session.http, url, form, self._client.auth, **fields))

    def _ask(self, session: LoginSession, url: str, body: str, client: Any) -> Mapping[str, Any]:
        return token_of(self._answer(session, url, body), client.parse_request_body_response)

    def _keep(self, session: LoginSession, token: Mapping[str, Any]) -> None:
        access = token["access_token"]
        is_bound = self._bound and str(token.get("token_type", "")).lower() == "dpop"
        if self._bound and not is_bound:
            self.context.notice(
                "The authorization server issued a bearer token, although it got a proof (DPoP): anybody who has the token"
                " can use it."
            )
        session.add_header("Authorization", f"{'DPoP' if is_bound else 'Bearer'} {access}", self._origins)
        if (refresh := token.get("refresh_token")) is not None:
            session.keep("refresh_token", refresh)
        else:
            session.keep("access_token", access)  # for logout
        if (seconds := lifetime(token.get("expires_in"))) is not None:
            session.expires_in(seconds)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _form(body: str) -> dict[str, str]:
    return dict(parse_qsl(body, keep_blank_values=True))


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``oauth2``."""
    return OAuth2Auth
