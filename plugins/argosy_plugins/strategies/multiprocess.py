"""The strategy that works on several items at once, in several processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator

import argosy
from argosy.interfaces.channel import Channel
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Job, Outcome
from argosy_plugins.strategies._pool import ProcessPool
from argosy_plugins.unix_channel import UnixChannel


class MultiprocessStrategy(Strategy):
    """Spreads up to `max_workers` items over several processes, each with some threads.

    A process that dies (killed, out of memory) is replaced, and its items start again. Processes are spawned, or forked
    from an empty server process; never from the run itself, because no session, store or lease may cross a fork.
    """

    name = "multiprocess"
    summary = "Several items at once, in several processes (experimental)"
    needs = Scope.HOST
    private = True  # the socket is in a folder that only this user can enter
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

    def channel(self) -> Channel:
        """Return a Unix socket."""
        return UnixChannel()

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield outcomes as they come; take a job only when a process has room for it."""
        processes = min(self.options.get("processes") or os.cpu_count() or 1, max_workers)
        start = multiprocessing.get_context(self.options.get("start_method", "spawn"))
        pool = ProcessPool(start, work, processes, max_workers, self.context.notice)
        waiting = iter(jobs)
        broken: BaseException | None = None
        more = True
        try:
            while more or pool.busy:
                while more and pool.has_room():
                    try:
                        job = next(waiting)
                    except StopIteration:
                        more = False
                    except Exception as error:  # active jobs finish first
                        broken, more = error, False
                    else:
                        pool.give(job)
                yield from pool.outcomes()
            pool.dismiss()
            if broken is not None:
                raise broken
        finally:
            pool.abandon()


@argosy.hookimpl
def argosy_strategy() -> type[Strategy]:
    """Register the strategy."""
    return MultiprocessStrategy
