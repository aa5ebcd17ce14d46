"""What a run does about a host that is down: it waits for a while, then gives up.

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
    """The hosts that are down for the requests of one process.

    Parameters
    ----------
    limit
        Seconds to wait for a host that has answered before; 0 to ignore outages.
    tell
        Takes messages for the user.
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
        """Whether any host is down."""
        return bool(self._outages)

    def heard(self, place: str) -> bool:
        """Return whether a host has answered in this run."""
        return place in self._heard

    def answered(self, place: str, cause: str | None) -> None:
        """Record an answer, perhaps one of a gateway whose service is down (the cause)."""
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
        """Record that a host has answered another process."""
        with self._mutex:
            self._heard.add(place)

    def failed(self, place: str, cause: str, *, sent: bool) -> None:
        """Record why a request failed."""
        with self._mutex:
            self._causes[place] = cause
            if sent:
                self._heard.add(place)

    def check(self, place: str, now: float) -> None:
        """Return if the run waits for a host that is down.

        Raises
        ------
        TransferError
            If only this host is down, or it has never answered: its items fail, and the run continues.
        ServiceDown
            If the run has waited long enough, and no other host answers either.
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
            # a host that only another run missed is asked once before this run reports it
            first = not outage.told and self.heard(place)
            outage.told |= first
        if waited >= self.limit:
            raise ServiceDown(
                f"{place} has been down for {waited:.0f} seconds: {outage.cause}. "
                "Finished items are kept; the items that waited for it remain.",
                hint='Start again when the service is back; "max_outage" sets how long a run waits.',
                host=place,
                cause=outage.cause,
            )
        if first:
            self._tell(
                f"{place} is down: {outage.cause}. The run pauses and retries for up to "
                f"{self.limit:.0f} seconds."
            )
