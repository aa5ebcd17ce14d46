"""The interface of auth plugins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import requests
import requests.auth

from argosy.interfaces.base import Plugin
from argosy.models.cookie import Cookie
from argosy.models.session import Carrier, HeaderToken


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What an auth plugin sees of a response."""

    url: str  # of the request, without its fragment
    final_url: str  # that responded, after redirects
    status: int
    headers: Mapping[str, str]  # names are case-insensitive
    start: bytes = b""  # the first 64 KiB of an HTML body
    accept: str = "*/*"  # the ``Accept`` field of the request
    #: Returns the first 64 KiB of any body, once they are in; None if it is not the whole file (HEAD, 206, 304).
    body: Callable[[], bytes] | None = None


class LoginSession(Protocol):
    """The session that a login creates or renews; its cookie jar is empty at first."""

    @property
    def number(self) -> int:
        """The number of the session, from 1; for an auth with a `session_count`."""

    @property
    def http(self) -> requests.Session:
        """Sends requests, keeps cookies by RFC 6265bis, and follows redirects."""

    @property
    def credentials(self) -> Mapping[str, str]:
        """The credentials kept with the session; at a login, with the session that it replaces."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The header tokens of the session; `http` does not send them."""

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        """Add cookies to the jar that did not come with a response."""

    def add_header(self, name: str, value: str, origins: Iterable[str]) -> None:
        """Send a header field with a token, instead of one of the same name, to these origins only (RFC 6454 section 4)."""

    def keep(self, name: str, value: str) -> None:
        """Keep a credential with the session that only the plugin sends, such as a refresh token."""

    def expires_in(self, seconds: float) -> None:
        """Set how long the session's tokens live; argosy renews it some time before (0: immediately)."""


class SessionSigner(requests.auth.AuthBase):
    """A signer that needs what the session keeps, such as a nonce; see `Auth.signer`."""

    #: Whether the signature alone says who asks; false if it only adds to the session's cookies and header tokens.
    proves: ClassVar[bool] = True

    @abstractmethod
    def sign(self, request: requests.PreparedRequest, kept: Mapping[str, str]) -> requests.PreparedRequest:
        """Return the signed request; `kept` are the newest credentials kept with the session, read under its lease."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign without a session."""
        return self.sign(request, {})


class Auth(Plugin):
    """Logs a session in, and recognizes refusals."""

    anonymous: ClassVar[bool] = False  # no login and no token, so requests need no exclusive lease
    remedy: ClassVar[str] = "Log in again: argosy login CONFIG"  # advice for a session that cannot be renewed
    #: Whether `signer` depends only on the request and fixed secrets (Basic, an HMAC), so that requests may overlap.
    #: Otherwise, requests take turns, because a response may change how the next one is signed. If kept `carriers` hold all
    #: that changes, they take turns only while responses do change it.
    stateless_signer: ClassVar[bool] = False

    @property
    def can_login(self) -> bool:
        """Whether `login` can create a *new* session at the service; an imported jar cannot."""
        return True

    @property
    def session_count(self) -> int | None:
        """The number of sessions it has; None if `login` can create any number."""
        return None

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The tokens besides cookies that a response may replace; asked once per process."""
        return ()

    @abstractmethod
    def login(self, session: LoginSession) -> None:
        """Log in; the cookies in the session's jar become the new session.

        All workers wait for it: ask for secrets in ``__init__``. For a code that a person learns only now, use
        ``context.ask_now``, if it is not None; `can_login` is then false. If the service rejects the login, raise
        `LoginFailed`; argosy keeps the old session.
        """

    def can_refresh(self, credentials: Mapping[str, str]) -> bool:
        """Return whether `refresh` can renew a session with these credentials."""
        return False

    def refresh(self, session: LoginSession) -> None:
        """Renew a session without a login, starting with its cookies and credentials.

        It may use up a refresh token, so only one thread of one process calls it, once. If no response arrives, the
        session is in doubt. Raise `RefreshRefused` if the service rejects the credentials: they are not sent again.
        Raise `LoginFailed` if it refuses for another reason: the session is unchanged.
        """
        raise NotImplementedError

    def logout(self, session: LoginSession) -> bool:
        """End a session at the service; return False if it has no logout, and raise `LoginFailed` if it rejects it."""
        return False

    def signer(self) -> requests.auth.AuthBase | None:
        """Return what adds a computed field to each request (Basic, Digest), or None; called once per process.

        All threads use the result, for each request and each redirect within its origin; cookies and other header fields
        are already set. It must sign only requests to the service's own origins, and must not send or wait.
        """
        return None

    def fixed_token(self) -> tuple[HeaderToken, float] | None:
        """Return the token that `signer` sends, if it never changes, and when it expires (0: unknown), for ``argosy token``."""
        return None

    @abstractmethod
    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether a response rejects the token (`argosy_plugins.refusals` has rules for most services)."""
