"""A discrete-event model of a download: workers, sessions, the time to the headers, bodies, and limits of the host.

A worker prepares an item, waits for a session, holds it until the headers are in and the token is stored, receives the body,
and finishes the item. Python does one thing at a time per process, and a host may limit its requests.
"""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

#: Requests per worker that are simulated, and at least; more only repeat the same.
EACH, LEAST = 8, 3000


@dataclass(frozen=True, slots=True)
class Service:
    """What one request takes, in seconds; each list has one value for each measured request."""

    headers: Sequence[float]  # from sending a request until its headers are in
    bodies: Sequence[float]  # from the headers to the end of the body
    store: float = 0.0  # to take a session from the store, store its token and give it back
    own: float = 0.0  # of the processor, for everything about one request
    sizes: Sequence[int] = ()  # in bytes


@dataclass(frozen=True, slots=True)
class Setup:
    """How a download is run."""

    workers: int
    sessions: int = 1
    lease: str = "exclusive"  # or "exclusive-to-end", or "shared"
    processes: int = 1  # how many can compute at the same time
    delay: float = 0.0  # least seconds between the starts of two requests to the host
    at_once: int | None = None  # requests that the host or the network serves at the same time


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a simulation."""

    rate: float  # requests per second, once all workers are at work
    seconds: float  # for all requests
    waiting: float  # share of their time for which workers wait for a session


def simulate(service: Service, setup: Setup, requests: int, seed: int = 1) -> Outcome:
    """Simulate a download of so many requests; a long one is continued at the rate of its middle.

    Raises
    ------
    ValueError
        If there is no measured request, no worker, or no request.
    """
    import simpy

    if not service.headers or setup.workers < 1 or requests < 1:
        raise ValueError("a simulation needs measured requests, workers and requests")
    some = min(requests, max(EACH * setup.workers, LEAST))
    environment = simpy.Environment()
    dice = random.Random(seed)  # noqa: S311 - a simulation
    processor = simpy.Resource(environment, max(setup.processes, 1))
    host = simpy.Resource(environment, setup.at_once) if setup.at_once else None
    sessions = [simpy.Resource(environment, 1) for _ in range(setup.sessions)] if setup.lease != "shared" else []
    left, due, waited = some, 0.0, 0.0
    done: list[float] = []

    def worker() -> Generator[Any, Any, None]:
        nonlocal left, due, waited
        while left:
            left -= 1
            number = dice.randrange(len(service.headers))
            with processor.request() as turn:
                yield turn
                yield environment.timeout(service.own)
            began = environment.now
            session = min(sessions, key=lambda one: one.count + len(one.queue)) if sessions else None
            held = session.request() if session is not None else None
            if held is not None:
                yield held
                waited += environment.now - began
            start = max(environment.now, due)
            due = start + setup.delay
            yield environment.timeout(start - environment.now)
            place = host.request() if host is not None else None
            if place is not None:
                yield place
            yield environment.timeout(service.headers[number] + service.store)
            if held is not None and setup.lease != "exclusive-to-end":
                held.resource.release(held)
            yield environment.timeout(service.bodies[number])
            for taken in (place, held):
                if taken is not None:
                    taken.resource.release(taken)
            done.append(environment.now)

    for _ in range(min(setup.workers, some)):
        environment.process(worker())
    environment.run()
    total = max(environment.now, 1e-9)
    middle = done[len(done) // 4 : max(3 * len(done) // 4, len(done) // 4 + 1)]
    span = middle[-1] - middle[0]
    rate = (len(middle) - 1) / span if span > 0 else len(done) / total
    seconds = total + (requests - some) / rate
    return Outcome(rate, seconds, waited / (total * min(setup.workers, some)))


def most_workers(service: Service, setup: Setup) -> int:
    """Return how many workers one session can feed: while one body arrives, so many others can get their headers."""
    held = _mean(service.headers) + service.store
    if setup.lease == "shared":
        return setup.workers
    if setup.lease == "exclusive-to-end":
        return 1
    return max(math.ceil((held + _mean(service.bodies) + service.own) / max(held, 1e-9)), 1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
