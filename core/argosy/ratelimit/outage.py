"""What a run does about a host that is down: it waits for a while, and then gives up in the right way.

That a host is down, and who may ask it when, is known to all programs of this user. How long *this* run
waits for it, and what follows, is decided here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from argosy.errors import ServiceDown, TransferError


@dataclass(slots=True)
class _Outage:
    """One outage, as this run sees it: since when, what it looks like, and the answers there were until then."""

    since: float
    cause: str
    answers: int
    told: bool = False


class Outages:
    """The hosts that are down for the requests of one process.

    Parameters
    ----------
    limit
        Seconds to wait for a host that was there before; with 0 nobody waits, and nothing is given up.
    tell
        Takes messages for the person.
    """

    def __init__(self, limit: float, tell: Callable[[str], None]) -> None:
        self.limit = limit
        self._tell = tell
        self._mutex = threading.Lock()
        self._heard: set[str] = set()
        self._answers = 0
        self._outages: dict[str, _Outage] = {}
        self._causes: dict[str, str] = {}

    @property
    def any(self) -> bool:
        """Whether any host is down, as far as was asked."""
        return bool(self._outages)

    def heard(self, place: str) -> bool:
        """Return whether a host was there before in this run."""
        return place in self._heard

    def answered(self, place: str, cause: str | None) -> None:
        """Take in that a host answered, if only to say that there is nobody behind it (the cause)."""
        if cause is not None:
            self.failed(place, cause, sent=True)
            return
        self._answers += 1
        if place in self._heard and not self.any:
            return
        with self._mutex:
            self._heard.add(place)
            outage = self._outages.pop(place, None)
        if outage is not None and outage.told:
            self._tell(f"{place} answers again.")

    def learn(self, place: str) -> None:
        """Take in that a host has answered another process."""
        with self._mutex:
            self._heard.add(place)

    def failed(self, place: str, cause: str, *, sent: bool) -> None:
        """Take in why a request to a host came to nothing."""
        with self._mutex:
            self._causes[place] = cause
            if sent:
                self._heard.add(place)

    def check(self, place: str, now: float) -> None:
        """Return if a host that is down is to be waited for.

        Raises
        ------
        TransferError
            If this host alone is down, or was never there: its items fail, and the run goes on.
        ServiceDown
            If the run has waited long enough for a host that was there, and nobody else answers either.
        """
        with self._mutex:
            outage = self._outages.get(place)
            if outage is None:
                cause = self._causes.get(place, "no answer")
                outage = self._outages[place] = _Outage(now, cause, self._answers)
            waited = now - outage.since
            never_there = not self.heard(place) and place in self._causes
            if never_there or (waited >= self.limit and self._answers > outage.answers):
                raise TransferError(
                    f"{place} is down, so it was not asked again: {outage.cause}.", kind="down", host=place
                )
            # one that only another run missed, and that this one does not know, is asked once before it is called down
            first = not outage.told and self.heard(place)
            outage.told |= first
        if waited >= self.limit:
            raise ServiceDown(
                f"{place} has been down for {waited:.0f} seconds: {outage.cause}. "
                "Everything done so far is kept, and the items that were waiting for it are still to be done.",
                hint='Start again when the service is back. "max_outage" says how long a run waits for it.',
                host=place,
                cause=outage.cause,
            )
        if first:
            self._tell(
                f"{place} is down: {outage.cause}. The run pauses, and asks it from time to time for "
                f"{self.limit:.0f} seconds at most."
            )
