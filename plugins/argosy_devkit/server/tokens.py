"""Where tokens are in requests and responses: cookies, header fields, the nonce of Digest, or JSON bodies."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence

from argosy_devkit.server.answer import Answer
from argosy_devkit.server.content import JSON, Page
from argosy_devkit.server.http import Request
from argosy_devkit.settings import LeaseMode, ServerSettings, TokenCarrier

#: What brings the second token with ``csrf``, and must echo it.
CSRF = "X-CSRF-Token"

#: Stands for a token that no server has issued, in place of one that comes with something wrong.
_WRONG = "?"

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


def read(request: Request, settings: ServerSettings) -> list[str]:
    """Return the tokens of a request by their places, an empty text for one that is missing."""
    match settings.carrier:
        case TokenCarrier.HEADER:
            tokens = [_of_fields(request, settings)]
        case TokenCarrier.NONCE:
            tokens = [_of_digest(request, settings)]
        case TokenCarrier.BODY:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            tokens = [token if scheme.lower() == "bearer" else ""]
        case _:
            cookies = request.cookies()
            tokens = [cookies.get(name, "") for name in settings.cookie_names]
    return [*tokens, request.headers.get(CSRF.lower(), "")] if settings.csrf else tokens


def write(answer: Answer, tokens: Sequence[str], settings: ServerSettings) -> None:
    """Put new tokens, if any, into a response; an empty sequence means that the old ones stay good."""
    if settings.csrf and tokens:
        *tokens, echo = tokens
        answer.token_fields.append((CSRF, echo))
    match settings.carrier:
        case TokenCarrier.HEADER:
            answer.token_fields += _fields(tokens, settings)
        case TokenCarrier.NONCE:
            answer.token_fields += [("Authentication-Info", f'qop=auth, nextnonce="{token}"') for token in tokens]
        case TokenCarrier.BODY:
            for token in tokens:
                _add_to_json(answer, token)
        case _:
            attributes = settings.cookie_attributes
            names = settings.cookie_names if tokens else ()
            answer.set_cookies += [f"{name}={token}{attributes}" for name, token in zip(names, tokens, strict=True)]


def can_replace(answer: Answer, request: Request, settings: ServerSettings) -> bool:
    """Return whether a response can bring a new token."""
    is_json = request.path.startswith("/json/") and answer.status == 200 and request.method != "HEAD"
    return is_json or settings.carrier != TokenCarrier.BODY


def challenge(nonce: str, *, stale: bool) -> str:
    """Return a challenge of HTTP Digest (RFC 7616 section 3.3)."""
    end = ", stale=true" if stale else ""
    return f'Digest realm="library", nonce="{nonce}", qop="auth", algorithm=SHA-256{end}'


def _fields(tokens: Sequence[str], settings: ServerSettings) -> list[tuple[str, str]]:
    """Return the fields of devise_token_auth; a response that keeps the token of a batch has blanks."""
    if not tokens and settings.lease_mode != LeaseMode.SLIDE:
        return []
    token = tokens[0] if tokens else " "
    session, _, rest = token.partition(".")
    expiry = f"2000000{rest.partition('.')[0]:0>3}" if tokens else " "
    client = [("client", session)] if tokens else []
    return [("access-token", token), ("token-type", "Bearer"), *client, ("expiry", expiry), ("uid", settings.user)]


def _of_fields(request: Request, settings: ServerSettings) -> str:
    token = request.headers.get("access-token", "").strip()
    others = (request.headers.get("client", ""), request.headers.get("uid", ""))
    return token if not token or others == (token.partition(".")[0], settings.user) else _WRONG


def _of_digest(request: Request, settings: ServerSettings) -> str:
    """Return the nonce of a request if the response to it is right (RFC 7616 section 3.4.1)."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "digest":
        return ""
    given = {found[1].lower(): found[2] or found[3] for found in _PARAMETER.finditer(rest)}
    nonce, count, own, qop = (given.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
    user = _sha256(f"{settings.user}:library:{settings.password}")
    wanted = _sha256(f"{user}:{nonce}:{count}:{own}:{qop}:{_sha256(f'{request.method}:{request.target}')}")
    is_right = secrets.compare_digest(given.get("response", "").encode(), wanted.encode())
    is_whole = (given.get("username"), given.get("uri"), qop) == (settings.user, request.target, "auth")
    return nonce if is_right and is_whole else _WRONG


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _add_to_json(answer: Answer, token: str) -> None:
    value = json.loads(bytes(answer.content.read(0, answer.content.size)))
    page = Page(json.dumps({**value, "token": token}).encode(), JSON)
    answer.content, answer.start, answer.stop = page, 0, page.size
