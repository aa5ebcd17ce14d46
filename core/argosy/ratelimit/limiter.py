"""The pacer: asked before each request, told after each answer."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from argosy.ratelimit.outage import Outages
from argosy.ratelimit.retry_after import THROTTLES
from argosy.ratelimit.shared import FileTable, MemoryTable, Table, clock
from argosy.ratelimit.state import HostState
from argosy.toolkit.hosts import host_key

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Statuses that a gateway gives for a service that is not there.
_ABSENT = frozenset({502, 503, 504})

#: Seconds between two looks whether a host that is down has answered somebody else's probe.
_LOOK = 0.5


class _Line:
    """Those of this process who wait for a host: they have one start given to them at a time, together.

    So what a process that dies leaves reserved is one start at most, however many were waiting in it.
    """

    __slots__ = ("start", "waiting")

    def __init__(self) -> None:
        self.start: float | None = None
        self.waiting: set[int] = set()


class RateLimiter:
    """Says when the next request to a host may start, over all programs of this user on this machine.

    Parameters
    ----------
    delay
        Seconds between the starts of two requests to one host. Of two requests in a row that have
        different delays, the longer counts: whichever program sends them.
    max_outage
        Seconds to wait for a host that is down; 0 to take no notice of outages.
    probe_time
        Seconds within which the probe of a host that is down has its outcome.
    folder
        Where the state that programs share is kept; None for this user's state folder.
    notice
        Takes messages for the person.

    Notes
    -----
    A host that answers 429 or 503 is asked less often, by everybody, until it has answered for a while.
    Where the shared file cannot be used, the pacer says so once, and paces this process alone.
    """

    def __init__(
        self,
        delay: float = 0.0,
        *,
        max_outage: float = 0.0,
        probe_time: float = 60.0,
        folder: Path | None = None,
        notice: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.delay = delay
        self._untold: deque[str] = deque()
        self.outages = Outages(max_outage, self._untold.append)
        self._probe_time = probe_time
        self._notice = notice
        self._folder = folder
        self._mutex = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._numbers = itertools.count()
        self._shared: Table | None = None

    def turn(self, url: str) -> Permit:
        """Return the turn of one request."""
        return Permit(self, host_key(url), next(self._numbers))

    def was_there(self, place: str) -> bool:
        """Return whether a host was there before in this run, and an outage of it is waited for."""
        return self.outages.limit > 0 and self.outages.heard(place)

    def tell(self) -> None:
        """Give the person the messages that came up while a session was held."""
        while self._untold:
            try:
                message = self._untold.popleft()
            except IndexError:  # another thread was quicker
                return
            self._notice(message)

    # -- what a turn asks and tells

    def reach(self, turn: Permit) -> float:
        """Connect to a host now, or learn how long to wait, as it is down."""
        state = self._read(turn.place) if self.outages.limit else None
        if state is None or not state.down(clock()):
            return 0.0
        with self._mutex:
            line = self._lines.setdefault(turn.place, _Line())
            wait = self._update(turn.place, lambda state, now: self._outage(state, now, line, turn))
            if wait > 0:
                line.waiting.add(turn.number)
                self.outages.check(turn.place, clock())
        return wait

    def admit(self, turn: Permit) -> float:
        """Start a request now, or learn how long to wait before asking again."""
        if self.delay == 0:
            state, now = self._read(turn.place), clock()
            if state is None or state.quiet(now):
                if state is not None:
                    self._note(turn.place, now)
                turn.started = now
                return 0.0
        with self._mutex:
            line = self._lines.setdefault(turn.place, _Line())
            down, wait = self._update(turn.place, lambda state, now: self._decide(state, now, line, turn))
            if wait > 0:
                line.waiting.add(turn.number)
            else:
                self._leave(turn)
            if down:
                self.outages.check(turn.place, clock())
        return max(wait, 0.0)

    def answered(self, turn: Permit, status: int, hold: float | None) -> None:
        """Take in the answer to a request."""
        absent = status in _ABSENT and hold is None
        cause = f"it answers {status}" if absent else None
        state = self._read(turn.place)
        calm = state is None or not (state.failures or state.spacing)
        if calm and status not in THROTTLES and not absent and not self.outages.any:
            self.outages.answered(turn.place, None)
            return

        if status in THROTTLES:
            logger.info("%s limits the rate: status %d, Retry-After %s", turn.place, status, hold)

        def take_in(state: HostState, now: float) -> None:
            if absent:
                state.failed(now, sent=True, heard=True, probing=turn.probing)
            if status in THROTTLES:
                state.throttled(turn.started, now, hold)
            if not absent:
                state.answered(turn.started, now)

        with self._mutex:  # nobody finds the host down between the two
            self._update(turn.place, take_in)
            self.outages.answered(turn.place, cause)

    def failed(self, turn: Permit, cause: str, *, sent: bool, named: bool) -> None:
        """Take in that a request came to nothing: no connection, or no answer."""
        self.outages.failed(turn.place, cause, sent=sent)

        def take_in(state: HostState, now: float) -> bool:
            heard = self.outages.heard(turn.place) or state.was_there(now)
            if not (named or heard or state.down(now)):
                return False  # a misspelt URL: there is no host that could come back
            state.failed(now, sent=sent, heard=heard, probing=turn.probing)
            return heard

        if self._update(turn.place, take_in):
            self.outages.learn(turn.place)

    def left(self, turn: Permit) -> None:
        """Take in that a turn is over; who gave up in it must not stand in the way of others."""
        if turn.probing and not turn.told:
            self._update(turn.place, lambda state, now: state.ask_now(now))
        if self._lines:
            with self._mutex:
                self._leave(turn)
        self.tell()

    # -- inside

    def _decide(self, state: HostState, now: float, line: _Line, turn: Permit) -> tuple[bool, float]:
        """Return whether the host is down and not to be asked now, and the seconds to wait."""
        wait = self._outage(state, now, line, turn)
        if wait > 0:
            return True, wait
        pace = state.pace(self.delay, now)
        if line.start is None or line.start < state.hold:
            line.start = state.reserve(pace, now)
        wait = line.start - now
        if wait <= 0:
            wait = state.begin(pace, now)
            if wait <= 0:
                line.start, turn.started = None, now
                return False, 0.0
        return False, wait + self._rank(line, turn) * pace

    def _outage(self, state: HostState, now: float, line: _Line, turn: Permit) -> float:
        """Return the seconds to wait as the host is down; 0 where it is not, and for the one who is to ask it."""
        if not self.outages.limit or turn.probing or not state.down(now):
            return 0.0
        if now < state.probe:
            if state.was_there(now):
                self.outages.learn(turn.place)
            return min(state.probe - now, _LOOK * (1 + self._rank(line, turn) / 8))
        state.probe = now + self._probe_time
        turn.probing = True
        return 0.0

    @staticmethod
    def _rank(line: _Line, turn: Permit) -> int:
        """Return how many of this process have waited longer."""
        return sum(number < turn.number for number in line.waiting)

    def _leave(self, turn: Permit) -> None:
        line = self._lines.get(turn.place)
        if line is not None:
            line.waiting.discard(turn.number)
            if not line.waiting and line.start is None:
                del self._lines[turn.place]

    # -- the table, or what stands in for it

    def _table(self) -> Table:
        if self._shared is None:
            try:
                self._shared = FileTable((self._folder or _state_folder()) / "pacing")
            except (OSError, RuntimeError) as error:
                self._fall_back(error)
        assert self._shared is not None  # noqa: S101 - for the type checker
        return self._shared

    def _fall_back(self, error: Exception) -> Table:
        if isinstance(self._shared, MemoryTable):  # another thread was quicker
            return self._shared
        reason = getattr(error, "strerror", None) or str(error)
        self._shared = MemoryTable()
        self._untold.append(
            f"The file in which programs tell each other when a host may be asked cannot be used: {reason}. "
            "download_delay and Retry-After hold within this process only."
        )
        return self._shared

    def _read(self, place: str) -> HostState | None:
        try:
            return self._table().read(place)
        except OSError as error:
            return self._fall_back(error).read(place)

    def _note(self, place: str, now: float) -> None:
        try:
            self._table().note(place, now)
        except OSError as error:
            self._fall_back(error).note(place, now)

    def _update(self, place: str, change: Callable[[HostState, float], T]) -> T:
        try:
            return self._table().update(place, change)
        except OSError as error:
            return self._fall_back(error).update(place, change)


class Permit:
    """One request's turn at a host; ask `admit` until it returns 0, send, and tell how it went.

    Parameters
    ----------
    pacer
        Whose turn it is.
    place
        The host.
    number
        Turns are taken in the order of their numbers, as far as that can be had.
    """

    __slots__ = ("_pacer", "number", "place", "probing", "started", "told")

    def __init__(self, rate_limiter: RateLimiter, place: str, number: int) -> None:
        self._pacer = rate_limiter
        self.place = place
        self.number = number
        self.started = 0.0
        self.probing = False
        self.told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pacer.left(self)

    def reach(self) -> float:
        """Connect to the host now, before the session is taken, or learn how long to wait before asking again.

        Returns
        -------
        float
            0 where the host may be connected to; else the seconds to wait, as it is down.

        Raises
        ------
        TransferError, ServiceDown
            As `admit` does.
        """
        return self._pacer.reach(self)

    def admit(self) -> float:
        """Start the request now, or learn how long to wait before asking again.

        Returns
        -------
        float
            0 where the request may start, and is counted as started; else the seconds to wait.

        Raises
        ------
        TransferError, ServiceDown
            If the host is down, and this run does not wait for it (any longer).
        """
        return self._pacer.admit(self)

    def answered(self, status: int, hold: float | None) -> None:
        """Say that the headers are in.

        Parameters
        ----------
        status
            The response's status.
        hold
            The seconds of its ``Retry-After``, if any.
        """
        self.told = True
        self._pacer.answered(self, status, hold)

    def failed(self, cause: str, *, sent: bool, named: bool = True) -> None:
        """Say that there was no connection or no answer.

        Parameters
        ----------
        cause
            Why, in words.
        sent
            Whether the request went out.
        named
            Whether there is a host of that name, as far as is known; else it is an outage only of one that was
            there before.
        """
        self.told = True
        self._pacer.failed(self, cause, sent=sent, named=named)


def _state_folder() -> Path:
    import platformdirs  # only once for each process

    folder = platformdirs.user_state_path("argosy")
    if not folder.is_absolute():
        raise OSError("nobody knows this user's home folder")
    return folder
