"""The contract of strategies with worker processes: no outcome is lost, and no process is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Strategy
from argosy.models.items import State
from argosy_devkit.contracts.plugin_suite import check_importable
from argosy_devkit.contracts.strategy_suite import FolderWork, StrategySuite, job
from argosy_devkit.contracts.waiting import Thread, wait_until


class ProcessRules(StrategySuite):
    """The promises of strategies that need a store for several processes: from `Scope.HOST` on."""

    @pytest.fixture
    def work_elsewhere(self, strategy: Strategy, make_work: Callable[..., FolderWork]) -> Callable[..., FolderWork]:
        """Create work for other processes."""
        if strategy.needs < Scope.HOST:
            pytest.skip(f"the workers of {self.plugin.name} stay in one process")
        check_importable(self.plugin)
        return make_work

    def test_the_work_is_done_elsewhere(self, strategy: Strategy, work_elsewhere: Callable[..., FolderWork]) -> None:
        """Work and jobs go to other processes, which end with the run."""
        work = work_elsewhere()
        assert len(list(strategy.run(map(job, range(6)), work, self.max_workers))) == 6
        assert work.processes(), "no process has left a trace"
        assert os.getpid() not in work.processes(), "a job was done in the run's own process"
        strategy.close()
        _wait_for_the_end_of(work, "when the run is over")

    def test_a_killed_worker_loses_no_outcome(
        self, strategy: Strategy, work_elsewhere: Callable[..., FolderWork]
    ) -> None:
        """The job of a killed worker runs again or fails; the others are done, and each outcome comes once."""
        work = work_elsewhere(gated=frozenset({"1"}))
        run = Thread(lambda: list(strategy.run(map(job, range(8)), work, self.max_workers)))
        trace = work.folder / "running" / "1"
        wait_until(lambda: trace.exists() and trace.read_text(), "the job that waits to begin")
        worker = int(trace.read_text())
        try:
            assert worker != os.getpid(), "a job was done in the run's own process"
            os.kill(worker, signal.SIGKILL)
        finally:
            work.open()
        outcomes = run.result()
        assert sorted(outcome.item for outcome in outcomes) == list("01234567"), (
            "the outcome of each job must come exactly once, even if workers are killed"
        )
        failed = [outcome for outcome in outcomes if outcome.state is not State.DONE]
        assert len(failed) <= self.max_workers, "the jobs of other workers must be done"
        for outcome in failed:
            assert outcome.state is State.REQUEUED or outcome.failure, "a job that failed must say why"

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["ctrl-c", "hangup"])
    def test_the_terminal_ends_no_worker(
        self, strategy: Strategy, work_elsewhere: Callable[..., FolderWork], number: signal.Signals
    ) -> None:
        """Workers ignore Ctrl-C and the end of the terminal, which all its processes hear of, and finish their jobs."""
        work = work_elsewhere(gated=frozenset("0"))
        run = Thread(lambda: list(strategy.run(map(job, range(2)), work, 1)))
        trace = work.folder / "running" / "0"
        wait_until(lambda: trace.exists() and trace.read_text(), "the job that waits to begin")
        worker = int(trace.read_text())
        assert worker != os.getpid(), "a job was done in the run's own process"
        os.kill(worker, number)
        time.sleep(0.1)  # gives a worker that ends the time to do so
        work.open()
        states = [outcome.state for outcome in run.result()]
        assert states == [State.DONE] * 2, f"a worker must finish its jobs despite {number.name}"
        assert worker in work.processes(), f"{number.name} must not end a worker"

    def test_closing_leaves_no_process(self, strategy: Strategy, work_elsewhere: Callable[..., FolderWork]) -> None:
        """If the iterator is closed, its workers end, at the latest after their current jobs."""
        work = work_elsewhere(gated=frozenset(map(str, range(1, 100))))
        outcomes: Any = strategy.run(map(job, range(100)), work, self.max_workers)
        next(outcomes)
        outcomes.close()
        strategy.close()
        work.open()
        _wait_for_the_end_of(work, "when a run is given up")

    def test_workers_end_with_their_run(
        self, work_elsewhere: Callable[..., FolderWork], tmp_path: Path, given: Mapping[str, Any]
    ) -> None:
        """If the run's process is killed, its workers end, at the latest after their current jobs."""
        work = work_elsewhere(gated=frozenset(map(str, range(1, 100))))
        run = multiprocessing.get_context("spawn").Process(
            target=run_elsewhere, args=(self.plugin, dict(given), tmp_path, work, self.max_workers)
        )
        run.start()
        try:
            wait_until(lambda: (work.folder / "ran-0").exists() or not run.is_alive(), "the first job to be done")
            assert run.is_alive(), f"the run's process ended with exit status {run.exitcode}"
            wait_until(lambda: any((work.folder / "running").iterdir()), "the next job to begin")
        finally:
            run.kill()
            run.join()
        work.open()
        _wait_for_the_end_of(work, "when their run is killed")


def run_elsewhere(
    plugin: type[Strategy], options: Mapping[str, Any], base: Path, work: FolderWork, max_workers: int
) -> None:
    """Run a hundred jobs, in a process that will be killed."""
    strategy = plugin(options, PluginContext(base=base, directory=base))
    list(strategy.run(map(job, range(100)), work, max_workers))


def _wait_for_the_end_of(work: FolderWork, when: str) -> None:
    # new ones may have started a job, so their traces are read each time
    wait_until(lambda: not any(map(_is_alive, work.processes())), f"the worker processes to end {when}")


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; zombies do not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        # reading it fails if the process ends after it was opened
        return not stat.exists() or stat.read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
