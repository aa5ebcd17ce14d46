"""Holds of the Redis store: programs that are stopped past their time, that die while they wait, and that wait for long."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import HoldLapsed
from argosy.interfaces.cookie_store import Release
from argosy.leasing.manager import SessionManager
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy_devkit.contracts.store_processes import (
    SESSION,
    OtherProcess,
    StoreSpec,
    count,
    other_process,
    start_process,
)
from argosy_devkit.contracts.waiting import Thread, wait_until, wait_until_still
from argosy_redis import holds
from argosy_redis.holds import _Heartbeat
from argosy_redis.store import RedisStore
from lapsing import obey_steps
from redis_process import RedisProcess

from .conftest import OpenStore, StartRedis

RECORD = SessionRecord(SESSION, 1, (Cookie("token", "first", "library.example"),), logins=1)


@pytest.fixture
def server(start_redis: StartRedis) -> RedisProcess:
    return start_redis()


def spec(server: RedisProcess, **options: Any) -> StoreSpec:
    settings: Mapping[str, Any] = {"host": "127.0.0.1", "port": server.port, **options}
    return StoreSpec(RedisStore, settings, Path())


@pytest.fixture
def stepper(server: RedisProcess) -> Iterator[OtherProcess]:
    """A program in a process of its own, whose holds last for one second."""
    with start_process(obey_steps, spec(server, ttl=1)) as other:
        other.ask("ready")
        yield other
        stop(other, signal.SIGCONT)


def stop(other: OtherProcess, number: signal.Signals = signal.SIGSTOP) -> None:
    assert other.process.pid is not None
    os.kill(other.process.pid, number)


def take_over(server: RedisProcess, store: RedisStore) -> Release:
    """Take the session as when its holder's time is over."""
    admin = server.client()
    try:
        while True:
            admin.delete("{argosy}:hold:default")
            release = store.acquire(SESSION, wait=False)
            if release is not None:  # else the holder has renewed it just then
                return release
    finally:
        admin.close()


# -- a program that was stopped for longer than its hold lasts


@pytest.mark.torture(48)
@pytest.mark.parametrize("gone", [False, True], ids=["another has it", "another has had it"])
def test_a_program_that_was_stopped_cannot_mark(
    server: RedisProcess, open_redis: OpenStore, stepper: OtherProcess, gone: bool
) -> None:
    store = open_redis(server, ttl=1)
    store.write(RECORD, 0)
    stepper.ask("hold")
    stop(stepper)
    release = Thread(lambda: store.acquire(SESSION)).result()
    assert store.found() == RECORD, "the one who has it now has not changed anything"
    if gone:
        release()
    stop(stepper, signal.SIGCONT)
    assert stepper.ask("mark") == "HoldLapsed"
    assert store.found() == RECORD
    stepper.ask("release")
    if not gone:
        assert open_redis(server).acquire(SESSION, wait=False) is None, "and it cannot end the hold of another"
    release()
    stepper.ask("hold")
    assert stepper.ask("mark") == "marked"


@pytest.mark.torture(48)
def test_a_program_that_was_stopped_cannot_settle(
    server: RedisProcess, open_redis: OpenStore, stepper: OtherProcess
) -> None:
    store = open_redis(server, ttl=1)
    store.write(RECORD, 0)
    assert stepper.ask("lease") == "token=first"
    stop(stepper)
    release = Thread(lambda: store.acquire(SESSION)).result()
    marked = store.found()
    assert (marked.status, marked.generation) == (Status.IN_FLIGHT, 2), "in doubt for whoever takes it over"
    stop(stepper, signal.SIGCONT)
    told = stepper.ask("settle late")
    assert store.found() == marked
    assert len(told) == 1
    assert "Another process changed the session" in told[0]
    release()


@pytest.mark.torture(48)
def test_a_program_that_was_stopped_and_that_nobody_missed_goes_on(
    server: RedisProcess, open_redis: OpenStore, stepper: OtherProcess
) -> None:
    store = open_redis(server)
    store.write(RECORD, 0)
    assert stepper.ask("lease") == "token=first"
    stop(stepper)
    admin = server.client()
    wait_until(lambda: not admin.keys("*hold*"), "the hold to end")
    admin.close()
    stop(stepper, signal.SIGCONT)
    assert stepper.ask("settle next") == []
    assert store.found().cookies[0].value == "next"


def test_a_login_of_a_holder_that_lapsed_is_not_stored(server: RedisProcess, open_redis: OpenStore) -> None:
    """Whoever has the session now is about to log in as well; the one that lapsed takes what that one gets."""
    store, other = open_redis(server), open_redis(server)
    logins: list[str] = []

    def log_in(name: str) -> tuple[Cookie, ...]:
        logins.append(name)
        if logins == ["late"]:
            release = take_over(server, other)
            with pytest.raises(HoldLapsed):
                store.write(RECORD, 0)
            release()
            SessionManager(other, SESSION, login=partial(log_in, "other")).ensure()
        return (Cookie("token", name, "library.example"),)

    SessionManager(store, SESSION, login=partial(log_in, "late")).ensure()
    assert logins == ["late", "other"]
    assert (store.found().cookies[0].value, store.found().logins) == ("other", 1)


def test_a_hold_that_lapsed_keeps_nobody_from_merging_cookies(server: RedisProcess, open_redis: OpenStore) -> None:
    """What shared leases merge needs no hold, and is not refused for that of another thread."""
    store, other = open_redis(server, ttl=1), open_redis(server)
    store.write(RECORD, 0)
    assert store.acquire(SESSION) is not None
    take_over(server, other)
    with pytest.raises(HoldLapsed):
        store.write(SessionRecord(SESSION, 2, logins=2), 1)
    store.write(SessionRecord(SESSION, 2, (Cookie("cdn", "1", "library.example"),), logins=1), 1)
    assert other.found().cookies[0].name == "cdn"


def test_a_long_hold_is_kept_alive(
    server: RedisProcess, open_redis: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "_RENEWALS", 100)  # every 0.3 s, so that no pause of this machine ends the hold
    store, other = open_redis(server, ttl=30), open_redis(server, ttl=30)
    release = store.acquire(SESSION)
    assert release is not None
    admin, renewals, left = server.client(), -1, 0
    while renewals < 3:
        before, left = left, int(admin.pttl("{argosy}:hold:default"))
        renewals += left > before
        time.sleep(0.05)
    admin.close()
    assert other.acquire(SESSION, wait=False) is None
    release()
    assert other.acquire(SESSION, wait=False) is not None


# -- waiting


def commands(server: RedisProcess) -> int:
    """Return how many commands that work on keys the server has had."""
    admin = server.client()
    found: Any = admin.info("commandstats")
    admin.close()
    return sum(found.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval", "blpop", "get"))


def test_a_waiter_is_woken_and_does_not_poll(server: RedisProcess, open_redis: OpenStore) -> None:
    store, other = open_redis(server), open_redis(server)
    release = store.acquire(SESSION)
    assert release is not None
    waiting = Thread(lambda: (other.acquire(SESSION), time.monotonic())[1])
    wait_until_still(waiting)
    before = commands(server)
    time.sleep(1.5)
    assert commands(server) - before <= 3 * 3, "one renewal of the hold: a script, and what it calls"
    assert waiting.is_alive()
    freed = time.monotonic()
    release()
    assert waiting.result() - freed < 5, "the hold had ten seconds left"


def test_processes_are_served_in_the_order_in_which_they_came(server: RedisProcess, open_redis: OpenStore) -> None:
    store = open_redis(server)
    release = store.acquire(SESSION)
    assert release is not None
    order: list[int] = []

    def wait(number: int) -> None:
        granted = open_redis(server).acquire(SESSION)
        assert granted is not None
        order.append(number)
        granted()

    waiting = []
    admin = server.client()
    for number in range(5):
        waiting.append(Thread(partial(wait, number)))
        wait_until(lambda: admin.info("clients")["blocked_clients"] == len(waiting), "one more to wait")
    admin.close()
    release()
    again = store.acquire(SESSION)  # who has just had it comes last
    assert again is not None
    assert order == [0, 1, 2, 3, 4]
    for thread in waiting:
        thread.result()


def test_a_waiter_that_is_killed_holds_up_nobody(server: RedisProcess, open_redis: OpenStore) -> None:
    store = open_redis(server)
    release = store.acquire(SESSION)
    assert release is not None
    with other_process(spec(server)) as first:
        first.ask("ready")
        first.tell("acquire")
        admin = server.client()
        wait_until(lambda: admin.info("clients")["blocked_clients"] == 1, "the first to wait")
        second = Thread(lambda: open_redis(server).acquire(SESSION))
        wait_until(lambda: admin.info("clients")["blocked_clients"] == 2, "the second to wait")
        first.kill()
        wait_until(lambda: admin.info("clients")["blocked_clients"] == 1, "the server to notice")
        admin.close()
        begun = time.monotonic()
        release()
        assert second.result() is not None
        assert time.monotonic() - begun < 5, "the hold had ten seconds left"


@pytest.mark.torture(48)
def test_a_waiter_that_was_stopped_holds_up_others_for_one_hold_at_most(
    server: RedisProcess, open_redis: OpenStore
) -> None:
    store = open_redis(server, ttl=1)
    release = store.acquire(SESSION)
    assert release is not None
    with other_process(spec(server, ttl=1)) as first:
        first.ask("ready")
        first.tell("acquire")
        admin = server.client()
        wait_until(lambda: admin.info("clients")["blocked_clients"] == 1, "the first to wait")
        admin.close()
        stop(first)
        release()
        granted = Thread(lambda: store.acquire(SESSION)).result()
        assert granted is not None
        stop(first, signal.SIGCONT)
        granted()
        assert first.answer() is True, "and it gets it when it goes on"


def test_8_processes_lose_no_lease(server: RedisProcess, open_redis: OpenStore) -> None:
    store = open_redis(server)
    store.write(SessionRecord(SESSION, 1, (Cookie("count", "0", "library.example"),), logins=1), 0)
    with ExitStack() as running:
        others = [running.enter_context(other_process(spec(server))) for _ in range(7)]
        for other in others:
            other.ask("ready")
        for other in others:
            other.tell("count 40")
        count(store, 40)
        for other in others:
            other.answer()
    found = store.found()
    assert (found.cookies[0].value, found.generation, found.status) == ("320", 641, Status.IDLE)


def test_nothing_is_left_of_holds(server: RedisProcess, open_redis: OpenStore) -> None:
    """Only what is kept stays on the server: no queue grows, and nothing of a session that was looked at alone."""
    store, other = open_redis(server), open_redis(server)
    store.write(RECORD, 0)
    for _ in range(20):
        for turn in (store, other):
            release = turn.acquire(SESSION)
            assert release is not None
            release()
    release = store.acquire("looked at")
    assert release is not None
    release()
    admin = server.client()
    keys: Any = admin.keys("*")
    left = {key.decode() for key in keys if admin.ttl(key) < 0}
    admin.close()
    assert left == {"{argosy}:session:default", "{argosy}:sessions", "{argosy}:store"}


class Beating:
    """Renews holds until its connection is closed under it, as redis-py says it."""

    def __init__(self) -> None:
        self.begun, self.closed = threading.Event(), threading.Event()

    def beat(self) -> bool:
        self.begun.set()
        self.closed.wait(60)
        raise AttributeError("'NoneType' object has no attribute 'readline'")


@pytest.mark.parametrize("stopped", [True, False])
def test_a_store_that_is_closed_while_it_renews_a_hold(monkeypatch: pytest.MonkeyPatch, *, stopped: bool) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))
    before, beating = set(threading.enumerate()), Beating()
    heartbeat = _Heartbeat(weakref.WeakMethod(beating.beat), 0.01)
    (thread,) = set(threading.enumerate()) - before
    assert beating.begun.wait(60)
    if stopped:
        heartbeat.stop()
    beating.closed.set()
    thread.join(60)
    assert raised == ([] if stopped else [AttributeError])
