"""The interface of a rate limit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

from argosy.interfaces.base import Plugin
from argosy.models.host_state import HostState

T = TypeVar("T")


class RateLimit(Plugin):
    """Keeps the states of hosts for all processes whose requests it limits together.

    The states decide when a request may start; a rate limit only stores them. If a method raises OSError, the run
    says so and limits its requests per process.

    .. versionadded:: 0.1
    """

    @abstractmethod
    def read(self, host: str) -> HostState | None:
        """Return the state of a host, or None if there is none; called before every request, so it must be fast."""

    @abstractmethod
    def started(self, host: str, now: float) -> None:
        """Set `HostState.seen` of a host that has a state, without a lock.

        Parameters
        ----------
        host
            The host, and its port if it is unusual.
        now
            The time by `argosy.toolkit.processes.clock`.
        """

    @abstractmethod
    def update(self, host: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host, atomically.

        Parameters
        ----------
        host
            The host, and its port if it is unusual.
        change
            Gets the state, a new one if there is none, and the time by `argosy.toolkit.processes.clock`; changes
            the state in place.

        Returns
        -------
        object
            What `change` returned.
        """
