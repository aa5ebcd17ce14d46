"""The strategy that does several items at once, in several processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator

import argosy
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Job, Outcome
from argosy_plugins.strategies._crew import ProcessPool


class MultiprocessStrategy(Strategy):
    """Spreads up to `max_workers` items over several processes, each with some threads.

    A process that dies (killed, out of memory) is replaced, and its items start again. Processes are spawned,
    or forked from a server process that holds nothing; never forked from the run's own, as no session, store
    or lease may cross a fork.
    """

    name = "multiprocess"
    summary = "Several items at once, in several processes (experimental)"
    needs = Scope.HOST
    experimental = True
    options_schema = {
        "type": "object",
        "properties": {
            "processes": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 64,
                "default": None,
                "description": "How many processes; max_workers is shared out among them. "
                "Unset, as many as there are processors.",
            },
            "start_method": {
                "enum": ["spawn", "forkserver"],
                "default": "spawn",
                "description": "How Python starts them.",
            },
        },
    }

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield outcomes as they come; a job is taken only when a process has room for it."""
        processes = min(self.options.get("processes") or os.cpu_count() or 1, max_workers)
        start = multiprocessing.get_context(self.options.get("start_method", "spawn"))
        crew = ProcessPool(start, work, processes, max_workers, self.context.notice)
        waiting = iter(jobs)
        broken: BaseException | None = None
        more = True
        try:
            while more or crew.busy:
                while more and crew.has_room():
                    try:
                        job = next(waiting)
                    except StopIteration:
                        more = False
                    except Exception as error:  # what runs is finished and told before the run hears of it
                        broken, more = error, False
                    else:
                        crew.give(job)
                yield from crew.outcomes()
            crew.dismiss()
            if broken is not None:
                raise broken
        finally:
            crew.abandon()


@argosy.hookimpl
def argosy_strategy() -> type[Strategy]:
    """Register the strategy."""
    return MultiprocessStrategy
