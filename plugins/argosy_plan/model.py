"""A discrete-event model of a download: workers, sessions, the time to the headers, bodies, and limits of the host.

A worker prepares an item, waits for a session, holds it until the headers are in and the token is stored, receives the body,
and finishes the item. Each of these parts needs the processor for a while, and a process computes one thing at a time. A host
may limit the requests that it serves at once.
"""

from __future__ import annotations

import heapq
import math
import random
import statistics
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

#: The steps of a simulated process.
_Steps = Generator[Any, Any, None]

#: Requests per worker that are simulated, and at least; more only repeat the same.
EACH, LEAST = 8, 3000


@dataclass(frozen=True, slots=True)
class Service:
    """What one request takes, in seconds; each list has one value for each measured request."""

    headers: Sequence[float]  # from sending a request until its headers are in
    bodies: Sequence[float]  # from the headers to the end of the body
    store: float = 0.0  # from the headers of one request until the next one goes out on the same session
    own: float = 0.0  # from the end of a body until the same worker sends its next request
    sizes: Sequence[int] = ()  # in bytes
    processor: float = 0.0  # of the processor, of all the above; 0 if unknown
    at_once: int | None = None  # requests that the host was seen to serve at the same time


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


class Sessions:
    """The sessions: the next request goes on a free one, or else on the one with the fewest requests."""

    def __init__(self, environment: Any, count: int) -> None:
        import simpy

        self._sessions = [simpy.Resource(environment, 1) for _ in range(count)]
        self._loads = [0] * count
        self._ranks = [(0, number) for number in range(count)]  # a heap; some entries are outdated

    def ask(self) -> tuple[int, Any]:
        """Return the number of a session, and the request for it."""
        while True:
            load, number = self._ranks[0]
            if load == self._loads[number]:
                break
            heapq.heappop(self._ranks)
        self._change(number, 1)
        return number, self._sessions[number].request()

    def give_back(self, number: int, held: Any) -> None:
        """End the use of a session."""
        held.resource.release(held)
        self._change(number, -1)

    def _change(self, number: int, by: int) -> None:
        self._loads[number] += by
        heapq.heappush(self._ranks, (self._loads[number], number))


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a request besides those that are drawn, in seconds, and of each the share of the processor."""

    own: float
    hold: float  # of the session, besides the headers
    body: float  # added to each body; negative if some of it is in `hold`
    computing: tuple[float, float, float]

    @classmethod
    def of(cls, service: Service, lease: str) -> _Parts:
        """Split what was measured: a worker alone spends the time of the store before it sends and after the headers."""
        store = 0.0 if lease == "shared" else service.store
        own, body = max(service.own - store, 0.0), min(service.own - store, 0.0)
        if not service.processor:
            return cls(own, store, body, (own, 0.0, 0.0))
        third = service.processor / 3
        return cls(
            max(own - third, 0.0), store, body, (min(own, third), third, service.processor - third - min(own, third))
        )


def simulate(service: Service, setup: Setup, requests: int, seed: int = 1) -> Outcome:
    """Simulate a download of so many requests; a long one is continued at the rate of its middle.

    Raises
    ------
    ValueError
        If there is no measured request, no worker, or no request.
    """
    if not service.headers or setup.workers < 1 or requests < 1:
        raise ValueError("a simulation needs measured requests, workers and requests")
    some = max(EACH * setup.workers, LEAST)
    run = _Run(service, setup, some, seed)
    total = max(run.environment.now, 1e-9)
    rate = rate_of(run.done) or len(run.done) / total
    short = requests <= some
    seconds = _Run(service, setup, requests, seed).environment.now if short else total + (requests - some) / rate
    return Outcome(rate, seconds, run.waited / (total * min(setup.workers, some)))


class _Run:
    """A simulated run, which is over once this is made."""

    def __init__(self, service: Service, setup: Setup, requests: int, seed: int) -> None:
        import simpy

        self.environment = environment = simpy.Environment()
        self.done: list[float] = []  # when each request ended
        self.waited = 0.0  # seconds for which workers waited for sessions
        self._left = requests
        self._due = 0.0  # when the delay allows the next request
        self._service, self._setup = service, setup
        self._dice = random.Random(seed)  # noqa: S311 - a simulation
        self._parts = _Parts.of(service, setup.lease)
        self._processor = simpy.Resource(environment, max(setup.processes, 1))
        self._host = simpy.Resource(environment, setup.at_once) if setup.at_once else None
        self._sessions = Sessions(environment, setup.sessions) if setup.lease != "shared" else None
        for _ in range(min(setup.workers, requests)):
            environment.process(self._worker())
        environment.run()

    def _worker(self) -> _Steps:
        while self._left:
            self._left -= 1
            yield from self._spend(self._parts.own, self._parts.computing[0])
            number = self._dice.randrange(len(self._service.headers))
            if self._sessions is None:
                yield from self._request(number)
            else:
                yield from self._leased(number, self._sessions)
            self.done.append(self.environment.now)

    def _leased(self, number: int, sessions: Sessions) -> _Steps:
        """Wait for a session, and send a request with it."""
        began = self.environment.now
        session, held = sessions.ask()
        yield held
        self.waited += self.environment.now - began
        is_to_end = self._setup.lease == "exclusive-to-end"
        yield from self._request(number, lambda: None if is_to_end else sessions.give_back(session, held))
        if is_to_end:
            sessions.give_back(session, held)

    def _request(self, number: int, on_headers: Callable[[], None] = lambda: None) -> _Steps:
        if self._setup.delay:
            start = max(self.environment.now, self._due)
            self._due = start + self._setup.delay
            yield self.environment.timeout(start - self.environment.now)
        place = self._host.request() if self._host is not None else None
        if place is not None:
            yield place
        yield from self._spend(self._service.headers[number] + self._parts.hold, self._parts.computing[1])
        on_headers()
        body = max(self._service.bodies[number] + self._parts.body, 0.0)
        yield from self._spend(body, self._parts.computing[2])
        if place is not None:
            place.resource.release(place)

    def _spend(self, seconds: float, computing: float) -> _Steps:
        """Wait for the network, and then compute; a worker alone takes `seconds` for both.

        How long it computes varies, as in real runs, so workers sometimes wait for each other long before the processor is
        busy all the time. With a fixed time, simulated runs were up to 28 % faster than real ones.
        """
        if seconds > computing:
            yield self.environment.timeout(seconds - computing)
        if computing:
            with self._processor.request() as turn:
                yield turn
                yield self.environment.timeout(self._dice.expovariate(1 / computing))


def rate_of(ends: Sequence[float]) -> float:
    """Return the requests per second from the times at which they ended, without the start and the end; 0 if unknown.

    Workers that began together end together for a while, so this is the slope of a line through all times in the middle,
    instead of the span between two of them.
    """
    middle = sorted(ends)[len(ends) // 4 : max(3 * len(ends) // 4, 1)]
    if len(middle) < 2 or middle[0] == middle[-1]:
        return 0.0
    return statistics.linear_regression(middle, range(len(middle))).slope


def most_workers(service: Service, setup: Setup) -> int:
    """Return how many workers one session can feed: while one body arrives, so many others can get their headers."""
    if setup.lease == "shared":
        return setup.workers
    if setup.lease == "exclusive-to-end":
        return 1
    held = statistics.fmean(service.headers) + service.store
    whole = held + max(statistics.fmean(service.bodies) + service.own - service.store, 0.0)
    return max(math.ceil(whole / max(held, 1e-9)), 1)
