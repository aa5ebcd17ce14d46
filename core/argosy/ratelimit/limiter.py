"""When the next request to a host may start: asked before each request, told after each answer."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar

from argosy.errors import ServiceDown, TransferError
from argosy.interfaces.ratelimit import RateLimit
from argosy.models.host_state import LONGEST_RETRY_AFTER, HostState
from argosy.models.response_record import seconds_of
from argosy.toolkit.hosts import host_key
from argosy.toolkit.processes import clock

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: The statuses whose Retry-After is read; no service sends it with a redirect, as RFC 9110 also allows.
THROTTLES = frozenset({429, 503})

#: Statuses of a gateway whose service is down.
_ABSENT = frozenset({502, 503, 504})

#: Seconds between two checks whether a host that is down has answered another probe.
_LOOK = 0.5


def retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` (RFC 9110 section 10.2.3), at most `LONGEST_RETRY_AFTER`; None if invalid.

    A date is relative to the server's own ``Date``, so a wrong clock does no harm.
    """
    value = headers.get("Retry-After", "").strip()
    if status not in THROTTLES or not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value.lstrip("0")[:9] or 0), LONGEST_RETRY_AFTER)
    when, date = seconds_of(value), headers.get("Date")
    now = seconds_of(date) if date else time.time()
    return None if when is None or now is None else min(max(when - now, 0.0), LONGEST_RETRY_AFTER)


class ProcessRateLimit(RateLimit):
    """Keeps the states of hosts for the threads of one process."""

    def __init__(self) -> None:
        self._states: dict[str, HostState] = {}
        self._mutex = threading.Lock()

    def read(self, host: str) -> HostState | None:
        """Return the state of a host."""
        return self._states.get(host)

    def started(self, host: str, now: float) -> None:
        """Record that a request starts."""
        if (state := self._states.get(host)) is not None:
            state.seen = now

    def update(self, host: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host."""
        with self._mutex:
            return change(self._states.setdefault(host, HostState()), clock())


@dataclass(slots=True)
class _Line:
    """The permits of this process that wait for a host.

    They reserve one start at a time, together, so a process that dies leaves one start reserved at most.
    """

    start: float | None = None
    waiting: set[int] = field(default_factory=set)

    def ahead_of(self, number: int) -> int:
        return sum(other < number for other in self.waiting)


@dataclass(slots=True)
class _Outage:
    """One outage in this run."""

    since: float
    cause: str
    answers: int  # of any host, before it
    told: bool = False


class _Outages:
    """How long this run waits for hosts that are down: `limit` seconds for each; 0 ignores outages."""

    def __init__(self, limit: float, tell: Callable[[str], None]) -> None:
        self.limit = limit
        self.heard: set[str] = set()  # the hosts that have answered, this process or another
        self.current: dict[str, _Outage] = {}
        self._tell = tell
        self._answers = 0
        self._causes: dict[str, str] = {}

    def answered(self, host: str) -> None:
        """Record an answer."""
        self._answers += 1
        self.heard.add(host)
        outage = self.current.pop(host, None)
        if outage is not None and outage.told:
            self._tell(f"{host} answers again.")

    def failed(self, host: str, cause: str, *, sent: bool) -> None:
        """Record why a request failed."""
        self._causes[host] = cause
        if sent:
            self.heard.add(host)

    def check(self, host: str, now: float) -> None:
        """Return if the run waits for a host that is down; under the rate limiter's mutex.

        Raise `TransferError` if only this host is down or it has never answered: its items fail, and the run continues.
        Raise `ServiceDown` if the run has waited long enough, and no other host answers either.
        """
        heard, asked = host in self.heard, host in self._causes
        outage = _Outage(now, self._causes.get(host, "no answer"), self._answers)
        outage = self.current.setdefault(host, outage)
        waited = now - outage.since
        if (asked and not heard) or (waited >= self.limit and self._answers > outage.answers):
            message = f"{host} is down, so it was not asked again: {outage.cause}."
            raise TransferError(message, kind="down", host=host)
        if waited >= self.limit:
            raise ServiceDown(
                f"{host} has been down for {waited:.0f} seconds: {outage.cause}. "
                "Finished items are kept; the items that waited for it remain.",
                hint='Start again when the service is back; "max_outage" sets how long a run waits.',
                host=host,
                cause=outage.cause,
            )
        # if only another run found the host down, this run asks it once before it reports the outage
        if heard and not outage.told:
            outage.told = True
            pause = f"The run pauses and retries for up to {self.limit:.0f} seconds."
            self._tell(f"{host} is down: {outage.cause}. {pause}")


class RateLimiter:
    """Limits the requests of a run to each host; one that answers 429 or 503 gets fewer until it answers for a while.

    All times are in seconds: `delay` between the starts of two requests to one host (of two that follow each other, the
    longer one counts), `max_outage` to wait for a host that is down (0 ignores outages), and `probe_time` until the
    probe of such a host has its result. Without `shared`, only this process is limited. `notice` takes messages.
    """

    def __init__(
        self,
        delay: float = 0.0,
        *,
        max_outage: float = 0.0,
        probe_time: float = 60.0,
        shared: RateLimit | None = None,
        notice: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.delay = delay
        self.probe_time = probe_time
        self.mutex = threading.Lock()
        self.lines: dict[str, _Line] = {}
        self._untold: deque[str] = deque()
        self.outages = _Outages(max_outage, self._untold.append)
        self._notice = notice
        self._numbers = itertools.count()
        self._states = shared or ProcessRateLimit()

    def permit(self, url: str) -> Permit:
        """Return the permit of one request."""
        return Permit(self, host_key(url), next(self._numbers))

    def was_there(self, host: str) -> bool:
        """Return whether a host has answered in this run, and the run waits for it during an outage."""
        return self.outages.limit > 0 and host in self.outages.heard

    def tell(self) -> None:
        """Pass on the messages that came up while a session was held."""
        with contextlib.suppress(IndexError):  # another thread was faster
            while self._untold:
                self._notice(self._untold.popleft())

    def read(self, host: str) -> HostState | None:
        """Return the state of a host."""
        return self.stored(lambda states: states.read(host))

    def update(self, host: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host."""
        return self.stored(lambda states: states.update(host, change))

    def stored(self, use: Callable[[RateLimit], T]) -> T:
        """Use the shared states; if that fails, those of this process from now on."""
        try:
            return use(self._states)
        except OSError as error:
            if not isinstance(self._states, ProcessRateLimit):  # else another thread was faster
                self._states = ProcessRateLimit()
                self._untold.append(
                    f"Rate limits are not shared with other processes: {error.strerror or error}. "
                    "download_delay and Retry-After apply to this process only."
                )
            return use(self._states)


@dataclass(slots=True)
class Permit:
    """The permit of one request: call `admit` until it returns 0, send, and tell the result.

    Permits are granted in the order of their numbers, if possible. `reach` and `admit` raise `TransferError` or
    `ServiceDown` if the host is down and this run does not wait for it any longer.
    """

    _limiter: RateLimiter
    host: str
    number: int
    started: float = 0.0
    probing: bool = False
    told: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the permit; one that was given up does not delay others."""
        limiter = self._limiter
        if self.probing and not self.told:
            limiter.update(self.host, lambda state, now: state.ask_now(now))
        if limiter.lines:
            with limiter.mutex:
                self._leave()
        limiter.tell()

    def reach(self) -> float:
        """Return 0 to connect to the host, before the session is leased; else the seconds to wait, as it is down."""
        limiter = self._limiter
        state = limiter.read(self.host) if limiter.outages.limit else None
        return 0.0 if state is None or not state.down(clock()) else self._ask(connect=True)

    def admit(self) -> float:
        """Return 0 if the request may start, and counts as started; else the seconds to wait before asking again."""
        limiter = self._limiter
        if limiter.delay == 0:  # most requests: without a lock
            state, now = limiter.read(self.host), clock()
            if state is None or state.quiet(now):
                if state is not None:
                    limiter.stored(lambda states: states.started(self.host, now))
                self.started = now
                return 0.0
        return self._ask()

    def answered(self, status: int, hold: float | None) -> None:
        """Record that the headers have come, and the seconds of their ``Retry-After``."""
        self.told = True
        limiter, absent = self._limiter, status in _ABSENT and hold is None
        state = limiter.read(self.host)
        calm = state is None or not (state.failures or state.spacing)
        if calm and status not in THROTTLES and not absent and not limiter.outages.current:
            limiter.outages.answered(self.host)
            return
        if status in THROTTLES:
            logger.info("%s limits the rate: status %d, Retry-After %s", self.host, status, hold)

        def record(state: HostState, now: float) -> None:
            if absent:
                state.failed(now, sent=True, heard=True, probing=self.probing)
            if status in THROTTLES:
                state.throttled(self.started, now, hold)
            if not absent:
                state.answered(self.started, now)

        with limiter.mutex:  # no other thread finds the host down between the two
            limiter.update(self.host, record)
            if absent:
                limiter.outages.failed(self.host, f"it answers {status}", sent=True)
            else:
                limiter.outages.answered(self.host)

    def failed(self, cause: str, *, sent: bool, named: bool = True) -> None:
        """Record a failed connection or a lost response, and whether the host's name resolves."""
        self.told = True
        outages = self._limiter.outages
        outages.failed(self.host, cause, sent=sent)

        def record(state: HostState, now: float) -> bool:
            heard = self.host in outages.heard or state.was_there(now)
            if not (named or heard or state.down(now)):
                return False  # a misspelt URL: no host to come back
            state.failed(now, sent=sent, heard=heard, probing=self.probing)
            return heard

        if self._limiter.update(self.host, record):
            outages.heard.add(self.host)

    def _ask(self, *, connect: bool = False) -> float:
        limiter = self._limiter
        with limiter.mutex:
            line = limiter.lines.setdefault(self.host, _Line())
            down, wait = limiter.update(self.host, lambda state, now: self._decide(state, now, line, connect))
            if wait > 0:
                line.waiting.add(self.number)
            elif not connect:
                self._leave()
            if down:
                limiter.outages.check(self.host, clock())
        return max(wait, 0.0)

    def _decide(self, state: HostState, now: float, line: _Line, connect: bool) -> tuple[bool, float]:
        """Return whether the host is down, and the seconds to wait before the start, or only before connecting."""
        wait = self._outage(state, now, line)
        if wait > 0 or connect:
            return wait > 0, wait
        pace = max(self._limiter.delay, state.slow(now))
        if line.start is None or line.start < state.hold:
            line.start = state.reserve(pace, now)
        wait = line.start - now
        if wait <= 0:
            wait = state.begin(pace, now)
            if wait <= 0:
                line.start, self.started = None, now
                return False, 0.0
        return False, wait + line.ahead_of(self.number) * pace

    def _outage(self, state: HostState, now: float, line: _Line) -> float:
        """Return the seconds to wait as the host is down; 0 if it is up, or if this request is its probe."""
        outages = self._limiter.outages
        if not outages.limit or self.probing or not state.down(now):
            return 0.0
        if now < state.probe:
            if state.was_there(now):
                outages.heard.add(self.host)
            return min(state.probe - now, _LOOK * (1 + line.ahead_of(self.number) / 8))
        state.probe = now + self._limiter.probe_time
        self.probing = True
        return 0.0

    def _leave(self) -> None:
        lines = self._limiter.lines
        if (line := lines.get(self.host)) is not None:
            line.waiting.discard(self.number)
            if not line.waiting and line.start is None:
                del lines[self.host]
