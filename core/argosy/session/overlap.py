"""The requests of one process that overlap on a session: a refusal waits for what they bring.

A service that replaces the token refuses every other request that is under way with the old one, and a
refusal is often faster than the answer that brings the new token. Whoever is refused then looks at the store too
early, finds the token it was sent with, and logs in for nothing. So it waits for those who were sent with the same
token. Nothing is locked for that where nobody waits: adding to a set is one step for all threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from argosy.session.lease import SharedLease

#: Seconds that a refusal waits at most; a session that has simply expired is not to wait for an answer that
#: takes a minute.
LONGEST = 5.0


class Overlap:
    """The shared leases of one session in this process that carry its token and have not ended."""

    def __init__(self) -> None:
        self._under_way: set[SharedLease] = set()
        self._waiting = 0
        self._ended = threading.Condition()

    def begin(self, lease: SharedLease) -> SharedLease:
        """Count a lease until it ends, and return it."""
        self._under_way.add(lease)
        lease.on_end = self._end
        return lease

    def wait(self, concerns: Callable[[SharedLease], bool]) -> None:
        """Wait until those leases have ended that are under way now and that concern the caller."""
        with self._ended:
            self._waiting += 1  # before the look: whoever ends after it sees that somebody waits
            pending = {lease for lease in self._under_way.copy() if concerns(lease)}
            self._ended.wait_for(lambda: not pending & self._under_way, timeout=LONGEST)
            self._waiting -= 1

    def _end(self, lease: SharedLease) -> None:
        self._under_way.discard(lease)
        if self._waiting:
            with self._ended:
                self._ended.notify_all()
