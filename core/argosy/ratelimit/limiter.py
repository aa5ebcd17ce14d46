"""When the next request to a host may start: asked before each request, told after each answer."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from argosy.interfaces.ratelimit import RateLimit
from argosy.models.host_state import HostState
from argosy.ratelimit.outage import Outages
from argosy.ratelimit.retry_after import THROTTLES
from argosy.toolkit.hosts import host_key
from argosy.toolkit.processes import clock

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Statuses of a gateway whose service is down.
_ABSENT = frozenset({502, 503, 504})

#: Seconds between two checks whether a host that is down has answered another probe.
_LOOK = 0.5

_MOST_HOSTS = 4096


class ProcessRateLimit(RateLimit):
    """Keeps the states of hosts for the threads of one process."""

    name = "process"
    summary = "Limits the requests of one process"

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
            now = clock()
            if len(self._states) > _MOST_HOSTS:
                self._states = {h: s for h, s in self._states.items() if not s.quiet(now)}
            return change(self._states.setdefault(host, HostState()), now)


class _Line:
    """The permits of this process that wait for a host. They reserve one start at a time, together.

    So a process that dies leaves one start reserved at most.
    """

    __slots__ = ("start", "waiting")

    def __init__(self) -> None:
        self.start: float | None = None
        self.waiting: set[int] = set()

    def ahead_of(self, number: int) -> int:
        """Return how many permits have waited longer."""
        return sum(other < number for other in self.waiting)


class RateLimiter:
    """Limits the requests of a run to each host.

    A host that answers 429 or 503 gets fewer requests until it has answered for a while.

    Parameters
    ----------
    delay
        Seconds between the starts of two requests to one host. Of two consecutive requests with different delays, the
        longer one counts.
    max_outage
        Seconds to wait for a host that is down; 0 to ignore outages.
    probe_time
        Seconds in which the probe of a host that is down gets its result.
    shared
        Keeps the states of hosts; None to limit this process alone.
    notice
        Takes messages for the user.
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
        self._untold: deque[str] = deque()
        self.outages = Outages(max_outage, self._untold.append)
        self.mutex = threading.Lock()
        self.lines: dict[str, _Line] = {}
        self._notice = notice
        self._numbers = itertools.count()
        self._states = shared or ProcessRateLimit()

    def permit(self, url: str) -> Permit:
        """Return the permit of one request."""
        return Permit(self, host_key(url), next(self._numbers))

    def was_there(self, host: str) -> bool:
        """Return whether a host has answered in this run, and the run waits for it during an outage."""
        return self.outages.limit > 0 and self.outages.heard(host)

    def tell(self) -> None:
        """Pass on the messages that came up while a session was held."""
        while self._untold:
            try:
                message = self._untold.popleft()
            except IndexError:  # another thread was faster
                return
            self._notice(message)

    def read(self, host: str) -> HostState | None:
        """Return the state of a host."""
        try:
            return self._states.read(host)
        except OSError as error:
            return self._per_process(error).read(host)

    def started(self, host: str, now: float) -> None:
        """Record that a request starts."""
        try:
            self._states.started(host, now)
        except OSError as error:
            self._per_process(error).started(host, now)

    def update(self, host: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host."""
        try:
            return self._states.update(host, change)
        except OSError as error:
            return self._per_process(error).update(host, change)

    def _per_process(self, error: OSError) -> RateLimit:
        if not isinstance(self._states, ProcessRateLimit):  # else another thread was faster
            self._states = ProcessRateLimit()
            self._untold.append(
                f"Rate limits are not shared with other processes: {error.strerror or error}. "
                "download_delay and Retry-After apply to this process only."
            )
        return self._states


class Permit:
    """The permit of one request: call `admit` until it returns 0, send, and tell the result.

    Parameters
    ----------
    limiter
        Gives the permit.
    host
        The host.
    number
        Permits are granted in the order of their numbers, if possible.
    """

    __slots__ = ("_limiter", "host", "number", "probing", "started", "told")

    def __init__(self, limiter: RateLimiter, host: str, number: int) -> None:
        self._limiter = limiter
        self.host = host
        self.number = number
        self.started = 0.0
        self.probing = False
        self.told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reach(self) -> float:
        """Connect to the host now, before the session is leased, or wait.

        Returns
        -------
        float
            0 to connect; else the seconds to wait before asking again, as the host is down.

        Raises
        ------
        TransferError, ServiceDown
            As `admit` does.
        """
        limiter = self._limiter
        state = limiter.read(self.host) if limiter.outages.limit else None
        if state is None or not state.down(clock()):
            return 0.0
        with limiter.mutex:
            line = limiter.lines.setdefault(self.host, _Line())
            wait = limiter.update(self.host, lambda state, now: self._outage(state, now, line))
            if wait > 0:
                line.waiting.add(self.number)
                limiter.outages.check(self.host, clock())
        return wait

    def admit(self) -> float:
        """Start the request now, or wait.

        Returns
        -------
        float
            0 if the request may start, and counts as started; else the seconds to wait before asking again.

        Raises
        ------
        TransferError, ServiceDown
            If the host is down and this run does not wait for it any longer.
        """
        limiter = self._limiter
        if limiter.delay == 0:  # most requests: without a lock
            state, now = limiter.read(self.host), clock()
            if state is None or state.quiet(now):
                if state is not None:
                    limiter.started(self.host, now)
                self.started = now
                return 0.0
        with limiter.mutex:
            line = limiter.lines.setdefault(self.host, _Line())
            down, wait = limiter.update(self.host, lambda state, now: self._decide(state, now, line))
            if wait > 0:
                line.waiting.add(self.number)
            else:
                self._leave()
            if down:
                limiter.outages.check(self.host, clock())
        return max(wait, 0.0)

    def answered(self, status: int, hold: float | None) -> None:
        """Record that the headers have come.

        Parameters
        ----------
        status
            The response's status.
        hold
            The seconds of its ``Retry-After``, if any.
        """
        self.told = True
        limiter, absent = self._limiter, status in _ABSENT and hold is None
        state = limiter.read(self.host)
        calm = state is None or not (state.failures or state.spacing)
        if calm and status not in THROTTLES and not absent and not limiter.outages.any:
            limiter.outages.answered(self.host, None)
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
            limiter.outages.answered(self.host, f"it answers {status}" if absent else None)

    def failed(self, cause: str, *, sent: bool, named: bool = True) -> None:
        """Record that there was no connection or no answer.

        Parameters
        ----------
        cause
            Why, in words.
        sent
            Whether the request was sent.
        named
            Whether the host's name resolves. If not, it is an outage only of a host that has answered before.
        """
        self.told = True
        outages = self._limiter.outages
        outages.failed(self.host, cause, sent=sent)

        def record(state: HostState, now: float) -> bool:
            heard = outages.heard(self.host) or state.was_there(now)
            if not (named or heard or state.down(now)):
                return False  # a misspelt URL: no host to come back
            state.failed(now, sent=sent, heard=heard, probing=self.probing)
            return heard

        if self._limiter.update(self.host, record):
            outages.learn(self.host)

    def close(self) -> None:
        """End the permit; one that was given up does not delay others."""
        limiter = self._limiter
        if self.probing and not self.told:
            limiter.update(self.host, lambda state, now: state.ask_now(now))
        if limiter.lines:
            with limiter.mutex:
                self._leave()
        limiter.tell()

    def _decide(self, state: HostState, now: float, line: _Line) -> tuple[bool, float]:
        """Return whether the host is down, and the seconds to wait."""
        wait = self._outage(state, now, line)
        if wait > 0:
            return True, wait
        pace = state.pace(self._limiter.delay, now)
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
                outages.learn(self.host)
            return min(state.probe - now, _LOOK * (1 + line.ahead_of(self.number) / 8))
        state.probe = now + self._limiter.probe_time
        self.probing = True
        return 0.0

    def _leave(self) -> None:
        lines = self._limiter.lines
        line = lines.get(self.host)
        if line is not None:
            line.waiting.discard(self.number)
            if not line.waiting and line.start is None:
                del lines[self.host]
