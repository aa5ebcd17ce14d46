"""Who we are, as a mark in a session record names it."""

from __future__ import annotations

import os
import socket
import threading
import time
from functools import cache
from pathlib import Path

from argosy.models.session import Holder


@cache
def boot_id() -> str:
    """Return what tells this boot of the machine from another; empty where the system has no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def clock() -> float:
    """Return the time in seconds that all processes of this machine agree on.

    The monotonic clock, as corrections of the date do not move it; the wall clock if the system does not identify its
    boots, as the monotonic clock may restart unnoticed.
    """
    return time.monotonic() if boot_id() else time.time()


def process_start(pid: int) -> int:
    """Return when a process started, in clock ticks since boot (proc(5), field 22 of stat); 0 if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def process_lives(pid: int) -> bool:
    """Return whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no number that this system has: left alone
    return True


@cache
def _this_process(pid: int) -> tuple[str, int]:
    return socket.gethostname(), process_start(pid)


def this_holder() -> Holder:
    """Return the mark of the current thread."""
    pid = os.getpid()
    host, start = _this_process(pid)
    return Holder(host, pid, start, threading.current_thread().name, time.time(), boot_id())


def has_ended(holder: Holder) -> bool:
    """Return whether the process that made a mark is known to be gone; one of another machine is not."""
    host, _ = _this_process(os.getpid())
    return holder.host == host and process_start(holder.pid) != holder.process_start


def is_this_process(holder: Holder) -> bool:
    """Return whether a mark was made by this process."""
    pid = os.getpid()
    return (holder.host, holder.pid, holder.process_start) == (
        _this_process(pid)[0],
        pid,
        _this_process(pid)[1],
    )
