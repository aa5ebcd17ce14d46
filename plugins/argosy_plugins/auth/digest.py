"""The auth ``digest``: answers the service's challenges with a user name and a password (RFC 7616)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import requests
from requests.auth import AuthBase, HTTPDigestAuth
from requests.utils import parse_dict_header

from argosy import hookimpl
from argosy.interfaces.auth import Auth, LoginSession, SessionSigner
from argosy.models.session import Carrier, origin_of
from argosy.toolkit.responses import InvalidAnswer
from argosy_plugins.auth._again import send_again
from argosy_plugins.auth._password import PasswordAuth

# kept with the session: the newest challenge, and the newest nonce, which a response may have brought after that
_CHALLENGE, _NONCE = "challenge", "nonce"

# used nonces that are remembered, and how often a request is sent again if the service says that only its nonce is old
_MOST_USED, _MOST_STALE = 1000, 3


class DigestAuth(PasswordAuth):
    """Answers challenges without sending the password.

    The service's challenge and the nonce that a response brings for the next request (``nextnonce``) are kept with the
    session, for all threads, processes and terminals.
    """

    name = "digest"
    summary = "A user name and a password in answer to the service's challenge (HTTP Digest)"
    stateless_signer = False

    def make_signer(self, user: str, password: str) -> AuthBase:
        """Return the signer."""
        return DigestSigner(user, password, self.origins)

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The challenge, and the nonce for the next request."""
        return (
            Carrier(_CHALLENGE, "WWW-Authenticate", self.origins, is_kept=True),
            Carrier(_NONCE, "WWW-Authenticate", self.origins, parameter="nonce", is_kept=True),
            Carrier(_NONCE, "Authentication-Info", self.origins, parameter="nextnonce", is_kept=True),
        )

    def login(self, session: LoginSession) -> None:
        """Request the URL of the option ``check``, if set, and keep the nonce for the first request."""
        super().login(session)
        signer = self.signer()
        assert isinstance(signer, DigestSigner)  # noqa: S101 - made above
        for name, value in signer.hand_over().items():
            session.keep(name, value)


@dataclass(slots=True)
class _Challenge:
    """A challenge of the service, and how often this process has used its nonce."""

    text: str  # of the field WWW-Authenticate
    parameters: Mapping[str, str]
    count: int = 0

    @classmethod
    def of(cls, text: str) -> _Challenge | None:
        """Return the Digest challenge in a field; None if there is none that can be answered."""
        if "digest" not in text.lower():
            return None
        parameters = _parameters(re.sub("digest ", "", text, count=1, flags=re.IGNORECASE))
        return cls(text, {name.strip().lower(): value for name, value in parameters.items() if value is not None})

    @property
    def nonce(self) -> str:
        return self.parameters.get("nonce", "")

    @property
    def problem(self) -> str | None:
        """What is wrong with it."""
        for name in ("realm", "nonce"):
            if name not in self.parameters:
                return f"has no {name}"
        if _answer("", "", self, "GET", "https://a.example/") is None:
            return "asks for an algorithm or a protection that is not known"
        return None

    def with_nonce(self, nonce: str) -> _Challenge:
        """Return it with another nonce, which is unused."""
        return replace(self, parameters={**self.parameters, "nonce": nonce}, count=0)


class DigestSigner(SessionSigner):
    """Answers Digest challenges of some origins (RFC 7616).

    requests would answer those of any host that a redirect leads to, and that host could then guess the password offline.

    A process counts the requests with the nonce of its own challenge, as services refuse a count that they have seen. A
    nonce that a response brings for the next request replaces it. That one is kept with the session, and any process that
    has no other takes it.
    """

    def __init__(self, user: str, password: str, origins: Iterable[str]) -> None:
        self._user, self._password = user, password
        self._origins = frozenset(origins)
        self._mutex = threading.Lock()
        self._own: _Challenge | None = None
        self._brought: _Challenge | None = None  # with the last nonce that a response to this process brought
        self._used: dict[str, int] = {}  # how often this process has used each nonce, oldest first
        self._once = False  # whether the service gives each request a nonce of its own

    def sign(self, request: requests.PreparedRequest, kept: Mapping[str, str]) -> requests.PreparedRequest:
        """Answer the newest challenge, and prepare for the next one."""
        return self._sign(request, kept)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign without a session, at a login."""
        return self._sign(request, None)

    def hand_over(self) -> dict[str, str]:
        """Return the unused challenge of a login, to be kept with the session."""
        with self._mutex:
            if self._own is None or self._own.count:
                return {}
            own, self._own = self._own, None
        return {_CHALLENGE: own.text, _NONCE: own.nonce}

    def accepts(self, url: str | None) -> bool:
        """Return whether challenges of this URL are answered."""
        return origin_of(url or "") in self._origins

    def adopt(self, text: str) -> None:
        """Take a challenge; raise requests.RequestException if it cannot be answered."""
        challenge = _Challenge.of(text)
        if challenge is None:
            return
        if (problem := challenge.problem) is not None:
            raise InvalidAnswer(f"the service's Digest challenge {problem}")
        with self._mutex:
            challenge.count = self._used.get(challenge.nonce, 0)
            if not (self._once and challenge.count):  # else another thread has found it in the session
                self._own = challenge

    def answered(self, sent: _Challenge, count: int, response: requests.Response, *, is_leased: bool) -> None:
        """Learn from the response to a signed request."""
        nonce = _parameters(response.headers.get("Authentication-Info", "")).get("nextnonce")
        with self._mutex:
            if nonce:
                self._once = self._once or count == 1
                self._brought = sent.with_nonce(nonce)
                if self._own is sent:  # a leased request finds the new one in the session
                    self._own = None if is_leased else self._brought
            elif response.status_code in (200, 206):  # others may leave it out, as Apache's 304 and 404 do
                self._once = False

    def _sign(self, request: requests.PreparedRequest, kept: Mapping[str, str] | None) -> requests.PreparedRequest:
        if not self.accepts(request.url):
            return request
        hooks: list[Any] = request.hooks.setdefault("response", [])
        exchange = next((hook for hook in hooks if isinstance(hook, _Exchange) and hook.signer is self), None)
        if exchange is None:
            exchange = _Exchange(self)
            hooks.append(exchange)
        with self._mutex:
            if kept is not None:
                self._choose(kept, challenged=exchange.repeats > 0)
            own = self._own
            if own is not None:
                own.count += 1
                self._used[own.nonce] = own.count
                while len(self._used) > _MOST_USED:
                    del self._used[next(iter(self._used))]
                own_now = replace(own)
        exchange.sent, exchange.is_leased = own, kept is not None
        if own is not None:
            exchange.count = own_now.count
            answer = _answer(self._user, self._password, own_now, request.method or "", request.url or "")
            request.headers["Authorization"] = str(answer)
        return request

    def _choose(self, kept: Mapping[str, str], *, challenged: bool) -> None:
        """Take the nonce that is kept with the session if this process has none of its own."""
        nonce = kept.get(_NONCE, "")
        if not nonce and not challenged:  # dropped: the response to a request was lost
            self._own = None
        own, text = self._own, kept.get(_CHALLENGE, "")
        if own is not None and (self._once if own.count else own.text == text and own.nonce != nonce):
            self._own = None  # spent, or used by another process, which got the next one
        if self._own is not None or not nonce or nonce in self._used:
            return
        if self._brought is not None and self._brought.nonce == nonce:
            self._own = self._brought
            return
        challenge = _Challenge.of(text)
        # the nonce of the challenge itself is for the process that was challenged, unless that finds the next one
        if challenge is not None and challenge.problem is None and (self._once or challenge.nonce != nonce):
            self._own = challenge.with_nonce(nonce)


class _Exchange:
    """The hook that sees the response to a signed request, and sends it once more if it was challenged."""

    def __init__(self, signer: DigestSigner) -> None:
        self.signer = signer
        self.sent: _Challenge | None = None
        self.count = 0
        self.is_leased = False
        self.repeats = 0

    def __call__(self, response: requests.Response, **options: Any) -> requests.Response:
        self._note(response)
        if response.is_redirect:  # requests keeps the hooks
            self.repeats = 0
        while self._is_challenged(response):
            self.repeats += 1
            self.signer.adopt(response.headers["WWW-Authenticate"])
            request = response.request
            if not hasattr(request, "argosy_signer"):  # at a login; else it is signed again under its lease
                request = self.signer(request.copy())
            again = send_again(response, request, options)
            if again is response:
                break
            self._note(again)
            response = again
        return response

    def _is_challenged(self, response: requests.Response) -> bool:
        field = response.headers.get("WWW-Authenticate", "").lower()
        # without this sign, the password is wrong
        most = _MOST_STALE if re.search(r'stale\s*=\s*"?true', field) else 1
        is_challenge = 400 <= response.status_code < 500 and "digest" in field
        return is_challenge and self.repeats < most and self.signer.accepts(response.request.url)

    def _note(self, response: requests.Response) -> None:
        if self.sent is not None:
            self.signer.answered(self.sent, self.count, response, is_leased=self.is_leased)


def _parameters(text: str) -> dict[str, str | None]:
    parameters: dict[str, str | None] = parse_dict_header(text)  # type: ignore[no-untyped-call]  # not in the stubs
    return parameters


def _answer(user: str, password: str, challenge: _Challenge, method: str, url: str) -> str | None:
    """Return the field Authorization; None if the challenge asks for something unknown."""
    digest: Any = HTTPDigestAuth(user, password)
    digest.init_per_thread_state()
    state = digest._thread_local
    state.chal, state.last_nonce, state.nonce_count = challenge.parameters, challenge.nonce, challenge.count - 1
    header: str | None = digest.build_digest_header(method, url)
    return header


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``digest``."""
    return DigestAuth
