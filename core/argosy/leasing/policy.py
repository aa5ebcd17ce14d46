"""What a session manager may do, and whom it tells."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from argosy.leasing.tokens import ALL, Tokens

if TYPE_CHECKING:
    from argosy.models.session import SessionRecord

#: Names of cookies that protect forms: csrftoken (Django), XSRF-TOKEN (Laravel, Angular), _csrf (Express).
_FORGERY = re.compile("csrf|xsrf", re.I)


class Signer(StrEnum):
    """What computes credentials for each request, beside the session's record."""

    NONE = "none"
    STATELESS = "stateless"  # no answer replaces what it signs with, so signed requests may overlap
    STATEFUL = "stateful"  # it may depend on the previous answer, so signed requests take turns


class LeaseMode(StrEnum):
    """How requests share a session."""

    EXCLUSIVE = "exclusive"
    EXCLUSIVE_TO_END = "exclusive-to-end"
    SHARED = "shared"
    AUTO = "auto"  # exclusive or shared, by what was learned (`argosy.leasing.adaptive`)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a session manager may do.

    Parameters
    ----------
    discipline
        How requests share the session.
    on_doubt
        ``login``, ``ask`` or ``wait``; None is ``login`` where one can log in, else ``ask``.
    doubt_wait
        Seconds to wait after a lost answer before the token is tried once more, for ``wait``.
    max_logins
        The limit on logins without an accepted request, if the keeper is given no allowance that it shares with others.
    renewable
        Whether a login makes a new session; false for an imported jar, which can be imported only once.
    tokens
        Which cookies are tokens.
    signer
        What else says who asks.
    remedy
        What a person can do where the session cannot be renewed.
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

        It does not if the credentials travel with every request anyway: a stateless signer, or a header or signer
        of a login that set no cookies. Cookies that the service sets later can then be dropped at any time.
        """
        if self.signer is Signer.STATELESS:
            return False
        return bool(record.login_cookies) or not (record.headers or self.signer is Signer.STATEFUL)

    def is_over(self, record: SessionRecord, now: float) -> bool:
        """Return whether the session has expired because its cookies have (`now`: seconds since the epoch).

        Cookies against request forgery do not count: they often outlive the session, and say nothing about who asks.
        """
        tokens = self.tokens.of(record.cookies)
        tokens = tuple(cookie for cookie in tokens if not _FORGERY.search(cookie.name)) or tokens
        return bool(tokens) and all(cookie.expired(now) for cookie in tokens) and self.needs_cookies(record)


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SessionCallbacks:
    """Who is told what a session manager does, for progress displays and for redaction.

    Parameters
    ----------
    waiting
        Called with ``"lease"``, ``"login"``, ``"delay"`` or ``"doubt"`` before a wait.
    login
        Called with the reason of each login after it succeeded.
    refresh
        Called with the reason of each refresh after it succeeded.
    notice
        Called with a message for the person.
    secret
        Called with every new token, so that it can be redacted.
    sleep
        Waits so many seconds, or less where the run is stopped.
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

    def pause(self, seconds: float) -> None:
        """Wait for politeness; never with the session held."""
        self.waiting("delay")
        self.sleep(seconds)
