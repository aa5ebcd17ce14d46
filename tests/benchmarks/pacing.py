"""What it costs to ask when a request may start, by what is known of its host."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from argosy.interfaces import PluginContext
from argosy.ratelimit.limiter import RateLimiter
from argosy_plugins.ratelimits.host import HostRateLimit
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


def shared(folder: str, name: str) -> HostRateLimit:
    """Return the rate limit of all processes."""
    return HostRateLimit({"path": str(Path(folder, name, "rate-limits"))}, PluginContext())


def asks(rate_limiter: RateLimiter) -> Callable[[], None]:
    """Return what asks for a permit, uses it, and tells the result."""

    def ask() -> None:
        with rate_limiter.permit(URL) as permit:
            permit.admit()
            permit.answered(200, None)

    return ask


def measure(times: int) -> dict[str, float]:
    """Return the microseconds of each case."""
    rows = {"(no call)": microseconds(lambda: None, times)}
    with tempfile.TemporaryDirectory() as folder:
        rate_limiter = RateLimiter(shared=shared(folder, "a"))
        rows["nothing"] = microseconds(asks(rate_limiter), times)
        with rate_limiter.permit(URL) as permit:
            permit.admit()
            permit.answered(429, 0.0)
        for _ in range(40):  # so many good answers later there is no trace of it
            with rate_limiter.permit(URL) as permit:
                while wait := permit.admit():
                    time.sleep(wait)
                permit.answered(200, None)
        rows["it asked for patience before"] = microseconds(asks(rate_limiter), times)
        paced = RateLimiter(1e-9, shared=shared(folder, "b"))
        rows["a delay that is over"] = microseconds(asks(paced), times)
    return rows


def tables(quick: bool) -> Iterator[Table]:
    """Ask the rate limiter, without a request."""
    rows: list[dict[str, Cell]] = [
        {"known of the host": name, "microseconds": value} for name, value in measure(500 if quick else 5000).items()
    ]
    yield Table(
        "Asking the rate limiter, from a permit to its end",
        rows,
        ["One thread. The first row is what the measuring itself costs."],
    )
