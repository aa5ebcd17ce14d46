"""The line between a run and its workers in other processes, over a real socket."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.config.load import load
from argosy.engine.ipc import RunEnd, WorkerEnd
from argosy.engine.run import Run, RunOptions
from argosy.errors import Interrupted, RunUnreachable, StorageError
from argosy.events import EventKind
from argosy.interfaces.strategy import Work
from argosy.models.items import Job, Outcome
from argosy.plugins.manager import PluginManager
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop
from argosy_plugins.strategies.threads import ThreadsStrategy
from argosy_plugins.unix_channel import SOCKET, UnixAddress, UnixChannel
from hazards import TOKEN


class Heard:
    """Collects events."""

    def __init__(self) -> None:
        self.events: list[tuple[EventKind, str | None, Any]] = []

    def __call__(self, kind: EventKind, item: str | None = None, data: Any = None) -> None:
        self.events.append((kind, item, data))


def silent(name: str, text: str) -> None:
    """Answer nothing."""


def folder_of(server: RunEnd) -> Path:
    """Return the folder of a run's socket."""
    assert isinstance(server.address, UnixAddress)
    return Path(server.address.path).parent


def clients_of(server: RunEnd) -> list[socket.socket]:
    """Return the sockets of its workers, as soon as there is one."""
    channel: Any = server._channel
    while not channel._clients:
        pass
    return list(channel._clients)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def server(heard: Heard, stop: Stop) -> Iterator[RunEnd]:
    made = RunEnd(UnixChannel(), heard, stop, lambda name, text: text.upper())
    yield made
    made.close()


def test_closing_ends_its_threads(heard: Heard) -> None:
    before = threading.active_count()
    RunEnd(UnixChannel(), heard, Stop(), silent).close()
    assert threading.active_count() == before


def test_the_socket_is_for_this_user_alone(server: RunEnd) -> None:
    folder = folder_of(server)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    server.close()
    assert not folder.exists()


def test_everything_said_before_the_close_is_heard(server: RunEnd, heard: Heard) -> None:
    clients = [WorkerEnd(server.address, Stop(), Redactor()) for _ in range(3)]
    for number, client in enumerate(clients):
        for turn in range(200):
            client.emit(EventKind.RUN_NOTICE, None, {"message": f"{number} {turn}"})
        client.count({"requests": 5, "logins": number})
        client.close()
    server.close()
    for number in range(3):
        said = [data["message"] for _, _, data in heard.events if data["message"].startswith(f"{number} ")]
        assert said == [f"{number} {turn}" for turn in range(200)], "in the order in which they were said"
    assert sorted(counts["logins"] for counts in server.counts.values()) == [0, 1, 2]


def test_a_run_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunUnreachable, match="cannot reach its run") as caught:
        WorkerEnd(UnixAddress(str(tmp_path / SOCKET)), Stop(), Redactor())
    assert str(tmp_path) in caught.value.message


def test_no_progress_is_lost(server: RunEnd, heard: Heard) -> None:
    client = WorkerEnd(server.address, Stop(), Redactor())
    for _ in range(1000):
        client.emit(EventKind.RESOURCE_PROGRESS, "a", {"bytes": 7})
    client.emit(EventKind.ITEM_FINISHED, "a", {"state": "done"})
    client.close()
    server.close()
    received = [data["bytes"] for kind, _, data in heard.events if kind is EventKind.RESOURCE_PROGRESS]
    assert sum(received) == 7000
    assert heard.events[-1] == (EventKind.ITEM_FINISHED, "a", {"state": "done"})


@pytest.mark.parametrize("abort", [False, True])
def test_the_word_to_stop_goes_out(server: RunEnd, stop: Stop, abort: bool) -> None:
    early = Stop()
    client = WorkerEnd(server.address, early, Redactor())
    assert client.ask("secret", "there?") == "THERE?"
    (stop.abort if abort else stop.drain)()
    late = Stop()
    other = WorkerEnd(server.address, late, Redactor())
    for told in (early, late):
        with pytest.raises(Interrupted):
            told.sleep(30)  # ends as soon as the word is there
        if abort:
            while not told.aborted:
                pass
    assert early.aborted is late.aborted is abort
    client.close()
    other.close()


def test_a_run_that_is_gone_stops_its_workers(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    # the client removes the socket that close() would wake the server with
    monkeypatch.setattr("argosy_plugins.unix_channel.LAST_MESSAGES", 0.1)
    server = RunEnd(UnixChannel(), heard, Stop(), silent)
    told = Stop()
    client = WorkerEnd(server.address, told, Redactor())
    for client_socket in clients_of(server):
        client_socket.shutdown(socket.SHUT_RDWR)  # what the system does when the run's process dies
    with pytest.raises(Interrupted):
        told.sleep(30)
    with pytest.raises(Interrupted):
        client.ask("secret", "anybody?")
    client.emit(EventKind.RUN_NOTICE, None, {"message": "to nobody"})
    client.close()
    server.close()


def test_the_folder_of_a_run_that_was_killed_is_removed_by_the_next(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import time; from argosy_plugins.unix_channel import UnixChannel\n"
        "print(UnixChannel().open(print).path, flush=True); time.sleep(600)"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path is 107 characters long at most
        monkeypatch.setattr("tempfile.tempdir", short)
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "TMPDIR": short},
            )
            for _ in range(2)
        ]
        dead, living = (Path((process.stdout or sys.stdin).readline().strip()).parent for process in running)
        other = Path(short, "argosy-demo")
        other.mkdir()
        running[0].kill()
        running[0].communicate()
        server = RunEnd(UnixChannel(), heard, Stop(), silent)
        mine = folder_of(server)
        assert sorted(Path(short).iterdir()) == sorted([living, mine, other])
        assert dead != living
        server.close()
        running[1].kill()
        running[1].communicate()


def test_work_can_be_sent_on(set_sail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    voyage = set_sail(items=3, lease_mode="revoke", strategy="threads")
    run = ThreadsStrategy.run

    def sending(self: ThreadsStrategy, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        for _ in range(3):
            work = pickle.loads(pickle.dumps(work))
        yield from run(self, jobs, work, max_workers)

    monkeypatch.setattr(ThreadsStrategy, "channel", lambda self: UnixChannel())
    monkeypatch.setattr(ThreadsStrategy, "run", sending)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        report = argosy.download(voyage.file)
        heard = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (report.counts.done, report.logins, voyage.wrong()) == (3, 1, [])
    assert heard is not signal.SIG_IGN, "the run's own process hears Ctrl-C"


def test_a_place_for_the_socket_that_will_not_do_is_named(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(StorageError, match="TMPDIR"):
        RunEnd(UnixChannel(), heard, Stop(), silent)


def test_no_secret_is_in_a_pickle(set_sail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    voyage = set_sail(items=3, lease_mode="revoke", strategy="threads")
    monkeypatch.setenv("TEST_PASSWORD", voyage.server.password)
    voyage.config["auth"]["fields"]["password"] = {"env": "TEST_PASSWORD"}
    pickles: list[bytes] = []
    run = ThreadsStrategy.run

    def pickling(self: ThreadsStrategy, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        for outcome in run(self, jobs, work, max_workers):
            pickles.append(pickle.dumps((work, outcome)))
            yield outcome

    monkeypatch.setattr(ThreadsStrategy, "channel", lambda self: UnixChannel())
    monkeypatch.setattr(ThreadsStrategy, "run", pickling)
    assert argosy.download(voyage.file).counts.done == 3
    tokens = [c["value"] for c in _cookies(voyage.root / "cookies.json")]
    assert (len(pickles), bool(tokens)) == (3, True)
    assert voyage.server.user.encode() in pickles[0], "what is no secret is there"
    for data in pickles:
        assert not any(secret.encode() in data for secret in (voyage.server.password, *tokens))
        assert TOKEN.search(data) is None


def _cookies(path: Path) -> list[dict[str, Any]]:
    sessions = json.loads(path.read_text("utf-8"))["sessions"]
    return [cookie for session in sessions.values() for cookie in session["cookies"]]


def test_a_password_is_asked_for_once(set_sail: Any) -> None:
    strategy = {"use": "multiprocess", "processes": 3}
    voyage = set_sail(items=12, lease_mode="revoke", strategy=strategy, max_workers=3)
    voyage.config["auth"]["fields"]["password"] = {"prompt": "Password of the library"}
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(f"{text} ({os.getpid()})")
        return str(voyage.server.password)

    plugins = PluginManager()
    report = Run(load(voyage.file, plugins), plugins, RunOptions(ask=ask)).execute()
    assert (report.counts.done, asked) == (12, [f"Password of the library ({os.getpid()})"])


def test_a_worker_removes_the_folder_of_its_run_when_that_is_over(stop: Stop) -> None:
    over = threading.Event()
    stop.listeners.add(over.set)
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path is 107 characters long at most
        folder = Path(short, "argosy-killed")
        folder.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / SOCKET))
            listener.listen()
            leaving = WorkerEnd(UnixAddress(str(folder / SOCKET)), Stop(), Redactor())
            client = WorkerEnd(UnixAddress(str(folder / SOCKET)), stop, Redactor())
            leaving.close()
            assert not over.wait(0.1)
            assert folder.exists(), "other workers still need it"
            for _ in range(2):
                listener.accept()[0].close()
        assert over.wait(30)
        client.close()
        assert not folder.exists()
