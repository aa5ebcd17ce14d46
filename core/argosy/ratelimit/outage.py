"""Outages: a run waits for a host that is down, and gives up after a while.

The state of a host says whether it is down and when to probe it. How long *this* run waits is decided here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from argosy.errors import ServiceDown, TransferError


@dataclass(slots=True)
class _Outage:
    """One outage in this run: its start, its cause, and how many answers of any host came before."""

    since: float
    cause: str
    answers: int
    told: bool = False


class Outages:
    """The hosts that are down for the requests of one process, which waits `limit` seconds for each; 0 ignores outages."""

    def __init__(self, limit: float, tell: Callable[[str], None]) -> None:
        self.limit = limit
        self.heard: set[str] = set()  # the hosts that have answered, this process or another
        self.current: dict[str, _Outage] = {}
        self._tell = tell
        self._mutex = threading.Lock()
        self._answers = 0
        self._causes: dict[str, str] = {}

    def answered(self, host: str) -> None:
        """Record an answer."""
        self._answers += 1
        if host in self.heard and not self.current:
            return
        self.heard.add(host)
        with self._mutex:
            outage = self.current.pop(host, None)
        if outage is not None and outage.told:
            self._tell(f"{host} answers again.")

    def failed(self, host: str, cause: str, *, sent: bool) -> None:
        """Record why a request failed."""
        self._causes[host] = cause
        if sent:
            self.heard.add(host)

    def check(self, host: str, now: float) -> None:
        """Return if the run waits for a host that is down.

        Raise `TransferError` if only this host is down or it has never answered: its items fail, and the run continues.
        Raise `ServiceDown` if the run has waited long enough, and no other host answers either.
        """
        heard = host in self.heard
        with self._mutex:
            outage = self.current.get(host)
            if outage is None:
                cause = self._causes.get(host, "no answer")
                outage = self.current[host] = _Outage(now, cause, self._answers)
            waited = now - outage.since
            never_there = not heard and host in self._causes
            if never_there or (waited >= self.limit and self._answers > outage.answers):
                message = f"{host} is down, so it was not asked again: {outage.cause}."
                raise TransferError(message, kind="down", host=host)
            # if only another run found the host down, this run asks it once before it reports the outage
            first = heard and not outage.told
            outage.told |= first
        if waited >= self.limit:
            raise ServiceDown(
                f"{host} has been down for {waited:.0f} seconds: {outage.cause}. "
                "Finished items are kept; the items that waited for it remain.",
                hint='Start again when the service is back; "max_outage" sets how long a run waits.',
                host=host,
                cause=outage.cause,
            )
        if first:
            pause = f"The run pauses and retries for up to {self.limit:.0f} seconds."
            self._tell(f"{host} is down: {outage.cause}. {pause}")
