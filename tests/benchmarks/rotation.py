"""Many workers on one session: how much faster than one worker, and how near to what no client can beat.

A library server in a process of its own: 20 ms to the first byte, 1 MB at 2 MB/s for each connection. The bound is
the sum of the header times on one session (where every response replaces the token), or the share of each worker,
whichever is longer; the second one counts the header times that a bare socket sees, as no server sleeps for 20 ms
to the microsecond. The rate of several processes is that of the items of a long run that a short one has not, so their
start is taken off, as is the last body, which every run ends with.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import argosy
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy_devkit import LibraryServer
from benchmarks.table import Cell, Goal, Table
from benchmarks.tools import TRANSPORTS
from voyage import set_out

TTFB = 0.02
SIZE = 1_000_000
RATE = 2_000_000

#: The bound with the header times that a bare socket sees, over the time taken.
OF_SOCKET = "of what a socket could do"

#: The least part of what a bare socket could do, by the transport and the threads.
LIMITS = {("requests", 8): 0.97, ("requests", 32): 0.90, ("curl", 8): 0.97, ("curl", 32): 0.93}


@dataclass(frozen=True)
class ProcessPool:
    """Some workers: of one run in this process, or of several `argosy download` at once."""

    name: str
    workers: int
    options: dict[str, Any]
    terminals: int = 0

    @property
    def starts_processes(self) -> bool:
        return self.terminals > 0 or "strategy" in self.options


SERIAL = ProcessPool("serial", 1, {"max_workers": 1})


def threads(count: int, transport: str = "requests") -> ProcessPool:
    name = f"{count} threads" + (f", transport {transport}" if transport != "requests" else "")
    return ProcessPool(name, count, {"max_workers": count, **TRANSPORTS[transport]})


def processes(count: int, workers: int) -> ProcessPool:
    strategy = {"use": "multiprocess", "processes": count}
    return ProcessPool(f"{count} processes, {workers} workers", workers, {"max_workers": workers, "strategy": strategy})


def terminals(count: int, each: int) -> ProcessPool:
    return ProcessPool(f"{count} terminals, {each} threads each", count * each, {"max_workers": each}, terminals=count)


def header_time(requests: int = 40) -> float:
    """Return the seconds to the headers of such a server as a bare socket sees them, the median."""
    with LibraryServer(lease_mode="open", ttfb=TTFB) as server:
        head = b"GET /files/a?size=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        times = []
        with socket.create_connection(("127.0.0.1", server.port)) as bare:
            for _ in range(requests):
                begun = time.perf_counter()
                bare.sendall(head)
                bare.recv(65536)
                times.append(time.perf_counter() - begun)
    return statistics.median(times)


def download(crew: ProcessPool, lease_mode: str, items: int) -> tuple[float, int, int]:
    """Return the seconds of a download, the refusals, and the logins."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LibraryServer(lease_mode=lease_mode, ttfb=TTFB, rate=RATE) as server,
    ):
        lease = "shared" if lease_mode == "static" else "exclusive"
        voyage = set_out(Path(folder), server, items=items, size=SIZE, lease=lease, **crew.options)
        if crew.terminals:
            begun = time.perf_counter()
            runs = [voyage.start("--quiet") for _ in range(crew.terminals)]
            ends = [run.communicate() for run in runs]
            seconds = time.perf_counter() - begun
            assert all(run.returncode == 0 for run in runs), ends
        else:
            seconds = argosy.download(voyage.file).seconds
        assert not voyage.wrong(), voyage.wrong()
        stats = server.stats()
    return seconds, stats.refused, stats.logins


def bound(items: int, workers: int, lease_mode: str, ttfb: float) -> float:
    """Return the seconds that no client can beat."""
    headers = items * ttfb if lease_mode == "strict" else 0.0
    return max(headers, (ttfb + SIZE / RATE) * items / workers)


def measure(crew: ProcessPool, lease_mode: str, rounds: int, serial: float | None, headers: float) -> dict[str, Cell]:
    """Return the figures of so many items for each worker."""
    items = crew.workers * rounds
    seconds, refusals, logins = download(crew, lease_mode, items)
    if crew.starts_processes:
        short = max(rounds // 4, 1) * crew.workers
        less, more_refusals, _ = download(crew, lease_mode, short)
        seconds, refusals, items = seconds - less, refusals + more_refusals, items - short
    return {
        "workers": crew.name,
        "items": items,
        "seconds": seconds,
        "speed-up": serial / (seconds / items) if serial else 1.0,
        "speed-up for each worker": serial / (seconds / items) / crew.workers if serial else 1.0,
        "of the bound": bound(items, crew.workers, lease_mode, TTFB) / seconds,
        OF_SOCKET: bound(items, crew.workers, lease_mode, headers) / seconds,
        "refusals": refusals,
        "logins": logins,
    }


def crews(quick: bool, lease_mode: str) -> list[tuple[ProcessPool, int]]:
    """Return who is measured, with the items for each worker."""
    rounds = 4 if quick else 16
    on_curl = [(threads(count, "curl"), rounds) for count in (8, 32)]
    chosen = [(SERIAL, rounds // 2), (threads(8), rounds), (threads(32), rounds), *on_curl]
    if lease_mode == "strict" and not quick:
        chosen = [(SERIAL, 16), *((threads(count), rounds) for count in (4, 8, 16, 32)), *on_curl]
        chosen += [(terminals(2, 2), rounds), (terminals(2, 4), rounds)]
    with contextlib.suppress(argosy.ArgosyError):
        if "multiprocess" in PluginManager().names(Kind.STRATEGY):
            chosen += [(processes(2, 2), rounds), (processes(4, 4), rounds)] if not quick else [(processes(2, 2), 4)]
    return chosen


def goals(rows: list[dict[str, Cell]]) -> list[Goal]:
    """Return the goals of a session whose token is replaced."""
    found = []
    for (transport, count), limit in LIMITS.items():
        row = next(row for row in rows if row["workers"] == threads(count, transport).name)
        what = f"one strict session, {count} threads, transport {transport}, of what a bare socket could do"
        found.append(Goal(what, float(row[OF_SOCKET] or 0), limit, at_least=True))
    refusals = sum(int(row["refusals"] or 0) for row in rows)
    return [*found, Goal("one strict session, refusals of all runs", refusals, 0)]


def tables(quick: bool) -> Iterator[Table]:
    """Measure a session whose token is replaced with every response, and one whose token stays."""
    for lease_mode, title in (("strict", "replaced with every response"), ("static", "never replaced")):
        rows: list[dict[str, Cell]] = []
        headers = header_time()
        serial: float | None = None
        for crew, rounds in crews(quick, lease_mode):
            row = measure(crew, lease_mode, rounds, serial, headers)
            serial = serial or float(row["seconds"] or 0) / int(row["items"] or 1)
            rows.append(row)
        notes = [f"A bare socket has the headers after {headers * 1000:.1f} ms."]
        if not any("processes" in str(row["workers"]) for row in rows):
            notes.append("Skipped: several processes, as the strategy `multiprocess` is not installed.")
        yield Table(
            f"One session, its token {title}", rows, notes, goals(rows) if lease_mode == "strict" and not quick else []
        )
