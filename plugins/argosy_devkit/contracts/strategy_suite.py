"""The equipment of the suites for strategies: the strategy, and work that leaves traces."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.interfaces.base import PluginContext
from argosy.interfaces.strategy import Strategy
from argosy.models.items import Failure, Item, Job, Outcome, State
from argosy_devkit.contracts.plugin_suite import PluginSuite, make_plugin

#: The most seconds that a job of these tests waits.
PATIENCE = 20.0


@dataclass(frozen=True)
class FolderWork:
    """Picklable work that leaves its traces in a folder, visible to every process.

    Jobs with ids in `gated` wait until the file ``open`` is in the folder.
    """

    folder: Path
    gated: frozenset[str] = frozenset()

    def __reduce__(self) -> tuple[Any, ...]:
        return folder_work, (self.folder, self.gated, os.getpid())

    def __call__(self, job: Job) -> Outcome:
        """Do one job: record it, wait if it is gated, and end as its title says."""
        name = job.item.id
        running = self.folder / "running"
        running.mkdir(exist_ok=True)
        (running / name).write_text(str(os.getpid()))
        end = time.monotonic() + PATIENCE
        at_once = self.running()
        while name in self.gated and not (self.folder / "open").exists() and time.monotonic() < end:
            time.sleep(0.005)
            at_once = max(at_once, self.running())
        (running / name).rename(self.folder / f"ran-{name}")
        if job.item.title == "fails":
            return Outcome(name, State.FAILED, failure=Failure("status", "The service said 500."))
        if job.item.title == "stops":
            return Outcome(name, State.REQUEUED)
        return Outcome(name, State.DONE, bytes=at_once)

    def runs(self) -> int:
        """Return how many jobs were done."""
        return len(list(self.folder.glob("ran-*")))

    def running(self) -> int:
        """Return how many jobs are running."""
        return len(list(self.folder.glob("running/*")))

    def processes(self) -> set[int]:
        """Return the processes that have started a job."""
        found = set()
        for path in [*self.folder.glob("running/*"), *self.folder.glob("ran-*")]:
            with contextlib.suppress(FileNotFoundError, ValueError):  # just renamed or being written
                found.add(int(path.read_text()))
        return found

    def open(self) -> None:
        """Let the gated jobs continue."""
        (self.folder / "open").touch()


def folder_work(folder: Path, gated: frozenset[str], run: int) -> FolderWork:
    """Create it in a worker, which ignores the terminal's signals from then on, as that of a real run does."""
    if os.getpid() != run and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    return FolderWork(folder, gated)


def job(number: int, title: str = "") -> Job:
    """Return a job; its title says how it ends."""
    return Job(Item(str(number), title))


class StrategySuite(PluginSuite):
    """Each test creates the strategy."""

    #: The strategy's class; other processes must be able to import it.
    plugin: ClassVar[type[Strategy]]
    documented: ClassVar[str] = "argosy.Strategy.run (docs/plugins/contracts.md)"
    #: The number of workers in the tests.
    max_workers: ClassVar[int] = 3

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return the strategy's options."""
        return {}

    @pytest.fixture
    def strategy(self, tmp_path: Path, given: Mapping[str, Any]) -> Any:
        """Create the strategy."""
        strategy = make_plugin(self.plugin, given, PluginContext(base=tmp_path, directory=tmp_path))
        yield strategy
        strategy.close()

    @pytest.fixture
    def make_work(self, tmp_path: Path) -> Callable[..., FolderWork]:
        """Create work in an empty folder."""
        folder = tmp_path / "work"
        folder.mkdir()
        return lambda **options: FolderWork(folder, **options)
