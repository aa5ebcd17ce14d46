"""A refresh whose answer was lost is tried again within the service's grace period, and never after it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from argosy.errors import SessionInDoubt, TransferError
from argosy.interfaces.base import PluginContext
from argosy.leasing.lease import MOVE, RENEWAL
from argosy.leasing.login import Answered, Authority, Credentials
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy, SessionCallbacks
from argosy.models.cookie import Cookie
from argosy.models.session import HeaderToken, SessionRecord, Status
from argosy_plugins.cookie_stores.memory import MemoryStore

URL = "https://api.example/1"


class Server(Authority):
    """Issues tokens; the next refreshes fail as `faults` say: "lost" or "unsent"."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.sent: list[str] = []
        self.logins = 0

    def log_in(self, record: SessionRecord) -> Credentials:
        self.logins += 1
        return self._granted(self.logins)

    def can_refresh(self, record: SessionRecord) -> bool:
        return bool(record.credentials)

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "unsent":
            raise TransferError("no connection", kind="connect", unsent=True)
        self.sent.append(record.credentials["refresh_token"])
        if fault == "lost":
            raise TransferError("lost", kind="lost", unsent=False)
        return self._granted(100 + len(self.sent))

    def _granted(self, number: int) -> Credentials:
        header = HeaderToken("Authorization", f"Bearer {number}", ("https://api.example",))
        return Credentials(headers=(header,), credentials={"refresh_token": f"refresh-{number}"})


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def store(tmp_path: Any) -> MemoryStore:
    return MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))


@pytest.fixture
def make(server: Server, store: MemoryStore) -> Any:
    return maker(server, store)


def maker(server: Server, store: MemoryStore, manager: type[SessionManager] = SessionManager) -> Any:
    """Return what makes managers of a class."""

    def make(*, wait: float = 0.0, within: float = 3600.0, renewable: bool = False) -> SessionManager:
        policy = Policy(LeaseMode.AUTO, "wait", wait, within, renewable=renewable)
        watch = SessionCallbacks(sleep=lambda seconds: _pass(store, seconds))
        return manager(store, "default", policy, login=server, callbacks=watch)

    return make


def _change(store: MemoryStore, **changes: Any) -> SessionRecord:
    record = _read(store)
    store.write(replace(record, generation=record.generation + 1, **changes), record.generation)
    return _read(store)


def _read(store: MemoryStore) -> SessionRecord:
    record = store.read("default")
    assert record is not None
    return record


def _pass(store: MemoryStore, seconds: float) -> None:
    """Let a time pass since the mark."""
    holder = _read(store).holder
    assert holder is not None
    _change(store, holder=replace(holder, since=holder.since - seconds))


def _lose_refresh(manager: SessionManager, server: Server, store: MemoryStore) -> float:
    """Lose the answer of a refresh; return the time of its mark."""
    manager.ensure()
    _change(store, due=1.0)
    server.faults.append("lost")
    with pytest.raises(TransferError):
        manager.lease(URL)
    holder = _read(store).holder
    assert _read(store).status is Status.IN_FLIGHT
    assert holder is not None
    return holder.since


@pytest.mark.torture(131)
def test_within_the_grace_period_the_refresh_is_sent_once_more(make: Any, server: Server, store: MemoryStore) -> None:
    manager = make(wait=30.0)
    _lose_refresh(manager, server, store)
    assert manager.lease(URL).credentials(URL) == {"Authorization": "Bearer 102"}
    assert server.sent == ["refresh-1", "refresh-1"]
    assert (server.logins, manager.refreshes, _read(store).status) == (1, 1, Status.IDLE)


@pytest.mark.parametrize("seconds", [3601.0, -60.0], ids=["late", "clock set back"])
def test_after_the_grace_period_it_is_never_sent_again(
    make: Any, server: Server, store: MemoryStore, seconds: float
) -> None:
    manager = make()
    _lose_refresh(manager, server, store)
    _pass(store, seconds)
    with pytest.raises(SessionInDoubt):
        manager.lease(URL)
    assert server.sent == ["refresh-1"]
    able = make(renewable=True)
    assert able.lease(URL).credentials(URL) == {"Authorization": "Bearer 2"}
    assert server.sent == ["refresh-1"]


@pytest.mark.torture(131)
def test_the_grace_period_counts_from_the_first_try(make: Any, server: Server, store: MemoryStore) -> None:
    manager = make()
    since = _lose_refresh(manager, server, store)
    _pass(store, 2000.0)
    server.faults.append("lost")
    with pytest.raises(TransferError):
        manager.lease(URL)
    holder = _read(store).holder
    assert holder is not None
    assert holder.since == since - 2000.0
    _pass(store, 2000.0)
    with pytest.raises(SessionInDoubt):
        manager.lease(URL)
    assert server.sent == ["refresh-1", "refresh-1"]


def test_a_second_try_that_was_not_sent_leaves_the_doubt(make: Any, server: Server, store: MemoryStore) -> None:
    manager = make()
    since = _lose_refresh(manager, server, store)
    server.faults.append("unsent")
    with pytest.raises(TransferError):
        manager.lease(URL)
    record = _read(store)
    assert record.status is Status.IN_FLIGHT
    assert record.holder is not None
    assert record.holder.since == since
    _pass(store, 3601.0)
    with pytest.raises(SessionInDoubt):
        manager.lease(URL)
    assert server.sent == ["refresh-1"]


def test_a_lost_request_is_not_a_lost_refresh(make: Any, server: Server, store: MemoryStore) -> None:
    """A grace period of refresh tokens says nothing about cookies."""
    manager = make(renewable=True)
    manager.ensure()
    cookies = (Cookie("token", "1", "api.example"),)
    _change(store, cookies=cookies, headers=(), login_cookies=("token",))
    lost = manager.lease(URL)
    lost.doubt()
    lost.end()
    assert _read(store).status is Status.IN_FLIGHT
    assert manager.lease(URL).credentials(URL) == {"Authorization": "Bearer 2"}
    assert (server.logins, server.sent) == (2, [])


def test_a_move_that_was_interrupted_is_not_a_lost_refresh(make: Any, server: Server, store: MemoryStore) -> None:
    manager = make()
    _lose_refresh(manager, server, store)
    holder = _read(store).holder
    assert holder is not None
    _change(store, holder=replace(holder, thread=MOVE + "idle", since=time.time()))
    with pytest.raises(SessionInDoubt):
        manager.lease(URL)
    assert server.sent == ["refresh-1"]


def test_politeness_comes_before_the_second_try(make: Any, server: Server, store: MemoryStore) -> None:
    """A delay must not lie between the decision that the old token is good and its use."""
    manager = make()
    _lose_refresh(manager, server, store)
    delays = [5.0]

    def admit() -> float:
        assert server.sent == ["refresh-1"] or not delays
        return delays.pop() if delays else 0.0

    manager.lease(URL, admit)
    assert server.sent == ["refresh-1", "refresh-1"]


# -- each rule is needed


class _IsNeverLate(SessionManager):
    """Tries the old token however late it is."""

    def _on_doubt(self, record: SessionRecord) -> str:
        return "wait" if record.holder and record.holder.thread.startswith(RENEWAL) else super()._on_doubt(record)


class _TriesAnything(SessionManager):
    """Takes every mark for that of a refresh."""

    def _on_doubt(self, record: SessionRecord) -> str:
        return "wait"


class _Hesitates(SessionManager):
    """Waits for politeness after the decision that the old token is good."""

    def _asks_the_service(self, record: SessionRecord) -> bool:
        return not self._in_doubt(record) and super()._asks_the_service(record)


class _StartsAnew(SessionManager):
    """Counts the grace period from the second try."""

    def _refresh(self, record: SessionRecord, reason: str) -> None:
        holder = record.holder and replace(record.holder, thread="main")
        super()._refresh(replace(record, holder=holder), reason)


class _TakesItBack(SessionManager):
    """Clears the mark of the first try because the second was not sent."""

    def _refresh(self, record: SessionRecord, reason: str) -> None:
        try:
            super()._refresh(record, reason)
        except TransferError as error:
            if getattr(error, "unsent", False):
                self._write(self._read(), status=Status.IDLE, holder=None)
            raise


class _GoesOnWithTheOldOne(SessionManager):
    """Takes the session for good after the wait, as after a lost request, and refreshes it later."""

    def _resolve_doubt(self, record: SessionRecord) -> None:
        if self._on_doubt(record) == "wait":
            self._write(record, status=Status.IDLE, holder=None, due=0.0)
        else:
            super()._resolve_doubt(record)


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (_IsNeverLate, partial(test_after_the_grace_period_it_is_never_sent_again, seconds=3601.0)),
        (_IsNeverLate, test_the_grace_period_counts_from_the_first_try),
        (_TriesAnything, test_a_lost_request_is_not_a_lost_refresh),
        (_TriesAnything, test_a_move_that_was_interrupted_is_not_a_lost_refresh),
        (_Hesitates, test_politeness_comes_before_the_second_try),
        (_StartsAnew, test_the_grace_period_counts_from_the_first_try),
        (_TakesItBack, test_a_second_try_that_was_not_sent_leaves_the_doubt),
        (_GoesOnWithTheOldOne, test_within_the_grace_period_the_refresh_is_sent_once_more),
    ],
)
def test_each_rule_is_needed(mutant: type[SessionManager], test: Any, server: Server, store: MemoryStore) -> None:
    with pytest.raises((AssertionError, SessionInDoubt, pytest.fail.Exception)):
        test(maker(server, store, mutant), server=server, store=store)
