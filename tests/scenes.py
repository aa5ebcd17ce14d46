"""Senders on one session, whose every step at the store and on the wire can be steered; see `interleavings`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from argosy.cookies.jar import Jar
from argosy.errors import GenerationMoved
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.locks import once
from interleavings import Actor, Run

URL = "https://library.example/books/1"
HOST = "library.example"


@dataclass(frozen=True)
class Cast:
    """What a scene is made of.

    Parameters
    ----------
    requests
        How many each sender sends.
    stores
        One for each process: senders on one store share a session manager, as threads do.
    keeper
        The class of the managers.
    lease_mode
        How they share the session.
    logged_in
        Whether there is a session at first.
    learned
        What was learned about the service.
    over
        Whether the service has ended that session.
    replaces
        Whether the service replaces tokens.
    begins
        Whether it may begin to, at any moment.
    ends
        Whether it may end the session at any moment.
    mortal
        Whether the first sender may die at any step.
    faults
        How many requests or answers may be lost, or not be sent at all.
    most_logins
        How many logins there may be.
    """

    stores: Sequence[CookieStore]
    requests: Sequence[int] = (1, 1)
    manager: type[SessionManager] = SessionManager
    lease_mode: LeaseMode = LeaseMode.EXCLUSIVE
    logged_in: bool = True
    learned: Mapping[str, object] = field(default_factory=dict)
    over: bool = False
    replaces: bool = True
    begins: bool = False
    ends: bool = False
    mortal: bool = False
    faults: int = 0
    most_logins: int = 0


class Library:
    """A service that replaces tokens, refuses old ones, and ends the session whose old token it sees."""

    def __init__(self, *, replaces: bool) -> None:
        self.replaces = replaces
        self.logins = 0
        self.newest: dict[int, int] = {}
        self.over: set[int] = set()

    def log_in(self) -> Jar:
        self.logins += 1
        self.newest[self.logins] = 1
        return (Cookie("token", f"{self.logins}.1", HOST),)

    def is_good(self, token: str) -> bool:
        session, number = map(int, token.split("."))
        return session not in self.over and self.newest[session] == number

    def receive(self, header: str | None, *, alone: bool) -> list[str] | None:
        """Return the ``Set-Cookie`` headers of the answer; None for a refusal."""
        assert header is not None, "a request without a token"
        session, number = map(int, header.removeprefix("token=").split("."))
        if number != self.newest[session]:
            assert not alone, "a replaced token was sent"
            self.over.add(session)
        if session in self.over:
            return None
        self.newest[session] += self.replaces
        return [f"token={session}.{self.newest[session]}; Path=/"]

    def situation(self) -> Hashable:
        return self.replaces, self.logins, tuple(self.newest.items()), tuple(sorted(self.over))


def seen(record: SessionRecord | None) -> Hashable:
    """Return what of a record decides what happens next."""
    if record is None:
        return None
    cookies = tuple((cookie.name, cookie.value) for cookie in record.cookies)
    holder = record.holder.thread if record.holder else None
    learned = str(record.learned.get("lease"))
    return record.generation, record.status, record.logins, cookies, holder, learned


class Steps(CookieStore):
    """A store whose every operation is a step."""

    name = "steps"
    scope = Scope.PROCESS

    def __init__(
        self,
        inner: CookieStore,
        run: Run,
        holds: dict[str, Release],
        look: Callable[[SessionRecord | None], Hashable] = seen,
    ) -> None:
        self._look = look
        self._inner = inner
        self._run = run
        self._holds = holds

    def read(self, session: str) -> SessionRecord | None:
        self._run.pause(["reads"])
        record = self._inner.read(session)
        self._run.note(self._look(record))
        return record

    def write(self, record: SessionRecord, expected: int) -> None:
        self._run.pause(["writes"])
        try:
            self._inner.write(record, expected)
        except GenerationMoved:
            self._run.note("moved")
            raise

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        self._run.pause(["takes the session"], (lambda: not self._holds) if wait else lambda: True)
        release = self._inner.acquire(session, wait=False)
        self._run.note(release is not None)
        if release is None:
            return None
        name = threading.current_thread().name
        self._holds[name] = release

        def give_back() -> None:
            self._run.pause(["gives the session back"])
            del self._holds[name]
            release()

        return once(give_back)

    def sessions(self) -> list[str]:
        return self._inner.sessions()

    def remove(self, session: str) -> None:
        self._inner.remove(session)

    def sync(self) -> None:
        self._inner.sync()


class Session:
    """A scene: senders, a library, and what may go wrong."""

    _count = itertools.count()

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.name = f"session-{next(self._count)}"
        self.store = cast.stores[0]
        self.library = Library(replaces=cast.replaces)
        self.faults = cast.faults
        self.holds: dict[str, Release] = {}
        self.gave_up: set[str] = set()  # senders that left a mark
        self.answered = 0
        if cast.logged_in:
            cookies = self.library.log_in()
            self.store.write(SessionRecord(self.name, 1, cookies, logins=1, learned=dict(cast.learned)), 0)
        if cast.over:
            self.library.over.add(1)

    # -- for the run

    def actors(self, run: Run) -> list[Actor]:
        self.run = run
        policy = Policy(lease_mode=self.cast.lease_mode)
        managers = [
            self.cast.manager(Steps(store, run, self.holds), self.name, policy, login=self._log_in)
            for store in self.cast.stores
        ]
        found = []
        for number, count in enumerate(self.cast.requests):
            work = partial(self._send_all, managers[number % len(managers)], count)
            found.append(Actor(f"sender {number}", work, mortal=self.cast.mortal and number == 0))
        if self.cast.ends:
            found.append(Actor("library", lambda: self.library.over.add(self.library.logins)))
        if self.cast.begins:
            found.append(Actor("library", lambda: setattr(self.library, "replaces", True)))
        self.senders = {actor.name: actor for actor in found if actor.name != "library"}
        return found

    def situation(self) -> Hashable:
        record = seen(self.store.read(self.name))
        return record, self.library.situation(), self.faults, tuple(self.holds), tuple(sorted(self.gave_up))

    def bury(self, actor: Actor) -> None:
        if release := self.holds.pop(actor.name, None):
            release()

    def check(self) -> None:
        wanted = sum(n for n, a in zip(self.cast.requests, self.senders.values(), strict=True) if not a.dead)
        assert self.answered >= wanted, "a request was not answered"
        logins = self.library.logins - self.cast.logged_in
        assert logins <= self.cast.most_logins, f"{logins} logins"
        record = self.store.read(self.name)
        assert record is not None
        if record.status is Status.IDLE:
            (token,) = [cookie.value for cookie in record.cookies]
            session, number = map(int, token.split("."))
            assert number == self.library.newest[session], "an idle token is not the newest"

    def close(self) -> None:
        for release in self.holds.values():
            release()
        for store in self.cast.stores:  # each has files open for the session
            store.remove(self.name)

    # -- for the senders

    def _log_in(self) -> Jar:
        self.run.pause(["logs in"])
        record = self.store.read(self.name)
        if record is not None and record.cookies and self.cast.lease_mode is LeaseMode.EXCLUSIVE:
            good = self.library.is_good(record.cookies[0].value)
            holder = record.holder.thread if record.holder else ""
            lost = holder in self.gave_up or (holder in self.senders and self.senders[holder].dead)
            assert not good or (record.status is Status.IN_FLIGHT and lost), "a login without need"
        return self.library.log_in()

    def _goes_wrong(self, well: str, *ways: str) -> str:
        how = self.run.pause([well, *ways] if self.faults else [well])
        self.faults -= how != well
        return how

    def _send_all(self, manager: SessionManager, count: int) -> None:
        for number in range(count):
            again = False
            while (lease := self._send(manager, (number, again))) is not None:
                manager.refused(lease.stamp, again=again)
                again = True

    def _send(self, manager: SessionManager, which: Hashable) -> Any:
        """Send one request, until there is an answer; return the lease if that is a refusal."""
        me = threading.current_thread().name
        while True:
            self.run.forget(which)  # each lease begins with a look at the store
            lease = manager.lease(URL)
            self.run.forget(which, lease.stamp.exclusive, seen(lease._record))  # all that it goes by
            self.gave_up.discard(me)
            header = lease.cookie_header(URL)
            how = self._goes_wrong("sends", "cannot connect", "sends, and it is lost")
            if how == "cannot connect":
                lease.unsent()
                lease.end(complete=False)
                continue
            answer: list[str] | None = None
            if how == "sends":
                answer = self.library.receive(header, alone=lease.stamp.exclusive)
                self.run.note(tuple(answer or ()))
                how = self._goes_wrong("gets the answer", "gets no answer")
            if how != "gets the answer":
                self.gave_up.add(me)
                lease.doubt()
                lease.end(complete=False)
                continue
            lease.settle(answer or [], URL, None)
            lease.end()
            if answer is None:
                return lease
            manager.accepted(lease.stamp)
            self.answered += 1
            return None
