"""A worker made anew in another process, from nothing but settings: no token, connection or lock travels."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import util
from typing import TYPE_CHECKING

from argosy.engine import logs
from argosy.engine.context import RunContext
from argosy.engine.ipc import IpcClient
from argosy.engine.logs import LogSettings
from argosy.engine.sessions.provider import Share
from argosy.errors import ArgosyError, Interrupted
from argosy.leasing.login import RemoteLoginLimiter
from argosy.models.items import Job, Outcome, State
from argosy.toolkit.redaction import RedactingStreams, Redactor
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.worker import Worker
    from argosy.plugins.manager import PluginManager

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What another process makes a worker of.

    Parameters
    ----------
    settings
        The run's settings; secrets in them are references, which each process resolves by itself.
    registry
        The plugins; their classes are imported there.
    address
        Where the run listens.
    share
        What the run has found out about its sessions.
    pid
        The run's own process.
    logs
        What the run logs, and where.
    """

    settings: Settings
    registry: PluginManager
    address: str
    share: Share
    pid: int = field(default_factory=os.getpid)
    logs: LogSettings = field(default_factory=logs.current)


class RemoteWorker:
    """Does jobs of a run in a process that is not the run's; any number of threads may call it.

    Parameters
    ----------
    recipe
        What it is made of, with the first job.
    """

    def __init__(self, recipe: WorkerSpec) -> None:
        self._recipe = recipe
        self._mutex = threading.Lock()
        self._environment: RunContext | None = None
        self._worker: Worker | None = None
        self._told: Counter[str] = Counter()

    def __reduce__(self) -> tuple[Callable[[WorkerSpec], RemoteWorker], tuple[WorkerSpec]]:
        return work_here, (self._recipe,)  # a strategy may send it on

    def __call__(self, job: Job) -> Outcome:
        """Do a job; what goes wrong is in the outcome."""
        try:
            worker = self._made()
        except ArgosyError as error:
            return Outcome(job.item.id, State.REQUEUED, fatal=error)
        outcome = worker(job)
        self._tell()
        return outcome

    def _made(self) -> Worker:
        from argosy.engine.worker import Worker

        with self._mutex:
            if self._worker is None:
                recipe, stop = self._recipe, Stop()
                try:
                    self._link = IpcClient(recipe.address, stop)
                except OSError:
                    raise Interrupted("The run is over.") from None
                redactor = Redactor()
                self._streams = RedactingStreams(redactor)
                if recipe.logs != LogSettings():
                    logs.start(recipe.logs, redactor)
                logger.debug("a worker starts in this process")
                self._streams.__enter__()  # until the end of this process's work: plugins print here, too
                self._environment = RunContext(
                    recipe.settings,
                    recipe.registry,
                    self._link.emit,
                    stop,
                    redactor,
                    self._ask,
                    recipe.share,
                    RemoteLoginLimiter(self._link.ask),
                )
                # at the end of a process of multiprocessing's, and of any other at its exit
                util.Finalize(None, self._close, exitpriority=10)
                self._worker = Worker(self._environment, self._link.emit)
            return self._worker

    def _ask(self, prompt: str) -> str:
        return self._link.ask("secret", prompt) or ""

    def _tell(self) -> None:
        """Send what was counted since the last time."""
        with self._mutex:
            if self._environment is not None:
                counts = Counter(self._environment.pool.counts())
                self._link.count(counts - self._told)
                self._told = counts

    def _close(self) -> None:
        if self._environment is not None:
            self._environment.close()
        self._tell()
        self._link.close()
        self._streams.__exit__(None, None, None)


_made: dict[str, RemoteWorker] = {}
_mutex = threading.Lock()


def leave_ctrl_c_to(run: int) -> None:
    """Ignore what a terminal sends to all processes of a run, except in the run's own process (its id).

    It would end a worker between the headers of a response and the commit of its token; the run tells its workers
    when to stop. Only the main thread may change that, which is where strategies usually unpickle the work.
    """
    if os.getpid() != run and threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)


def work_here(recipe: WorkerSpec) -> RemoteWorker:
    """Return the worker of a run in this process: one for all, as a strategy may send the work with each job."""
    leave_ctrl_c_to(recipe.pid)
    with _mutex:
        return _made.setdefault(recipe.address, RemoteWorker(recipe))
