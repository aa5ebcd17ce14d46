"""Where it is measured, and what the kernel says a process needs."""

from __future__ import annotations

import os
import platform
import resource
from importlib import metadata
from pathlib import Path

#: What turns pages into MB.
_PAGE = os.sysconf("SC_PAGE_SIZE") / 1e6


def machine() -> dict[str, str]:
    """Return what to know of the machine."""
    return {
        "CPUs": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "requests": metadata.version("requests"),
        "urllib3": metadata.version("urllib3"),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def memory_now() -> float:
    """Return the memory of this process in MB (its resident set; the peak where the system has no proc(5))."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        return memory_peak()


def memory_peak() -> float:
    """Return the peak of this process's memory in MB."""
    scale = 1e6 if platform.system() == "Darwin" else 1e3  # bytes there, kB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
