"""Four Dask workers on one session on Redis: how near to what no client can beat, and the scheduler's traffic per item.

The server and the bound are those of the benchmark `rotation`. The figures are those of the items that a long run has more
than a short one, so the start of the workers and the last bodies, which every run has, are taken off. The traffic is what
goes through a relay in front of the scheduler in both directions, between it and the run and all workers; the last column is
without what the same cluster sends when it has nothing to do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import argosy
from argosy_devkit import LibraryServer
from benchmarks.rotation import OF_SOCKET, RATE, SIZE, TTFB, bound, header_time
from benchmarks.table import Cell, Goal, Table
from dask_cluster import DaskCluster
from redis_process import RedisProcess
from relay import Relay
from voyage import set_out

WORKERS = 4
#: Small items, which cost the scheduler the most in relation to their bodies: bytes, and seconds to the headers.
SMALL, SOON = 2000, 0.005


def cluster() -> tuple[DaskCluster, Relay]:
    """Start a scheduler, and workers that reach it through a relay."""
    started = DaskCluster()
    relay = Relay(started.port)
    started.reached_at = relay.port
    for _ in range(WORKERS):
        started.add_worker()
    return started, relay


def download(dask: DaskCluster, redis: RedisProcess, items: int, size: int, **options: Any) -> tuple[float, int]:
    """Return the seconds of a download, and its refusals."""
    with tempfile.TemporaryDirectory() as folder, LibraryServer(lease_mode="strict", **options) as server:
        voyage = set_out(
            Path(folder),
            server,
            items=items,
            size=size,
            lease="exclusive",
            strategy={"use": "dask", "address": dask.address},
            max_workers=WORKERS,
            cookie_store={"use": "redis", "url": f"redis://{redis.where}", "prefix": f"run-{time.monotonic_ns()}"},
        )
        seconds = argosy.download(voyage.file, lambda event: None).seconds
        assert not voyage.wrong(), voyage.wrong()
        stats = server.stats()
        assert stats.logins == 1
        return seconds, stats.refused


def tables(quick: bool) -> Iterator[Table]:
    """Measure large items and the bound, then small items and the traffic."""
    rounds = 4 if quick else 32
    dask, relay = cluster()
    redis = RedisProcess()
    try:
        download(dask, redis, WORKERS, SMALL)  # workers import argosy
        headers = header_time()
        some, many = WORKERS * rounds // 4, WORKERS * rounds
        less, refused = download(dask, redis, some, SIZE, ttfb=TTFB, rate=RATE)
        more, refused_more = download(dask, redis, many, SIZE, ttfb=TTFB, rate=RATE)
        seconds, items = more - less, many - some
        large: dict[str, Cell] = {
            "workers": WORKERS,
            "items": items,
            "seconds": seconds,
            "of the bound": bound(items, WORKERS, "strict", TTFB) / seconds,
            OF_SOCKET: bound(items, WORKERS, "strict", headers) / seconds,
            "refusals": refused + refused_more,
        }
        goal = Goal(
            "4 Dask workers on one session, of the bound", float(large["of the bound"] or 0), 0.85, at_least=True
        )
        yield Table(f"{SIZE / 1e6:.0f} MB at {RATE / 1e6:.0f} MB/s", [large], [], [] if quick else [goal])
        row = traffic(dask, relay, redis, 100 if quick else 1000)
        goal = Goal("the scheduler's traffic per small item, in bytes", float(row["bytes per item"] or 0), 2000)
        yield Table(f"{SMALL / 1000:.0f} kB", [row], [], [] if quick else [goal])
    finally:
        dask.close()
        relay.close()
        redis.close()


def traffic(dask: DaskCluster, relay: Relay, redis: RedisProcess, items: int) -> dict[str, Cell]:
    """Return what small items cost the scheduler."""
    before = len(relay.seen)
    time.sleep(5)
    idle = (len(relay.seen) - before) / 5  # bytes per second
    found = []
    for count in (items // 4, items):
        before, begun = len(relay.seen), time.monotonic()
        download(dask, redis, count, SMALL, ttfb=SOON)
        found.append((len(relay.seen) - before, time.monotonic() - begun))
    (some, sooner), (many, later) = found
    more, seconds = items - items // 4, later - sooner
    return {
        "workers": WORKERS,
        "items": more,
        "seconds": seconds,
        "bytes per item": (many - some) / more,
        "bytes per item, without an idle cluster's": max(many - some - idle * seconds, 0) / more,
    }
