"""The contract of an auth plugin."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import requests
import requests.auth

from argosy.interfaces.base import Plugin
from argosy.models.cookie import Cookie


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What an auth plugin sees of a response when it is asked whether it is a refusal.

    .. versionadded:: 0.1

    Parameters
    ----------
    url
        The URL that was asked for, without its fragment.
    final_url
        The URL that answered, after redirects.
    status
        The final status code.
    headers
        The final headers; names are compared without regard to case.
    start
        The first bytes of the body (up to 64 KiB) where it is HTML, else empty.
    accept
        What the request said it accepts (``Accept``).
    """

    url: str
    final_url: str
    status: int
    headers: Mapping[str, str]
    start: bytes = b""
    accept: str = "*/*"


class LoginSession(Protocol):
    """What a login works with: an HTTP session with a cookie jar of its own, empty at first.

    .. versionadded:: 0.1
    """

    @property
    def number(self) -> int:
        """Which of several sessions is logged in, from 1; only an auth with a `session_count` needs to know."""

    @property
    def http(self) -> requests.Session:
        """Sends requests; cookies are kept by the rules of RFC 6265bis, redirects are followed."""

    @property
    def credentials(self) -> Mapping[str, str]:
        """What was kept with the session; at a login, with the one that it takes the place of."""

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        """Put cookies into the jar that did not come with a response."""

    def add_header(self, name: str, value: str, origins: Iterable[str]) -> None:
        """Let the session send a token in a header field.

        Parameters
        ----------
        name, value
            The field: ``Authorization``, ``Bearer abc``. One of the same name takes its place.
        origins
            Where it is sent, and nowhere else: URLs, of which scheme, host and port count (RFC 6454 section 4).
        """

    def keep(self, name: str, value: str) -> None:
        """Keep something with the session that only the plugin sends: a refresh token."""

    def expires_in(self, seconds: float) -> None:
        """Say how long the session's tokens live from now on; it is renewed some time before that (0: at once)."""


class Auth(Plugin):
    """Logs a session in, and says whether a response is a refusal.

    .. versionadded:: 0.1
    """

    #: Nobody is logged in: there is no token to protect, so requests need no exclusive lease.
    anonymous: ClassVar[bool] = False
    #: What a person can do where a session cannot be renewed.
    remedy: ClassVar[str] = "Log in again: argosy login CONFIG"

    #: Whether what `signer` adds to a request depends on that request and fixed secrets alone (Basic, an HMAC). Such
    #: requests may overlap. Otherwise they take turns, as an answer may replace what the next one is signed with.
    stateless_signer: ClassVar[bool] = False

    @property
    def can_login(self) -> bool:
        """Whether `login` can make a *new* session at the service (an imported jar cannot)."""
        return True

    @property
    def session_count(self) -> int | None:
        """How many sessions it has to give; None where `login` makes as many as one asks for."""
        return None

    @abstractmethod
    def login(self, session: LoginSession) -> None:
        """Log in; the cookies in the session's jar are the new session.

        It is called with the session's lease held, so everybody waits for it: ask for secrets in
        ``__init__``, and send requests only. What a person knows at that moment alone, a code that comes by mail, is
        asked for by ``context.ask_now``, where there is one; then `can_login` is false.

        Raises
        ------
        LoginFailed
            If the service did not accept it. The old session record is kept.
        """

    def can_refresh(self, credentials: Mapping[str, str]) -> bool:
        """Return whether `refresh` can renew a session with which these credentials were kept.

        .. versionadded:: 0.1
        """
        return False

    def refresh(self, session: LoginSession) -> None:
        """Renew a session without a login; it begins with the cookies and the credentials that it has.

        What it sends may be spent by that (a refresh token that is replaced), so the session is marked before: it
        is called once, in one thread of one process, and if its answer never comes, the session is in doubt.

        Raises
        ------
        RefreshRefused
            If the service does not accept the credentials any more. They are not sent again.
        LoginFailed
            If it refused for another reason; the session is as before.

        .. versionadded:: 0.1
        """
        raise NotImplementedError

    def logout(self, session: LoginSession) -> bool:
        """End a session at the service; return False where the service offers nothing for that.

        Raises
        ------
        LoginFailed
            If the service did not accept it.

        .. versionadded:: 0.1
        """
        return False

    def signer(self) -> requests.auth.AuthBase | None:
        """Return what adds to each request something computed of it (Basic, Digest), or None.

        It is asked once in each process, and what it returns is used by all threads. What it adds must go to the
        service's own origins alone. It is called for each request and for each redirect that stays at its origin,
        with the session's cookies and header fields on the request. The session is held meanwhile: compute, and send
        or wait for nothing.

        .. versionadded:: 0.1
        """
        return None

    @abstractmethod
    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the response says that the session's token is not accepted.

        This is the judgement, and nothing overrules it; `argosy.toolkit.login_pages` has rules that most services keep to. Say
        so only where another login would help.
        """
