"""The lease that a run's sessions are kept by, for its report."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.errors import StorageError
from argosy.leasing.manager import SessionKeeper
from argosy.leasing.policy import Discipline


def in_force(lease: Discipline, asked: str, keepers: Iterable[SessionKeeper]) -> tuple[str, str | None]:
    """Return the lease that is in force, and why; None where it is the one that was asked for.

    Parameters
    ----------
    lease
        The discipline that the sessions are kept by.
    asked
        The lease of the configuration.
    keepers
        The keepers of the sessions; one that is exclusive speaks for all.
    """
    if lease is not Discipline.AUTO:
        return lease.value, "nobody is logged in" if lease.value != asked else None
    try:
        found = [keeper.in_force() for keeper in keepers]
    except StorageError:  # what ends the run says so; its report is written all the same
        return Discipline.EXCLUSIVE.value, "what was learned cannot be read"
    used, reason = min(found, key=lambda each: each[0] is Discipline.SHARED)
    return used.value, reason
