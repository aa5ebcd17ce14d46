"""A strategy for argosy: several items at a time, in threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import argosy
from argosy.interfaces.strategy import Work
from argosy.models.items import Job


class ExampleStrategy(argosy.Strategy):
    """Does up to `max_workers` items at a time, and takes the next job when one of them is done."""

    name = "example"
    summary = "Several items at a time, in threads"

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[argosy.Outcome]:
        """Yield the outcome of every job, in any order."""
        waiting = iter(jobs)
        running: set[Future[argosy.Outcome]] = set()
        broken: BaseException | None = None
        more = True
        pool = ThreadPoolExecutor(max_workers)
        try:
            while more or running:
                while more and len(running) < max_workers:
                    try:
                        job = next(waiting)
                    except StopIteration:
                        more = False
                    except Exception as error:  # running jobs finish before the run gets the error
                        broken, more = error, False
                    else:
                        running.add(pool.submit(work, job))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
            if broken is not None:
                raise broken
        finally:
            # closing an unfinished run must not wait
            pool.shutdown(wait=not running, cancel_futures=True)


@argosy.hookimpl
def argosy_strategy() -> type[argosy.Strategy]:
    """Register the strategy."""
    return ExampleStrategy
