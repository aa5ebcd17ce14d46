"""How busy one session is: how many requests have it or wait for it, and how long one request holds it."""

from __future__ import annotations

import time

from argosy.leasing.lease import Lease

#: The weight of the newest request in the mean.
NEWEST = 0.2


class Hold:
    """One request that holds the session, or held it."""

    __slots__ = ("begun", "ended")

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.ended = False


class Load:
    """The load of one session in this process.

    It takes no lock, as an abandoned body may end at any moment, even in the middle of this code. Adding to a set and
    removing from it is atomic, and losing one value of the mean does no harm.
    """

    def __init__(self) -> None:
        #: The mean time that a request holds the session, in seconds; None before the first.
        self.mean: float | None = None
        self._queue: set[object] = set()
        self._changed = 0.0

    @property
    def queue(self) -> int:
        """How many requests have the session or wait for it."""
        return len(self._queue)

    def enter(self) -> object:
        """Add a waiting request; return the ticket that `leave` takes."""
        ticket = object()
        if not self._queue:
            self._changed = time.monotonic()
        self._queue.add(ticket)
        return ticket

    def leave(self, ticket: object) -> None:
        """Remove a request, if it is still there."""
        self._queue.discard(ticket)

    def begin(self) -> Hold:
        """Record that a request has got the session."""
        hold = Hold()
        self._changed = hold.begun
        return hold

    def measure(self, lease: Lease) -> Lease:
        """Count a lease that was just granted until it ends, and return it."""
        hold = self.begin()
        if lease.to_end:
            self._queue.add(hold)  # it counts beyond the headers
        lease.on_end.append(lambda: self.end(hold))
        return lease

    def end(self, hold: Hold) -> None:
        """Record that a request has given the session back; may be called more than once."""
        if hold.ended:
            return
        hold.ended = True
        self._queue.discard(hold)
        self._changed = time.monotonic()
        seconds = self._changed - hold.begun
        self.mean = seconds if self.mean is None else self.mean + NEWEST * (seconds - self.mean)

    def free_in(self, default: float) -> float:
        """Return the seconds until the session is expected to be free; 0 if it is.

        Parameters
        ----------
        default
            The mean of other sessions, if this one has none yet.
        """
        queue = self.queue
        if not queue:
            return 0.0
        mean = default if self.mean is None else self.mean
        return (queue - 1) * mean + self.rest(time.monotonic() - self._changed, default)

    def rest(self, seconds: float, default: float) -> float:
        """Return how much longer a request is expected to hold a session that it has held for so many seconds.

        After the mean time, expect as much again as it is over: a session that hangs must not attract all the work.
        """
        mean = default if self.mean is None else self.mean
        return abs(mean - seconds)
