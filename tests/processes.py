"""Looking at the processes that a program has started (Linux: what stands in /proc)."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

#: Whether this machine shows processes in the way that is read here.
CAN_LOOK = Path("/proc/self/stat").exists()


def descendants(pid: int) -> list[int]:
    """Return the processes below another one, also those of processes between."""
    below: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            if fields[0] != "Z":
                below.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, todo = [], [pid]
    while todo:
        children = below.get(todo.pop(), [])
        found += children
        todo += children
    return found


def workers(pid: int) -> list[int]:
    """Return the worker processes of a run."""
    return [child for child in descendants(pid) if "multiprocessing.spawn" in command(child)]


def command(pid: int) -> str:
    """Return the command line of a process; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " ")
    except OSError:
        return ""


def gone(pids: list[int], patience: float = 30.0) -> bool:
    """Return whether all of some processes end before our patience does."""
    end = time.monotonic() + patience
    while any(map(_lives, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def kill(pid: int) -> bool:
    """Kill a process, as ``kill -9`` does; return whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
