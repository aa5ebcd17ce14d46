"""The interface of rate limits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

from argosy.interfaces.base import Plugin
from argosy.models.host_state import HostState

T = TypeVar("T")


class RateLimit(Plugin):
    """Stores the states of hosts, which decide when a request may start, for all processes that it limits together.

    If a method raises OSError, the run says so and limits its requests per process. Times are those of
    `argosy.toolkit.processes.clock`. A host has its port if that is unusual.
    """

    @abstractmethod
    def read(self, host: str) -> HostState | None:
        """Return the state of a host, or None; called before every request, so it must be fast."""

    @abstractmethod
    def started(self, host: str, now: float) -> None:
        """Set `HostState.seen` of a host that has a state, without a lock."""

    @abstractmethod
    def update(self, host: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host (a new one if unknown) in place, atomically: return ``change(state, now)``."""
