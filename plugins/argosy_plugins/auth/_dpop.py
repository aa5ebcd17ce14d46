"""Proofs that the owner of an access token has its key (DPoP, RFC 9449)."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from argosy.errors import ConfigError
from argosy.interfaces.auth import LoginSession, SessionSigner
from argosy.models.session import Carrier, origin_of
from argosy_plugins.auth._again import send_again

#: The header field of a proof, and of a nonce for the next one.
PROOF, NONCE = "DPoP", "DPoP-Nonce"
#: The scheme of an access token that is bound to a key, and the error of a proof without the newest nonce.
SCHEME, USE_NONCE = "DPoP", "use_dpop_nonce"

# kept with the session: the private key, the authorization server's newest nonce, and those of the resource servers
_KEY, _SERVER_NONCE, _NONCE_OF = "dpop_key", "dpop_server_nonce", "dpop_nonce "


def check_library() -> None:
    """Raise ConfigError if the library is missing."""
    try:
        import joserfc  # noqa: F401 - only whether it is there
    except ImportError:
        raise ConfigError(
            "The option dpop of the auth oauth2 needs the library joserfc, which is not installed.",
            hint="Install it: pip install 'argosy[dpop]'.",
        ) from None


def carriers(origins: Iterable[str]) -> tuple[Carrier, ...]:
    """Return the nonces that responses of these origins bring (RFC 9449 section 8.2)."""
    return tuple(Carrier(_NONCE_OF + origin, NONCE, (origin,), is_kept=True) for origin in map(origin_of, origins))


def make_key(session: LoginSession) -> str:
    """Make the key of a new session, keep it with the session, and return its thumbprint (RFC 7638)."""
    from joserfc.jwk import ECKey

    made = base64.b64encode(ECKey.generate_key("P-256").as_der(private=True)).decode()
    session.keep(_KEY, made)
    thumbprint: str = _key(made).thumbprint()
    return thumbprint


def has_key(credentials: Mapping[str, str]) -> bool:
    """Return whether a session has a key."""
    return _KEY in credentials


def send(session: LoginSession, url: str, post: Callable[[Mapping[str, str]], requests.Response]) -> requests.Response:
    """Send a form to the authorization server with a proof; once more if the server wants its nonce in it (section 8).

    `post` sends it with more header fields. The server does nothing with a request that it asks to repeat.
    """
    key = session.credentials[_KEY]
    response = post({PROOF: proof(key, "POST", url, session.credentials.get(_SERVER_NONCE))})
    if _keep_nonce(session, response) and response.status_code in (400, 401) and _error_of(response) == USE_NONCE:
        response = post({PROOF: proof(key, "POST", url, session.credentials.get(_SERVER_NONCE))})
        _keep_nonce(session, response)
    return response


def proof(key: str, method: str, url: str, nonce: str | None = None, token: str | None = None) -> str:
    """Return a proof for one request (section 4.2); `token` is the access token that goes with it."""
    from joserfc import jwt

    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": urlsplit(url)._replace(query="", fragment="").geturl(),
        "iat": int(time.time()),
    }
    if nonce:
        claims["nonce"] = nonce
    if token is not None:
        digest = hashlib.sha256(token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    private = _key(key)
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": private.as_dict(private=False)}
    encoded: str = jwt.encode(header, claims, private)
    return encoded


class DpopSigner(SessionSigner):
    """Adds a proof to each request that carries a bound access token.

    It signs under the lease, with the newest nonce. A request that is refused for its nonce is sent once more, under a new
    lease; that costs no login.
    """

    proves = False

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(map(origin_of, origins))

    def sign(self, request: requests.PreparedRequest, kept: Mapping[str, str]) -> requests.PreparedRequest:
        """Add the proof."""
        origin = origin_of(request.url or "")
        scheme, _, token = str(request.headers.get("Authorization", "")).partition(" ")
        if origin not in self._origins or scheme != SCHEME or _KEY not in kept:
            return request
        nonce = kept.get(_NONCE_OF + origin)
        request.headers[PROOF] = proof(kept[_KEY], request.method or "GET", request.url or "", nonce, token)
        hooks: list[Any] = request.hooks.setdefault("response", [])
        if not any(isinstance(hook, _Again) for hook in hooks):
            hooks.append(_Again())
        return request


class _Again:
    """The hook that sends a request once more if the service wants its newest nonce in the proof (section 9)."""

    def __init__(self) -> None:
        self._is_repeated = False

    def __call__(self, response: requests.Response, **options: Any) -> requests.Response:
        challenge = response.headers.get("WWW-Authenticate", "")
        is_asked = response.status_code == 401 and USE_NONCE in challenge and NONCE in response.headers
        if self._is_repeated or not is_asked:
            return response
        self._is_repeated = True
        return send_again(response, response.request, options)


@functools.lru_cache(maxsize=8)
def _key(text: str) -> Any:
    """Return a kept key; reading it takes longer than signing."""
    from joserfc.jwk import ECKey

    return ECKey.import_key(base64.b64decode(text))


def _keep_nonce(session: LoginSession, response: requests.Response) -> bool:
    nonce = response.headers.get(NONCE, "")
    if nonce:
        session.keep(_SERVER_NONCE, nonce)
    return bool(nonce)


def _error_of(response: requests.Response) -> object:
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return found.get("error") if isinstance(found, dict) else None
