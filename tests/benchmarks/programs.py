"""Whole programs and what they use: seconds, CPU, memory, system calls."""

from __future__ import annotations

import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Usage:
    """What one run of a program used."""

    seconds: float
    cpu: float  # seconds, user and system, of the program and its children
    peak: float  # MB


def run(command: Sequence[str | Path]) -> Usage:
    """Run a program to its end; raise SystemExit with what it wrote if it fails."""
    with tempfile.TemporaryFile("w+") as written:  # a pipe would hold up programs that write much
        launch = [sys.executable, "-I", "-S", LAUNCH, *command]
        done = subprocess.run(launch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=written, text=True)
        written.seek(0)
        end = written.read()[-2000:]
    if done.returncode != 0 or not done.stdout.startswith("0 "):
        raise SystemExit(f"{' '.join(map(str, command))[:500]} failed: {done.stdout}\n{end}")
    _, seconds, cpu, peak = map(float, done.stdout.split())
    return Usage(seconds, cpu, peak / (1e6 if platform.system() == "Darwin" else 1e3))  # bytes there, kB elsewhere


def median(usages: Sequence[Usage]) -> Usage:
    """Return the median of each figure."""
    columns = zip(*((usage.seconds, usage.cpu, usage.peak) for usage in usages), strict=True)
    return Usage(*map(statistics.median, columns))


def system_calls(command: Sequence[str | Path], only: str = "all") -> int:
    """Return how many system calls a program and its children make."""
    with tempfile.NamedTemporaryFile("r") as table:
        options = ["-f", "--seccomp-bpf", "-c", "-U", "calls,name", "-o", table.name, "-e", f"trace={only}"]
        subprocess.run(["strace", *options, *command], check=True, capture_output=True)
        total = re.search(r"^ *(\d+) +total$", table.read(), re.MULTILINE)
    return int(total[1]) if total else 0  # nothing is written if there was none


def can_count() -> bool:
    """Return whether strace is installed."""
    return shutil.which("strace") is not None
