"""What each way of treating tokens costs under `auto`: refusals, logins, speed.

A library server in a process of its own for each row (50 ms to the first byte, 50 kB at 0.5 MB/s for each
connection), one session in a json-file store, one worker and then eight. The speed-up is for each item; where
requests take turns no client can do better than 3, as an item has the session for 50 of its 150 ms. "again"
downloads everything once more: what was learned is known by then. Refusals and logins are the server's own count.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import argosy
from argosy.http.adapter import LeasedAdapter
from argosy.http.session import AuthorizedSession
from argosy.leasing.adaptive import QUIET
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy
from argosy.models.session import SessionRecord
from argosy_devkit import LibraryServer
from benchmarks.table import Cell, Table
from voyage import Voyage, set_out

SERVER: dict[str, Any] = {"ttfb": 0.05, "rate": 500_000}
SIZE = 50_000
WORKERS = 8

#: Each row: what the service does, the server's settings, and what it changes to when enough is done.
ROWS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("static: one token", {"lease_mode": "static"}, {}),
    ("strict: a new one each time", {"lease_mode": "strict"}, {}),
    ("revoke: strict, reuse ends all", {"lease_mode": "revoke"}, {}),
    ("grace: strict, the old one for 5 s", {"lease_mode": "grace"}, {}),
    ("soft: strict, refuses with 200", {"lease_mode": "soft"}, {}),
    ("redirect: strict, refuses with 302", {"lease_mode": "redirect"}, {}),
    ("slide: a new one every 5", {"lease_mode": "slide"}, {}),
    (f"slide: a new one every {QUIET + 15}", {"lease_mode": "slide", "slide_every": QUIET + 15}, {}),
    ("static, turns strict", {"lease_mode": "static"}, {"lease_mode": "strict"}),
    ("static, turns revoke", {"lease_mode": "static"}, {"lease_mode": "revoke"}),
]


def download(voyage: Voyage, change: dict[str, Any]) -> argosy.Report:
    """Download everything; the server changes its mind some way after the session has become shared."""
    done = 0

    def on_event(event: Any) -> None:
        nonlocal done
        done += event.kind == "item.finished"
        if change and event.kind == "item.finished" and done == QUIET + 20:
            voyage.server.change(**change)

    voyage.server.reset_stats()
    report = argosy.download(voyage.file, on_event)
    if report.counts.done != len(voyage.expected):
        raise SystemExit(f"only {report.counts.done} of {len(voyage.expected)} items came")
    return report


def measure(settings: dict[str, Any], change: dict[str, Any], items: int) -> dict[str, Any]:
    """Return what one service costs."""
    row: dict[str, Any] = {}
    for workers in (1, WORKERS):
        with tempfile.TemporaryDirectory() as folder, LibraryServer(**SERVER, **settings) as server:
            options = {"max_workers": workers, "force_redownload": True}
            number = items if workers > 1 else items // 4
            voyage = set_out(Path(folder), server, items=number, size=SIZE, **options)
            report = download(voyage, change)
            stats = server.stats()
            if workers == 1:
                row["serial"] = report.seconds * items / number
                continue
            again = download(voyage, {})
            after = server.stats()
        row |= {"seconds": report.seconds, "lease": report.lease_used, "reason": report.lease_reason}
        row |= {"refused": stats.refused, "logins": stats.logins, "again": again.seconds}
        row |= {"refused_again": after.refused, "logins_again": after.logins}
    return row


def rate(server: LibraryServer, manager: SessionManager, requests: int) -> tuple[float, float]:
    """Return the requests of eight threads on one session: for each second, and for each second of processor time."""
    with (
        AuthorizedSession(LeasedAdapter(manager), lambda head: False) as http,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        begun, used = time.perf_counter(), time.process_time()
        list(pool.map(lambda n: http.get(server.url_for(f"/files/{n}?size=100")), range(requests)))
        return requests / (time.perf_counter() - begun), requests / (time.process_time() - used)


def overhead(requests: int, rounds: int) -> tuple[float, float, int]:
    """Return auto over shared on a static session: by the clock, by processor time; and the writes of the store.

    Short rounds of both in turns, and the median of their ratios: what else the machine does hits both.
    """
    with tempfile.TemporaryDirectory() as folder, LibraryServer(lease_mode="static") as server:
        argosy.download(set_out(Path(folder), server, items=QUIET, size=100).file)
        store = argosy.open_store("json-file", path=f"{folder}/cookies.json")
        writes = 0
        write: Callable[[SessionRecord, int], None] = store.write

        def count(record: SessionRecord, expected: int) -> None:
            nonlocal writes
            writes += 1
            write(record, expected)

        store.write = count  # type: ignore[method-assign]  # counted, not changed
        ratios = []
        for number in range(rounds):
            order = [LeaseMode.AUTO, LeaseMode.SHARED]
            rates = {}
            for lease_mode in order if number % 2 else order[::-1]:
                manager = SessionManager(store, "default", Policy(lease_mode), login=lambda: ())
                rates[lease_mode] = rate(server, manager, requests)
            auto, shared = (rates[lease_mode] for lease_mode in order)
            ratios.append((auto[0] / shared[0], auto[1] / shared[1]))
        store.close()
    return statistics.median(r for r, _ in ratios), statistics.median(r for _, r in ratios), writes


def tables(quick: bool) -> Iterator[Table]:
    """Measure the services one by one, then what watching costs where nothing is replaced."""
    items = QUIET + 35 if quick else 100
    rows: list[dict[str, Cell]] = []
    for name, settings, change in ROWS:
        row = measure(settings, change, items)
        rows.append(
            {
                "the service": name,
                "lease": row["lease"],
                "speed-up": row["serial"] / row["seconds"],
                "refusals": row["refused"],
                "logins": row["logins"],
                "again: refusals": row["refused_again"],
                "again: logins": row["logins_again"],
            }
        )
    title = f"{items} files under the lease auto, {WORKERS} workers over one"
    yield Table(title, rows, ["No client can do better than 8 where requests overlap, and than 3 where not."])
    clock, processor, writes = overhead(requests=200, rounds=5 if quick else 41)
    figures: dict[str, Cell] = {
        "per second": clock,
        "per second of processor time": processor,
        "writes of the store": writes,
    }
    yield Table("Requests on a static session, auto over shared", [figures])
