"""Whether nobody knows which token is good."""

from __future__ import annotations

import time

from argosy.contracts.cookie_store import Scope
from argosy.session.identity import boot_id
from argosy.session.record import SessionRecord, Status

#: What the mark of a refresh or a logout has before the thread's name: what was sent may be more than cookies.
RENEWAL = "argosy renewal: "

#: What the mark of a move to another store has in place of a thread's name, followed by the status before.
MOVE = "argosy session copy: "


def is_moving(record: SessionRecord) -> bool:
    """Return whether a move to another store was under way; that sends nothing, so the token is as good as before."""
    return record.holder is not None and record.holder.thread.startswith(MOVE)


def is_about_a_request(record: SessionRecord) -> bool:
    """Return whether only a request can have been under way: no refresh, no logout, no move to another store."""
    return record.holder is None or not record.holder.thread.startswith((RENEWAL, MOVE))


def in_doubt(record: SessionRecord, scope: Scope) -> bool:
    """Return whether a token may be spent: marked by somebody who is gone, or from before a power loss.

    Parameters
    ----------
    record
        The session's record; read under its hold, so that whoever marked it is gone.
    scope
        That of its store: only one that lies on this machine's disk can lose power with it.
    """
    if record.status is Status.IN_FLIGHT:
        return True
    lost_power = bool(record.boot) and not record.synced and record.boot != boot_id()
    return lost_power and scope is Scope.HOST and bool(record.cookies)


def seconds_left(record: SessionRecord, wait: float) -> float:
    """Return the seconds until a token that may be spent can be tried, where the policy is to wait so long."""
    if record.holder is None:
        return 0.0
    # no longer than the whole wait, should the wall clock have been set back
    return min(record.holder.since + wait - time.time(), wait)
