"""Decides when the next request to a host may start. The adapter asks before each request and reports the result."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Self, TypeVar

from argosy.errors import ServiceDown, TransferError
from argosy.interfaces.ratelimit import RateLimit
from argosy.models.host_state import LONGEST_RETRY_AFTER, MOST_PROBE, HostState
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
class _Host:
    """What this run knows about a host."""

    #: The reserved start of the next request, and the numbers of the permits that wait. They reserve one start at a time,
    #: together, so a process that dies leaves at most one start reserved.
    start: float | None = None
    waiting: set[int] = field(default_factory=set)
    heard: bool = False  # it has answered this process or another
    cause: str | None = None  # why the last request that failed did so
    down_since: float | None = None
    answers: int = 0  # of any host, before it was down
    is_reported: bool = False  # whether the user knows that it is down

    def ahead_of(self, number: int) -> int:
        """Return how many permits wait before this one."""
        return sum(other < number for other in self.waiting)


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
        self.max_outage = max_outage
        self.probe_time = probe_time
        self.mutex = threading.Lock()
        self.hosts: dict[str, _Host] = {}
        self.answers = 0
        self.messages: deque[str] = deque()  # to be told once no session is held
        self.last = threading.local()  # `wait` says what the last request of this thread has to wait for
        self._notice = notice
        self._numbers = itertools.count()
        self._states = shared or ProcessRateLimit()

    def permit(self, url: str) -> Permit:
        """Return the permit of one request."""
        name = host_key(url)
        return Permit(self, name, self.hosts.setdefault(name, _Host()), next(self._numbers))

    def was_there(self, name: str) -> bool:
        """Return whether a host has answered in this run, and the run waits for it during an outage."""
        return self.max_outage > 0 and name in self.hosts and self.hosts[name].heard

    def why(self) -> dict[str, object]:
        """Return what this thread waits for: the host, the seconds, and whether it is "down" or "throttled" (429, 503)."""
        return getattr(self.last, "wait", {})

    def tell(self) -> None:
        """Pass on the messages that came up while a session was held."""
        with contextlib.suppress(IndexError):  # another thread was faster
            while self.messages:
                self._notice(self.messages.popleft())

    def read(self, name: str) -> HostState | None:
        """Return the state of a host."""
        return self.stored(lambda states: states.read(name))

    def update(self, name: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host."""
        return self.stored(lambda states: states.update(name, change))

    def stored(self, use: Callable[[RateLimit], T]) -> T:
        """Use the shared states; if that fails, those of this process from now on."""
        try:
            return use(self._states)
        except OSError as error:
            if not isinstance(self._states, ProcessRateLimit):  # else another thread was faster
                self._states = ProcessRateLimit()
                self.messages.append(
                    f"Rate limits are not shared with other processes: {error.strerror or error}. "
                    "download_delay and Retry-After apply to this process only."
                )
            return use(self._states)


@dataclass(slots=True)
class Permit:
    """The permit of one request: call `admit` until it returns 0, send, and report the result.

    Permits are granted in the order of their numbers, if possible. `reach` and `admit` raise `TransferError` or
    `ServiceDown` if the host is down and this run does not wait for it any longer.
    """

    _limiter: RateLimiter
    _name: str
    _host: _Host
    _number: int
    started: float = 0.0
    _is_probe: bool = False  # of a host that is down
    _has_result: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the permit; one that was given up does not delay others."""
        if self._is_probe and not self._has_result:
            self._limiter.update(self._name, lambda state, now: state.ask_now(now))
        if self._number in self._host.waiting:
            with self._limiter.mutex:
                self._host.waiting.discard(self._number)
        self._limiter.tell()

    def reach(self) -> float:
        """Return 0 to connect to the host, before the session is leased; else the seconds to wait, as it is down."""
        state = self._limiter.read(self._name) if self._limiter.max_outage else None
        return 0.0 if state is None or not state.down(clock()) else self._ask(connect=True)

    def admit(self) -> float:
        """Return 0 if the request may start, and counts as started; else the seconds to wait before asking again."""
        limiter = self._limiter
        if limiter.delay == 0:  # most requests: without a lock
            state, now = limiter.read(self._name), clock()
            if state is None or state.quiet(now):
                if state is not None:
                    limiter.stored(lambda states: states.started(self._name, now))
                self.started = now
                return 0.0
        return self._ask()

    def answered(self, status: int, hold: float | None) -> None:
        """Record that the headers have come, and the seconds of their ``Retry-After``."""
        self._has_result = True
        limiter, is_absent = self._limiter, status in _ABSENT and hold is None
        state = limiter.read(self._name)
        is_calm = self._host.down_since is None and (state is None or not (state.failures or state.spacing))
        if is_calm and status not in THROTTLES and not is_absent:  # most requests: without a lock
            limiter.answers += 1
            self._host.heard = True
            return
        if status in THROTTLES:
            logger.info("%s limits the rate: status %d, Retry-After %s", self._name, status, hold)

        def record(state: HostState, now: float) -> None:
            if is_absent:
                state.failed(now, sent=True, heard=True, probing=self._is_probe)
            if status in THROTTLES:
                state.throttled(self.started, now, hold)
            if not is_absent:
                state.answered(self.started, now)

        with limiter.mutex:  # no other thread finds the host down between the two
            limiter.update(self._name, record)
            self._host.heard = True
            if is_absent:
                self._host.cause = f"it answers {status}"
                return
            limiter.answers += 1
            if self._host.is_reported:
                limiter.messages.append(f"{self._name} answers again.")
            self._host.down_since, self._host.is_reported = None, False

    def failed(self, cause: str, *, sent: bool, named: bool = True) -> None:
        """Record a failed connection or a lost response, and whether the host's name resolves."""
        self._has_result = True
        host = self._host
        host.cause = cause
        host.heard = host.heard or sent

        def record(state: HostState, now: float) -> None:
            host.heard = host.heard or state.was_there(now)
            if named or host.heard or state.down(now):  # else a misspelt URL: no host to come back
                state.failed(now, sent=sent, heard=host.heard, probing=self._is_probe)

        self._limiter.update(self._name, record)

    def _ask(self, *, connect: bool = False) -> float:
        with self._limiter.mutex:
            is_down, wait = self._limiter.update(self._name, partial(self._decide, connect=connect))
            if wait > 0:
                self._host.waiting.add(self._number)
            elif not connect:
                self._host.waiting.discard(self._number)
            if is_down:
                self._check_outage()
        return wait

    def _decide(self, state: HostState, now: float, *, connect: bool) -> tuple[bool, float]:
        """Return whether the host is down, and the seconds to wait before the start, or only before connecting."""
        host, limiter = self._host, self._limiter
        if limiter.max_outage and state.down(now) and not self._is_probe:
            if now < state.probe:
                host.heard = host.heard or state.was_there(now)
                since = 0.0 if host.down_since is None else now - host.down_since
                self._waits(state.probe - now, "down", since=round(since, 1))
                return True, min(state.probe - now, _LOOK * (1 + host.ahead_of(self._number) / 8))
            state.probe = now + limiter.probe_time
            self._is_probe = True
        if connect:
            return False, 0.0
        pace = max(limiter.delay, state.slow(now))
        if host.start is None or host.start < state.hold:
            host.start = state.reserve(pace, now)
        wait = host.start - now
        if wait <= 0:
            wait = state.begin(pace, now)
        if wait > 0:
            wait += host.ahead_of(self._number) * pace
            self._waits(wait, "throttled" if state.hold > now or pace > limiter.delay else "delay")
            return False, wait
        host.start, self.started = None, now
        return False, 0.0

    def _waits(self, seconds: float, why: str, **more: float) -> None:
        known = {} if why == "down" and seconds > MOST_PROBE else {"seconds": round(seconds, 3)}  # it is being asked
        self._limiter.last.wait = {"host": self._name, "why": why, **known, **more}

    def _check_outage(self) -> None:
        """Return if the run waits for the host, which is down; called under the rate limiter's mutex.

        Raise `TransferError` if only this host is down or it has never answered: its items fail, and the run continues.
        Raise `ServiceDown` if the run has waited long enough, and no other host answers either.
        """
        host, limiter, now = self._host, self._limiter, clock()
        if host.down_since is None:
            host.down_since, host.answers = now, limiter.answers
        waited, cause = now - host.down_since, host.cause or "no answer"
        is_over = waited >= limiter.max_outage
        if (host.cause and not host.heard) or (is_over and limiter.answers > host.answers):
            message = f"{self._name} is down, so it was not asked again: {cause}."
            raise TransferError(message, kind="down", host=self._name)
        if is_over:
            kept = "Finished items are kept; the items that waited for it remain."
            message = f"{self._name} has been down for {waited:.0f} seconds: {cause}. {kept}"
            hint = 'Start again when the service is back; "max_outage" sets how long a run waits.'
            raise ServiceDown(message, hint=hint, host=self._name, cause=cause)
        # if only another run found the host down, this run asks it once before it reports the outage
        if host.heard and not host.is_reported:
            host.is_reported = True
            pause = f"The run pauses and retries for up to {limiter.max_outage:.0f} seconds."
            limiter.messages.append(f"{self._name} is down: {cause}. {pause}")
