"""Stopping a run: first it drains, then it gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable

from argosy.errors import Interrupted


class Stop:
    """Says to all workers of a process whether to go on.

    When it drains, no worker starts an item, sends a request or sleeps any longer; transfers under way are
    finished. When it is aborted, transfers end at the next piece of their body.
    """

    def __init__(self) -> None:
        self._draining = threading.Event()
        self._aborted = threading.Event()
        self._listeners: tuple[Callable[[], None], ...] = ()

    @property
    def draining(self) -> bool:
        """Whether nothing new is to be started."""
        return self._draining.is_set()

    @property
    def aborted(self) -> bool:
        """Whether everything is to end at once."""
        return self._aborted.is_set()

    def drain(self) -> None:
        """Start nothing new."""
        self._draining.set()
        self._tell()

    def abort(self) -> None:
        """End everything at once."""
        self._aborted.set()
        self._draining.set()
        self._tell()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function at every change, perhaps in a signal handler; return what ends that."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds.

        Raises
        ------
        Interrupted
            If the run is being stopped.
        """
        if self._draining.wait(max(seconds, 0.0)):
            raise Interrupted(
                "The run was stopped; everything done so far is kept.", hint="Start it again to go on."
            )

    def check(self, *, between: bool = False) -> None:
        """Raise where the run is to end at once, or (between two resources) where it drains.

        Raises
        ------
        Interrupted
            If so.
        """
        if self.aborted or (between and self.draining):
            raise Interrupted(
                "The run was stopped; everything done so far is kept.", hint="Start it again to go on."
            )
