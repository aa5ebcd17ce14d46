"""The contract of strategies as a test suite.

Subclass it in your tests, and run pytest::

    from argosy_devkit.contracts.strategy import StrategyContract

    class TestMyStrategy(StrategyContract):
        plugin = MyStrategy
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from argosy.interfaces.strategy import Strategy
from argosy.models.items import Failure, Job, Outcome, State
from argosy_devkit.client import LibraryServer
from argosy_devkit.contracts import strategy_suite
from argosy_devkit.contracts.plugin_suite import PluginRules
from argosy_devkit.contracts.strategy_channels import ChannelRules
from argosy_devkit.contracts.strategy_processes import ProcessRules
from argosy_devkit.contracts.strategy_suite import FolderWork, StrategySuite, job
from argosy_devkit.contracts.waiting import Thread, wait_until


class RunRules(StrategySuite):
    """The promises for workers of any kind."""

    @property
    def _workers(self) -> int:
        return self.max_workers if self.plugin.parallel else 1

    @pytest.mark.parametrize("jobs", [0, 1, 2, 25])
    def test_every_outcome_comes_once(
        self, strategy: Strategy, make_work: Callable[..., FolderWork], jobs: int
    ) -> None:
        """Each job has exactly one outcome, with fewer jobs than workers and with more."""
        work = make_work()
        outcomes = list(strategy.run((job(n) for n in range(jobs)), work, self.max_workers))
        names = sorted(outcome.item for outcome in outcomes)
        assert names == sorted(map(str, range(jobs))), "the outcome of each job must come exactly once"
        assert work.runs() == jobs, "each job must be done once"

    def test_one_worker_is_enough(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """With one worker, one job runs at a time."""
        outcomes = list(strategy.run(map(job, range(5)), make_work(), 1))
        assert len(outcomes) == 5, "the outcome of each job must come exactly once"
        assert {outcome.bytes for outcome in outcomes} == {1}, "one worker must do one job at a time"

    def test_never_more_than_max_workers(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """A parallel strategy runs several jobs at a time, and never more than `max_workers`."""
        number = self._workers * 5
        work = make_work(gated=frozenset(map(str, range(number))))
        run = Thread(lambda: list(strategy.run(map(job, range(number)), work, self.max_workers)))
        try:
            wait_until(lambda: work.running() >= self._workers, f"{self._workers} jobs to run at once")
            time.sleep(0.1)  # gives a job too many the time to start
            most = work.running()
        finally:
            work.open()
        most = max([most, *(outcome.bytes for outcome in run.result())])
        assert most == self._workers, f"{most} jobs ran at once, with {self._workers} allowed"

    def test_jobs_are_taken_lazily(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """It takes a job only when a worker is about to be free, so jobs may be endless."""
        received = 0
        ahead: list[int] = []

        def jobs() -> Iterator[Job]:
            for number in itertools.count():
                ahead.append(number + 1 - received)
                yield job(number)

        outcomes = strategy.run(jobs(), make_work(), self.max_workers)
        for _ in range(20):
            next(outcomes)
            received += 1
        _close(outcomes)
        assert max(ahead) <= self._workers, f"{max(ahead)} jobs were taken ahead, with {self._workers} workers"

    def test_closing_returns_at_once(
        self, strategy: Strategy, make_work: Callable[..., FolderWork], tmp_path: Path
    ) -> None:
        """Closing the iterator waits for no running job and takes no more jobs."""
        work = make_work(gated=frozenset(map(str, range(1, 100))))
        taken: list[int] = []

        def jobs() -> Iterator[Job]:
            for number in range(100):
                taken.append(number)
                yield job(number)

        outcomes = strategy.run(jobs(), work, self.max_workers)
        try:
            assert next(outcomes).item == "0", "an outcome must be yielded as soon as it exists"
            before = len(taken)
            start = time.monotonic()
            _close(outcomes)
            assert time.monotonic() - start < strategy_suite.PATIENCE / 2, (
                "closing must not wait for jobs that are running"
            )
            assert work.runs() == 1, "closing must not wait for jobs that are running"
            assert len(taken) == before, "no job may be taken after the close"
        finally:
            work.open()

    def test_failed_and_requeued_outcomes_pass(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """It returns outcomes unchanged, and a failure does not end the run."""
        titles = ["", "fails", "stops", "", "fails", "stops", ""]
        jobs = (job(number, title) for number, title in enumerate(titles))
        outcomes = {outcome.item: outcome for outcome in strategy.run(jobs, make_work(), self.max_workers)}
        states = {"": State.DONE, "fails": State.FAILED, "stops": State.REQUEUED}
        expected = {str(number): states[title] for number, title in enumerate(titles)}
        assert {item: outcome.state for item, outcome in outcomes.items()} == expected, (
            "each outcome must be returned unchanged"
        )
        assert outcomes["1"].failure == Failure("status", "The service said 500."), "a failure lost its cause"

    def test_jobs_that_break_lose_no_outcome(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """If the iterator of jobs raises, it yields the outcomes of running jobs, then raises the error."""

        def jobs() -> Iterator[Job]:
            yield from map(job, range(4))
            raise LookupError("the source broke")

        names: list[str] = []
        with pytest.raises(LookupError, match="the source broke"):
            names.extend(outcome.item for outcome in strategy.run(jobs(), make_work(), self.max_workers))
        assert sorted(names) == list("0123"), "the outcomes of jobs that were taken must come before the error"

    def test_a_run_goes_well_with_it(
        self, tmp_path: Path, given: Mapping[str, Any], library_server: Callable[..., LibraryServer]
    ) -> None:
        """In a real run the workers share one session whose token each response replaces, and all finished files are kept."""
        server = library_server(lease_mode="revoke")
        server.manifest(tmp_path / "items.jsonl", items=6, size=1000)
        (tmp_path / "password.txt").write_text(server.password, "utf-8")
        report = self.run(
            tmp_path,
            given,
            source={"use": "manifest", "path": "items.jsonl"},
            auth={
                "use": "form-login",
                "url": server.login_url,
                "fields": {"user": server.user, "password": {"file": "password.txt"}},
            },
            cookie_store={"use": "json-file", "path": "cookies.json"},
            max_workers=self.max_workers,
        )
        assert report.error is None, f"the run failed: {report.error}"
        assert (report.strategy_used, report.counts.done) == (self.plugin.name, 6), (
            f"each item must be done once, and its outcome returned unchanged; failures: {report.failures}"
        )
        assert report.bytes == 6000, "an outcome was changed"
        stats = server.stats()
        assert (stats.replaced_tokens_sent, stats.logins) == (0, 1), "the session was not shared"

    def test_it_can_run_again(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> None:
        """One plugin object can do several runs, one after the other."""
        work = make_work()
        for start in (0, 10):
            outcomes = list(strategy.run(map(job, range(start, start + 4)), work, self.max_workers))
            assert len(outcomes) == 4, "a second run must work as the first"


class StrategyContract(ChannelRules, ProcessRules, RunRules, PluginRules):
    """Each test is one promise of `argosy.interfaces.Strategy`."""


def _close(outcomes: Iterator[Outcome]) -> None:
    close = getattr(outcomes, "close", None)
    assert close is not None, "run must be a generator, so that it can be closed"
    close()
