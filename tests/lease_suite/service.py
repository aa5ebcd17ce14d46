"""A service in memory that replaces the token with every answer, and a store that tells what is done to it.

With them the rules of the lease are tried step by step: nothing waits, and whatever happens between two steps
can be made to happen.
"""

from __future__ import annotations

from collections.abc import Callable

from argosy.cookies.jar import Jar
from argosy.errors import ArgosyError
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord

HOST = "library.example"
URL = f"https://{HOST}/books/1"
#: A request that carries no token of the session.
ELSEWHERE = "https://cdn.example/books/1"


class Service:
    """Replaces the token with every accepted request; an old one is refused and, if it revokes, ends the session.

    Parameters
    ----------
    revokes
        Whether an old token ends the session.
    at_end
        Whether a new token is good only when the body has been sent, and the old one until then.
    """

    def __init__(self, *, revokes: bool = True, at_end: bool = False) -> None:
        self.revokes = revokes
        self.at_end = at_end
        self.logins = 0
        self.replaced_sent = 0
        self.needless_logins = 0
        #: Whether something has happened that a login is the answer to: at first, there is none.
        self.reason = True
        #: Raised by the next login instead of logging in.
        self.error: ArgosyError | None = None
        #: Called in the middle of each login.
        self.during_login: Callable[[], None] = lambda: None
        self._newest: dict[int, int] = {}
        self._coming: dict[int, int] = {}

    def log_in(self) -> Jar:
        """Log in; return the cookies of a new session."""
        self.logins += 1
        self.during_login()
        if self.error is not None:
            raise self.error
        self.needless_logins += not self.reason
        self.reason = False
        number = self.logins
        self._newest[number] = 1
        return (Cookie("token", f"{number}.1", HOST),)

    def end_all(self) -> None:
        """End all sessions."""
        self._newest.clear()
        self.reason = True

    def is_good(self, token: str) -> bool:
        """Return whether a token is its session's newest."""
        session, number = map(int, token.split("."))
        return self._newest.get(session) == number or self._coming.get(session) == number

    def is_over(self, token: str) -> bool:
        """Return whether a token's session has ended."""
        return int(token.split(".")[0]) not in self._newest

    def receive(self, header: str | None) -> list[str] | None:
        """Take a request with a ``Cookie`` header; return the answer's ``Set-Cookie`` headers, None for a refusal."""
        assert header is not None, "a request without a token"
        token = dict(pair.split("=") for pair in header.split("; "))["token"]
        session, number = map(int, token.split("."))
        newest = self._newest.get(session)
        if newest is None:
            return None
        if number != newest:
            self.replaced_sent += 1
            if self.revokes:
                del self._newest[session]
            return None
        if self.at_end:
            self._coming[session] = number + 1
        else:
            self._newest[session] = number + 1
        return [f"token={session}.{number + 1}; Path=/"]

    def finish(self) -> None:
        """Send the bodies that are under way to their ends: what they brought is good from here on."""
        for session, number in self._coming.items():
            if session in self._newest:
                self._newest[session] = number
        self._coming.clear()


class Died(BaseException):
    """A process has died here; what it would have done next is not done."""


class TapedStore(CookieStore):
    """The store of one process: it notes what is written, and fails or dies as it is told.

    Parameters
    ----------
    store
        The store that does the work.
    """

    name = "taped"
    summary = "A store that tells what is done to it"

    def __init__(self, store: CookieStore) -> None:
        super().__init__(store.options, store.context)
        self.__dict__["scope"] = store.scope  # the other store's, and so not the class's
        self.store = store
        self.writes: list[SessionRecord] = []
        self.syncs = 0
        #: Called with each record that was written.
        self.on_write: Callable[[SessionRecord], None] = lambda record: None
        #: Raised by writes instead of writing.
        self.error: ArgosyError | None = None
        #: The process dies in so many writes' time; before the record is written, or after it.
        self.dies_in: int | None = None
        self.dies_before = True
        self._dead = False
        self._held: list[Release] = []

    def die(self) -> None:
        """Die: holds are free, as the operating system frees them, and nothing is written any more."""
        self._dead = True
        self.lapse()

    def lapse(self) -> None:
        """Lose all holds, as where a lock file is removed, and live on."""
        while self._held:
            self._held.pop()()

    def read(self, session: str) -> SessionRecord | None:
        """Read, if alive."""
        self._live()
        return self.store.read(session)

    def write(self, record: SessionRecord, expected: int) -> None:
        """Write, or fail, or die."""
        self._live()
        if self.error is not None:
            raise self.error
        dies = self.dies_in == 0
        if self.dies_in is not None:
            self.dies_in -= 1
        if dies and self.dies_before:
            self.die()
            raise Died
        self.store.write(record, expected)
        self.writes.append(record)
        self.on_write(record)
        if dies:
            self.die()
            raise Died

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Acquire, if alive."""
        self._live()
        release = self.store.acquire(session, wait=wait)
        if release is not None:
            self._held.append(release)
        return release

    def sessions(self) -> list[str]:
        """List the sessions."""
        return self.store.sessions()

    def remove(self, session: str) -> None:
        """Forget a session."""
        self.store.remove(session)

    def sync(self) -> None:
        """Sync."""
        self.store.sync()
        self.syncs += 1

    def _live(self) -> None:
        if self._dead:
            raise Died


def is_free(store: CookieStore, session: str) -> bool:
    """Return whether a session is free."""
    release = store.acquire(session, wait=False)
    if release is not None:
        release()
    return release is not None
