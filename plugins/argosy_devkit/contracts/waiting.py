"""Waiting for what other threads do."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: Seconds after which something that has to happen is taken for missing.
PATIENCE = 30.0


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Return when a condition holds; fail where it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.002)


def wait_until_still(thread: threading.Thread) -> None:
    """Return when a thread has stopped moving: it waits for something, or it polls and has had its first turn."""
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
    """A thread whose result, or whose exception, comes out of `result`.

    Parameters
    ----------
    work
        What it does.
    """

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
        """Wait for the thread; return what its work returned, or raise what it raised."""
        self.join(PATIENCE)
        assert not self.is_alive(), f"a thread is still waiting after {PATIENCE:.0f} s"
        if self._error is not None:
            raise self._error
        return self._value
