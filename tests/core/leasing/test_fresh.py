"""A token for another program: renewed once for all who ask, and never while a renewal may be spending it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from argosy.errors import SessionInDoubt
from argosy.leasing.lease import RENEWAL
from argosy.leasing.login import Answered, Authority, Credentials
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Policy, SessionCallbacks
from argosy.models.session import HeaderToken, SessionRecord, Status
from argosy.toolkit.processes import this_holder
from argosy_plugins.cookie_stores.memory import MemoryStore
from core.leasing.conftest import LeaseScenario

PROGRAMS = 8


class Service(Authority):
    """Hands out numbered tokens."""

    def __init__(self, lifetime: float) -> None:
        super().__init__(lambda: ())
        self.lifetime = lifetime
        self.issued = self.refreshed = 0

    def log_in(self, record: SessionRecord) -> Credentials:
        self.issued += 1
        token = HeaderToken("Authorization", f"Bearer {self.issued}", ("https://api.example",))
        return Credentials(headers=(token,), credentials={"refresh": "r"}, expires=time.time() + self.lifetime)

    def can_refresh(self, record: SessionRecord) -> bool:
        return "refresh" in record.credentials

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        self.refreshed += 1
        return self.log_in(record)


class Asking(SessionManager):
    """Says when it has looked at the store, before it waits for the session."""

    looked: Callable[[], object] = staticmethod(lambda: None)

    def _holding(self, step: Callable[[SessionRecord], None]) -> None:
        self.looked()
        super()._holding(step)


class RenewsWithoutALook(Asking):
    """Renews the session although another program did so meanwhile."""

    def fresh(self, is_stale: Callable[[SessionRecord], bool]) -> SessionRecord:
        before = self._read()
        if is_stale(before):
            self._holding(lambda record: self._before_it_expires(record))
        return self._read()


def renewals(scenario: LeaseScenario, kind: type[Asking], lifetime: float) -> tuple[int, set[str]]:
    """Let programs ask at the same moment for a token that lasts longer than the newest one does."""
    service = Service(lifetime)
    SessionManager(scenario.store, "default", Policy(), login=service).ensure()
    assert service.issued == 1
    looked = threading.Barrier(PROGRAMS)

    def ask(_: int) -> str:
        manager = kind(scenario.store, "default", Policy(), login=service)
        manager.looked = looked.wait
        record = manager.fresh(
            lambda record: record.expires < time.time() + 100 or record.headers[0].value == "Bearer 1"
        )
        return record.headers[0].value

    with ThreadPoolExecutor(PROGRAMS) as programs:
        got = set(programs.map(ask, range(PROGRAMS)))
    return service.refreshed, got


@pytest.mark.parametrize("lifetime", [3600, 50])  # the second is too short for what is asked, and renewed once as well
def test_one_renewal_for_all_who_ask(scenario: LeaseScenario, lifetime: float) -> None:
    assert renewals(scenario, Asking, lifetime) == (1, {"Bearer 2"})


def test_a_renewal_without_a_second_look_is_found(scenario: LeaseScenario) -> None:
    assert renewals(scenario, RenewsWithoutALook, 3600)[0] == PROGRAMS


def with_token(store: MemoryStore, policy: Policy = Policy(), told: list[str] | None = None) -> SessionManager:
    heard = [] if told is None else told
    callbacks = SessionCallbacks(sleep=lambda seconds: heard.append(f"{seconds:.0f}"))
    manager = SessionManager(store, "default", policy, login=Service(3600), callbacks=callbacks)
    manager.ensure()
    return manager


def in_flight(store: MemoryStore, thread: str, since: float) -> None:
    record = store.read("default")
    assert record is not None
    holder = replace(this_holder(), thread=thread, since=since)
    store.write(
        replace(record, generation=record.generation + 1, status=Status.IN_FLIGHT, holder=holder), record.generation
    )


def test_a_good_token_waits_for_no_request(scenario: LeaseScenario) -> None:
    manager = with_token(scenario.store)
    in_flight(scenario.store, "worker", time.time())
    release = scenario.store.acquire("default")
    assert release is not None
    try:  # a request that takes an hour holds the session, and cannot replace the token
        assert manager.fresh(lambda record: False).headers[0].value == "Bearer 1"
    finally:
        release()


def test_a_token_under_renewal_is_in_doubt(scenario: LeaseScenario) -> None:
    manager = with_token(scenario.store, Policy(renewable=False))
    in_flight(scenario.store, f"{RENEWAL}worker", time.time())
    with pytest.raises(SessionInDoubt):
        manager.fresh(lambda record: False)
    assert scenario.is_free()


def test_a_doubt_that_may_be_waited_for(scenario: LeaseScenario) -> None:
    told: list[str] = []
    manager = with_token(scenario.store, Policy(on_doubt="wait", doubt_wait=30), told)
    in_flight(scenario.store, f"{RENEWAL}worker", time.time())

    def pass_time(seconds: float) -> None:
        told.append(f"{seconds:.0f}, free: {scenario.is_free()}")
        in_flight(scenario.store, f"{RENEWAL}worker", time.time() - 31)

    manager._callbacks = replace(manager._callbacks, sleep=pass_time)
    assert manager.fresh(lambda record: False).headers[0].value == "Bearer 2", "renewed once more after the wait"
    assert told == ["30, free: True"]
