"""The torture table, section token: replaced, lost, expired, refused, and set by strangers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

import argosy
from argosy.http.session import AuthorizedSession
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy
from hazards import fault
from voyage import Voyage

SetSail = Callable[..., Voyage]


@pytest.mark.torture(19)
@pytest.mark.requests_only("LeasedAdapter sends with the default transport")
def test_rotation_with_any_status_is_stored(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="revoke")
    assert argosy.download(voyage.file).logins == 1
    server = voyage.server
    server.change(faults=[fault("redirect", path="hop-me", times=1)])
    store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
    file = server.url_for("/files/a?size=10")
    with requests.Session() as session:
        session.mount(server.url, argosy.LeasedAdapter(store))
        etag = session.get(file).headers["ETag"]
        got = [
            session.get(file, headers={"If-None-Match": etag}).status_code,
            session.get(server.url_for("/nowhere")).status_code,
            session.get(server.url_for("/status/500")).status_code,
            session.get(server.url_for("/status/204")).status_code,
            session.get(server.url_for("/files/hop-me?size=5"), allow_redirects=False).status_code,
            session.get(server.url_for("/files/hop-me?size=5")).status_code,
            session.head(file).status_code,
            session.get(file, headers={"Range": "bytes=2-4"}).status_code,
            session.get(file, headers={"Range": "bytes=50-"}).status_code,
        ]
    assert got == [304, 404, 500, 204, 302, 200, 200, 206, 416]
    stats = server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.anonymous, stats.logins) == (0, 0, 0, 1)


@pytest.mark.slow
@pytest.mark.torture(20)
def test_32_workers_1000_files_revoke(set_sail: SetSail) -> None:
    voyage = set_sail(items=1000, lease_mode="revoke", max_workers=32, size=1000, token_save_interval=100)
    done = voyage.run("--quiet")
    assert (done.returncode, done.stderr, voyage.wrong()) == (0, "", [])
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.anonymous, stats.logins) == (0, 0, 0, 1)
    assert stats.accepted == 1001, "each file once, and the page behind the login"


@pytest.mark.torture(21)
@pytest.mark.parametrize("lease_mode", ["slide", "revoke", "grace"])
def test_irregular_rotation_and_two_cookies(set_sail: SetSail, lease_mode: str) -> None:
    voyage = set_sail(
        items=60, lease_mode=lease_mode, slide_every=3, second_cookie=True, noise_cookie=True, max_workers=8
    )
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (60, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)
    assert stats.rotations >= 20


@pytest.mark.torture(22)
@pytest.mark.parametrize(
    "attributes",
    [
        "; Path=/; Max-Age=3600.5",
        '; Path=/; Max-Age="3600"',
        "; Path=/; Max-Age=",
        "; Path=/; Max-Age=99999999999999999999",
        "; Path=/; HttpOnly=yes; SameSite=Sometimes",
        "; Path=/; Domain=",
        "; Path=/; Domain",
        "; Path=/; Domain=127.0.0.1",
        "; Path=/; Domain=.127.0.0.1",
        "; Path=/; Expires=never; Priority=High; Partitioned",
        "; Path=/; Expires=Thu, 01-Jan-2099 00:00:00 GMT; Secure",
        ";;; ; Path=/;",
    ],
)
def test_odd_attributes(set_sail: SetSail, attributes: str) -> None:
    voyage = set_sail(items=3, lease_mode="revoke", cookie_attributes=attributes, max_workers=2)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, stats.replaced_tokens_sent, stats.refused, stats.logins) == (3, 0, 0, 1)


@pytest.mark.torture(23)
@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_a_lost_answer_costs_at_most_one_login(set_sail: SetSail, kind: str) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=8, faults=[fault(kind, every=10, times=5)], size=3000)
    done = voyage.run("--quiet")
    assert (done.returncode, done.stderr, voyage.wrong()) == (0, "", [])
    stats = voyage.server.stats()
    assert stats.faults[kind] == 5
    assert stats.logins <= 1 + 5
    assert (stats.replaced_tokens_sent, stats.sessions_revoked) == (0, 0)


@pytest.mark.torture(23)
def test_a_lost_answer_where_nobody_may_log_in(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=20, lease_mode="revoke", max_workers=4, faults=[fault("lost", every=8, times=1)], on_doubt="ask"
    )
    done = voyage.run("--quiet")
    assert done.returncode == 3, done.stderr
    assert "argosy login" in done.stderr
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.logins, voyage.damaged()) == (0, 1, [])
    kept = voyage.done()
    login = voyage.argosy("login", str(voyage.file))
    assert login.returncode == 0, login.stderr
    assert kept <= voyage.done()
    assert (voyage.run("--quiet").returncode, voyage.wrong(), voyage.server.stats().logins) == (0, [], 2)


@pytest.mark.torture(25)
def test_expiry_in_the_middle_from_the_command_line(set_sail: SetSail) -> None:
    voyage = set_sail(items=80, lease_mode="revoke", max_workers=8, ttfb=0.01)
    process = voyage.start("--quiet")
    for number in (10, 40):
        wait_for_accepted(voyage, number)
        voyage.server.expire_sessions()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err, voyage.wrong()) == (0, "", "", [])
    assert voyage.server.stats().logins == 3


def wait_for_accepted(voyage: Voyage, number: int) -> None:
    """Wait until the server has let in more than so many requests."""
    wait_until(lambda: voyage.server.stats().accepted > number)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the test's own limit ends it otherwise."""
    while not condition():
        time.sleep(0.01)


@pytest.mark.torture(26)
def test_a_wrong_password_is_tried_once(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, max_workers=8)
    (voyage.root / "password.txt").write_text("analytical engine\n", "utf-8")
    done = voyage.run()
    stats = voyage.server.stats()
    assert (done.returncode, stats.failed_logins, stats.logins) == (3, 1, 0), done.stderr
    assert "Traceback" not in done.stderr
    assert "analytical engine" not in done.stdout + done.stderr
    (voyage.root / "password.txt").write_text("difference engine", "utf-8")
    assert (voyage.run().returncode, voyage.wrong()) == (0, [])


@pytest.mark.torture(26)
def test_a_password_that_is_changed_in_the_middle(set_sail: SetSail) -> None:
    voyage = set_sail(items=100, lease_mode="revoke", max_workers=8, ttfb=0.01)
    process = voyage.start()
    wait_until(lambda: len(voyage.done()) >= 10)
    voyage.server.change(password="changed")
    voyage.server.expire_sessions()
    _, err = process.communicate(timeout=60)
    stats = voyage.server.stats()
    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert (stats.failed_logins, stats.logins, voyage.damaged()) == (1, 1, [])
    kept = voyage.done()
    assert 10 <= len(kept) < 100
    voyage.server.reset_stats()
    (voyage.root / "password.txt").write_text("changed", "utf-8")
    assert (voyage.run().returncode, voyage.wrong()) == (0, [])
    asked = voyage.server.stats().requests_by_path
    assert [e.name for e in voyage.expected if e.name.partition("/")[0] in kept and e.path in asked] == []


class Relay:
    """Passes two connections on to a server, and holds the answers on each until its gate is open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.gates = [threading.Event() for _ in range(2)]
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def close(self) -> None:
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        for gate in self.gates:
            client, _ = self._listener.accept()
            self._threads.append(threading.Thread(target=self._connect, args=(client, gate)))
            self._threads[-1].start()

    def _connect(self, client: socket.socket, gate: threading.Event) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            answers = threading.Thread(target=self._pass, args=(server, client, gate))
            answers.start()
            self._pass(client, server, None)
            answers.join()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, gate: threading.Event | None) -> None:
        with contextlib.suppress(OSError):  # one side may be gone
            while data := source.recv(65536):
                if gate is not None:
                    gate.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay_to() -> Iterator[Callable[[int], Relay]]:
    relays: list[Relay] = []

    def start(port: int) -> Relay:
        relays.append(Relay(port))
        return relays[-1]

    yield start
    for relay in relays:
        relay.close()


@pytest.mark.torture(27)
@pytest.mark.requests_only("LeasedAdapter sends with the default transport")
def test_a_refusal_after_a_sibling_rotated_costs_no_login(set_sail: SetSail, relay_to: Callable[[int], Relay]) -> None:
    voyage = set_sail(items=1, lease_mode="strict")
    argosy.download(voyage.file)
    before = voyage.server.stats()
    relay = relay_to(voyage.server.port)
    logins: list[int] = []

    def log_in() -> tuple[()]:
        logins.append(1)
        return ()

    store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
    record = store.read("default")
    assert record is not None
    there = tuple(replace(cookie, port=relay.port) for cookie in record.cookies)  # the relay is another origin
    store.write(replace(record, cookies=there, generation=record.generation + 1), record.generation)
    manager = SessionManager(store, "default", Policy(LeaseMode.SHARED), login=log_in)
    statuses: dict[int, int] = {}

    def get(number: int) -> None:
        adapter = argosy.LeasedAdapter(manager)
        with AuthorizedSession(adapter, lambda response: response.status == 401) as session:
            url = f"http://127.0.0.1:{relay.port}/files/{number}?size=10"
            statuses[number] = session.get(url).status_code

    first = threading.Thread(target=get, args=(0,))
    first.start()
    wait_until(lambda: voyage.server.stats().accepted > before.accepted)  # its answer is held
    second = threading.Thread(target=get, args=(1,))
    second.start()
    wait_until(lambda: voyage.server.stats().refused > before.refused)  # so is the refusal
    relay.gates[0].set()
    first.join()
    relay.gates[1].set()  # what is sent again goes through the same connection
    second.join()
    assert (statuses, logins, manager.refusals) == ({0: 200, 1: 200}, [], 1)
    assert voyage.server.stats().logins == 1


@pytest.mark.torture(28)
def test_foreign_cookies_are_ignored(set_sail: SetSail) -> None:
    voyage = set_sail(items=10, lease_mode="revoke", max_workers=4, faults=[fault("foreign_cookie")])
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, stats.replaced_tokens_sent, stats.refused, stats.logins) == (10, 0, 0, 1)
    store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
    record = store.read("default")
    assert record is not None
    assert {cookie.domain for cookie in record.cookies} == {"127.0.0.1"}


@pytest.mark.torture(29)
@pytest.mark.parametrize("noise", [False, True])
def test_a_deleted_token_ends_the_session(set_sail: SetSail, noise: bool) -> None:
    faults: list[Any] = [fault("delete_cookie", every=5, times=2)]
    voyage = set_sail(items=20, lease_mode="revoke", max_workers=4, faults=faults, noise_cookie=noise)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.logins) == (20, [], 3)
    assert (stats.replaced_tokens_sent, report.counts.failed) == (0, 0)


@pytest.mark.torture(30)
def test_slow_bodies_come_in_parallel_and_hold_no_session(set_sail: SetSail) -> None:
    voyage = set_sail(items=8, lease_mode="revoke", max_workers=8, size=60_000, rate=20_000)
    process = voyage.start("--quiet")
    wait_until(lambda: voyage.server.stats().active == 8)
    store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
    release = store.acquire("default", wait=False)
    assert release is not None, "the session is held during a body"
    release()
    assert voyage.server.stats().bodies_completed.get(voyage.expected[0].path) is None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err, voyage.wrong()) == (0, "", [])
    assert voyage.server.stats().replaced_tokens_sent == 0
