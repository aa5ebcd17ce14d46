"""The processes of the `multiprocess` strategy: starts them, gives them jobs, and replaces those that die."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing.connection
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

from argosy.interfaces.strategy import Work
from argosy.models.items import Failure, Job, Outcome, State
from argosy_plugins.strategies._worker import GRACE, READY, serve, signals_blocked

#: A job fails when this many processes have died with it: it is probably the cause.
MOST_DEATHS = 5

#: After this many processes in a row that die before they are ready, no more are started.
MOST_STILLBORN = 10


@dataclass
class _Task:
    """A job, and how many processes died with it."""

    job: Job
    deaths: int = 0


@dataclass
class _Process:
    """One process and its tasks."""

    process: BaseProcess
    pipe: Connection
    threads: int
    ready: bool = False
    tasks: dict[int, _Task] = field(default_factory=dict)

    @property
    def room(self) -> int:
        return self.threads - len(self.tasks)


class ProcessPool:
    """At most `processes` processes with `workers` threads together; only one thread may use it.

    A process starts only when all others are busy. `notice` tells the user that one died.
    """

    def __init__(
        self,
        context: SpawnContext | ForkServerContext,
        work: Work,
        processes: int,
        workers: int,
        notice: Callable[[str], None],
    ) -> None:
        self._context = context
        self._work = work
        self._notice = notice
        share, rest = divmod(workers, processes)
        #: The threads of each process that is not started.
        self._to_start = deque([share + (number < rest) for number in range(processes)])
        self._processes: list[_Process] = []
        self._retry: deque[_Task] = deque()
        self._lost: list[Outcome] = []
        self._numbers = itertools.count()
        self._stillborn = 0

    @property
    def busy(self) -> bool:
        """Whether an outcome will come."""
        return bool(self._lost or self._retry or any(process.tasks for process in self._processes))

    def has_room(self) -> bool:
        """Return whether one more job could start at once."""
        return not self._retry and (bool(self._to_start) or any(p.room > 0 for p in self._processes))

    def give(self, job: Job) -> None:
        """Give a job to the process with the most room; start a process if none has room."""
        self._assign(_Task(job))

    def outcomes(self) -> Iterator[Outcome]:
        """Wait until something happens, and yield the outcomes so far."""
        while self._retry and (self._to_start or any(p.room > 0 for p in self._processes)):
            self._assign(self._retry.popleft())
        waiting = [process for process in self._processes if process.tasks or not process.ready]
        if waiting and not self._lost:
            ready = multiprocessing.connection.wait([process.pipe for process in waiting])
            for process in [p for p in waiting if p.pipe in ready]:
                yield from self._receive(process)
        lost, self._lost = self._lost, []
        yield from lost

    def dismiss(self) -> None:
        """End all processes, which are idle, and wait for them."""
        for process in self._processes:
            with contextlib.suppress(OSError):
                process.pipe.send(None)
        for process in self._processes:
            process.process.join(GRACE)

    def abandon(self) -> None:
        """Leave busy processes alone: without their pipe they end by themselves within seconds."""
        left = [process for process in self._processes if process.process.is_alive()]
        for process in self._processes:
            process.pipe.close()
        self._processes.clear()
        if left:
            threading.Thread(target=_end, args=(left,), name="argosy-abandoned", daemon=True).start()

    def _assign(self, task: _Task) -> None:
        process = max(self._processes, key=lambda p: p.room, default=None)
        if process is None or process.room < 1 or (self._to_start and process.tasks):
            process = self._start()
        number = next(self._numbers)
        process.tasks[number] = task
        with contextlib.suppress(OSError):  # it has just died: reading its pipe shows it
            process.pipe.send((number, task.job))

    def _start(self) -> _Process:
        threads = self._to_start.popleft()
        ours, theirs = self._context.Pipe()
        try:
            started = self._context.Process(target=serve, args=(theirs, self._work, threads), name="argosy-worker")
            with signals_blocked():
                started.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()  # so that the pipe breaks when the process dies
        process = _Process(started, ours, threads)
        self._processes.append(process)
        return process

    def _receive(self, process: _Process) -> Iterator[Outcome]:
        try:
            message = process.pipe.recv()
        except (EOFError, OSError):  # the end of the pipe, also in the middle of a message
            self._replace(process)
            return
        self._stillborn = 0  # a process can start, even if others are killed while they do
        if message == READY:
            process.ready = True
            return
        number, result = message
        del process.tasks[number]
        if isinstance(result, RuntimeError):
            raise result
        yield result

    def _replace(self, process: _Process) -> None:
        """Reassign the jobs of a process that died."""
        process.pipe.close()
        process.process.join()
        self._processes.remove(process)
        self._to_start.append(process.threads)
        how = _cause(process.process.exitcode)
        self._stillborn += not process.ready
        if self._stillborn >= MOST_STILLBORN:
            raise RuntimeError(
                f"{MOST_STILLBORN} worker processes in a row died before they were ready ({how}). A program that "
                'downloads does so under `if __name__ == "__main__":`, as processes import it'
            )
        for task in process.tasks.values():
            task.deaths += process.ready  # else it had not started the job
            once = any(resource.once for resource in task.job.item.resources)  # its POST may have been sent
            if task.deaths < (1 if once else MOST_DEATHS):
                self._retry.append(task)
            else:
                message = f"{MOST_DEATHS} worker processes died while they worked on it, the last one of {how}."
                if once:
                    message = (
                        f"The worker process died ({how}); its POST may have been sent, and is not repeated by itself."
                    )
                failure = Failure("crash", message)
                self._lost.append(Outcome(task.job.item.id, State.FAILED, failure=failure))
        items = sum(task in self._retry for task in process.tasks.values())
        self._notice(
            f"The worker process {process.process.pid} died ({how}); "
            f"{items} item{'s'[: items != 1]} of it start{'s'[: items == 1]} again."
        )


def _cause(exitcode: int | None) -> str:
    return f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"


def _end(left: list[_Process]) -> None:
    for process in left:
        process.process.join(GRACE + 1)
        if process.process.is_alive():
            process.process.kill()
            process.process.join()
