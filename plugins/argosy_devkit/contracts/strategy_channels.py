"""The contract of the channel between a run and its workers in other processes: it reaches, and lets in, nobody else."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import Interrupted, RunUnreachable
from argosy.interfaces.channel import Address, Channel, Connection, Message
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Failure, Job, Outcome, State
from argosy_devkit.client import LibraryServer
from argosy_devkit.contracts.plugin_suite import check_importable
from argosy_devkit.contracts.promises import documented_at
from argosy_devkit.contracts.strategy_suite import FolderWork, StrategySuite, folder_work, job
from argosy_devkit.contracts.waiting import Thread, wait_until

#: What a run's work may have, in bytes, when it is pickled: it is sent to each worker, and with some strategies with each job.
MOST_PICKLED = 2000

#: How many messages a worker sends in a row.
MESSAGES = 50

_CHANNEL = "argosy.interfaces.Channel (docs/plugins/contracts.md)"


@dataclass(frozen=True)
class ChannelWork(FolderWork):
    """Work that reaches its run; the title of a job says how."""

    address: Address | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _channel_work, (self.folder, self.gated, os.getpid(), self.address)

    def __call__(self, job: Job) -> Outcome:
        """Connect, do as the title says, and fail with what went wrong."""
        try:
            connection = _connect(self)
            if job.item.title == "sends":
                for number in range(MESSAGES):
                    connection.send({"from": job.item.id, "number": number})
                answer = connection.ask({"ask": job.item.id})
                assert answer == {"answer": job.item.id}, f"{job.item.id} asked and was answered {answer}"
            if job.item.title == "sends on":
                again = pickle.loads(pickle.dumps(self))  # noqa: S301
                assert again == self, "the address must survive pickling on a worker, too"
                assert hash(again.address) == hash(self.address), "the address must keep its hash"
            (self.folder / f"connected-{job.item.id}").touch()
            outcome = super().__call__(job)
            if job.item.title == "asks late":
                with contextlib.suppress(Interrupted):
                    answer = connection.ask({"ask": job.item.id})
                    raise AssertionError(f"ask() must raise Interrupted when the run is over, and returned {answer}")
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            return Outcome(job.item.id, State.FAILED, failure=Failure(type(error).__name__, text))
        return outcome

    def told(self) -> list[Any]:
        """Return what the run has told this process's workers."""
        return [json.loads(line) for path in self.folder.glob("told-*") for line in path.read_text().splitlines()]


_connections: dict[Address, Connection] = {}  # of this process
_mutex = threading.Lock()


def _connect(work: ChannelWork) -> Connection:
    address = work.address
    assert address is not None

    def told(message: Message) -> None:
        with (work.folder / f"told-{os.getpid()}").open("a") as file:
            file.write(json.dumps(message) + "\n")

    def over() -> None:
        (work.folder / f"over-{os.getpid()}").touch()
        with _mutex:
            connection = _connections.pop(address, None)
        if connection is not None:
            connection.close()  # the run waits for this

    with _mutex:
        if address not in _connections:
            _connections[address] = address.connect(told, over)
        return _connections[address]


def _channel_work(folder: Path, gated: frozenset[str], run: int, address: Address) -> ChannelWork:
    folder_work(folder, gated, run)
    return ChannelWork(folder, gated, address)


@dataclass
class OpenChannel:
    """The run's end of a channel, and what it has heard."""

    channel: Channel
    heard: list[Message] = field(default_factory=list)
    address: Address = field(init=False)

    def __post_init__(self) -> None:
        """Open it."""
        self.address = self.channel.open(self._answer)

    def _answer(self, message: Message) -> Message | None:
        self.heard.append(message)
        return {"answer": message["ask"]} if "ask" in message else None


class ChannelRules(StrategySuite):
    """The promises of channels, and of the work that is sent to other processes."""

    @pytest.fixture
    def opened(self, strategy: Strategy) -> Iterator[OpenChannel]:
        """Open the strategy's channel."""
        if strategy.needs < Scope.HOST:
            pytest.skip(f"the workers of {self.plugin.name} stay in one process")
        check_importable(self.plugin)
        channel = strategy.channel()
        assert isinstance(channel, Channel), "channel() must return a Channel"
        opened = OpenChannel(channel)
        yield opened
        channel.close()

    @pytest.fixture
    def channel_work(self, opened: OpenChannel, tmp_path: Path) -> Callable[..., ChannelWork]:
        """Create work that knows the channel."""
        folder = tmp_path / "work"
        folder.mkdir()
        return lambda *gated: ChannelWork(folder, frozenset(gated), opened.address)

    @documented_at("argosy.Strategy.needs (docs/plugins/contracts.md)")
    def test_needs_says_where_its_workers_are(
        self, strategy: Strategy, tmp_path: Path, make_work: Callable[..., FolderWork]
    ) -> None:
        """With these options, `needs` is at least Scope.HOST if a job is done in another process."""
        work = make_work()
        list(strategy.run(map(job, range(6)), work, self.max_workers))
        if strategy.needs < Scope.HOST:
            assert work.processes() == {os.getpid()}, "jobs were done in other processes: needs must be Scope.HOST"

    @documented_at("argosy.interfaces.strategy.Work (docs/plugins/contracts.md)")
    def test_work_is_small_and_has_no_secret(
        self,
        strategy: Strategy,
        tmp_path: Path,
        given: Mapping[str, Any],
        library_server: Callable[..., LibraryServer],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The work of a run can be pickled any number of times, in less than 2,000 bytes and without secrets."""
        if strategy.needs < Scope.HOST:
            pytest.skip(f"the workers of {self.plugin.name} stay in one process")
        pickles: list[bytes] = []
        run = self.plugin.run

        def spying(self: Strategy, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
            pickles.extend(pickle.dumps(work) for _ in range(3))
            yield from run(self, jobs, work, max_workers)

        monkeypatch.setattr(self.plugin, "run", spying)
        server = library_server(lease_mode="revoke")
        server.manifest(tmp_path / "items.jsonl", items=3, size=100)
        (tmp_path / "password.txt").write_text(server.password, "utf-8")
        fields = {"user": server.user, "password": {"file": "password.txt"}}
        report = self.run(
            tmp_path,
            given,
            source={"use": "manifest", "path": "items.jsonl"},
            auth={"use": "form-login", "url": server.login_url, "fields": fields},
            cookie_store={"use": "json-file", "path": "cookies.json"},
        )
        assert report.error is None, f"the run failed: {report.error}"
        size = max(map(len, pickles))
        assert size < MOST_PICKLED, f"the work has {size} bytes: the address of a channel must be small"
        assert not any(server.password.encode() in data for data in pickles), "a secret was pickled"

    @documented_at(_CHANNEL)
    def test_workers_can_reach_the_run(
        self, strategy: Strategy, opened: OpenChannel, channel_work: Callable[..., ChannelWork]
    ) -> None:
        """Messages of a worker arrive once and in order; who asks gets the answer to that question."""
        outcomes = list(strategy.run((job(n, "sends") for n in range(8)), channel_work(), self.max_workers))
        assert [o.failure for o in outcomes if o.failure] == [], "a worker could not talk to its run"
        for name in map(str, range(8)):
            numbers = [message["number"] for message in opened.heard if message.get("from") == name]
            assert numbers == list(range(MESSAGES)), "messages of a worker must arrive once, and in order"

    @documented_at(_CHANNEL)
    def test_an_address_can_be_sent_on(
        self, strategy: Strategy, opened: OpenChannel, channel_work: Callable[..., ChannelWork]
    ) -> None:
        """An address can be hashed, compared and pickled, also by a worker that is connected."""
        copy = pickle.loads(pickle.dumps(opened.address))  # noqa: S301
        assert copy == opened.address, "the address must survive pickling"
        assert hash(copy) == hash(opened.address), "the address must keep its hash"
        outcomes = list(strategy.run((job(n, "sends on") for n in range(3)), channel_work(), self.max_workers))
        assert [o.failure for o in outcomes if o.failure] == [], "a worker must be able to pickle its work"

    @documented_at(_CHANNEL)
    def test_the_run_can_tell_its_workers(
        self, strategy: Strategy, opened: OpenChannel, channel_work: Callable[..., ChannelWork]
    ) -> None:
        """tell() reaches the workers that are connected, and those that connect later get the last message."""
        work = channel_work("0")
        opened.channel.tell({"stop": "drain"})
        run = Thread(lambda: list(strategy.run([job(0)], work, 1)))
        try:
            wait_until(
                lambda: {"stop": "drain"} in work.told(), "a worker to be told what was said before it connected"
            )
            opened.channel.tell({"stop": "abort"})
            wait_until(lambda: {"stop": "abort"} in work.told(), "a worker to be told")
        finally:
            work.open()
            run.join()

    @documented_at(_CHANNEL)
    def test_workers_are_told_that_the_run_is_over(
        self, strategy: Strategy, opened: OpenChannel, channel_work: Callable[..., ChannelWork]
    ) -> None:
        """close() lets `over` be called on each worker that is connected, and ask() raise Interrupted from then on."""
        work = channel_work("0")
        run = Thread(lambda: list(strategy.run([job(0, "asks late")], work, 1)))
        try:
            wait_until(lambda: (work.folder / "connected-0").exists(), "a worker to connect")
            opened.channel.close()
            wait_until(lambda: any(work.folder.glob("over-*")), "a worker to be told that the run is over")
        finally:
            work.open()
        (outcome,) = run.result()
        assert outcome.failure is None, outcome.failure

    @documented_at("argosy.errors.RunUnreachable (docs/reference/exit-codes.md)")
    def test_a_run_that_is_over_is_unreachable(
        self, strategy: Strategy, opened: OpenChannel, channel_work: Callable[..., ChannelWork]
    ) -> None:
        """Connecting to a run that is over raises RunUnreachable, and nothing else."""
        opened.channel.close()
        (outcome,) = strategy.run([job(0)], channel_work(), 1)
        assert outcome.failure is not None, "a run that is over was reached"
        assert outcome.failure.kind == RunUnreachable.__name__, (
            f"connect() must raise RunUnreachable: {outcome.failure}"
        )

    @documented_at(_CHANNEL)
    @pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux, to find the sockets")
    def test_nobody_else_gets_in(
        self, strategy: Strategy, opened: OpenChannel, channel_work: Callable[..., ChannelWork]
    ) -> None:
        """Others cannot connect to a Unix socket of the run; over TCP, nothing they send is taken or unpickled."""
        work = channel_work("0")
        run = Thread(lambda: list(strategy.run([job(0)], work, 1)))
        try:
            wait_until(lambda: (work.folder / "connected-0").exists(), "a worker to connect")
            ours = _inodes(os.getpid(), *work.processes())
            for path in _unix_sockets(ours):
                assert not _open_to_others(path), f"every user of this machine can connect to {path}"
            before = list(opened.heard)
            for port in _tcp_ports(ours):
                _attack(port, work.folder / "unpickled")
            assert not (work.folder / "unpickled").exists(), "what came from the network was unpickled"
            assert opened.heard == before, "messages of others were taken for those of workers"
        finally:
            work.open()
        (outcome,) = run.result()
        assert outcome.failure is None, f"workers could not work any longer: {outcome.failure}"


class _Bomb:
    def __init__(self, trace: Path) -> None:
        self._trace = str(trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._trace,)


def _attack(port: int, trace: Path) -> None:
    """Send what a careless server takes: lines of JSON, and pickles as they are or with their length before them."""
    bomb = pickle.dumps(_Bomb(trace))
    lines = json.dumps({"ask": "a question of somebody else"}).encode() + b"\n"
    for data in (lines, bomb, struct.pack("!i", len(bomb)) + bomb, struct.pack("<Q", len(bomb)) + bomb):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def _inodes(*processes: int) -> set[str]:
    """Return the inodes of the sockets of processes."""
    found = set()
    for pid in processes:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                kind, _, inode = str(entry.readlink()).partition(":")
                if kind == "socket":
                    found.add(inode.strip("[]"))
    return found


def _tcp_ports(inodes: set[str]) -> list[int]:
    """Return the ports at which these sockets listen."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net", name))]
    return [int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes]


def _unix_sockets(inodes: set[str]) -> list[str]:
    """Return the names of these sockets that listen; abstract ones begin with @."""
    rows = [line.split(maxsplit=7) for line in _lines(Path("/proc/net/unix"))]
    return [row[7] for row in rows if len(row) > 7 and row[6] in inodes and int(row[3], 16) & 0x10000]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:] if path.exists() else []


def _open_to_others(path: str) -> bool:
    """Return whether other users can connect to a Unix socket (unix(7))."""
    if path.startswith("@"):
        return True
    place = Path(path)
    with contextlib.suppress(FileNotFoundError):  # renamed since it listens
        if not place.stat().st_mode & 0o002:
            return False
    with contextlib.suppress(FileNotFoundError):
        return all(parent.stat().st_mode & 0o001 for parent in place.parents)
    return False  # its folder is gone, as that of a channel of another test
