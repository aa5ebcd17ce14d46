"""The Redis store where its server is killed, restarted, emptied, or answers into the void."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from argosy.errors import GenerationMoved, SessionInDoubt, StoreError
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Policy
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy_devkit.contracts.waiting import Thread
from redis_process import EVERY_SECOND, EVERYTHING, NOTHING

from .conftest import OpenStore, StartRedis

RECORD = SessionRecord("default", 1, (Cookie("token", "s3cret", "library.example"),), logins=1)
URL = "https://library.example/books/1"


def newer(record: SessionRecord, **changes: object) -> SessionRecord:
    return replace(record, generation=record.generation + 1, **changes)  # type: ignore[arg-type]  # replace() checks


def test_where_each_change_is_on_the_disk_a_restart_costs_nothing(
    start_redis: StartRedis, open_redis: OpenStore
) -> None:
    server = start_redis(*EVERYTHING)
    store = open_redis(server)
    store.write(RECORD, 0)
    server.restart()
    assert store.found() == RECORD
    assert open_redis(server).found() == RECORD
    assert store.told == []


def test_what_a_server_says_of_itself_while_it_loads_is_not_believed(
    start_redis: StartRedis, open_redis: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says aof_enabled:0 then; a record that is written once it has loaded must not be in doubt after the next start."""
    server = start_redis(*EVERYTHING, "--key-load-delay", "50")
    admin = server.client()
    admin.eval("for i = 1, 20000 do redis.call('SET', 'k' .. i, i) end", 0)
    admin.close()
    server.kill()
    store = open_redis(server, reconnect=30)
    info = store._server._client.info
    said: list[Any] = []

    def asked_early() -> Any:
        said.append(info())
        while not said[1:] and info()["loading"]:
            time.sleep(0.01)
        return said[-1]

    monkeypatch.setattr(store._server._client, "info", asked_early)
    server.start(loaded=False)
    store.write(RECORD, 0)
    assert (said[0]["loading"], said[0]["aof_enabled"]) == (1, 0)
    server.restart()
    assert open_redis(server, reconnect=30).found() == RECORD


@pytest.mark.parametrize("settings", [EVERY_SECOND, ("--save", "3600 1")], ids=["every second", "snapshots"])
def test_a_record_that_may_be_an_old_one_is_in_doubt(
    start_redis: StartRedis, open_redis: OpenStore, settings: tuple[str, ...]
) -> None:
    server = start_redis(*settings)
    store = open_redis(server)
    store.write(RECORD, 0)
    admin = server.client()
    if settings is not EVERY_SECOND:
        admin.save()
        store.write(newer(RECORD, cookies=()), 1)  # and this is lost
    admin.close()
    time.sleep(0.1)
    server.restart()
    for seen in (store, open_redis(server)):
        found = seen.found()
        assert (found.status, found.holder, found.logins) == (Status.IN_FLIGHT, None, 1)
    good = replace(store.found(), generation=9, status=Status.IDLE)
    store.write(good, store.found().generation)
    assert open_redis(server).found() == good, "what is written after the restart is certain again"


def test_a_mark_outlives_a_restart_and_is_settled_after_it(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis(*EVERY_SECOND)
    store = open_redis(server)
    store.write(RECORD, 0)
    lease = SessionManager(store, "default").lease(URL)
    time.sleep(2.5)  # what was written is on the disk, whatever else the machine does
    server.restart()
    lease.settle(["token=next; Path=/"], URL, None)
    lease.end()
    found = open_redis(server).found()
    assert (found.status, found.cookies[0].value, found.generation) == (Status.IDLE, "next", 3)


@pytest.mark.parametrize("how", ["restart", "flush"])
def test_a_server_that_lost_the_session_is_noticed_by_who_knew_it(
    start_redis: StartRedis, open_redis: OpenStore, how: str
) -> None:
    server = start_redis(*NOTHING)
    store, other = open_redis(server), open_redis(server)
    store.write(RECORD, 0)
    store.write(newer(RECORD), 1)
    assert other.found() == newer(RECORD)
    if how == "restart":
        server.restart()
    else:
        admin = server.client()
        admin.flushall()
        admin.close()
    lost = replace(newer(RECORD), status=Status.IN_FLIGHT)
    for seen in (store, other):
        assert (seen.found(), seen.found()) == (lost, lost), "in doubt: its token was the newest, or was not"
        assert len(seen.told) == 1
        assert f"{server.where} has lost the session 'default'" in seen.told[0]
    assert open_redis(server).read("default") is None, "who never knew it cannot know"
    again = newer(lost, status=Status.IDLE, logins=2)
    store.write(again, lost.generation)
    assert (other.found(), open_redis(server).found()) == (again, again)
    with pytest.raises(GenerationMoved):
        other.write(newer(lost, logins=5), lost.generation)


def test_a_lost_session_is_put_back_by_who_has_it_in_flight(start_redis: StartRedis, open_redis: OpenStore) -> None:
    """It has the newest token in hand, as long as nobody else has had the session since."""
    server = start_redis(*NOTHING)
    store, other = open_redis(server), open_redis(server)
    store.write(RECORD, 0)
    assert other.found() == RECORD
    lease = SessionManager(store, "default").lease(URL)
    server.restart()
    lease.settle(["token=next; Path=/"], URL, None)
    assert other.acquire("default", wait=False) is None
    lease.end()
    found = other.found()
    assert (found.status, found.cookies[0].value, found.logins) == (Status.IDLE, "next", 1)
    late = SessionManager(store, "default").lease(URL)
    server.restart()
    release = other.acquire("default")
    assert release is not None
    late.settle(["token=too-late; Path=/"], URL, None)
    assert (other.found().status, other.found().cookies[0].value) == (Status.IN_FLIGHT, "next")
    release()


def test_a_lost_session_is_logged_in_once(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis(*NOTHING)
    logins: list[str] = []

    def log_in() -> tuple[Cookie, ...]:
        logins.append(f"token-{len(logins)}")
        return (Cookie("token", logins[-1], "library.example"),)

    managers = [SessionManager(open_redis(server), "default", login=log_in) for _ in range(3)]
    for manager in managers:
        manager.ensure()
    server.restart()
    for manager in managers:
        lease = manager.lease(URL)
        assert lease.cookie_header(URL) == "token=token-1"
        lease.settle([], URL, None)
        lease.end()
    assert len(logins) == 2


def test_a_removed_session_is_not_a_lost_one(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis(*NOTHING)
    store, other = open_redis(server), open_redis(server)
    store.write(RECORD, 0)
    assert other.found() == RECORD
    store.remove("default")
    assert (other.read("default"), other.told, other.sessions()) == (None, [], [])
    other.write(RECORD, 0)
    assert store.found() == RECORD


def test_a_record_that_was_thrown_away_is_missed_by_everybody(start_redis: StartRedis, open_redis: OpenStore) -> None:
    """By a server whose memory was full: it says still that there is such a session."""
    server = start_redis()
    store = open_redis(server)
    store.write(RECORD, 0)
    admin = server.client()
    admin.delete("{argosy}:session:default")
    admin.close()
    assert store.found() == replace(RECORD, status=Status.IN_FLIGHT)
    late = open_redis(server)
    assert (late.found().status, late.found().cookies) == (Status.IN_FLIGHT, ())
    assert [len(told) for told in (store.told, late.told)] == [1, 1]
    with pytest.raises(SessionInDoubt):
        SessionManager(late, "default", Policy(renewable=False), login=tuple).lease(URL)
    SessionManager(late, "default", login=lambda: RECORD.cookies).lease(URL).settle([], URL, None)
    assert (store.found().status, store.found().cookies) == (Status.IDLE, RECORD.cookies)


def test_a_session_that_another_thread_makes_meanwhile_is_not_a_lost_one(
    start_redis: StartRedis, open_redis: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that there is none is on its way while the other thread hears that it has made it."""
    store = open_redis(start_redis())
    run = store._server.run

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(store._server, "run", run)
        answer = run(*arguments)
        Thread(lambda: store.write(RECORD, 0)).result()
        return answer

    monkeypatch.setattr(store._server, "run", overtaken)
    assert store.found() == RECORD
    assert store.told == []
    store.write(newer(RECORD), 1)


def test_a_generation_that_comes_again_is_not_taken_for_the_same(
    start_redis: StartRedis, open_redis: OpenStore
) -> None:
    """After a restart from an old snapshot the server counts from an older generation."""
    server = start_redis("--save", "3600 1")
    store, other = open_redis(server), open_redis(server)
    store.write(RECORD, 0)
    admin = server.client()
    admin.save()
    admin.close()
    store.write(newer(RECORD), 1)
    server.restart()
    other.write(newer(RECORD, logins=7), other.found().generation)
    with pytest.raises(GenerationMoved):
        store.write(newer(newer(RECORD)), 2)
    assert store.found() == newer(RECORD, logins=7)


def test_a_server_that_is_away_for_a_while_is_waited_for(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis(*EVERYTHING)
    store = open_redis(server, reconnect=30)
    store.write(RECORD, 0)
    server.kill()
    reading = Thread(lambda: store.read("default"))
    while not store.told:
        assert reading.is_alive()
        time.sleep(0.01)
    server.start()
    assert reading.result() == RECORD
    assert len(store.told) == 1
    assert f"{server.where} does not answer (Connection refused); argosy waits up to 30 s" in store.told[0]


def test_a_server_that_stays_away_is_an_error(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis()
    store = open_redis(server, reconnect=0.3)
    store.write(RECORD, 0)
    release = store.acquire("default")
    assert release is not None
    server.kill()
    for call in (lambda: store.read("default"), lambda: store.write(newer(RECORD), 1), store.sessions):
        with pytest.raises(StoreError, match=f"{server.where} cannot be used") as error:
            call()
        assert "Start it" in (error.value.hint or "")
    release()  # nothing is raised: the hold is over with its time
    with pytest.raises(StoreError):
        store.acquire("default")
    server.start()
    assert store.acquire("default", wait=False) is not None, "nothing was left locked here"


def test_a_hold_outlives_an_outage_longer_than_its_time(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis(*EVERYTHING)
    store, other = open_redis(server, ttl=1), open_redis(server, ttl=1)
    store.write(RECORD, 0)
    lease = SessionManager(store, "default").lease(URL)
    server.kill()
    time.sleep(1.3)
    server.start()
    lease.settle(["token=next; Path=/"], URL, None)
    assert other.acquire("default", wait=False) is None, "what was written holds the session again"
    lease.end()
    assert other.found().cookies[0].value == "next"


# -- answers that are lost


class Wire:
    """Passes bytes on between a client and a server, and loses the server's answers when it is told to.

    Parameters
    ----------
    port
        The server's.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: So many answers are lost, each with its connection.
        self.lose = 0
        self.lost = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._server)) as far:
            asking = threading.Thread(target=self._pass, args=(near, far, False), daemon=True)
            asking.start()
            self._pass(far, near, True)
            asking.join()

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.lose:
                    self.lose -= 1
                    self.lost += 1
                    break
                sink.sendall(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(start_redis: StartRedis) -> Iterator[Wire]:
    wire = Wire(start_redis().port)
    yield wire
    wire.close()


@pytest.mark.parametrize("lose", [1, 3])
def test_a_write_whose_answer_was_lost_is_done_once(wire: Wire, open_redis: OpenStore, lose: int) -> None:
    store = open_redis(wire)
    store.write(RECORD, 0)
    for _ in range(5):
        record = store.found()
        wire.lose = lose
        store.write(newer(record), record.generation)
        assert wire.lose == 0
        assert store.found() == newer(record)
    assert wire.lost == 5 * lose


def test_a_write_that_lost_its_answer_and_the_race_is_written(wire: Wire, open_redis: OpenStore) -> None:
    """Somebody else has changed the record when it is sent again: it was written all the same, before theirs."""
    store, other = open_redis(wire), open_redis(wire)
    store.write(RECORD, 0)
    assert other.found() == RECORD
    wire.lose = 1
    writing = Thread(lambda: store.write(newer(RECORD), 1))
    end = time.monotonic() + 20
    while other.found().generation != 2:
        assert time.monotonic() < end
    other.write(newer(newer(RECORD)), 2)
    writing.result()
    assert store.found().generation == 3


def test_a_session_whose_grant_was_lost_is_had_all_the_same(wire: Wire, open_redis: OpenStore) -> None:
    store, other = open_redis(wire), open_redis(wire)
    for _ in range(5):
        wire.lose = 1
        release = store.acquire("default", wait=False)
        assert release is not None
        assert other.acquire("default", wait=False) is None
        wire.lose = 1
        release()
        taken = other.acquire("default", wait=False)
        assert taken is not None
        taken()
