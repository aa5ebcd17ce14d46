"""The strategy that works on several items at once, in threads of one process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue

import argosy
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Job, Outcome


class ThreadsStrategy(Strategy):
    """Works on up to `max_workers` items at once; while a body streams, Python's interpreter lock is free."""

    name = "threads"
    summary = "Several items at once, in threads of one process"

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield outcomes as they come; take a job only when a thread is free."""
        waiting, pool = iter(jobs), _Pool(work)
        broken: BaseException | None = None
        more = True
        try:
            while more or pool.running:
                while more and pool.running < max_workers:
                    try:
                        job = next(waiting)
                    except StopIteration:
                        more = False
                    except Exception as error:  # active jobs finish first
                        broken, more = error, False
                    else:
                        pool.give(job)
                if pool.running:
                    yield pool.outcome()
            if broken is not None:
                raise broken
        finally:
            pool.close()


class _Pool:
    """Threads that do jobs; `concurrent.futures` takes several times as long to hand one over."""

    def __init__(self, work: Work) -> None:
        self.running = 0  # jobs that were given and have no outcome yet
        self._work = work
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # None ends a thread
        self._outcomes: SimpleQueue[Outcome | BaseException] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def give(self, job: Job) -> None:
        """Have a job done by a thread that is free, or by a new one."""
        if self.running == len(self._threads):
            self._threads.append(threading.Thread(target=self._serve, name=f"argosy-{self.running + 1}"))
            self._threads[-1].start()
        self._jobs.put(job)
        self.running += 1

    def outcome(self) -> Outcome:
        """Wait for an outcome."""
        outcome = self._outcomes.get()
        self.running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self) -> None:
        """End the threads; an abandoned run does not wait for the network."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads if not self.running else ():
            thread.join()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._outcomes.put(self._work(job))
            except BaseException as error:  # the caller's thread raises it
                self._outcomes.put(error)


@argosy.hookimpl
def argosy_strategy() -> type[Strategy]:
    """Register the strategy."""
    return ThreadsStrategy
