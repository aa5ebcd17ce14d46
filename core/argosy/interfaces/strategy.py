"""The interface of scheduling strategies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from argosy.interfaces.base import Plugin
from argosy.interfaces.channel import Channel
from argosy.interfaces.cookie_store import Scope
from argosy.models.items import Job, Outcome

#: Does one job and never raises: the outcome tells what went wrong. It and the jobs can be pickled repeatedly, also
#: on a worker; the work then has less than 2 kB, apart from the channel's address, and no secret. Unpickled
#: in the main thread of another process, it makes that process ignore the terminal's Ctrl-C.
Work = Callable[[Job], Outcome]


class Strategy(Plugin):
    """Decides where the work runs, and how much of it at once."""

    #: How far its workers are spread, which may depend on options; the cookie store's lease must reach at least as far.
    needs: Scope = Scope.PROCESS
    parallel: ClassVar[bool] = True  # whether it ever does more than one item at once
    #: Whether nobody else can read what its channel carries, which may depend on options, too. If not, no secret that the
    #: user types is sent to workers in other processes.
    private: bool = False

    @abstractmethod
    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield the outcome of every job, in any order.

        Take a job only when a worker is about to be free (backpressure): there may be a million jobs, and they end early
        when the run is stopped. A job that was taken is done and its outcome yielded, unless the generator is closed.
        """

    def channel(self) -> Channel:
        """Return how workers in other processes reach the run; called at most once, when the work is pickled.

        `argosy_plugins.unix_channel.UnixChannel` is one for workers on this host.
        """
        raise NotImplementedError(f"the strategy {self.name!r} has no channel for workers in other processes")
