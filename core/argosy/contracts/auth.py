"""The contract of an auth plugin."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import requests

from argosy.contracts.base import Plugin
from argosy.cookies.cookie import Cookie


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What an auth plugin sees of a response when it is asked whether it is a refusal.

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
    """

    url: str
    final_url: str
    status: int
    headers: Mapping[str, str]
    start: bytes = b""


class LoginSession(Protocol):
    """What a login works with: an HTTP session with a cookie jar of its own, empty at first."""

    @property
    def number(self) -> int:
        """Which of several sessions is logged in, from 1; only an auth with a `session_count` needs to know."""

    @property
    def http(self) -> requests.Session:
        """Sends requests; cookies are kept by the rules of RFC 6265bis, redirects are followed."""

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        """Put cookies into the jar that did not come with a response."""


class Auth(Plugin):
    """Logs a session in, and says whether a response is a refusal."""

    #: Nobody is logged in: there is no token to protect, so requests need no exclusive lease.
    anonymous: ClassVar[bool] = False

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
        ``__init__``, and send requests only.

        Raises
        ------
        LoginFailed
            If the service did not accept it. The old session record is kept.
        """

    @abstractmethod
    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the response says that the session's token is not accepted."""
