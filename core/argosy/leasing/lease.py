"""Whether nobody knows which token is good.

The lease: the right to send one request with the session's newest token.

One object serves one request. Whoever sends it calls, in this order, `credentials`, then one of `settle`
(the headers are in), `unsent` (not a byte went out) or `doubt` (it went out, and no answer came), then `end`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from argosy.cookies import jar
from argosy.errors import GenerationMoved, HoldLapsed
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.leasing.adaptive import UNTAUGHT, AdaptiveLearner, is_exclusive, is_shared
from argosy.leasing.policy import LeaseMode
from argosy.leasing.tokens import slight
from argosy.models.session import SessionRecord, Status, header_fields
from argosy.toolkit.processes import boot_id, this_holder

#: What the mark of a refresh or a logout has before the thread's name: what was sent may be more than cookies.
RENEWAL = "argosy renewal: "

#: What the mark of a move to another store has in place of a thread's name, followed by the status before.
MOVE = "argosy session copy: "


def is_moving(record: SessionRecord) -> bool:
    """Return whether a move to another store was under way; that sends nothing, so the token is as good as before."""
    return record.holder is not None and record.holder.thread.startswith(MOVE)


def is_about_a_request(record: SessionRecord) -> bool:
    """Return whether only a request can have been under way: no refresh, no logout, no move to another store."""
    return record.holder is None or not record.holder.thread.startswith((RENEWAL, MOVE))


def in_doubt(record: SessionRecord, scope: Scope) -> bool:
    """Return whether a token may be spent: marked by somebody who is gone, or from before a power loss.

    Parameters
    ----------
    record
        The session's record; read under its hold, so that whoever marked it is gone.
    scope
        That of its store: only one that lies on this machine's disk can lose power with it.
    """
    if record.status is Status.IN_FLIGHT:
        return True
    lost_power = bool(record.boot) and not record.synced and record.boot != boot_id()
    return lost_power and scope is Scope.HOST and bool(record.cookies)


def seconds_left(record: SessionRecord, wait: float) -> float:
    """Return the seconds until a token that may be spent can be tried, where the policy is to wait so long."""
    if record.holder is None:
        return 0.0
    # no longer than the whole wait, should the wall clock have been set back
    return min(record.holder.since + wait - time.time(), wait)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which session a request was sent with, to compare after a refusal.

    Parameters
    ----------
    logins
        The session's count of logins then.
    cookies
        Its cookies then; compared, never shown.
    exclusive
        Whether nobody else could replace the token meanwhile.
    taught
        The lease that its answer spoke for, where that was news; known when it is settled.
    refreshes
        The session's count of refreshes then.
    """

    logins: int
    cookies: jar.Jar
    exclusive: bool
    taught: LeaseMode | None = None
    refreshes: int = 0

    @property
    def issue(self) -> tuple[int, int]:
        """As `SessionRecord.issue`, when the request was sent."""
        return self.logins, self.refreshes

    def __repr__(self) -> str:
        return f"Stamp(logins={self.logins}, refreshes={self.refreshes})"


class Lease(Protocol):
    """What a sender needs of a lease, whatever its discipline."""

    #: Whether the lease is to be ended by the last byte of the body instead of the headers.
    to_end: bool

    @property
    def stamp(self) -> Stamp:
        """Which session the request goes with."""

    def cookie_header(self, url: str) -> str | None:
        """Return the ``Cookie`` header for the request, or None."""

    def credentials(self, url: str) -> Mapping[str, str]:
        """Return all header fields that say who asks: cookies, and the session's header tokens."""

    def settle(self, headers: Sequence[str], url: str, date: str | None) -> None:
        """Store what the response's raw ``Set-Cookie`` headers bring, whatever its status."""

    def unsent(self) -> None:
        """Say that not a byte of the request went out: the token is as good as before."""

    def doubt(self) -> None:
        """Say that the request went out and its answer never came: nobody knows which token is good."""

    def end(self, *, complete: bool = True) -> None:
        """Give the lease back; may be called more than once.

        Parameters
        ----------
        complete
            Whether the body came to its end (for a lease that reaches that far).
        """


def _credentials(lease: Lease, record: SessionRecord, url: str) -> Mapping[str, str]:
    cookies = lease.cookie_header(url)
    fields = header_fields(record.headers, url) if record.headers else {}
    return fields if cookies is None else {**fields, "Cookie": cookies}


def changed(record: SessionRecord, **changes: object) -> SessionRecord:
    """Return the next generation of a record."""
    stamps = {"generation": record.generation + 1, "saved": time.time(), "boot": boot_id(), "synced": False}
    return replace(record, **{**stamps, **changes})  # type: ignore[arg-type]  # replace() checks the names


def put(store: CookieStore, record: SessionRecord, before: SessionRecord) -> None:
    """Replace a record that was read; return when a power loss cannot bring the old one back as a good one."""
    store.write(record, before.generation)
    if before.synced and not record.synced:
        store.sync()


def _tell_headers(on_token: Callable[[str], None], record: SessionRecord) -> None:
    for token in record.headers:
        on_token(token.value)
        on_token(token.value.rpartition(" ")[2])  # without its scheme


def _tell(on_token: Callable[[str], None], cookies: jar.Jar, known: jar.Jar = ()) -> None:
    for cookie in cookies:
        if cookie not in known:
            on_token(cookie.value)


def _bounded(cookies: jar.Jar, record: SessionRecord, learner: AdaptiveLearner) -> jar.Jar:
    """Return cookies without those that are too many; what an answer teaches is seen before."""
    return jar.within_bounds(cookies, learner.tokens.names.union(record.login_cookies), time.time())


def _stamp(record: SessionRecord, *, exclusive: bool) -> Stamp:
    return Stamp(record.logins, record.cookies, exclusive, refreshes=record.refreshes)


def _taught(learned: Mapping[str, object]) -> LeaseMode | None:
    if is_exclusive(learned):
        return LeaseMode.EXCLUSIVE
    return LeaseMode.SHARED if is_shared(learned) else None


_CLEARED: Mapping[str, object] = MappingProxyType({"status": Status.IDLE, "holder": None})


class ExclusiveLease:
    """A lease that has the session to itself, from the mark to the commit of the new token.

    Parameters
    ----------
    store
        Keeps the record.
    record
        The newest record, read under the hold.
    release
        Ends the hold.
    to_end
        Keep the hold, and the mark, to the last byte of the body.
    on_lapse
        Called where somebody else changed the session under our hold: a lock file that was removed, a
        lease that outlived its time. Their token stands; ours is given up.
    on_token
        Called with the value of each cookie that is sent, and of each that comes, so that it can be redacted.
    learner
        Says what the answer teaches.
    """

    def __init__(
        self,
        store: CookieStore,
        record: SessionRecord,
        release: Release,
        *,
        to_end: bool = False,
        on_lapse: Callable[[], None] = lambda: None,
        on_token: Callable[[str], None] = lambda value: None,
        learner: AdaptiveLearner = UNTAUGHT,
    ) -> None:
        self.to_end = to_end
        self._store = store
        self._release = release
        self._on_lapse = on_lapse
        self._on_token = on_token
        self._learner = learner
        self.stamp = _stamp(record, exclusive=True)
        # generation and mark in one write: if it fails, nothing is sent
        self._record = changed(record, status=Status.IN_FLIGHT, holder=this_holder())
        put(store, self._record, record)
        self._marked = True
        self._ended = False
        _tell(on_token, self._record.cookies)
        _tell_headers(on_token, self._record)

    def cookie_header(self, url: str) -> str | None:
        """Return the ``Cookie`` header for the request, or None."""
        return jar.cookie_header(self._record.cookies, url, time.time())

    def credentials(self, url: str) -> Mapping[str, str]:
        """Return all header fields that say who asks: cookies, and the session's header tokens."""
        return _credentials(self, self._record, url)

    def settle(self, headers: Sequence[str], url: str, date: str | None) -> None:
        """Store the new cookies and clear the mark in one commit (with `to_end`: keep the mark)."""

        def changes(record: SessionRecord) -> dict[str, object]:
            cookies = jar.settle(record.cookies, headers, url, time.time(), date)
            _tell(self._on_token, cookies, record.cookies)  # before anybody can read them in the store
            learned = self._learner.after(record, cookies, url)
            if learned is not record.learned:
                self.stamp = replace(self.stamp, taught=_taught(learned))
            over = self._learner.over(record, cookies)
            cookies = _bounded(cookies, record, self._learner)
            news: dict[str, object] = {"cookies": cookies, "learned": learned}
            if self.to_end:
                return news
            return {**news, "status": Status.DEAD if over else Status.IDLE, "holder": None}

        self._commit(changes)

    def unsent(self) -> None:
        """Clear the mark; the token was not spent."""
        if self._marked:
            self._commit(lambda _: _CLEARED)

    def doubt(self) -> None:
        """Leave the mark where it is: whoever comes next finds it."""

    def end(self, *, complete: bool = True) -> None:
        """Give the session to the next one."""
        if self._ended:
            return
        self._ended = True
        try:
            if self.to_end and self._marked and complete:
                self._commit(lambda _: _CLEARED)
        finally:
            self._release()

    def _commit(self, changes: Callable[[SessionRecord], Mapping[str, object]]) -> None:
        while True:
            record = changed(self._record, **changes(self._record))
            try:
                put(self._store, record, self._record)
            except GenerationMoved as error:
                newest = self._store.read(record.session)
                lapsed = isinstance(error, HoldLapsed)  # whoever has it now may not have changed it yet
                if lapsed or newest is None or newest.holder != self._record.holder:
                    self._marked = False
                    self._on_lapse()
                    return
                # our mark stands: a request that carried no token has brought cookies of another host
                self._record = newest
            else:
                self._record = record
                self._marked = record.status is Status.IN_FLIGHT
                return


class SharedLease:
    """A lease that others overlap: for sessions whose token stays good, and for requests that carry none.

    Parameters
    ----------
    store
        Keeps the record.
    record
        The newest record.
    on_token
        Called with the value of each cookie that is sent, and of each that comes, so that it can be redacted.
    learner
        Says what the answer teaches.
    """

    to_end = False

    def __init__(
        self,
        store: CookieStore,
        record: SessionRecord,
        *,
        on_token: Callable[[str], None] = lambda value: None,
        learner: AdaptiveLearner = UNTAUGHT,
    ) -> None:
        self._store = store
        self._record = record
        self._on_token = on_token
        self._learner = learner
        self.on_end: Callable[[SharedLease], None] = lambda lease: None
        _tell(on_token, record.cookies)
        _tell_headers(on_token, record)
        self.stamp = _stamp(record, exclusive=False)

    def cookie_header(self, url: str) -> str | None:
        """Return the ``Cookie`` header for the request, or None."""
        return jar.cookie_header(self._record.cookies, url, time.time())

    def credentials(self, url: str) -> Mapping[str, str]:
        """Return all header fields that say who asks: cookies, and the session's header tokens."""
        return _credentials(self, self._record, url)

    def settle(self, headers: Sequence[str], url: str, date: str | None) -> None:
        """Merge what the response brought into the newest record; whoever was faster wins, and so does a login."""
        if not headers:
            return
        sent, tokens = self._record, self._learner.tokens
        brought = jar.settle(sent.cookies, headers, url, time.time(), date)
        if brought is sent.cookies:
            return
        learned = self._learner.after(sent, brought, url)
        newest = sent
        while True:
            changes: dict[str, object] = {}
            cookies = _bounded(tokens.merge(newest.cookies, sent.cookies, brought), newest, self._learner)
            if not slight(newest.cookies, cookies, time.time()):
                changes["cookies"] = cookies
            if learned is not sent.learned and not is_exclusive(newest.learned):
                changes["learned"] = learned
            if newest.status is Status.IDLE and self._learner.over(newest, cookies):
                changes["status"] = Status.DEAD
            if not changes:
                break
            _tell(self._on_token, cookies, newest.cookies)  # before anybody can read them in the store
            try:
                put(self._store, changed(newest, **changes), newest)
            except GenerationMoved:
                newest = self._store.read(sent.session) or SessionRecord(sent.session)
                if newest.logins != sent.logins:
                    return
            else:
                break
        if learned is not sent.learned:
            self.stamp = replace(self.stamp, taught=_taught(learned))

    def unsent(self) -> None:
        """Do nothing: nothing was marked."""

    def doubt(self) -> None:
        """Do nothing: the token stays good."""

    def end(self, *, complete: bool = True) -> None:
        """Say that it is over; nothing was held."""
        self.on_end(self)
