"""Identifies processes, for the holder of a session."""

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
    """Return what identifies this boot of the machine; empty if the system has no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def clock() -> float:
    """Return seconds on a clock that all processes of this machine share."""
    # setting the date does not move the monotonic clock, but without boot IDs, it may restart unnoticed
    return time.monotonic() if boot_id() else time.time()


def process_start(pid: int) -> int:
    """Return when a process started, in clock ticks since boot (proc(5), field 22 of stat); 0 if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def process_lives(pid: int) -> bool:
    """Return whether a process of this machine has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's, or an impossible number: leave it alone
    return True


_start_of_this = cache(process_start)


def this_holder() -> Holder:
    """Return the mark of the current thread."""
    pid = os.getpid()
    thread = threading.current_thread().name
    return Holder(socket.gethostname(), pid, _start_of_this(pid), thread, time.time(), boot_id())


def has_ended(holder: Holder) -> bool:
    """Return whether a holder's process has certainly ended; on another machine, that is unknown."""
    is_here = holder.host == socket.gethostname()
    return is_here and process_start(holder.pid) != holder.process_start
