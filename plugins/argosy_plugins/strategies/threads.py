"""The strategy that works on several items at once, in threads of one process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
        waiting = iter(jobs)
        done: SimpleQueue[Future[Outcome]] = SimpleQueue()  # `wait` would look at every worker each time
        running = 0
        numbers = itertools.count(1)

        def name_thread() -> None:
            threading.current_thread().name = f"argosy-{next(numbers)}"

        pool = ThreadPoolExecutor(max_workers, initializer=name_thread)
        broken: BaseException | None = None
        more = True
        try:
            while more or running:
                while more and running < max_workers:
                    try:
                        job = next(waiting)
                    except StopIteration:
                        more = False
                    except Exception as error:  # active jobs finish first
                        broken, more = error, False
                    else:
                        pool.submit(work, job).add_done_callback(done.put)
                        running += 1
                if running:
                    outcome = done.get().result()
                    running -= 1
                    yield outcome
            if broken is not None:
                raise broken
        finally:
            # an abandoned run does not wait for the network
            pool.shutdown(wait=not running, cancel_futures=True)


@argosy.hookimpl
def argosy_strategy() -> type[Strategy]:
    """Register the strategy."""
    return ThreadsStrategy
