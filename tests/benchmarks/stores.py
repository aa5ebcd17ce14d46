"""What the cookie stores that keep a file cost: a write, a read, a lease, and putting it on stable storage."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import argosy
from argosy.contracts import CookieStore
from argosy.cookies.cookie import Cookie
from argosy.session.keeper import SessionKeeper
from argosy.session.record import SessionRecord
from benchmarks.table import Table

STORES = ("json-file", "sqlite", "netscape")
URL = "https://library.example/books/1"
#: Sessions that lie in the store beside the one that is used.
OTHERS = (0, 50)


def record(name: str, generation: int) -> SessionRecord:
    """Return a record with a token of usual length."""
    return SessionRecord(
        name, generation, (Cookie("token", f"{generation:040}", "library.example"),), logins=1
    )


def per_second(work: Callable[[int], object], times: int) -> float:
    """Return how often something can be done in a second."""
    begun = time.perf_counter()
    for turn in range(times):
        work(turn)
    return times / (time.perf_counter() - begun)


def rates(store: CookieStore, times: int) -> dict[str, float]:
    """Return the rates of one store that is open."""
    keeper = SessionKeeper(store, "default")

    def write(_: int) -> None:
        found = store.read("default")
        assert found is not None
        store.write(record("default", found.generation + 1), found.generation)

    def lease(turn: int) -> None:
        granted = keeper.lease(URL)
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


def tables(quick: bool) -> Iterator[Table]:
    """Measure the stores in turn, so that what else the machine does hits all of them."""
    for others in OTHERS:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in STORES}
        for _ in range(2 if quick else 7):
            for name in STORES:
                with tempfile.TemporaryDirectory() as folder:
                    store = argosy.open_store(name, path=str(Path(folder, "cookies")))
                    for number in range(others):
                        store.write(record(f"other-{number}", 1), 0)
                    store.write(record("default", 1), 0)
                    found[name].append(rates(store, 100 if quick else 1000))
                    store.close()
        rows: list[dict[str, str | int | float | None]] = []
        for name in STORES:
            median = {what: statistics.median(run[what] for run in found[name]) for what in found[name][0]}
            rows.append({"store": f"`{name}`", **median})
        for name in STORES[1:]:
            turns = list(zip(found[STORES[0]], found[name], strict=True))
            ratio = {
                what: statistics.median(theirs[what] / ours[what] for ours, theirs in turns)
                for what in turns[0][0]
            }
            rows.append({"store": f"`{name}` to `{STORES[0]}`", **ratio})
        yield Table(
            f"Cookie stores, with {others} other sessions in the store",
            rows,
            ["One thread; a lease is two writes. The last rows are the medians of the ratios of each turn."],
        )
