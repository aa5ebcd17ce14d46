"""The thread that watches the deadlines of requests."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argosy.transport.sending import Sending

#: Seconds after which the thread that watches deadlines ends where there are none.
IDLE = 60.0


class Watchdog:
    """A thread that expires sendings at their deadline; started with the first."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._watched: dict[Sending, None] = {}  # in the order of their coming
        self._wakes = 0.0  # when the thread looks again
        self._thread: threading.Thread | None = None

    def watch(self, sending: Sending) -> None:
        """Expire a sending at its deadline unless it is forgotten by then."""
        with self._condition:
            self._watched[sending] = None
            if self._thread is None:
                self._wakes = sending.deadline
                self._thread = threading.Thread(target=self._run, name="argosy-deadline", daemon=True)
                self._thread.start()
            elif sending.deadline < self._wakes:
                self._condition.notify()

    def forget(self, sending: Sending) -> None:
        """Leave a sending alone."""
        with self._condition:
            self._watched.pop(sending, None)

    def _run(self) -> None:
        while True:
            with self._condition:
                now = time.monotonic()
                late = [sending for sending in self._watched if sending.deadline <= now]
                for sending in late:
                    del self._watched[sending]
                if not late:
                    idle = not self._watched
                    self._wakes = min((s.deadline for s in self._watched), default=now + IDLE)
                    self._condition.wait(self._wakes - now)
                    if idle and not self._watched:
                        self._thread = None
                        return
            for sending in late:
                sending.expire()
