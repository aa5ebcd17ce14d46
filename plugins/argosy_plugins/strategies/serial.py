"""The strategy that works on one item at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import argosy
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Job, Outcome


class SerialStrategy(Strategy):
    """Works on one item after the other, in the order of the source."""

    name = "serial"
    summary = "One item at a time"
    parallel = False

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield the outcome of each job before it takes the next one."""
        for job in jobs:
            yield work(job)


@argosy.hookimpl
def argosy_strategy() -> type[Strategy]:
    """Register the strategy."""
    return SerialStrategy
