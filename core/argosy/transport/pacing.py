"""Politeness: when the next request to a host may start."""

from __future__ import annotations

import threading
import time


class Pacer:
    """Spaces the starts of requests to each host, over all threads of a process.

    Parameters
    ----------
    delay
        Seconds between two starts to one host.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self._mutex = threading.Lock()
        self._next: dict[str, float] = {}

    def admit(self, host: str) -> float:
        """Start a request now, or learn how long to wait before asking again.

        Returns
        -------
        float
            0 where the request may start, and is counted as started; else the seconds to wait.
        """
        with self._mutex:
            now = time.monotonic()
            due = self._next.get(host, 0.0)
            if due > now:
                return due - now
            if self.delay > 0:
                self._next[host] = now + self.delay
            else:
                self._next.pop(host, None)
            return 0.0

    def hold_back(self, host: str, seconds: float) -> None:
        """Let no request to a host start for so many seconds: its ``Retry-After``."""
        with self._mutex:
            self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + seconds)
