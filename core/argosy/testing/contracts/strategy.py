"""The contract of strategies as a test suite.

Subclass it in your tests, and run pytest::

    from argosy.testing.contracts.strategy import StrategyContract

    class TestMyStrategy(StrategyContract):
        plugin = MyStrategy
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.contracts.base import PluginContext
from argosy.contracts.strategy import Strategy
from argosy.model import Failure, Item, Job, Outcome, State

#: Seconds that a job of these tests waits at most for what it waits for.
_PATIENCE = 20.0


@dataclass(frozen=True)
class FolderWork:
    """Work that can be pickled, and that leaves its traces in a folder, which every process sees.

    Parameters
    ----------
    folder
        An empty folder.
    together
        The first jobs wait until so many run at once.
    gated
        Jobs with these ids wait until the file ``open`` lies in the folder.
    """

    folder: Path
    together: int = 1
    gated: frozenset[str] = frozenset()

    def __call__(self, job: Job) -> Outcome:
        """Do one job: note it, wait if told to, and say what the job's title says."""
        name = job.item.id
        running = self.folder / "running"
        running.mkdir(exist_ok=True)
        (running / name).touch()
        end = time.monotonic() + _PATIENCE
        at_once = 0
        while time.monotonic() < end:
            at_once = max(at_once, len(list(running.iterdir())))
            if at_once >= self.together:
                (self.folder / "met").touch()
            if (self.folder / ("open" if name in self.gated else "met")).exists():
                break
            time.sleep(0.005)
        (running / name).rename(self.folder / f"ran-{name}")
        if job.item.title == "fails":
            return Outcome(name, State.FAILED, failure=Failure("status", "The service said 500."))
        if job.item.title == "stops":
            return Outcome(name, State.REQUEUED)
        return Outcome(name, State.DONE, bytes=at_once)

    def runs(self) -> int:
        """Return how many jobs were done."""
        return len(list(self.folder.glob("ran-*")))


def _job(number: int, title: str = "") -> Job:
    return Job(Item(str(number), title))


class StrategyContract:
    """Each test is one promise of `argosy.contracts.Strategy`."""

    #: The strategy's class; other processes must be able to import it.
    plugin: ClassVar[type[Strategy]]
    #: How many workers the tests use.
    max_workers: ClassVar[int] = 3

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return the strategy's options."""
        return {}

    @pytest.fixture
    def strategy(self, tmp_path: Path) -> Any:
        """Make the strategy."""
        strategy = self.plugin(self.options(tmp_path), PluginContext(base=tmp_path, directory=tmp_path))
        yield strategy
        strategy.close()

    @pytest.fixture
    def make_work(self, tmp_path: Path) -> Callable[..., FolderWork]:
        """Make work on an empty folder."""
        folder = tmp_path / "work"
        folder.mkdir()
        return lambda **options: FolderWork(folder, **options)

    @property
    def _workers(self) -> int:
        return self.max_workers if self.plugin.parallel else 1

    @pytest.mark.parametrize("jobs", [0, 1, 2, 25])
    def test_every_outcome_comes_once(
        self, strategy: Strategy, make_work: Callable[..., FolderWork], jobs: int
    ) -> None:
        """One outcome for each job, whether there are fewer jobs than workers or more."""
        work = make_work()
        outcomes = list(strategy.run((_job(n) for n in range(jobs)), work, self.max_workers))
        names = sorted(outcome.item for outcome in outcomes)
        assert names == sorted(map(str, range(jobs))), "the outcome of each job must come exactly once"
        assert work.runs() == jobs, "each job must be done once"

    def test_one_worker_is_enough(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """With one worker, one job at a time."""
        outcomes = list(strategy.run(map(_job, range(5)), make_work(), 1))
        assert len(outcomes) == 5, "the outcome of each job must come exactly once"
        assert {outcome.bytes for outcome in outcomes} == {1}, "one worker must do one job at a time"

    def test_never_more_than_max_workers(
        self, strategy: Strategy, make_work: Callable[..., FolderWork]
    ) -> None:
        """Where it is parallel it really is, and never beyond what was asked for."""
        work = make_work(together=self._workers)
        outcomes = list(strategy.run(map(_job, range(self._workers * 5)), work, self.max_workers))
        most = max(outcome.bytes for outcome in outcomes)
        assert most <= self._workers, f"{most} jobs ran at once, with {self._workers} allowed"
        assert most == self._workers, f"{most} jobs ran at once at most, where {self._workers} are wanted"

    def test_jobs_are_taken_lazily(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """A job is taken when a worker is about to be free, so endless jobs are no trouble."""
        received = 0
        ahead: list[int] = []

        def jobs() -> Iterator[Job]:
            for number in itertools.count():
                ahead.append(number + 1 - received)
                yield _job(number)

        outcomes = strategy.run(jobs(), make_work(), self.max_workers)
        for _ in range(20):
            next(outcomes)
            received += 1
        _close(outcomes)
        assert max(ahead) <= self._workers, (
            f"{max(ahead)} jobs were taken ahead, with {self._workers} workers"
        )

    def test_closing_returns_at_once(
        self, strategy: Strategy, make_work: Callable[..., FolderWork], tmp_path: Path
    ) -> None:
        """A run that is given up waits for no running job, and takes no more."""
        work = make_work(gated=frozenset(map(str, range(1, 100))))
        taken: list[int] = []

        def jobs() -> Iterator[Job]:
            for number in range(100):
                taken.append(number)
                yield _job(number)

        outcomes = strategy.run(jobs(), work, self.max_workers)
        try:
            assert next(outcomes).item == "0", "an outcome must come as soon as it is there"
            before = len(taken)
            start = time.monotonic()
            _close(outcomes)
            assert time.monotonic() - start < _PATIENCE / 2, "closing must not wait for jobs that are running"
            assert work.runs() == 1, "closing must not wait for jobs that are running"
            assert len(taken) == before, "no job may be taken after the close"
        finally:
            (work.folder / "open").touch()

    def test_failed_and_requeued_outcomes_pass(
        self, strategy: Strategy, make_work: Callable[..., FolderWork]
    ) -> None:
        """Outcomes are handed on as they are, and a failure does not end the run."""
        titles = ["", "fails", "stops", "", "fails", "stops", ""]
        jobs = (_job(number, title) for number, title in enumerate(titles))
        outcomes = {outcome.item: outcome for outcome in strategy.run(jobs, make_work(), self.max_workers)}
        states = {"": State.DONE, "fails": State.FAILED, "stops": State.REQUEUED}
        expected = {str(number): states[title] for number, title in enumerate(titles)}
        assert {item: outcome.state for item, outcome in outcomes.items()} == expected, (
            "each outcome must be handed on as it is"
        )
        assert outcomes["1"].failure == Failure("status", "The service said 500."), "a failure lost its cause"

    def test_jobs_that_break_lose_no_outcome(
        self, strategy: Strategy, make_work: Callable[..., FolderWork]
    ) -> None:
        """Where the iterator of jobs raises, the outcomes of running jobs come first, then the error."""

        def jobs() -> Iterator[Job]:
            yield from map(_job, range(4))
            raise LookupError("the source broke")

        names: list[str] = []
        with pytest.raises(LookupError, match="the source broke"):
            names.extend(outcome.item for outcome in strategy.run(jobs(), make_work(), self.max_workers))
        assert sorted(names) == list("0123"), (
            "the outcomes of jobs that were taken must come before the error"
        )

    def test_it_can_run_again(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """One plugin object serves several runs, one after the other."""
        work = make_work()
        for start in (0, 10):
            outcomes = list(strategy.run(map(_job, range(start, start + 4)), work, self.max_workers))
            assert len(outcomes) == 4, "a second run must work as the first"


def _close(outcomes: Iterator[Outcome]) -> None:
    close = getattr(outcomes, "close", None)
    assert close is not None, "run must be a generator, so that it can be closed"
    close()
