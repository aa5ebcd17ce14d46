"""The requests of one process that overlap on a session: a refusal waits for what they bring.

A service that replaces the token refuses every other request that is under way with the old one, and a
refusal is often faster than the answer that brings the new token. Whoever is refused then looks at the store too
early, finds the token it was sent with, and logs in for nothing. So it waits for those who were sent with the same
token. Nothing is locked for that where nobody waits: adding to a set is one step for all threads.

What the keeper of a session learns from answers, and how it shares the session by that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from argosy.errors import GenerationMoved
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing import adaptive as auto
from argosy.leasing.lease import SharedLease, Stamp, changed, put
from argosy.leasing.policy import LeaseMode, Policy
from argosy.models.session import SessionRecord

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


class Lessons:
    """The lessons of one session, as one process learns and uses them.

    Parameters
    ----------
    store, session
        Where they are kept.
    policy
        Which lease was asked for, and which cookies are tokens.
    notice
        Called with a message for the person where the lease has changed.
    """

    def __init__(
        self,
        store: CookieStore,
        session: str,
        policy: Policy,
        *,
        notice: Callable[[str], None],
    ) -> None:
        self._chosen = policy.discipline is LeaseMode.AUTO
        self.learner = auto.AdaptiveLearner(policy)
        self.overlap = Overlap()
        self._store = store
        self._session = session
        self._tokens = policy.tokens
        self._notice = notice

    def share(self, record: SessionRecord, on_token: Callable[[str], None]) -> SharedLease:
        """Return a lease that others overlap."""
        lease = SharedLease(self._store, record, on_token=on_token, learner=self.learner)
        return self.overlap.begin(lease) if self._chosen and auto.is_shared(record.learned) else lease

    def accepted(self, stamp: Stamp) -> None:
        """Take what an answer taught for true: the service accepted its request."""
        if stamp.taught is LeaseMode.SHARED:
            self._notice(auto.SHARED_NOW.format(self._session))
        elif stamp.taught is LeaseMode.EXCLUSIVE:
            proved = self._teach(
                lambda known: known.get("proved"), lambda known: auto.replaces(known, proved=True)
            )
            if proved and self._chosen and not stamp.exclusive:
                self._notice(auto.EXCLUSIVE_NOW.format(self._session))

    def wait(self, stamp: Stamp) -> None:
        """Wait, after a refusal, for the answers under way that may bring a newer token than this request had."""
        if self._chosen and not stamp.exclusive:
            self.overlap.wait(lambda lease: self._tokens.same(lease.stamp.cookies, stamp.cookies))

    def moved(self, stamp: Stamp, record: SessionRecord) -> bool:
        """Return whether there is a newer token than the one that was refused, and learn from that."""
        if stamp.exclusive or self._tokens.same(record.cookies, stamp.cookies):
            return False
        if not self._tokens.of(stamp.cookies):  # a cookie that a refusal brings is no newer token
            return False
        if self._tokens.replaced(stamp.cookies, stamp.cookies, record.cookies):
            self._teach(auto.is_exclusive, auto.replaces)
        return True

    def _teach(
        self, knows: Callable[[auto.Learned], object], learn: Callable[[auto.Learned], dict[str, object]]
    ) -> bool:
        """Write a lesson into the record; return whether it was news."""
        while True:
            record = self._store.read(self._session)
            if record is None or knows(record.learned):
                return False
            try:
                put(self._store, changed(record, learned=learn(record.learned)), record)
            except GenerationMoved:
                continue  # the session is not held for that
            return True
