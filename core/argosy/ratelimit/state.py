"""What is known of one host, and what follows from it for the next request to it.

Everything here is arithmetic on one record. Where the record is kept, and who may change it when, is the
business of `argosy.ratelimit.shared`; all times are on its clock, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from argosy.ratelimit.retry_after import LONGEST_RETRY_AFTER

#: When something happened that never did.
NEVER = -math.inf

#: Seconds between two starts after a host first asks for patience, the most it is raised to by doubling,
#: and below which it is dropped again.
FIRST_SPACING, MOST_SPACING, LEAST_SPACING = 0.1, 30.0, 0.01

#: What each answer that is no throttle leaves of the spacing.
RELIEF = 7 / 8

#: Seconds in which the spacing halves by itself, so that the next run does not begin slowly for nothing.
HALF_LIFE = 120.0

#: What a failure weighs: one of a request that went out may be the fault of its URL alone.
UNSENT, SENT = 3, 1

#: The weight of failures in a row with which a host is down: one that was there before in this run, and one that
#: was not (so much that a single wrong URL comes to the end of its usual retries first).
DOWN_AFTER, DOWN_AFTER_UNHEARD = 9, 15

#: Seconds until the first probe of a host that is down, doubled with each that fails, up to the most.
FIRST_PROBE, MOST_PROBE = 1.0, 30.0

#: Seconds after which failures say nothing any more, if nobody has asked since.
STALE = 300.0

#: Reservations that may stand ahead of a request (one for each process), and the longest delay in seconds; a
#: record that says more is not believed.
_MOST_AHEAD, _MOST_DELAY = 64, 86401.0


@dataclass(slots=True)
class HostState:
    """What is known of one host.

    Parameters
    ----------
    reserved
        When the last request that was given a start is to start.
    due
        Before this no further start is given: `reserved` and the spacing of that request.
    clear
        Before this nothing starts: the last start that took place, and the spacing of that request.
    hold
        Before this nothing starts: the host's ``Retry-After``.
    spacing, raised
        Seconds between two starts that the host has taught us, and when they were last raised.
    failures, failed_at, probe
        The weight of requests in a row that came to nothing, and when the last did; and, once the host is
        down, when it may be asked again.
    known
        When last somebody failed to reach it who had an answer before: it is a host that was there.
    seen
        The last start that took place. It stands apart: whoever has no delay writes it without a lock.
    """

    reserved: float = NEVER
    due: float = NEVER
    clear: float = NEVER
    hold: float = NEVER
    spacing: float = 0.0
    raised: float = NEVER
    failures: float = 0.0
    failed_at: float = NEVER
    probe: float = NEVER
    known: float = NEVER
    seen: float = NEVER

    def sane(self, now: float) -> bool:
        """Return whether a record can have come about; what cannot be is a clock that is another one, or rubbish."""
        soon = now + LONGEST_RETRY_AFTER
        pace = self.due - self.reserved if self.due > now else 0.0
        ahead = soon + _MOST_AHEAD * max(pace, self.spacing, 1.0)
        return (  # a number that is none is not below anything
            pace <= _MOST_DELAY
            and self.hold <= soon
            and self.raised <= now + 1
            and self.failed_at <= now + 1
            and self.known <= now + 1
            and self.seen <= now + 1
            and self.reserved <= ahead
            and self.due <= ahead
            and self.clear <= ahead
            and self.probe <= ahead
            and 0 <= self.spacing <= MOST_SPACING
            and self.failures >= 0
        )

    def quiet(self, now: float) -> bool:
        """Return whether nothing stands against a request that has no delay of its own."""
        return (
            self.due <= now
            and self.clear <= now
            and self.hold <= now
            and self.spacing == 0
            and self.failures == 0
        )

    # -- starts

    def pace(self, delay: float, now: float) -> float:
        """Return the seconds between two starts: those asked for, or those the host has taught us."""
        return max(delay, self.slow(now))

    def reserve(self, pace: float, now: float) -> float:
        """Give away the next start, and return when it is."""
        start = max(now, self.due, self.clear, self.hold, max(self.reserved, self.seen) + pace)
        self.reserved, self.due = start, start + pace
        return start

    def begin(self, pace: float, now: float) -> float:
        """Start now, and return 0; or return the seconds to wait, as what others did in the meantime is too near."""
        wait = max(self.clear, self.hold, self.seen + pace) - now
        if wait > 0:
            return wait
        self.seen, self.clear = now, now + pace
        self.reserved, self.due = max(self.reserved, now), max(self.due, now + pace)
        return 0.0

    # -- what answers teach

    def slow(self, now: float) -> float:
        """Return the seconds between two starts that the host has taught us."""
        if self.spacing == 0:
            return 0.0
        left = self.spacing * 0.5 ** (max(now - self.raised, 0.0) / HALF_LIFE)
        return left if left >= LEAST_SPACING else 0.0

    def throttled(self, started: float, now: float, hold: float | None) -> None:
        """Take in that the host asked for patience; many at once, sent before we slowed down, count once."""
        if hold is not None:
            self.hold = max(self.hold, now + hold)
        if started > self.raised:
            self.spacing = min(max(2 * self.slow(now), FIRST_SPACING), MOST_SPACING)
            self.raised = now

    def answered(self, started: float, now: float) -> None:
        """Take in that the host answered: it is up, and bears this pace."""
        self.failures, self.probe = 0.0, NEVER
        if self.spacing and started > self.raised:
            self.spacing *= RELIEF
            if self.slow(now) == 0:
                self.spacing = 0.0

    # -- outages

    def down(self, now: float) -> bool:
        """Return whether the host is down, as far as anybody knows who has asked it lately."""
        return self.probe != NEVER and now < self.probe + STALE

    def was_there(self, now: float) -> bool:
        """Return whether somebody knows of an answer of the host."""
        return now - self.known < STALE

    def ask_now(self, now: float) -> None:
        """Take in that a probe was given up before it had an outcome."""
        if self.probe != NEVER:
            self.probe = now

    def failed(self, now: float, *, sent: bool, heard: bool, probing: bool) -> bool:
        """Take in that a request came to nothing; return whether the host is down from now on.

        Parameters
        ----------
        now
            The time.
        sent
            Whether it went out.
        heard
            Whether the host was there before in this run.
        probing
            Whether the request was the probe of a host that is down. Others that fail then were sent before
            it was, and say nothing new.
        """
        if heard:
            self.known = now
        if self.down(now):
            if probing:
                self.failures, self.failed_at = self.failures + 1, now
                self.probe = now + min(FIRST_PROBE * 2 ** min(self.failures - DOWN_AFTER, 10), MOST_PROBE)
            return False
        if self.probe != NEVER or now - self.failed_at > STALE:
            self.failures, self.probe = 0.0, NEVER
        self.failures, self.failed_at = self.failures + (SENT if sent else UNSENT), now
        if self.failures < (DOWN_AFTER if heard else DOWN_AFTER_UNHEARD):
            return False
        self.failures, self.probe = float(DOWN_AFTER), now + FIRST_PROBE
        return True
