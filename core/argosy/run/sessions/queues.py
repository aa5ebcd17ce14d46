"""Which session is free soonest."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

from argosy.contracts import CookieStore, Scope
from argosy.run.sessions.member import Member
from argosy.session.identity import has_ended, is_this_process
from argosy.session.record import Status

#: Seconds that a request is expected to hold a session, before any has.
USUAL = 1.0


class Queues:
    """The queues for the sessions of a pool; its user lets one thread at a time in.

    The requests of this process are known one by one. Of those of other processes, the store knows the one
    that has a session just now; how many wait behind it nobody knows.

    Parameters
    ----------
    store
        Keeps the sessions' records.
    waits
        Whether a session in doubt is to rest for a while before it is used again.
    """

    def __init__(self, store: CookieStore, *, waits: bool) -> None:
        self._store = store
        self._looks = waits or store.scope is not Scope.PROCESS
        self._turns = itertools.count(1)

    def enter(self, member: Member) -> object:
        """Put a request into the queue for a session; return what takes it out of the session's load."""
        member.turn = next(self._turns)
        return member.load.enter()

    def soonest(self, members: Iterable[Member]) -> Member:
        """Return a session that is free, the one that has not been used for longest; else the one free soonest."""
        waiting = sorted(members, key=lambda m: m.turn)
        best, shortest = waiting[0], float("inf")
        if len(waiting) == 1:
            return best
        means = [m.load.mean for m in waiting if m.load.mean is not None]
        usual = sum(means) / len(means) if means else USUAL
        for member in waiting:
            left = member.load.free_in(usual) if member.load.queue else self._marked(member, usual)
            if left <= 0:
                return member
            if left < shortest:
                best, shortest = member, left
        return best

    def _marked(self, member: Member, usual: float) -> float:
        """Return the seconds until a session that nobody of this process uses is expected to be free."""
        record = self._store.read(member.name) if self._looks else None
        if record is None or record.status is not Status.IN_FLIGHT or record.holder is None:
            return 0.0
        if is_this_process(record.holder) or has_ended(record.holder):
            return member.keeper.doubt_left()  # a mark that was left behind: the session is in doubt
        return member.load.rest(time.time() - record.holder.since, usual)
