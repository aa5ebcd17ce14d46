"""Waits for other threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: Seconds after which an expected event counts as missing.
PATIENCE = 30.0


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Return when a condition holds; fail if it does not in time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.002)


def wait_until_still(thread: threading.Thread) -> None:
    """Return when a thread stops moving: it waits, or it polls and has had a turn."""
    seen: tuple[int, int] | None = None
    still = 0
    end = time.monotonic() + 1.0
    while still < 15 and time.monotonic() < end:
        frame = sys._current_frames().get(thread.ident or 0)
        now = (id(frame), frame.f_lasti) if frame is not None else None
        still = still + 1 if now is not None and now == seen else 0
        seen = now
        del frame
        time.sleep(0.004)


class Thread(threading.Thread):
    """A thread that keeps the result or the exception of its work."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do the work."""
        try:
            self._value = self._work()
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        """Wait for the thread; return its result or raise its exception."""
        self.join(PATIENCE)
        assert not self.is_alive(), f"a thread is still waiting after {PATIENCE:.0f} s"
        if self._error is not None:
            raise self._error
        return self._value
