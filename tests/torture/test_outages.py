"""The torture table, section network: a service that goes away while a run works, for a while or for good."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.errors import ServiceDown
from hazards import failures
from voyage import Voyage

SetSail = Callable[..., Voyage]


class Outage:
    """Takes a service away once some items are finished, and brings it back when the run says that it is down."""

    def __init__(self, voyage: Voyage, away: Callable[[], object], back: Callable[[], object] | None) -> None:
        self.notices: list[str] = []
        self._finished = 0
        self._voyage = voyage
        self._away = away
        self._back = back

    def __call__(self, event: Any) -> None:
        if event.kind == "resource.finished":
            self._finished += 1
            if self._finished == 5:
                self._away()
        elif event.kind == "run.notice":
            self.notices.append(event.data["message"])
            if "is down" in event.data["message"] and self._back is not None:
                self._back()


def states(voyage: Voyage) -> dict[str, int]:
    """Return how many items the ledger has in each state."""
    db = sqlite3.connect(voyage.library / ".argosy" / "ledger.sqlite")
    try:
        return dict(db.execute("SELECT state, count(*) FROM items GROUP BY state"))
    finally:
        db.close()


@pytest.mark.torture(31, 32)
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("options", [{"lease_mode": "open", "auth": "none"}, {"lease_mode": "revoke"}])
def test_a_run_outlives_a_service_that_is_started_again(
    set_sail: SetSail, workers: int, options: dict[str, Any]
) -> None:
    voyage = set_sail(items=30, max_workers=workers, max_retries=3, **options)
    outage = Outage(voyage, voyage.server.kill, voyage.server.start)
    report = argosy.download(voyage.file, outage)
    assert (report.error, failures(report), report.counts.done, voyage.wrong()) == (None, {}, 30, [])
    assert len(outage.notices) == 2, "\n".join(outage.notices)
    assert "Connection refused. The run pauses" in outage.notices[0]
    assert "answers again" in outage.notices[1]


@pytest.mark.torture(31)
@pytest.mark.parametrize("options", [{"lease_mode": "open", "auth": "none"}, {"lease_mode": "revoke"}])
def test_a_service_that_does_not_come_back_ends_the_run_and_nothing_is_lost(
    set_sail: SetSail, options: dict[str, Any]
) -> None:
    voyage = set_sail(items=30, max_workers=4, max_outage=1.2, **options)
    with pytest.raises(ServiceDown) as caught:
        argosy.download(voyage.file, Outage(voyage, voyage.server.kill, None))
    assert caught.value.host == f"127.0.0.1:{voyage.server.port}"
    assert re.search("Connection refused|closed connection without", caught.value.cause)
    found = states(voyage)
    assert voyage.damaged() == []
    assert found.keys() == {"done", "pending"}, "what was hit by the outage is still to be done"
    assert (found["done"] >= 5, sum(found.values())) == (True, 30)
    voyage.server.start()
    del voyage.config["max_outage"]  # however slow this machine is, it is waited for
    done = voyage.run()
    assert (done.returncode, voyage.wrong()) == (0, []), done.stderr


@pytest.mark.slow
@pytest.mark.torture(31, 32)
def test_processes_outlive_a_service_that_is_started_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, max_workers=3, strategy="multiprocess", lease_mode="revoke")
    outage = Outage(voyage, voyage.server.kill, voyage.server.start)
    report = argosy.download(voyage.file, outage)
    assert (report.error, failures(report), report.counts.done, voyage.wrong()) == (None, {}, 30, [])
    assert report.strategy_used == "multiprocess"


@pytest.mark.torture(31)
def test_the_command_line_says_what_is_down_and_what_to_do(set_sail: SetSail) -> None:
    voyage = set_sail(items=200, max_workers=4, max_outage=1.2, lease_mode="open", auth="none", ttfb=0.02)
    process = voyage.start("--events", "-")
    assert process.stdout is not None
    finished = 0
    for line in process.stdout:
        finished += json.loads(line)["kind"] == "item.finished"
        if finished == 5:
            break
    voyage.server.kill()
    _, err = process.communicate(timeout=110)
    assert process.returncode == 1, err
    assert f"127.0.0.1:{voyage.server.port} has been down for" in err
    assert "max_outage" in err
    assert states(voyage).keys() == {"done", "pending"}


@pytest.mark.torture(32)
@pytest.mark.parametrize("options", [{"lease_mode": "open", "auth": "none"}, {"lease_mode": "revoke"}])
def test_a_run_outlives_a_time_in_which_nothing_comes(set_sail: SetSail, options: dict[str, Any]) -> None:
    voyage = set_sail(items=30, max_workers=4, timeout={"headers": 0.4, "read": 0.4}, **options)
    pid = voyage.server.pid
    assert pid is not None
    outage = Outage(voyage, lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT))
    try:
        report = argosy.download(voyage.file, outage)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (report.error, failures(report), report.counts.done, voyage.wrong()) == (None, {}, 30, [])
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(31)
def test_a_host_that_was_never_there_fails_its_items_and_holds_nobody_up(library_server: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = library_server(lease_mode="open")
    dead = [f"http://127.0.0.1:{port}/{number}" for number in range(60)]
    good = [server.url_for(f"/files/good-{number}?size=5") for number in range(20)]
    config = {"source": {"use": "urls", "urls": dead + good}, "directory": str(tmp_path), "retry_delay": 0.01}
    report = argosy.download(config)
    assert (report.error, report.counts.done, report.counts.failed) == (None, 20, 60)
    assert set(failures(report).values()) <= {"refused", "down"}
    assert report.retries < 60, "each of them was tried again and again"


@pytest.mark.torture(31)
def test_a_host_that_another_run_missed_is_not_called_down_before_it_is_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    urls = [f"http://127.0.0.1:{port}/{number}" for number in range(8)]
    config = {"source": {"use": "urls", "urls": urls}, "directory": str(tmp_path), "retry_delay": 0.01}
    assert argosy.download(config).counts.failed == 8
    again = argosy.download(config)
    assert (again.notices, again.counts.failed) == ((), 8), "nobody waits 300 seconds for it"


def resolver_that_fails(monkeypatch: pytest.MonkeyPatch, number: int, host: str, times: int = 10**6) -> list[str]:
    """Let the resolver fail so often for a name; return the list of the times it was asked for it."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def fail(name: Any, *rest: Any, **options: Any) -> Any:
        if name == host:
            asked.append(name)
            if len(asked) <= times:
                raise socket.gaierror(number, "the resolver's own words")
        return resolve(name, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return asked


@pytest.mark.torture(82)
def test_a_name_that_does_not_resolve_fails_its_items_at_once(
    library_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = library_server(lease_mode="open")
    resolver_that_fails(monkeypatch, socket.EAI_NONAME, "no-such-host.invalid")  # as any with a network
    dead = [f"http://no-such-host.invalid/{number}" for number in range(30)]
    good = [server.url_for(f"/files/good-{number}?size=5") for number in range(10)]
    config = {"source": {"use": "urls", "urls": dead + good}, "directory": str(tmp_path)}
    report = argosy.download(config)
    assert (report.error, report.counts.done, report.counts.failed) == (None, 10, 30)
    again = argosy.download(config)  # what the first run wrote down of the host must not delay this one
    for run in (report, again):
        assert (set(failures(run).values()), run.retries, run.notices) == ({"dns"}, 0, ())
        messages = {failure.message for failure in run.failures}
        assert messages == {
            "no-such-host.invalid cannot be reached: its name does not resolve. Check how the host is spelled."
        }


@pytest.mark.torture(82)
@pytest.mark.requests_only("libcurl has a resolver of its own")
def test_a_resolver_that_fails_for_a_moment_is_asked_again(set_sail: SetSail, monkeypatch: pytest.MonkeyPatch) -> None:
    voyage = set_sail(items=1, lease_mode="open", auth="none")
    asked = resolver_that_fails(monkeypatch, socket.EAI_AGAIN, "127.0.0.1", 2)
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.retries, len(asked)) == (1, 2, 3)


@pytest.mark.torture(82)
@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
@pytest.mark.requests_only("libcurl has a resolver of its own")
def test_a_host_that_was_there_and_whose_name_is_gone_is_waited_for(
    set_sail: SetSail, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A laptop that changes its network loses its resolver for a while: the names are no mistake."""
    voyage = set_sail(
        items=12,
        max_workers=2,
        max_retries=0,
        lease_mode="open",
        auth="none",
        headers=[("Connection", "close")],
    )
    outage = Outage(voyage, lambda: resolver_that_fails(monkeypatch, number, "127.0.0.1"), monkeypatch.undo)
    report = argosy.download(voyage.file, outage)
    assert (report.error, failures(report), report.counts.done, voyage.wrong()) == (None, {}, 12, [])
    assert "is down" in outage.notices[0]


@pytest.mark.torture(31)
def test_without_a_wait_each_resource_has_its_retries(set_sail: SetSail) -> None:
    voyage = set_sail(items=12, max_workers=2, max_outage=0, max_retries=1, lease_mode="open", auth="none")
    report = argosy.download(voyage.file, Outage(voyage, voyage.server.kill, None))
    assert report.error is None
    assert set(failures(report).values()) <= {"refused", "reset", "lost", "cut"}
    assert report.counts.failed + report.counts.done == 12
