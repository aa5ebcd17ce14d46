"""Auth plugins for a library server that replaces tokens in header fields, bodies or nonces: good ones, and broken ones."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from argosy.errors import LoginFailed
from argosy.interfaces import Auth, LoginSession, PluginContext, ResponseHead, SessionSigner
from argosy.models import Carrier


class JsonAuth(Auth):
    """Logs in with JSON; the session is a cookie."""

    name = "good"
    summary = "A user and a password in JSON"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "user": {"type": "string"},
            "password": {"$ref": "argosy:common#/$defs/secret"},
        },
        "required": ["url", "user", "password"],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.password = context.secret(options["password"])
        self.home = (str(options["url"]),)

    def login(self, session: LoginSession) -> None:
        account = {"user": self.options["user"], "password": self.password.reveal()}
        answer = session.http.post(self.options["url"], json=account)
        if answer.status_code != 200:
            raise LoginFailed("The library does not accept the password.")
        self.take(session, answer)

    def take(self, session: LoginSession, answer: requests.Response) -> None:
        pass

    def is_refusal(self, response: ResponseHead) -> bool:
        return response.status == 401


class HeaderAuth(JsonAuth):
    """Sends the three header fields of a session, and takes new ones from each response."""

    fields: tuple[str, ...] = ("access-token", "client", "uid")

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        leader, *others = self.fields
        return (
            Carrier(leader, leader, self.home),
            *(Carrier(name, name, self.home, follows=leader) for name in others),
        )

    def take(self, session: LoginSession, answer: requests.Response) -> None:
        for name in self.fields:
            session.add_header(name, answer.headers[name], self.home)


class CsrfAuth(HeaderAuth):
    """Echoes the token against request forgery beside a cookie."""

    fields = ("X-CSRF-Token",)


class BodyAuth(JsonAuth):
    """Takes its bearer token from the JSON bodies."""

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        return (Carrier("Authorization", origins=self.home, find=lambda answer: answer["token"]),)

    def take(self, session: LoginSession, answer: requests.Response) -> None:
        session.add_header("Authorization", f"Bearer {answer.json()['token']}", self.home)


class Digest(SessionSigner):
    """Answers the newest nonce (RFC 7616)."""

    def __init__(self, user: str, password: str, home: str) -> None:
        self._account = user, password
        self._home = urlsplit(home).netloc

    def sign(self, request: requests.PreparedRequest, kept: Mapping[str, str]) -> requests.PreparedRequest:
        url = urlsplit(request.url or "")
        if url.netloc == self._home and "nonce" in kept:
            request.headers["Authorization"] = self._answer(f"{request.method}", request.path_url, kept["nonce"])
        return request

    def _answer(self, method: str, target: str, nonce: str) -> str:
        user, password = self._account
        own = secrets.token_hex(8)
        first, second = _hash(f"{user}:library:{password}"), _hash(f"{method}:{target}")
        response = _hash(f"{first}:{nonce}:00000001:{own}:auth:{second}")
        fields = {"username": user, "realm": "library", "nonce": nonce, "uri": target, "cnonce": own}
        quoted = ", ".join(f'{name}="{value}"' for name, value in {**fields, "response": response}.items())
        return f"Digest {quoted}, qop=auth, nc=00000001, algorithm=SHA-256"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class NonceAuth(JsonAuth):
    """Takes a nonce from a challenge, and the next ones from the responses."""

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        return (Carrier("nonce", "Authentication-Info", self.home, parameter="nextnonce", is_kept=True),)

    def login(self, session: LoginSession) -> None:
        """Ask for a challenge, and try the password: a wrong one is refused."""
        signer = self.signer()
        nonce = ""
        for _ in range(2):
            request = requests.Request("GET", self.options["url"].replace("/login", "/")).prepare()
            answer = session.http.send(signer.sign(request, {"nonce": nonce} if nonce else {}))
            if answer.status_code == 200:
                _, _, after = answer.headers["Authentication-Info"].partition('nextnonce="')
                session.keep("nonce", after.partition('"')[0])
                return
            nonce = answer.headers["WWW-Authenticate"].partition('nonce="')[2].partition('"')[0]
        raise LoginFailed("The library does not accept the password.")

    def signer(self) -> SessionSigner:
        return Digest(self.options["user"], self.password.reveal(), self.options["url"])


# -- with something taken out


class DeclaresNothing(HeaderAuth):
    """Sends header tokens, and does not say that responses replace them."""

    carriers = ()


class NamesNoOrigins(HeaderAuth):
    """Declares carriers that no response may replace."""

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        return tuple(replace(carrier, origins=()) for carrier in super().carriers)


class TrustsAnotherOrigin(HeaderAuth):
    """Lets another origin replace the token."""

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        elsewhere = (*self.home, "https://elsewhere.example")
        return tuple(replace(carrier, origins=elsewhere) for carrier in super().carriers)


class ReadsNoField(HeaderAuth):
    """Does not say where the new token is."""

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        return tuple(replace(carrier, field="") for carrier in super().carriers)


class FollowsNobody(HeaderAuth):
    """Lets its fields follow one that it does not declare."""

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        return super().carriers[1:]


class _Remembers(AuthBase):
    """Keeps the newest token to itself, as a signer of a plain requests session would."""

    def __init__(self, home: str) -> None:
        self._home = urlsplit(home).netloc
        self.tokens: dict[str, str] = {}

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if urlsplit(request.url or "").netloc == self._home:
            request.headers.update(self.tokens)
            request.register_hook("response", self.read)  # type: ignore[no-untyped-call]
        return request

    def read(self, response: requests.Response, **_: object) -> requests.Response:
        if response.headers.get("access-token", "").strip():
            self.tokens = {name: response.headers[name] for name in HeaderAuth.fields}
        return response


class RemembersItself(HeaderAuth):
    """Keeps the newest token in the memory of a signer, where neither the store nor another process finds it."""

    carriers = ()

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._signer = _Remembers(options["url"])

    def take(self, session: LoginSession, answer: requests.Response) -> None:
        super().take(session, answer)
        self._signer.tokens = {name: answer.headers[name] for name in self.fields}

    def signer(self) -> AuthBase:
        return self._signer


class RemembersForAll(RemembersItself):
    """The same, and says that its requests may overlap."""

    stateless_signer = True


class _Wide(Digest):
    def sign(self, request: requests.PreparedRequest, kept: Mapping[str, str]) -> requests.PreparedRequest:
        self._home = urlsplit(request.url or "").netloc
        return super().sign(request, kept)


class SignsEverything(NonceAuth):
    """Answers a nonce at any host."""

    def signer(self) -> SessionSigner:
        return _Wide(self.options["user"], self.password.reveal(), self.options["url"])


class KeepsItsFirstNonce(NonceAuth):
    """Does not say that responses bring the next nonce."""

    carriers = ()
