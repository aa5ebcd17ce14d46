"""Senders on one session whose refresh token is replaced by its use; every step can be steered, see `interleavings`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial

from argosy.errors import RefreshRefused, SessionInDoubt, TransferError
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.leasing.login import Answered, Credentials
from argosy.leasing.login import Authority as Login
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy
from argosy.models.session import HeaderToken, SessionRecord, Status
from interleavings import Actor, Run
from scenes import Steps

URL = "https://api.example/files/1"
ORIGINS = ("https://api.example",)


@dataclass(frozen=True)
class Cast:
    """What a scene is made of; the fields that `scenes.Cast` has too mean the same.

    Parameters
    ----------
    due
        Whether the session is to be renewed at first.
    ends
        Whether the access token may end at any moment.
    renewable
        Whether a login is possible as well.
    """

    stores: Sequence[CookieStore]
    requests: Sequence[int] = (1, 1)
    manager: type[SessionManager] = SessionManager
    due: bool = True
    ends: bool = False
    renewable: bool = False
    mortal: bool = False
    faults: int = 0


class Authority:
    """An authorization server that ends the session whose old refresh token it sees."""

    def __init__(self) -> None:
        self.issued = 1
        self.ended = 0  # access tokens up to this one
        self.logins = 1
        self.sent: set[str] = set()

    @property
    def newest(self) -> str:
        return f"refresh-{self.issued}"

    def exchange(self, token: str) -> Credentials:
        assert token not in self.sent, "a refresh token was sent twice"
        self.sent.add(token)
        assert token == self.newest, "a refresh token was sent that had been replaced"
        self.issued += 1
        return self.granted()

    def granted(self) -> Credentials:
        header = HeaderToken("Authorization", f"Bearer {self.issued}", ORIGINS)
        return Credentials(headers=(header,), credentials={"refresh_token": self.newest})

    def accepts(self, header: str) -> bool:
        number = int(header.removeprefix("Bearer "))
        assert number <= self.issued
        return number > self.ended

    def situation(self) -> Hashable:
        return self.issued, self.ended, self.logins, tuple(sorted(self.sent))


def seen(record: SessionRecord | None) -> Hashable:
    """Return what of a record decides what happens next."""
    if record is None:
        return None
    holder = record.holder.thread if record.holder else None
    headers = tuple(token.value for token in record.headers)
    return record.generation, record.status, record.issue, headers, record.due, holder


class Session(Login):
    """A scene: senders, a server, and what may go wrong."""

    _count = itertools.count()

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.name = f"refreshed-{next(self._count)}"
        self.store = cast.stores[0]
        self.server = Authority()
        self.faults = cast.faults
        self.holds: dict[str, Release] = {}
        self.answered = self.stopped = 0
        first = self.server.granted()
        record = SessionRecord(
            self.name,
            1,
            logins=1,
            headers=first.headers,
            credentials=dict(first.credentials),
            due=1.0 if cast.due else 0.0,
        )
        self.store.write(record, 0)

    # -- for the run

    def actors(self, run: Run) -> list[Actor]:
        self.run = run
        policy = Policy(LeaseMode.AUTO, renewable=self.cast.renewable)
        managers = [
            self.cast.manager(Steps(store, run, self.holds, seen), self.name, policy, login=self)
            for store in self.cast.stores
        ]
        found = []
        for number, count in enumerate(self.cast.requests):
            work = partial(self._send_all, managers[number % len(managers)], count)
            found.append(Actor(f"sender {number}", work, mortal=self.cast.mortal and number == 0))
        self.senders = list(found)
        if self.cast.ends:
            found.append(Actor("server", lambda: setattr(self.server, "ended", self.server.issued)))
        return found

    def situation(self) -> Hashable:
        record = seen(self.store.read(self.name))
        return record, self.server.situation(), self.faults, tuple(self.holds), self.answered, self.stopped

    def bury(self, actor: Actor) -> None:
        if release := self.holds.pop(actor.name, None):
            release()

    def check(self) -> None:
        alive = [n for n, a in zip(self.cast.requests, self.senders, strict=True) if not a.dead]
        if self.cast.renewable or not (self.cast.faults or self.cast.mortal):
            assert self.answered >= sum(alive), "a request was not answered"
        most = self.cast.due + self.cast.ends
        assert len(self.server.sent) <= most + self.cast.faults, "more refreshes than were needed"
        record = self.store.read(self.name)
        assert record is not None
        if record.status is Status.IDLE:
            assert record.credentials["refresh_token"] == self.server.newest, "the newest token is not in the store"

    def close(self) -> None:
        for release in self.holds.values():
            release()
        self.store.remove(self.name)

    # -- the authority, as the keeper sees it

    def log_in(self, record: SessionRecord) -> Credentials:
        self.run.pause(["logs in"])
        self.server.issued += 1
        self.server.logins += 1
        return self.server.granted()

    def can_refresh(self, record: SessionRecord) -> bool:
        return "refresh_token" in record.credentials

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        ways = ["cannot connect", "sends, and it is lost"] if self.faults else []
        how = self.run.pause(["sends the refresh token", *ways])
        self.faults -= how in ways
        if how == "cannot connect":
            raise TransferError("no connection", kind="connect", unsent=True)
        if how == "sends, and it is lost":
            self.server.sent.add(record.credentials["refresh_token"])
            raise TransferError("lost", kind="lost", unsent=False)
        granted = self.server.exchange(record.credentials["refresh_token"])
        ways = ["gets no answer"] if self.faults else []
        how = self.run.pause(["gets new tokens", *ways])
        self.faults -= how in ways
        self.run.note(self.server.issued)
        if how == "gets no answer":
            raise TransferError("lost", kind="lost", unsent=False)
        return granted

    def log_out(self, record: SessionRecord, answered: Answered) -> bool:
        raise RefreshRefused("nobody logs out here")

    # -- for the senders

    def _send_all(self, manager: SessionManager, count: int) -> None:
        for number in range(count):
            try:
                self._send(manager, number)
            except SessionInDoubt:
                self.stopped += 1
                return

    def _send(self, manager: SessionManager, number: int) -> None:
        again = False
        while True:
            self.run.forget(number, again)
            try:
                lease = manager.lease(URL)
                header = lease.credentials(URL)["Authorization"]
                self.run.forget(number, again, lease.stamp.issue, header)
                self.run.pause(["sends"])
                good = self.server.accepts(header)
                self.run.note(good)
                lease.settle([], URL, None)
                lease.end()
                if good:
                    manager.accepted(lease.stamp)
                    self.answered += 1
                    return
                manager.refused(lease.stamp, again=again)
                again = True
            except TransferError:
                self.run.note(threading.current_thread().name)
