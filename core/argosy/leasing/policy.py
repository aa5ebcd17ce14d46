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
    """What a session manager may do."""

    discipline: LeaseMode = LeaseMode.EXCLUSIVE
    on_doubt: str | None = None  # "login", "ask" or "wait"; None means "login" if renewable, else "ask"
    doubt_wait: float = 0.0  # for "wait": seconds between a lost response and one more try of the token
    max_logins: int = 20  # without an accepted request, unless the manager is given a shared `LoginLimiter`
    renewable: bool = True  # whether a login makes a new session; false for an imported jar
    tokens: Tokens = ALL  # which cookies are tokens
    signer: Signer = Signer.NONE
    remedy: str = "Log in again: argosy login CONFIG"  # what a person can do if the session cannot be renewed

    def needs_cookies(self, record: SessionRecord) -> bool:
        """Return whether the session ends with its cookies.

        It does not if every request carries other credentials: a stateless signer, or a header or signer from a
        login that set no cookies. Cookies that the service sets later can then be dropped at any time.
        """
        if self.signer is Signer.STATELESS:
            return False
        return bool(record.login_cookies) or not (record.headers or self.signer is Signer.STATEFUL)

    def is_over(self, record: SessionRecord, now: float) -> bool:
        """Return whether all tokens have expired (`now`: seconds since the epoch)."""
        tokens = self.tokens.of(record.cookies)
        # cookies against request forgery often outlive the session, and identify no one
        tokens = tuple(cookie for cookie in tokens if not _FORGERY.search(cookie.name)) or tokens
        return bool(tokens) and all(cookie.expired(now) for cookie in tokens) and self.needs_cookies(record)


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SessionCallbacks:
    """Functions that a session manager calls."""

    waiting: Callable[[str], None] = _nothing  # before a wait: "lease", "login", "delay" or "doubt"
    login: Callable[[str], None] = _nothing  # after a login, with the reason
    refresh: Callable[[str], None] = _nothing  # after a refresh, with the reason
    notice: Callable[[str], None] = _nothing  # with a message for the person
    secret: Callable[[str], None] = _nothing  # with every token, so that logs and reports can leave it out
    sleep: Callable[[float], None] = time.sleep  # waits, or less if the run is being stopped
    check: Callable[[], None] = (
        _nothing  # before anything is sent; raises `Interrupted` if the run is being stopped
    )
