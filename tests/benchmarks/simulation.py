"""Whether `argosy plan` is right: the requests per second that it simulates, beside those of real runs.

A library server whose every response replaces the token: 20 ms to the first byte, 100 kB at 1 MB/s for each connection.
Two short runs are measured, one with one worker and one with eight. The rate of a run is that of the items that a long one
has more than a short one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import argosy
from argosy.events import Event
from argosy_devkit import LibraryServer
from argosy_plan.measure import Requests, together
from argosy_plan.model import Setup, simulate
from benchmarks.table import Cell, Goal, Table
from voyage import set_out

TTFB = 0.02
SIZE = 100_000
RATE = 1_000_000

#: How far a simulation may be off.
LIMIT = 0.1


def download(items: int, take: Callable[[Event], None] | None = None, **options: Any) -> float:
    """Return the seconds of a download."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LibraryServer(lease_mode="strict", ttfb=TTFB, rate=RATE) as server,
    ):
        voyage = set_out(Path(folder), server, items=items, size=SIZE, **options)
        seconds = argosy.download(voyage.file, take).seconds
        assert not voyage.wrong(), voyage.wrong()
        return seconds


def tables(quick: bool) -> Iterator[Table]:
    """Measure a few workers and sessions, and simulate them."""
    runs = []
    for workers, items in ((1, 20), (8, 64)):
        runs.append(Requests())
        download(items, runs[-1].take, max_workers=workers)
    service = together([run.service() for run in runs])
    setups = [Setup(count) for count in (1, 2, 4, 6, 8, 16)] + [
        Setup(16, sessions=4),
        Setup(8, lease="exclusive-to-end"),
    ]
    rows: list[dict[str, Cell]] = []
    for setup in setups[2:3] if quick else setups:
        options: dict[str, Any] = {"max_workers": setup.workers, "sessions": setup.sessions, "lease": setup.lease}
        each = 10 if quick else 40
        short, long = (max(setup.workers, 4) * count for count in (each // 2, 2 * each))
        rate = (long - short) / (download(long, **options) - download(short, **options))
        simulated = simulate(service, setup, long).rate
        rows.append(
            {
                "workers": setup.workers,
                "sessions": setup.sessions,
                "lease": setup.lease,
                "requests/s": rate,
                "simulated": simulated,
                "off by": simulated / rate - 1,
            }
        )
    worst = max(abs(float(row["off by"] or 0)) for row in rows)
    goals = [] if quick else [Goal("the simulation is off by", worst, LIMIT)]
    yield Table("Simulated and real runs", rows, [], goals)
