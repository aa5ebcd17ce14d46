"""Strategies that break one promise each."""

from __future__ import annotations

import contextlib
import functools
import json
import pickle
import shutil
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import Interrupted, RunUnreachable
from argosy.interfaces.channel import Channel, Message
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Work
from argosy.models.items import Job, Outcome, State
from argosy_plugins.strategies import _pool, _worker, multiprocess
from argosy_plugins.strategies.multiprocess import MultiprocessStrategy
from argosy_plugins.strategies.serial import SerialStrategy
from argosy_plugins.strategies.threads import ThreadsStrategy
from argosy_plugins.unix_channel import UnixAddress, UnixChannel, UnixConnection


class TakesAllJobsFirst(ThreadsStrategy):
    """Reads its source to the end before it begins."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        first = [job for job, _ in zip(jobs, range(500), strict=False)]  # the suite has an endless source
        yield from super().run(first, work, max_workers)


class SaysTwice(ThreadsStrategy):
    """Yields the last outcome once more."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        outcome = None
        for outcome in super().run(jobs, work, max_workers):
            yield outcome
        if outcome is not None:
            yield outcome


class KeepsFailures(ThreadsStrategy):
    """Yields what was done alone."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        yield from (o for o in super().run(jobs, work, max_workers) if o.state is State.DONE)


class IsNotParallel(SerialStrategy):
    """Says that it does several jobs at once, and does one."""

    parallel = True


class DoesMoreThanItMay(ThreadsStrategy):
    """Takes one worker more than it is allowed."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        yield from super().run(jobs, work, max_workers + 1)


class LosesOutcomesWithTheSource(SerialStrategy):
    """Forgets what was done when its source breaks."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        yield from [work(job) for job in jobs]


class StaysAtHome(ThreadsStrategy):
    """Says that its workers are processes, and works in threads."""

    needs = Scope.HOST


class _WithPool(MultiprocessStrategy):
    pool: Any

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(multiprocess, "ProcessPool", self.pool)
            yield from super().run(jobs, work, max_workers)


class _Forgetful(_pool.ProcessPool):
    def _replace(self, process: Any) -> None:
        process.tasks.clear()
        super()._replace(process)


class LosesTheJobsOfTheDead(_WithPool):
    """Replaces a worker that died, and forgets what it was at."""

    pool = _Forgetful


class _Careless(_pool.ProcessPool):
    left: list[Any] = []

    def dismiss(self) -> None:
        self.left += self._processes

    def abandon(self) -> None:
        self.left += self._processes


class LeavesItsProcesses(_WithPool):
    """Ends no worker, and keeps the pipes that would tell them."""

    pool = _Careless


class _Receives(MultiprocessStrategy):
    number: signal.Signals

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_pool, "serve", functools.partial(serve_and_receive, self.number))
            yield from super().run(jobs, work, max_workers)


def serve_and_receive(number: signal.Signals, pipe: Any, work: Work, threads: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    _worker.TO_ALL.clear()
    _worker.serve(pipe, work, threads)


class HearsCtrlC(_Receives):
    """Has workers that end for Ctrl-C."""

    number = signal.SIGINT


class EndsWithTheTerminal(_Receives):
    """Has workers that end with the terminal."""

    number = signal.SIGHUP


class SpansMachines(ThreadsStrategy):
    """Asks for a store that covers several machines."""

    needs = Scope.CLUSTER


class HidesItsProcesses(MultiprocessStrategy):
    """Says that its workers are threads, and works in processes."""

    needs = Scope.PROCESS


class _WithChannel(MultiprocessStrategy):
    make: type[UnixChannel]

    def channel(self) -> Channel:
        return self.make()


@dataclass(frozen=True)
class _BigAddress(UnixAddress):
    settings: str = "x" * 4000


@dataclass(frozen=True)
class _FullAddress(UnixAddress):
    """Keeps its connection, which has locks."""

    def connect(self, told: Callable[[Message], None], over: Callable[[], None]) -> UnixConnection:
        connection = super().connect(told, over)
        _kept[self.path] = connection
        return connection

    def __reduce__(self) -> tuple[Any, ...]:
        return _full_address, (self.path, _kept.get(self.path))


_kept: dict[str, UnixConnection] = {}


def _full_address(path: str, _connection: object) -> _FullAddress:
    return _FullAddress(path)


@dataclass(frozen=True)
class _VagueAddress(UnixAddress):
    """Takes a run that cannot be reached for one that was stopped."""

    def connect(self, told: Callable[[Message], None], over: Callable[[], None]) -> UnixConnection:
        try:
            return super().connect(told, over)
        except RunUnreachable:
            raise Interrupted("The run is over.") from None


class _HasAddress(UnixChannel):
    kind: type[UnixAddress]

    def open(self, answer: Callable[[Message], Message | None]) -> UnixAddress:
        return self.kind(super().open(answer).path)


class _Big(_HasAddress):
    kind = _BigAddress


class _Full(_HasAddress):
    kind = _FullAddress


class _Vague(_HasAddress):
    kind = _VagueAddress


class _Shuffling(UnixChannel):
    """Gives the first message of a worker last."""

    def open(self, answer: Callable[[Message], Message | None]) -> UnixAddress:
        first: dict[Any, Message] = {}

        def shuffled(message: Message) -> Message | None:
            if "from" in message and message["from"] not in first:
                first[message["from"]] = message
                return None
            if message.get("ask") in first:
                answer(first[message["ask"]])
            return answer(message)

        return super().open(shuffled)


class _Forgetting(UnixChannel):
    """Tells nothing to workers that connect later."""

    def tell(self, message: Message) -> None:
        super().tell(message)
        self._told = None


class _Silent(UnixChannel):
    """Ends without a word, and keeps its connections."""

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _Accessible(UnixChannel):
    """Lets every user of the machine connect."""

    def open(self, answer: Callable[[Message], Message | None]) -> UnixAddress:
        address = super().open(answer)
        Path(address.path).chmod(0o777)
        Path(address.path).parent.chmod(0o755)
        return address


class _Trusting(UnixChannel):
    """Takes messages of everybody who connects to a port, too."""

    def open(self, answer: Callable[[Message], Message | None]) -> UnixAddress:
        self._port = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._trust, args=(answer,), daemon=True).start()
        return super().open(answer)

    def close(self) -> None:
        super().close()
        with contextlib.suppress(OSError):
            self._port.shutdown(socket.SHUT_RDWR)
        self._port.close()

    def _trust(self, answer: Callable[[Message], Message | None]) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._port.accept()[0]
                with connection, connection.makefile("rb") as lines, contextlib.suppress(ValueError, OSError):
                    self._take(lines, answer)

    def _take(self, lines: Any, answer: Callable[[Message], Message | None]) -> None:
        for line in lines:
            answer(json.loads(line))


class _Unpickling(_Trusting):
    """Takes pickles of everybody, as `multiprocessing.connection` does without a key."""

    def _take(self, lines: Any, answer: Callable[[Message], Message | None]) -> None:
        (size,) = struct.unpack("!i", lines.read(4))
        with contextlib.suppress(Exception):
            pickle.loads(lines.read(size))


class HasABigAddress(_WithChannel):
    """Sends 4 kB with each worker."""

    make = _Big


class CannotBeSentOn(_WithChannel):
    """Has an address that cannot be pickled any more by a worker that is connected."""

    make = _Full


class TakesUnreachableForStopped(_WithChannel):
    """Raises Interrupted if the run cannot be reached."""

    make = _Vague


class ShufflesMessages(_WithChannel):
    """Lets messages overtake each other."""

    make = _Shuffling


class ForgetsWhatItTold(_WithChannel):
    """Tells late workers nothing."""

    make = _Forgetting


class EndsSilently(_WithChannel):
    """Does not tell workers that the run is over."""

    make = _Silent


class LetsOthersConnect(_WithChannel):
    """Has a socket for all users."""

    make = _Accessible


class TrustsTheNetwork(_WithChannel):
    """Has a port for everybody."""

    make = _Trusting


class UnpicklesFromTheNetwork(_WithChannel):
    """Has a port that takes pickles."""

    make = _Unpickling


class TellsLess(ThreadsStrategy):
    """Makes outcomes of its own of those of the work."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        for outcome in super().run(jobs, work, max_workers):
            yield Outcome(outcome.item, outcome.state, failure=outcome.failure)
