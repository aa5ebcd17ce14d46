"""Whether `argosy plan` is right: the requests per second that it simulates, beside those of real runs.

Two short runs of each service are measured as `argosy plan CONFIG` does, with one worker and with eight, and all others are
simulated from them. The rate of a run, real or simulated, is that of its middle, when all workers are at work. The server runs on
the same machine: if that is busy with other work, sessions change hands later than in the runs that were measured.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from argosy_devkit import LibraryServer
from argosy_plan.measure import Requests, measure, together
from argosy_plan.model import Setup, rate_of, simulate
from benchmarks.table import Cell, Goal, Table
from voyage import set_out

#: How far a simulation may be off.
LIMIT = 0.1

#: Requests of each worker in a real run.
EACH = 24


@dataclass(frozen=True, slots=True)
class Library:
    """A library server whose every response replaces the token, unless its lease mode is "open"."""

    ttfb: float  # seconds to the headers
    rate: int  # bytes per second of each connection
    size: int  # of a file
    lease_mode: str = "strict"

    def __str__(self) -> str:
        return f"{self.ttfb * 1000:.0f} + {self.size / self.rate * 1000:.0f}"

    def download(self, workers: int, items: int, **options: Any) -> Requests:
        """Return the requests of a run on a server of its own."""
        options = {"lease": "exclusive" if self.lease_mode == "strict" else "shared", **options}
        with (
            tempfile.TemporaryDirectory() as folder,
            LibraryServer(lease_mode=self.lease_mode, ttfb=self.ttfb, rate=self.rate) as server,
        ):
            voyage = set_out(Path(folder), server, items=items, size=self.size, **options)
            requests = measure(voyage.file, workers, items)
            assert not voyage.wrong(), voyage.wrong()
            return requests


FAR = Library(ttfb=0.1, rate=125_000, size=50_000)
NEAR = Library(ttfb=0.05, rate=200_000, size=20_000)
FAST = Library(ttfb=0.02, rate=1_000_000, size=100_000)
KEEPS = replace(NEAR, lease_mode="open")

#: The runs of each service.
RUNS = {
    FAR: [Setup(1), Setup(4), Setup(16), Setup(16, sessions=4), Setup(32, sessions=8)],
    NEAR: [
        *(Setup(workers) for workers in (1, 2, 4, 8, 16)),
        *(Setup(workers, sessions=4) for workers in (8, 16, 32)),
        Setup(8, lease="exclusive-to-end"),
        Setup(8, delay=0.1),
    ],
    KEEPS: [Setup(workers, lease="shared") for workers in (4, 16)],
    FAST: [Setup(8), Setup(16, sessions=4)],
}


def tables(quick: bool) -> Iterator[Table]:
    """Measure a few workers and sessions, and simulate them."""
    rows: list[dict[str, Cell]] = []
    for library, setups in RUNS.items() if not quick else [(NEAR, [Setup(4)])]:
        alone, parallel = (4, 8) if quick else (20, 60)
        service = together([library.download(1, alone), library.download(8, parallel)])
        for setup in setups:
            options: dict[str, Any] = {"sessions": setup.sessions, "lease": setup.lease, "download_delay": setup.delay}
            real = library.download(setup.workers, (4 if quick else EACH) * max(setup.workers, 2), **options)
            rate = rate_of([request.ended for request in real.done])
            simulated = simulate(service, setup, len(real.done)).rate
            rows.append(
                {
                    "headers + body, ms": str(library),
                    "workers x sessions": _words(setup),
                    "requests/s": rate,
                    "simulated": simulated,
                    "off by, %": (simulated / rate - 1) * 100,
                    "processor, %": real.computing / real.span * 100,
                    "load of the machine": os.getloadavg()[0],
                }
            )
    worst = max(abs(float(row["off by, %"] or 0)) for row in rows)
    goals = [] if quick else [Goal("percent that a simulation is off by", worst, LIMIT * 100)]
    yield Table("Simulated and real runs", rows, [], goals)


def _words(setup: Setup) -> str:
    lease = "" if setup.lease == "exclusive" else f", {setup.lease}"
    return f"{setup.workers} x {setup.sessions}{lease}{f', delay {setup.delay:g} s' if setup.delay else ''}"
