"""A service in memory that replaces the token with every answer, and a store that tells what is done to it.

With them the rules of the lease are tried step by step: nothing waits, and whatever happens between two steps
can be made to happen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from argosy.cookies.jar import Jar
from argosy.errors import ArgosyError
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.leasing.login import Authority, Credentials
from argosy.leasing.policy import Carriers
from argosy.models.cookie import Cookie
from argosy.models.session import Carrier, HeaderToken, SessionRecord

HOST = "library.example"
URL = f"https://{HOST}/books/1"
HOME = (f"https://{HOST}",)

#: The header fields of a session, which change as one.
SET = ("access-token", "client")
IN_FIELDS = Carriers((Carrier(SET[0], SET[0], HOME), Carrier(SET[1], SET[1], HOME, follows=SET[0])))
IN_BODIES = Carriers((Carrier("Authorization", origins=HOME, find=lambda answer: answer["token"]),))
#: A request that carries no token of the session.
ELSEWHERE = "https://cdn.example/books/1"


class Answer(NamedTuple):
    """What a response brings: ``Set-Cookie`` headers, header fields, and a body."""

    cookies: list[str] = []
    fields: list[tuple[str, str]] = []
    body: bytes = b""


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


class CarrierService(Service):
    """Has its tokens in cookies, in a set of header fields (each third answer is a blank), in both at once, or in bodies.

    A request needs all of them, and of one number: a set that is torn counts as a replaced token.

    Parameters
    ----------
    carrier
        ``cookies``, ``fields``, ``both`` or ``bodies``.
    options
        Those of a `Service`.
    """

    def __init__(self, carrier: str = "cookies", **options: bool) -> None:
        super().__init__(**options)
        self.carrier = carrier
        self._taken = 0

    @property
    def carriers(self) -> Carriers:
        """What responses may replace besides cookies."""
        return {"cookies": Carriers(), "bodies": IN_BODIES}.get(self.carrier, IN_FIELDS)

    @property
    def authority(self) -> Authority:
        """What logs in."""
        return _Login(self)

    def grant(self) -> Credentials:
        """Log in; return what a new session has."""
        (cookie,) = self.log_in()
        value = cookie.value
        fields = {"bodies": {"Authorization": f"Bearer {value}"}, "cookies": {}}.get(
            self.carrier, dict.fromkeys(SET, value)
        )
        cookies = (cookie,) if self.carrier in ("cookies", "both") else ()
        return Credentials(cookies, tuple(HeaderToken(name, text, HOME) for name, text in fields.items()))

    def take(self, credentials: Mapping[str, str]) -> Answer | None:
        """Take a request with these header fields; return what its answer brings, None for a refusal."""
        tokens = self._tokens(credentials)
        wanted = {"cookies": 1, "fields": 2, "both": 3, "bodies": 1}[self.carrier]
        assert len(tokens) == wanted, f"a request with a part of its tokens: {sorted(credentials)}"
        oldest = min(tokens, key=lambda token: tuple(map(int, token.split("."))))
        self._taken += 1
        is_blank = self.carrier == "fields" and self._taken % 3 == 0
        if is_blank and self.is_good(oldest) and len(set(tokens)) == 1:
            return Answer(fields=[(SET[0], " "), (SET[1], "0.0")])
        brought = self.receive(f"token={oldest}")
        if brought is None:
            return None
        new = brought[0].removeprefix("token=").partition(";")[0]
        cookies = brought if self.carrier in ("cookies", "both") else []
        fields = [(name, new) for name in SET] if self.carrier in ("fields", "both") else []
        return Answer(cookies, fields, json.dumps({"token": new}).encode() if self.carrier == "bodies" else b"")

    @staticmethod
    def tokens_of(record: SessionRecord) -> list[str]:
        """Return the tokens of a record."""
        tokens = [cookie.value for cookie in record.cookies if cookie.name == "token"]
        return tokens + [token.value.removeprefix("Bearer ") for token in record.headers]

    @staticmethod
    def _tokens(credentials: Mapping[str, str]) -> list[str]:
        cookies = [pair.partition("=") for pair in credentials.get("Cookie", "").split("; ")]
        tokens = [value for name, _, value in cookies if name == "token"]
        fields = (credentials.get(name, "") for name in (*SET, "Authorization"))
        return tokens + [value.removeprefix("Bearer ") for value in fields if value]


class _Login(Authority):
    """Logs in to a service."""

    def __init__(self, service: CarrierService) -> None:
        super().__init__(service.log_in)
        self._service = service

    def log_in(self, record: SessionRecord) -> Credentials:
        return self._service.grant()


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
