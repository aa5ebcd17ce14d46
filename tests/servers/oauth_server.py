"""An OAuth 2.0 authorization server and an API, made with Authlib and Flask: refresh tokens are replaced by their use,
and one that is used twice ends the whole session (RFC 9700 section 4.14.2)."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, Response, jsonify, request

from servers.dpop import BadProof, Proofs
from servers.in_thread import InThread

SECRET = "client-secret-1"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Client:
    """One client; has what Authlib asks of it."""

    client_id: str
    client_secret: str = SECRET
    methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    redirect_uri: str = "http://127.0.0.1/callback"

    def get_client_id(self) -> str:
        return self.client_id

    def check_client_secret(self, given: str) -> bool:
        return given == self.client_secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in self.methods

    def check_grant_type(self, grant: str) -> bool:
        return True

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def get_default_redirect_uri(self) -> None:
        return None

    def check_redirect_uri(self, given: str) -> bool:
        """Compare all but the port (RFC 8252 section 7.3)."""
        parts = urlsplit(given)
        return parts._replace(netloc=str(parts.hostname)).geturl() == self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope or "read"


@dataclass
class Code:
    """An authorization code, and what its request said."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token:
    """A pair of tokens; those that come of each other are one family."""

    client_id: str
    access: str
    refresh: str | None
    family: str
    scope: str
    expires_at: float
    spent: bool = False
    spent_at: float = 0.0
    revoked: bool = False
    key: str | None = None  # the thumbprint of the key that it is bound to

    def get_client_id(self) -> str:
        return self.client_id

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return int(self.expires_at - time.time())

    def is_expired(self) -> bool:
        return time.time() >= self.expires_at

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass
class State:
    """What the server knows, and what it has seen.

    `end_after` ends all access tokens when so many items were given; `drop_refreshes` loses the answers of so many
    refreshes; answers with tokens wait for `gate`; `lifetime` and `delay` are seconds. `published` is put into the document
    of the server, and `issuer` into its answers in the browser instead of its own. With `dpop`, tokens are bound to a key
    (RFC 9449), and a nonce is good for so many proofs.
    """

    dpop: int = 0
    lifetime: int = 3600
    rotates: bool = True
    size: int = 10_000
    delay: float = 0.0
    tokens: list[Token] = field(default_factory=list)
    devices: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)  # of authorization
    published: dict[str, Any] = field(default_factory=dict)
    issuer: str | None = None
    entered: dict[str, bool] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    drop_refreshes: int = 0
    grace: float = 0.0  # seconds in which a replaced refresh token is accepted
    gate: threading.Event | None = None
    end_after: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def end(self, family: str) -> None:
        """Let no token of a family be good any more."""
        for token in self.tokens:
            token.revoked |= token.family == family


class OAuthServer(InThread):
    """Runs the server in threads of this process, on a free port of ``localhost``.

    `state.seen` counts: ``token:GRANT`` answers with tokens, ``reused`` refresh tokens that came twice, ``refused``
    requests of the API, ``items`` that it gave.

    The page ``/authorize`` has a form, which sends itself in a browser: it allows access. Other programs send its field
    ``answer`` (``allow`` or ``deny``).
    """

    def __init__(self, **options: Any) -> None:
        self.state = State(**options)
        super().__init__(_app(self.state, lambda: self.url))
        self.url = f"http://localhost:{self.port}"

    def first_token(self, client_id: str = "argosy") -> str:
        """Return a refresh token as a person gets it from the service's page."""
        token = _new(self.state, client_id, refresh=True, family=None, scope="read", lifetime=0)
        return str(token.refresh)

    def enter(self, user_code: str, *, allow: bool = True) -> None:
        """Enter the code of a device, as the person does in a browser."""
        self.state.entered[user_code] = allow

    def is_good(self, access: str) -> bool:
        """Return whether an access token is good now."""
        found = next((token for token in self.state.tokens if token.access == access), None)
        return found is not None and not (found.is_expired() or found.is_revoked())

    def body(self, number: int) -> bytes:
        """Return the file of this number."""
        return _body(number, self.state.size)

    @property
    def seen(self) -> Counter[str]:
        return self.state.seen


def _body(number: int, size: int) -> bytes:
    return (hashlib.sha256(str(number).encode()).hexdigest().encode() * (size // 64 + 1))[:size]


def _new(
    state: State,
    client_id: str,
    *,
    refresh: bool,
    family: str | None,
    scope: str,
    lifetime: float | None = None,
    key: str | None = None,
) -> Token:
    with state.lock:
        number = len(state.tokens) + 1
        made = Token(
            client_id,
            f"access-token-{number:05d}-{hashlib.sha256(b'a%d' % number).hexdigest()[:16]}",
            f"refresh-token-{number:05d}-{hashlib.sha256(b'r%d' % number).hexdigest()[:16]}" if refresh else None,
            family or f"family-{number}",
            scope,
            time.time() + (state.lifetime if lifetime is None else lifetime),
            key=key,
        )
        state.tokens.append(made)
        return made


class _Refresh(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, given: str) -> Token | None:
        state: State = self.server.state
        with state.lock:
            found = next((token for token in state.tokens if token.refresh == given), None)
            if found is None or found.revoked:
                state.seen["unknown"] += 1
                return None
            if found.spent and time.monotonic() < found.spent_at + state.grace:
                state.seen["in grace"] += 1
            elif found.spent:
                state.seen["reused"] += 1
                state.end(found.family)
                return None
            found.spent_at = found.spent_at if found.spent else time.monotonic()
            found.spent = state.rotates
        request.argosy_old = found  # type: ignore[attr-defined]  # for what makes the new ones
        return found

    def authenticate_user(self, credential: Token) -> str:
        return "ada"

    def revoke_old_credential(self, credential: Token) -> None:
        pass  # it was, when it was taken


class _AuthorizationCode(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def save_authorization_code(self, code: str, asked: Any) -> None:
        given = asked.payload.data
        challenge, method = given.get("code_challenge"), given.get("code_challenge_method")
        self.server.state.codes[code] = Code(
            code, asked.client.client_id, asked.payload.redirect_uri, asked.scope, challenge, method
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = self.server.state.codes.get(code)
        return found if found is not None and found.client_id == client.client_id else None

    def delete_authorization_code(self, code: Code) -> None:
        del self.server.state.codes[code.code]

    def authenticate_user(self, code: Code) -> str:
        return "ada"


class _Issuer(IssuerParameter):
    def __init__(self, state: State, url: Callable[[], str]) -> None:
        self.state, self.url = state, url

    def get_issuer(self) -> str:
        return self.url() if self.state.issuer is None else self.state.issuer


class _ClientCredentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class _Device(DeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def query_device_credential(self, code: str) -> Any:
        found = self.server.state.devices.get(code)
        return None if found is None else DeviceCredentialDict(found)

    def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
        entered = self.server.state.entered.get(user_code)
        return None if entered is None else ("ada", entered)

    def should_slow_down(self, credential: object) -> bool:
        return False


class _DeviceEndpoint(DeviceAuthorizationEndpoint):
    INTERVAL = 1  # seconds

    def get_verification_uri(self) -> str:
        return f"{self.server.url()}/device"

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        until = time.time() + data["expires_in"]
        self.server.state.devices[data["device_code"]] = {
            "client_id": client_id,
            "scope": scope,
            "expires_at": until,
            **data,
        }


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def query_token(self, given: str, hint: str) -> Token | None:
        tokens = self.server.state.tokens
        return next((token for token in tokens if given in (token.access, token.refresh)), None)

    def revoke_token(self, token: Token, _: object) -> None:
        self.server.state.end(token.family)


class _Validator(BearerTokenValidator):
    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state

    def authenticate_token(self, given: str) -> Token | None:
        return next((token for token in reversed(self.state.tokens) if token.access == given), None)


class _BoundValidator(_Validator):
    """Takes tokens that are bound to the key of a proof (RFC 9449 section 7)."""

    TOKEN_TYPE = "dpop"

    def validate_token(self, token: Token | None, scopes: Any, asked: Any, **options: Any) -> None:
        super().validate_token(token, scopes, asked, **options)
        if token is None or token.key is None or token.key != getattr(request, "argosy_key", None):
            self.state.seen["wrong key"] += 1
            raise InvalidTokenError()


def _prove(app: Flask, state: State, url: Callable[[], str]) -> None:
    """Check the proof of each request for a token or a file, and bring the newest nonce."""
    proofs = {"/token": Proofs(state.seen, "server", state.dpop), "/files/": Proofs(state.seen, "api", state.dpop)}

    @app.before_request
    def check() -> Response | None:
        name = next((name for name in proofs if request.path.startswith(name)), "")
        if not name:
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        access = token if name != "/token" else None
        try:
            if name != "/token" and scheme != "DPoP":
                raise BadProof("invalid_token")
            asked = f"{url()}{request.path}"
            request.argosy_key = proofs[name].check(  # type: ignore[attr-defined]  # for the token and its check
                request.headers.get("DPoP"), request.method, asked, access
            )
        except BadProof as error:
            answer = jsonify(error=str(error))
            answer.status_code = 400 if name == "/token" else 401
            if name != "/token":
                answer.headers["WWW-Authenticate"] = f'DPoP error="{error}", algs="ES256"'
            return answer
        return None

    @app.after_request
    def bring(answer: Response) -> Response:
        for name, each in proofs.items():
            if request.path.startswith(name):
                answer.headers["DPoP-Nonce"] = each.nonce
        return answer


def _authority(app: Flask, state: State, url: Callable[[], str]) -> AuthorizationServer:
    clients = {"argosy": Client("argosy"), "public": Client("public", "", ("none",))}
    server = AuthorizationServer(app, clients.get, lambda token, _: None)
    server.state, server.url = state, url

    def generate(
        client: Client, grant_type: str, user: object = None, scope: str | None = None, **_: object
    ) -> dict[str, object]:
        old = getattr(request, "argosy_old", None)
        with_refresh = grant_type in (DEVICE, "authorization_code") or (grant_type == "refresh_token" and state.rotates)
        made = _new(
            state,
            client.client_id,
            key=getattr(request, "argosy_key", None),
            refresh=with_refresh,
            family=old and old.family,
            scope=scope or "read",
        )
        answer: dict[str, object] = {
            "access_token": made.access,
            "token_type": "DPoP" if state.dpop else "Bearer",
            "expires_in": state.lifetime,
            "scope": made.scope,
        }
        return answer | ({"refresh_token": made.refresh} if with_refresh else {})

    server.register_token_generator("default", generate)
    for grant in (_ClientCredentials, _Refresh, _Device):
        server.register_grant(grant)
    server.register_grant(_AuthorizationCode, [CodeChallenge(required=True)])
    server.register_extension(_Issuer(state, url))
    for endpoint in (_DeviceEndpoint, _Revocation):
        server.register_endpoint(endpoint)
    return server


_CONSENT = """<!doctype html>
<title>Allow access?</title>
<form method="post"><button name="answer" value="allow">Allow</button></form>
<script>document.querySelector("button").click()</script>
"""


def _front(app: Flask, server: AuthorizationServer, state: State, url: Callable[[], str]) -> None:
    """Add what a person sees, and the document."""

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> Any:
        state.requests.append(request.args.to_dict())
        answer = request.form.get("answer")
        if answer is None:
            return _CONSENT
        try:
            grant = server.get_consent_grant(end_user="ada")
        except OAuth2Error as error:
            return server.handle_error_response(None, error)
        return server.create_authorization_response(grant_user="ada" if answer == "allow" else None, grant=grant)

    @app.get("/.well-known/oauth-authorization-server")
    def published() -> Response:
        document = {
            "issuer": url(),
            "authorization_endpoint": f"{url()}/authorize",
            "token_endpoint": f"{url()}/token",
            "device_authorization_endpoint": f"{url()}/device_authorization",
            "revocation_endpoint": f"{url()}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return jsonify(document | state.published)


def _app(state: State, url: Callable[[], str]) -> Flask:
    app = Flask(__name__)
    server = _authority(app, state, url)
    _front(app, server, state, url)
    protect = ResourceProtector()
    protect.register_token_validator(_BoundValidator(state) if state.dpop else _Validator(state))
    if state.dpop:
        _prove(app, state, url)

    @app.post("/token")
    def token() -> Response:
        answer: Response = server.create_token_response()
        grant = request.form.get("grant_type", "")
        if answer.status_code == 200:
            state.seen[f"token:{grant}"] += 1
            if state.gate is not None:
                state.gate.wait(60)
        if grant == "refresh_token" and state.drop_refreshes:
            state.drop_refreshes -= 1
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)  # the answer gets lost
        return answer

    app.add_url_rule(
        "/device_authorization",
        "device_authorization",
        lambda: server.create_endpoint_response("device_authorization"),
        methods=["POST"],
    )
    app.add_url_rule("/revoke", "revoke", lambda: server.create_endpoint_response("revocation"), methods=["POST"])

    @app.get("/files/<int:number>")
    @protect("read")  # type: ignore[untyped-decorator]  # Authlib's own
    def files(number: int) -> Response:
        time.sleep(state.delay)
        with state.lock:
            state.seen["items"] += 1
            if state.seen["items"] == state.end_after:
                for given in state.tokens:
                    given.expires_at = 0.0
        return Response(_body(number, state.size), mimetype="application/octet-stream")

    @app.get("/open/<int:number>")
    def anybody(number: int) -> Response:
        state.seen["leaked"] += "Authorization" in request.headers
        return Response(_body(number, state.size), mimetype="application/octet-stream")

    @app.after_request
    def count(answer: Response) -> Response:
        state.seen["refused"] += request.path.startswith("/files/") and answer.status_code == 401
        return answer

    return app
