"""Interrupting a thread that waits, with a real signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from argosy_devkit.contracts.waiting import Thread, wait_until


class Interrupt(Exception):
    pass


def interrupt_wait(wait: Callable[[], object], ready: Callable[[], object]) -> None:
    """Interrupt what this thread waits for, by a real signal."""

    def interrupt(*_: object) -> None:
        raise Interrupt

    def fire() -> None:
        wait_until(ready, "the main thread to wait")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        thread = Thread(fire)
        with pytest.raises(Interrupt):
            wait()
        thread.result()
    finally:
        signal.signal(signal.SIGUSR1, before)
