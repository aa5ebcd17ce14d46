"""What it costs to ask when a request may start, by what is known of its host."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from argosy.ratelimit.limiter import RateLimiter
from benchmarks.table import Cell, Table

URL = "https://library.example/books/1"


def microseconds(call: Callable[[], None], times: int) -> float:
    """Return the least of the means of ten rounds: the rest is other programs."""
    means = []
    for _ in range(10):
        begun = time.perf_counter()
        for _ in range(times):
            call()
        means.append((time.perf_counter() - begun) / times * 1e6)
    return min(means)


def asks(rate_limiter: RateLimiter) -> Callable[[], None]:
    """Return what asks for a turn, takes it, and tells how it went."""

    def ask() -> None:
        with rate_limiter.turn(URL) as turn:
            turn.admit()
            turn.answered(200, None)

    return ask


def measure(times: int) -> dict[str, float]:
    """Return the microseconds of each case."""
    rows = {"(no call)": microseconds(lambda: None, times)}
    with tempfile.TemporaryDirectory() as folder:
        rate_limiter = RateLimiter(folder=Path(folder, "a"))
        rows["nothing"] = microseconds(asks(rate_limiter), times)
        with rate_limiter.turn(URL) as turn:
            turn.admit()
            turn.answered(429, 0.0)
        for _ in range(40):  # so many good answers later there is no trace of it
            while wait := (turn := rate_limiter.turn(URL)).admit():
                time.sleep(wait)
            turn.answered(200, None)
            rate_limiter.left(turn)
        rows["it asked for patience before"] = microseconds(asks(rate_limiter), times)
        paced = RateLimiter(1e-9, folder=Path(folder, "b"))
        rows["a delay that is over"] = microseconds(asks(paced), times)
    return rows


def tables(quick: bool) -> Iterator[Table]:
    """Ask the pacer, without a request."""
    rows: list[dict[str, Cell]] = [
        {"known of the host": name, "microseconds": value}
        for name, value in measure(500 if quick else 5000).items()
    ]
    yield Table(
        "Asking the pacer, from a turn to its end",
        rows,
        ["One thread. The first row is what the measuring itself costs."],
    )
