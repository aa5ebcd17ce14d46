"""How fast and how fairly a session is handed on between processes, by a json-file store."""

from __future__ import annotations

import bisect
import itertools
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import argosy
from benchmarks.table import Cell, Table

HOLD = 0.002

#: Asked, had, gave back (monotonic, seconds).
Permit = tuple[float, float, float]


def take_turns(path: str, threads: int, seconds: float, barrier: Any, results: Any) -> None:
    """Queue for the session with some threads until the time is over."""
    store = argosy.open_store("json-file", path=path)
    release = store.acquire("default", wait=False)
    if release is not None:
        release()  # the store has tried its locks now
    turns: list[Permit] = []

    def work() -> None:
        while (asked := time.monotonic()) < end:
            release = store.acquire("default")
            assert release is not None
            had = time.monotonic()
            time.sleep(HOLD)
            turns.append((asked, had, time.monotonic()))
            release()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    barrier.wait()
    end = time.monotonic() + seconds
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    results.put(turns)


def measure(processes: int, threads: int, seconds: float) -> dict[str, Cell]:
    """Return the figures of some processes with some threads."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "cookies.json"))
        children = [
            context.Process(target=take_turns, args=(path, threads, seconds, barrier, results))
            for _ in range(processes)
        ]
        for child in children:
            child.start()
        all_turns = [results.get() for _ in children]
        for child in children:
            child.join()
    first = max(turns[0][0] for turns in all_turns)  # everybody is there
    last = min(max(asked for asked, _, _ in turns) for turns in all_turns)  # and still is
    during = [[turn for turn in turns if first <= turn[0] <= last] for turns in all_turns]
    order = sorted((had, gave, number) for number, turns in enumerate(during) for _, had, gave in turns)
    latencies = [b[0] - a[1] for a, b in itertools.pairwise(order) if a[2] != b[2]]
    waits = [had - asked for turns in during for asked, had, _ in turns]
    had_at = [had for had, _, _ in order]
    passed = [
        bisect.bisect_left(had_at, had) - bisect.bisect_right(had_at, asked)
        for turns in during
        for asked, had, _ in turns
    ]
    shares = [len(turns) / len(order) * processes for turns in during]
    return {
        "processes": processes,
        "threads": threads,
        "holds per second": len(order) / (last - first),
        "to another process": f"{len(latencies) / len(order):.0%}",
        "median ms": statistics.median(latencies) * 1000,
        "p99 ms": statistics.quantiles(latencies, n=100)[98] * 1000,
        "worst wait / mean": max(waits) / statistics.mean(waits),
        "passed": max(passed),
        "least share": min(shares),
        "most share": max(shares),
    }


def tables(quick: bool) -> Iterator[Table]:
    """Hand a session on between two, four and eight processes."""
    rows = [measure(processes, threads, 1.0 if quick else 5.0) for processes in (2, 4, 8) for threads in (1, 2, 4)]
    yield Table(
        "A session handed on between processes",
        rows,
        [
            "Aim: a median of 2 ms or less, no wait longer than ten times the mean.",
            "Each keeps it for 2 ms and queues again at once. A wait is from asking to having. *Passed* is how often others",
            "had it during the worst wait: one time less than there are threads in all is fair, however busy the machine.",
            "A share is what one process had of all, times the number of processes: 1 is fair.",
        ],
    )
