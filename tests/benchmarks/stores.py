"""What the cookie stores that outlive a run cost: a write, a read, a lease, and putting it on stable storage."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import argosy
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.manager import SessionManager
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy.toolkit.secrets import new_key
from benchmarks.table import Table
from redis_process import EVERYTHING, NOTHING, RedisProcess

#: The stores of one machine, and which of them are encrypted with a random key, by what the tables call them.
STORES = {
    "`memory`": ("memory", False),
    "`json-file`": ("json-file", False),
    "`sqlite`": ("sqlite", False),
    "`netscape`": ("netscape", False),
    "`json-file`, encrypted": ("json-file", True),
    "`sqlite`, encrypted": ("sqlite", True),
}
#: Which are compared.
RATIOS = (
    ("`sqlite`", "`json-file`"),
    ("`netscape`", "`json-file`"),
    ("`json-file`, encrypted", "`json-file`"),
    ("`sqlite`, encrypted", "`sqlite`"),
)
#: What a Redis server keeps, where there is one.
SERVERS = {"`redis`": NOTHING, "`redis`, `appendfsync always`": EVERYTHING}
URL = "https://library.example/books/1"
#: Sessions that lie in the store beside the one that is used.
OTHERS = (0, 50)


def record(name: str, generation: int) -> SessionRecord:
    """Return a record with a token of usual length."""
    return SessionRecord(name, generation, (Cookie("token", f"{generation:040}", "library.example"),), logins=1)


def per_second(work: Callable[[int], object], times: int) -> float:
    """Return how often something can be done in a second."""
    begun = time.perf_counter()
    for turn in range(times):
        work(turn)
    return times / (time.perf_counter() - begun)


def rates(store: CookieStore, times: int) -> dict[str, float]:
    """Return the rates of one store that is open."""
    manager = SessionManager(store, "default")

    def write(_: int) -> None:
        found = store.read("default")
        assert found is not None
        store.write(record("default", found.generation + 1), found.generation)

    def lease(turn: int) -> None:
        granted = manager.lease(URL)
        granted.settle([f"token={turn:040}; Path=/"], URL, None)
        granted.end()

    def sync(turn: int) -> None:
        write(turn)
        store.sync()

    return {
        "writes/s": per_second(write, times),
        "reads/s": per_second(lambda _: store.read("default"), times * 5),
        "leases/s": per_second(lease, times // 2),
        "writes and syncs/s": per_second(sync, times // 20),
    }


def measured(others: int, times: int, use: str, **options: Any) -> dict[str, float]:
    """Return the rates of a store that is empty, and has some other sessions first."""
    with closing(argosy.open_store(use, **options)) as store:
        for number in range(others):
            store.write(record(f"other-{number}", 1), 0)
        store.write(record("default", 1), 0)
        return rates(store, times)


def of_this_machine(others: int, times: int, use: str, encrypted: bool) -> dict[str, float]:
    """Return the rates of a store in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {} if use == "memory" else {"path": str(Path(folder, "cookies"))}
        if encrypted:
            key = Path(folder, "key")
            key.write_text(new_key(), "utf-8")
            options["encrypt"] = {"file": str(key)}
        return measured(others, times, use, **options)


def tables(quick: bool) -> Iterator[Table]:
    """Measure all stores in turn, so that what else the machine does hits all."""
    times = 100 if quick else 1000
    with ExitStack() as running:
        servers: dict[str, RedisProcess] = {}
        for name, settings in SERVERS.items() if shutil.which("redis-server") else ():
            servers[name] = RedisProcess(*settings)
            running.callback(servers[name].close)
        yield from _tables(servers, times, 2 if quick else 7)


def _tables(servers: dict[str, RedisProcess], times: int, turns: int) -> Iterator[Table]:
    for others in OTHERS:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in (*STORES, *servers)}
        for turn in range(turns):
            for name in STORES:
                found[name].append(of_this_machine(others, times, *STORES[name]))
            for name, server in servers.items():
                options = {"host": "127.0.0.1", "port": server.port, "prefix": f"bench-{others}-{turn}"}
                found[name].append(measured(others, times, "redis", **options))
        rows: list[dict[str, str | int | float | None]] = []
        for name, runs in found.items():
            median = {what: statistics.median(run[what] for run in runs) for what in runs[0]}
            rows.append({"store": name, **median})
        for one, other in RATIOS:
            both = list(zip(found[one], found[other], strict=True))
            ratio = {what: statistics.median(ours[what] / theirs[what] for ours, theirs in both) for what in both[0][0]}
            rows.append({"store": f"{one} to {other}", **ratio})
        yield Table(
            f"Cookie stores, with {others} other sessions in the store",
            rows,
            [
                "One thread; a lease is two writes. The last rows are the medians of the ratios of each turn.",
                *(["The Redis servers are on this machine."] if servers else []),
            ],
        )
