"""What a session manager may do, and whom it tells."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from argosy.leasing.tokens import ALL, Tokens
from argosy.models.session import SessionRecord, Signer

#: Names of cookies that protect forms: csrftoken (Django), XSRF-TOKEN (Laravel, Angular), _csrf (Express).
_FORGERY = re.compile("csrf|xsrf", re.I)


class LeaseMode(StrEnum):
    """How requests share a session."""

    EXCLUSIVE = "exclusive"
    EXCLUSIVE_TO_END = "exclusive-to-end"
    SHARED = "shared"
    AUTO = "auto"  # exclusive or shared, as learned (`argosy.leasing.adaptive`)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a session manager may do.

    Parameters
    ----------
    discipline
        How requests share the session.
    on_doubt
        ``login``, ``ask`` or ``wait``; None means ``login`` if `renewable`, else ``ask``.
    doubt_wait
        For ``wait``: seconds between a lost response and one more try of the token.
    max_logins
        The limit on logins without an accepted request, unless the manager is given a shared `LoginLimiter`.
    renewable
        Whether a login makes a new session; false for an imported jar.
    tokens
        Which cookies are tokens.
    signer
        What signs each request, if anything.
    remedy
        What a person can do if the session cannot be renewed.
    """

    discipline: LeaseMode = LeaseMode.EXCLUSIVE
    on_doubt: str | None = None
    doubt_wait: float = 0.0
    max_logins: int = 20
    renewable: bool = True
    tokens: Tokens = ALL
    signer: Signer = Signer.NONE
    remedy: str = "Log in again: argosy login CONFIG"

    def needs_cookies(self, record: SessionRecord) -> bool:
        """Return whether the session ends with its cookies.

        It does not if every request carries other credentials: a stateless signer, or a header or signer from a
        login that set no cookies. Cookies that the service sets later can then be dropped at any time.
        """
        if self.signer is Signer.STATELESS:
            return False
        return bool(record.login_cookies) or not (record.headers or self.signer is Signer.STATEFUL)

    def is_over(self, record: SessionRecord, now: float) -> bool:
        """Return whether all tokens have expired (`now`: seconds since the epoch).

        Cookies against request forgery do not count: they often outlive the session and identify nobody.
        """
        tokens = self.tokens.of(record.cookies)
        tokens = tuple(cookie for cookie in tokens if not _FORGERY.search(cookie.name)) or tokens
        return bool(tokens) and all(cookie.expired(now) for cookie in tokens) and self.needs_cookies(record)


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SessionCallbacks:
    """Functions that a session manager calls.

    Parameters
    ----------
    waiting
        Called with ``"lease"``, ``"login"``, ``"delay"`` or ``"doubt"`` before a wait.
    login, refresh
        Called with the reason after each login or refresh that succeeded.
    notice
        Called with a message for the person.
    secret
        Called with every new token, so that logs and reports can leave it out.
    sleep
        Waits so many seconds, or less if the run is being stopped.
    check
        Called right before anything is sent; raises `Interrupted` if the run is being stopped.
    """

    waiting: Callable[[str], None] = _nothing
    login: Callable[[str], None] = _nothing
    refresh: Callable[[str], None] = _nothing
    notice: Callable[[str], None] = _nothing
    secret: Callable[[str], None] = _nothing
    sleep: Callable[[float], None] = time.sleep
    check: Callable[[], None] = _nothing
