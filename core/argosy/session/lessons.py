"""What the keeper of a session learns from answers, and how it shares the session by that."""

from __future__ import annotations

from collections.abc import Callable

from argosy.contracts.cookie_store import CookieStore
from argosy.errors import GenerationMoved
from argosy.session import auto
from argosy.session.lease import SharedLease, Stamp, changed, put
from argosy.session.overlap import Overlap
from argosy.session.policy import Discipline, Policy
from argosy.session.record import SessionRecord


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
        self._chosen = policy.discipline is Discipline.AUTO
        self.learner = auto.Learner(policy)
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
        if stamp.taught is Discipline.SHARED:
            self._notice(auto.SHARED_NOW.format(self._session))
        elif stamp.taught is Discipline.EXCLUSIVE:
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
