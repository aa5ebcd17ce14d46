"""Strategies that break one promise each."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Work
from argosy.models.items import Job, Outcome, State
from argosy_plugins.strategies import _pool, _worker, multiprocess
from argosy_plugins.strategies.multiprocess import MultiprocessStrategy
from argosy_plugins.strategies.serial import SerialStrategy
from argosy_plugins.strategies.threads import ThreadsStrategy


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


class HearsCtrlC(MultiprocessStrategy):
    """Has workers that end for Ctrl-C."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_pool, "serve", serve_and_receive)
            yield from super().run(jobs, work, max_workers)


def serve_and_receive(pipe: Any, work: Work, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    _worker.TO_ALL.clear()
    _worker.serve(pipe, work, threads)


class SpansMachines(ThreadsStrategy):
    """Asks for what argosy does not support."""

    needs = Scope.CLUSTER


class TellsLess(ThreadsStrategy):
    """Makes outcomes of its own of those of the work."""

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        for outcome in super().run(jobs, work, max_workers):
            yield Outcome(outcome.item, outcome.state, failure=outcome.failure)
