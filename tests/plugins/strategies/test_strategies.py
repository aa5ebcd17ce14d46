"""The strategies `serial` and `threads`."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from argosy import Item, Outcome, PluginContext, Strategy
from argosy.models.items import Job, State
from argosy_plugins.strategies.serial import SerialStrategy
from argosy_plugins.strategies.threads import ThreadsStrategy

WAIT = 30  # seconds until a test gives up; none takes a moment of it


class Jobs:
    """Hands out jobs, and counts how many were taken."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.taken = 0
        self._count = count
        self._error = error

    def __iter__(self) -> Iterator[Job]:
        for number in range(self._count):
            self.taken += 1
            yield Job(Item(str(number), "t"))
        if self._error is not None:
            raise self._error


def work(job: Job) -> Outcome:
    return Outcome(job.item.id, State.DONE)


@pytest.fixture(params=[SerialStrategy, ThreadsStrategy])
def strategy(request: pytest.FixtureRequest) -> Strategy:
    made: Strategy = request.param({}, PluginContext())
    return made


def test_every_job_has_one_outcome(strategy: Strategy) -> None:
    outcomes = list(strategy.run(Jobs(100), work, 4))
    assert sorted(int(outcome.item) for outcome in outcomes) == list(range(100))


def test_no_jobs_have_no_outcome(strategy: Strategy) -> None:
    assert list(strategy.run([], work, 4)) == []


def test_nothing_is_taken_before_it_is_asked_for(strategy: Strategy) -> None:
    jobs = Jobs(5)
    strategy.run(jobs, work, 2)
    assert jobs.taken == 0


def test_an_error_of_the_jobs_comes_after_the_outcomes(strategy: Strategy) -> None:
    outcomes: list[str] = []
    with pytest.raises(OSError, match="the list broke"):
        outcomes.extend(o.item for o in strategy.run(Jobs(3, OSError("the list broke")), work, 8))
    assert sorted(outcomes) == ["0", "1", "2"]


def test_serial_keeps_the_order_and_takes_one_at_a_time() -> None:
    jobs = Jobs(5)
    seen = [(outcome.item, jobs.taken) for outcome in SerialStrategy({}, PluginContext()).run(jobs, work, 4)]
    assert seen == [(str(n), n + 1) for n in range(5)]


def test_threads_work_at_once_and_have_names() -> None:
    together, names = threading.Barrier(3), set()

    def meet(job: Job) -> Outcome:
        together.wait(WAIT)  # passes only if three are at work
        names.add(threading.current_thread().name)
        return work(job)

    assert len(list(ThreadsStrategy({}, PluginContext()).run(Jobs(3), meet, 3))) == 3
    assert names == {"argosy-1", "argosy-2", "argosy-3"}


def test_threads_take_no_more_jobs_than_there_are_workers() -> None:
    jobs, let_go = Jobs(50), threading.Semaphore(0)
    running, most = 0, 0
    mutex = threading.Lock()

    def held(job: Job) -> Outcome:
        nonlocal running, most
        with mutex:
            running += 1
            most = max(most, running)
        assert let_go.acquire(timeout=WAIT)
        with mutex:
            running -= 1
        return work(job)

    outcomes = ThreadsStrategy({}, PluginContext()).run(jobs, held, 3)
    let_go.release()
    next(outcomes)
    assert jobs.taken <= 3
    let_go.release(50)
    assert len(list(outcomes)) == 49
    assert most <= 3


def test_closing_does_not_wait_for_what_runs() -> None:
    end, jobs = threading.Event(), Jobs(50)

    def stuck(job: Job) -> Outcome:
        if job.item.id != "0":
            end.wait(WAIT)
        return work(job)

    outcomes = ThreadsStrategy({}, PluginContext()).run(jobs, stuck, 2)
    assert next(outcomes).item == "0"
    outcomes.close()  # type: ignore[attr-defined]  # a generator, by the contract
    assert not end.is_set()
    end.set()
    assert jobs.taken <= 3
