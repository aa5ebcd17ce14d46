"""How busy one session is: who holds it or waits for it, and how long one request holds it."""

from __future__ import annotations

import time

from argosy.leasing.lease import Lease

#: The weight of the newest request in the mean.
NEWEST = 0.2


class Hold:
    """One request that has, or had, the session."""

    __slots__ = ("begun", "ended")

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.ended = False


class Load:
    """The load of one session in this process.

    It takes no lock, as a body that is given up may end in the middle of anything: members are put into a set
    and taken out of it, which is atomic, and a figure of the mean that is lost costs nothing.
    """

    def __init__(self) -> None:
        #: The mean time that a request holds the session, in seconds; None before the first.
        self.mean: float | None = None
        self._queue: set[object] = set()
        self._moved = 0.0

    @property
    def queue(self) -> int:
        """How many requests have the session or are to get it."""
        return len(self._queue)

    def enter(self) -> object:
        """Put a request that is to get the session into the queue; return what takes it out by `leave`."""
        ticket = object()
        if not self._queue:
            self._moved = time.monotonic()
        self._queue.add(ticket)
        return ticket

    def leave(self, ticket: object) -> None:
        """Take a request out of the queue; nothing happens where it is not in it."""
        self._queue.discard(ticket)

    def begin(self) -> Hold:
        """Say that a request has the session now."""
        hold = Hold()
        self._moved = hold.begun
        return hold

    def measure(self, lease: Lease) -> Lease:
        """Count a lease that was just granted until it ends, and return it."""
        hold = self.begin()
        if lease.to_end:
            self._queue.add(hold)  # it counts beyond the headers
        lease.on_end.append(lambda: self.end(hold))
        return lease

    def end(self, hold: Hold) -> None:
        """Say that a request has the session no more; may be said more than once."""
        if hold.ended:
            return
        hold.ended = True
        self._queue.discard(hold)
        self._moved = time.monotonic()
        seconds = self._moved - hold.begun
        self.mean = seconds if self.mean is None else self.mean + NEWEST * (seconds - self.mean)

    def free_in(self, usual: float) -> float:
        """Return the seconds until the session is expected to be free; 0 where it is.

        Parameters
        ----------
        usual
            The mean that other sessions have, for one that has none yet.
        """
        queue = self.queue
        if not queue:
            return 0.0
        mean = usual if self.mean is None else self.mean
        return (queue - 1) * mean + self.rest(time.monotonic() - self._moved, usual)

    def rest(self, seconds: float, usual: float) -> float:
        """Return how much longer a request is expected to hold the session that has held it for so many seconds.

        One that has taken longer than usual is expected to take as much longer again: a service that does not
        answer on one session must not draw the work of all.
        """
        mean = usual if self.mean is None else self.mean
        return abs(mean - seconds)
