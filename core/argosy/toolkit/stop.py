"""Stops a run: drain first, then abort."""

from __future__ import annotations

import threading
from collections.abc import Callable

from argosy.errors import Interrupted


class Stop:
    """Tells all workers of a process whether to continue.

    While it drains, no worker starts an item, sends a request or sleeps, but running transfers finish. Once it is aborted,
    transfers end at the next chunk of their body.
    """

    def __init__(self) -> None:
        self._draining = threading.Event()
        self.aborted = False  # whether to end everything immediately
        #: Called at every change, possibly in a signal handler.
        self.listeners: set[Callable[[], None]] = set()

    @property
    def draining(self) -> bool:
        """Whether to start nothing new."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Start nothing new."""
        self._draining.set()
        for listener in tuple(self.listeners):
            listener()

    def abort(self) -> None:
        """End everything immediately."""
        self.aborted = True
        self.drain()

    def sleep(self, seconds: float) -> None:
        """Wait; raise `Interrupted` if the run is being stopped."""
        self._draining.wait(max(seconds, 0.0))
        self.check(between=True)

    def check(self, *, between: bool = False) -> None:
        """Raise `Interrupted` if the run must end now; between two resources, draining ends the item, too."""
        if self.aborted or (between and self.draining):
            message = "The run was stopped; finished work is kept."
            raise Interrupted(message, hint="Start it again to continue.")
