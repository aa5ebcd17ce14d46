"""How often a run may log in: creating sessions is a quota of its own, and failed logins lock accounts."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from argosy.errors import LoginFailed, TransferError
from argosy.toolkit.failures import UNREACHED

#: Logins that the service does not accept, after which a run makes no more, over all its sessions.
MOST_FAILED = 3

#: Why a session whose login failed is not logged in again.
FAILED_BEFORE = "the service did not accept its login earlier in this run"

#: Why a run makes no more logins where none of them helped.
NO_PROGRESS = "no request was accepted after {} logins in a row"


class LoginLimit(Protocol):
    """Says whether a session may be logged in; asked under the session's lease, right before each login."""

    #: Held from the question to the end of the login: whether one was accepted is known before the next is made.
    turn: threading.Lock

    def ask(self, session: str) -> str | None:
        """Count a login that is about to be made; return why it must not be made, or None where it may."""

    def failed(self, session: str) -> None:
        """Say that the service did not accept a login of this session."""

    def unsent(self, session: str) -> None:
        """Say that a login did not reach the service: nobody was asked for a session."""

    def progressed(self, session: str) -> None:
        """Say that a request was accepted after a login of this session."""


@contextlib.contextmanager
def told(login_limit: LoginLimit, session: str) -> Iterator[None]:
    """Tell an allowance how a login fails that is made meanwhile."""
    try:
        yield
    except LoginFailed:
        login_limit.failed(session)
        raise
    except TransferError as error:
        if error.kind in UNREACHED:
            login_limit.unsent(session)
        raise


class LoginLimiter:
    """The allowance of one run, over all its sessions.

    Logins count until a request is accepted on their session. A service whose sessions are short-lived may need many
    logins; one that refuses each new session gets only a few.

    Parameters
    ----------
    most
        The limit on logins without progress, whether they succeed or not.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.turn = threading.Lock()
        self._made: Counter[str] = Counter()  # logins without progress, by session
        self._failed: set[str] = set()
        self._mutex = threading.Lock()

    def ask(self, session: str) -> str | None:
        """Count a login that is about to be made; return why it must not be made, or None where it may."""
        with self._mutex:
            if session in self._failed:
                return FAILED_BEFORE
            if len(self._failed) >= MOST_FAILED:
                return f"the service did not accept {MOST_FAILED} logins in this run"
            if self._made.total() >= self.most:
                return NO_PROGRESS.format(self.most)
            self._made[session] += 1
            return None

    def failed(self, session: str) -> None:
        """Say that the service did not accept a login of this session: it is not tried again."""
        with self._mutex:
            self._failed.add(session)

    def unsent(self, session: str) -> None:
        """Say that a login did not reach the service: it does not count."""
        with self._mutex:
            self._made[session] = max(self._made[session] - 1, 0)

    def progressed(self, session: str) -> None:
        """Say that a request was accepted after a login of this session: its logins so far were worth it."""
        with self._mutex:
            del self._made[session]


class RemoteLoginLimiter:
    """The allowance of a run, asked from one of its worker processes.

    Parameters
    ----------
    ask
        Asks the run something by its name, and waits for the answer.
    """

    def __init__(self, ask: Callable[[str, str], str | None]) -> None:
        self.turn = threading.Lock()
        self._ask = ask

    def ask(self, session: str) -> str | None:
        """Count a login that is about to be made; return why it must not be made, or None where it may."""
        return self._ask("login", session)

    def failed(self, session: str) -> None:
        """Say that the service did not accept a login of this session."""
        self._ask("login-failed", session)

    def unsent(self, session: str) -> None:
        """Say that a login did not reach the service: it does not count."""
        self._ask("login-unsent", session)

    def progressed(self, session: str) -> None:
        """Say that a request was accepted after a login of this session."""
        self._ask("login-progressed", session)
