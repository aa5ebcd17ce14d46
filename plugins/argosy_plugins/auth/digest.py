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

# used nonces that are remembered
_MOST_USED = 1000


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

    A nonce that a response brings for the next request is kept with the session and used once, by the next request of any
    process. Otherwise, a process counts the requests with the nonce of its own challenge, as services refuse a count that
    they have seen.
    """

    def __init__(self, user: str, password: str, origins: Iterable[str]) -> None:
        self._user, self._password = user, password
        self._origins = frozenset(origins)
        self._mutex = threading.Lock()
        self._own: _Challenge | None = None
        self._latest: _Challenge | None = None
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
            own, self._own = self._own, None
        return {} if own is None or own.count else {_CHALLENGE: own.text, _NONCE: own.nonce}

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
            self._latest = challenge
            if challenge.nonce not in self._used:  # else another thread has found it in the session
                self._own = challenge

    def answered(self, sent: _Challenge, count: int, response: requests.Response, *, is_leased: bool) -> None:
        """Learn from the response to a signed request."""
        nonce = _parameters(response.headers.get("Authentication-Info", "")).get("nextnonce")
        with self._mutex:
            if nonce:
                self._once = self._once or count == 1
                if self._own is sent:  # a leased request finds the new one in the session
                    self._own = None if is_leased else sent.with_nonce(nonce)
            elif response.ok:
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
                self._choose(kept, challenged=exchange.is_repeated)
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
        """Choose between the nonce that is kept with the session and that of this process."""
        nonce = kept.get(_NONCE, "")
        if not nonce and not challenged:  # dropped: the response to a request was lost
            self._own = None
        challenge = _Challenge.of(kept.get(_CHALLENGE, ""))
        if challenge is None or challenge.problem is not None:
            challenge = self._latest
        if self._own is not None and self._own.count and self._once:
            self._own = None
        if challenge is not None and nonce and nonce not in self._used:
            is_brought = nonce != challenge.nonce  # by a response to a signed request
            if is_brought or self._own is None:
                self._own = challenge.with_nonce(nonce)
        if self._own is None and challenged and self._latest is not None and not self._once:
            # the service challenges with a nonce again that it has accepted: it counts its uses
            self._own = replace(self._latest, count=self._used.get(self._latest.nonce, 0))


class _Exchange:
    """The hook that sees the response to a signed request, and sends it once more if it was challenged."""

    def __init__(self, signer: DigestSigner) -> None:
        self.signer = signer
        self.sent: _Challenge | None = None
        self.count = 0
        self.is_leased = False
        self.is_repeated = False

    def __call__(self, response: requests.Response, **options: Any) -> requests.Response:
        self._note(response)
        if response.is_redirect:  # requests keeps the hooks
            self.is_repeated = False
        field = response.headers.get("WWW-Authenticate", "")
        is_challenge = 400 <= response.status_code < 500 and "digest" in field.lower()
        if self.is_repeated or not is_challenge or not self.signer.accepts(response.request.url):
            return response
        self.is_repeated = True
        self.signer.adopt(field)
        request = response.request
        if not hasattr(request, "argosy_signer"):  # at a login; else it is signed again under its lease
            request = self.signer(request.copy())
        again = send_again(response, request, options)
        self._note(again)
        return again

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
