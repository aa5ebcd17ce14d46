"""The lease that a run's sessions are kept by, for its report."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.errors import StorageError
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode


def in_force(lease: LeaseMode, asked: str, managers: Iterable[SessionManager]) -> tuple[str, str | None]:
    """Return the lease that is in force, and why; None where it is the one that was asked for.

    Parameters
    ----------
    lease
        The discipline that the sessions are kept by.
    asked
        The lease of the configuration.
    managers
        The managers of the sessions; one that is exclusive speaks for all.
    """
    if lease is not LeaseMode.AUTO:
        return lease.value, "nobody is logged in" if lease.value != asked else None
    try:
        found = [manager.in_force() for manager in managers]
    except StorageError:  # what ends the run says so; its report is written all the same
        return LeaseMode.EXCLUSIVE.value, "what was learned cannot be read"
    used, reason = min(found, key=lambda each: each[0] is LeaseMode.SHARED)
    return used.value, reason
