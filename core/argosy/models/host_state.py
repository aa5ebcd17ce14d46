"""When the next request to a host may start. All times are those of `argosy.toolkit.processes.clock`, in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEVER = -math.inf

#: A longer Retry-After is cut to this.
LONGEST_RETRY_AFTER = 300.0
#: Seconds between two starts after the first 429 or 503, the maximum of doubling, and the minimum of spacing.
FIRST_SPACING, MOST_SPACING, LEAST_SPACING = 0.1, 30.0, 0.01
#: Each other answer multiplies the spacing by `RELIEF`; it also halves every `HALF_LIFE` seconds, for the next run.
RELIEF, HALF_LIFE = 7 / 8, 120.0
#: The weight of a failure: if the request was sent, its URL alone may be at fault.
UNSENT, SENT = 3, 1
#: A host is down after consecutive failures of this weight, if it has answered in this run; or else of the greater
#: one (more than the usual retries of a single wrong URL).
DOWN_AFTER, DOWN_AFTER_UNHEARD = 9, 15
#: Seconds until the first probe of a host that is down, doubled by each failed probe, and the maximum.
FIRST_PROBE, MOST_PROBE = 1.0, 30.0
#: Seconds after which failures expire.
STALE = 300.0


@dataclass(slots=True)
class HostState:
    """The state of one host."""

    reserved: float = NEVER  # the start of the last request that reserved one
    due: float = NEVER  # the earliest next reservation
    clear: float = NEVER  # the earliest next start: the last one plus its spacing
    hold: float = NEVER  # the end of the host's Retry-After
    spacing: float = 0.0  # seconds between two starts that 429 and 503 led to ...
    raised: float = NEVER  # ... and when they last rose
    failures: float = 0.0  # the weight of consecutive failures ...
    failed_at: float = NEVER  # ... and the time of the last
    probe: float = NEVER  # the next probe, once the host is down
    known: float = NEVER  # the last failure seen by a process that had an answer before: the host exists
    seen: float = NEVER  # the last start; requests without a delay write it without a lock

    def quiet(self, now: float) -> bool:
        """Return whether a request without a delay may start now."""
        return max(self.due, self.clear, self.hold) <= now and self.spacing == 0 and self.failures == 0

    def reserve(self, pace: float, now: float) -> float:
        """Reserve the next start and return its time."""
        start = max(now, self.due, self.clear, self.hold, max(self.reserved, self.seen) + pace)
        self.reserved, self.due = start, start + pace
        return start

    def begin(self, pace: float, now: float) -> float:
        """Start now and return 0; or return the seconds to wait if other requests have started meanwhile."""
        wait = max(self.clear, self.hold, self.seen + pace) - now
        if wait > 0:
            return wait
        self.seen, self.clear = now, now + pace
        self.reserved, self.due = max(self.reserved, now), max(self.due, now + pace)
        return 0.0

    def slow(self, now: float) -> float:
        """Return the host's spacing now, in seconds."""
        left = self.spacing * 0.5 ** (max(now - self.raised, 0.0) / HALF_LIFE)
        return left if left >= LEAST_SPACING else 0.0

    def throttled(self, started: float, now: float, hold: float | None) -> None:
        """Record a 429 or 503; several that were sent before the spacing rose count once."""
        if hold is not None:
            self.hold = max(self.hold, now + hold)
        if started > self.raised:
            self.spacing = min(max(2 * self.slow(now), FIRST_SPACING), MOST_SPACING)
            self.raised = now

    def answered(self, started: float, now: float) -> None:
        """Record another answer: the host is up and keeps this pace."""
        self.failures, self.probe = 0.0, NEVER
        if self.spacing and started > self.raised:
            self.spacing *= RELIEF
            if self.slow(now) == 0:
                self.spacing = 0.0

    def down(self, now: float) -> bool:
        """Return whether the host is down."""
        return self.probe != NEVER and now < self.probe + STALE

    def was_there(self, now: float) -> bool:
        """Return whether the host has answered another process."""
        return now - self.known < STALE

    def ask_now(self, now: float) -> None:
        """Record that a probe was given up before it had a result."""
        if self.probe != NEVER:
            self.probe = now

    def failed(self, now: float, *, sent: bool, heard: bool, probing: bool) -> bool:
        """Record a failed request; return whether the host is down from now on (`heard`: it has answered before)."""
        if heard:
            self.known = now
        if self.down(now):
            if probing:  # other failures are of older requests
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
