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
    """Return seconds on a clock that all processes of this machine share.

    It is the monotonic clock, because setting the date does not move it. Without boot IDs it is the wall clock, because
    the monotonic clock may restart unnoticed.
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
    """Return whether a process of this machine has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's, or an impossible number: leave it alone
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
    """Return whether a holder's process has certainly ended; on another machine, that is unknown."""
    host, _ = _this_process(os.getpid())
    return holder.host == host and process_start(holder.pid) != holder.process_start


def is_this_process(holder: Holder) -> bool:
    """Return whether a holder is a thread of this process."""
    pid = os.getpid()
    return holder.pid == pid and (holder.host, holder.process_start) == _this_process(pid)
