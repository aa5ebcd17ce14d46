"""How busy a session is, and when it is free."""

from __future__ import annotations

import threading

import pytest

from argosy.http import load as module
from argosy.http.load import Load
from argosy.interfaces.base import PluginContext
from argosy.leasing.lease import SharedLease
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores.memory import MemoryStore


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def _request(load: Load, clock: Clock, seconds: float) -> None:
    ticket = load.enter()
    hold = load.begin()
    clock.now += seconds
    load.end(hold)
    load.leave(ticket)


def test_nobody_there_means_free(clock: Clock) -> None:
    load = Load()
    assert load.free_in(1.0) == 0.0
    _request(load, clock, 5.0)
    assert (load.queue, load.free_in(1.0)) == (0, 0.0)


def test_a_queue_takes_the_mean_for_each(clock: Clock) -> None:
    load = Load()
    _request(load, clock, 0.2)
    for _ in range(3):
        load.enter()
    load.begin()
    assert load.free_in(1.0) == pytest.approx(0.6)
    clock.now += 0.15
    assert load.free_in(1.0) == pytest.approx(0.45)


def test_without_a_mean_the_one_of_the_others_counts(clock: Clock) -> None:
    load = Load()
    load.enter()
    load.begin()
    assert load.free_in(3.0) == pytest.approx(3.0)


def test_the_longer_nothing_comes_the_longer_it_is_expected_to_take(clock: Clock) -> None:
    load = Load()
    _request(load, clock, 0.1)
    load.enter()
    load.begin()
    clock.now += 30.0
    assert load.free_in(1.0) == pytest.approx(29.9)


def test_the_mean_follows_the_service(clock: Clock) -> None:
    load = Load()
    _request(load, clock, 1.0)
    for _ in range(30):
        _request(load, clock, 0.1)
    assert load.mean == pytest.approx(0.1, abs=0.01)


class _ToEnd(SharedLease):
    to_end = True


def test_a_lease_to_the_end_of_the_body_counts_until_there(clock: Clock) -> None:
    load = Load()
    ticket = load.enter()
    lease = _ToEnd(MemoryStore({}, PluginContext()), SessionRecord("default"))
    load.measure(lease)
    load.leave(ticket)
    assert load.queue == 1
    clock.now += 2.0
    lease.end()
    clock.now += 2.0
    lease.end()
    assert (load.queue, load.mean) == (0, 2.0), "the end may be said twice"


def test_threads_lose_no_request() -> None:
    load = Load()

    def work() -> None:
        for _ in range(500):
            ticket = load.enter()
            load.end(load.begin())
            load.leave(ticket)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load.queue == 0
