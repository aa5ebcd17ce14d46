"""How long the command line takes to start, beside the interpreter with ``import requests``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.table import Table

COMMANDS = {
    "python -c 'import requests'": ("-c", "import requests"),
    "argosy --version": ("-m", "argosy", "--version"),
    "argosy --help": ("-m", "argosy", "--help"),
    "argosy download --help": ("-m", "argosy", "download", "--help"),
    "argosy plugins": ("-m", "argosy", "plugins"),
}


def seconds(arguments: tuple[str, ...]) -> float:
    """Return how long one start takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def tables(quick: bool) -> Iterator[Table]:
    """Start each program some times, in turn."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(3 if quick else 10):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    least = {name: min(found) for name, found in times.items()}
    base = next(iter(least.values()))
    yield Table(
        "Start of the command line",
        [
            {
                "command": f"`{name}`",
                "least ms": value * 1000,
                "median ms": statistics.median(times[name]) * 1000,
                "ratio of the least": value / base,
            }
            for name, value in least.items()
        ],
        ["Aim: `--version` and `--help` below 2."],
    )
