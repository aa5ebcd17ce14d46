"""The contract of a scheduling strategy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from argosy.interfaces.base import Plugin
from argosy.interfaces.cookie_store import Scope
from argosy.models.items import Job, Outcome

#: Does one job and never raises: what goes wrong is in the outcome. It and the jobs can be pickled, any number of
#: times. Unpickled in the main thread of another process, the work makes that process ignore the terminal's Ctrl-C.
Work = Callable[[Job], Outcome]


class Strategy(Plugin):
    """Maps the work over the items: where, and how many at once.

    .. versionadded:: 0.1
    """

    #: How far its workers are spread: the cookie store's lease must reach at least as far. Workers must stay on one
    #: machine for now: a strategy that needs `Scope.CLUSTER` is refused.
    needs: ClassVar[Scope] = Scope.PROCESS
    #: Whether it ever does more than one item at once.
    parallel: ClassVar[bool] = True

    @abstractmethod
    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield the outcome of every job, in any order.

        Take a job only when a worker is about to be free for it (backpressure): `jobs` may be a million
        long, and it ends early when the run is stopped. A job that was taken is done and its outcome
        yielded, unless the generator is closed.
        """
