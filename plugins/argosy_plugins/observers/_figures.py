"""What the observer `prometheus` counts, by the events of a run; without the library that shows it."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from argosy.events import Event, EventKind
from argosy.toolkit.hosts import host_key

#: Different values of a label to keep; more would burden the database of the metrics. The others become `OTHER`.
MOST_VALUES = 50

OTHER = "other"

#: Characters of a label's value to keep.
LONGEST = 200

#: The upper bounds of durations in seconds, from a fast request to a long body.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Histogram:
    """Counts durations by `BOUNDS`."""

    def __init__(self) -> None:
        self.sum = 0.0
        self._counts = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count a duration; a negative one, of a clock that was set back, counts as 0."""
        seconds = max(seconds, 0.0)
        self.sum += seconds
        self._counts[bisect.bisect_left(BOUNDS, seconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        """Return how many durations are at most as long as each bound."""
        names = [*map(str, BOUNDS), "+Inf"]
        return [(name, float(count)) for name, count in zip(names, accumulate(self._counts), strict=True)]


class Labels:
    """The values of one label, of which there are at most `MOST_VALUES`."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def get(self, value: object) -> str:
        """Return the value to count under."""
        text = str(value)[:LONGEST].encode("utf-8", "backslashreplace").decode("utf-8") or OTHER
        if text not in self._known:
            if len(self._known) >= MOST_VALUES:
                return OTHER
            self._known.add(text)
        return text


@dataclass(slots=True)
class _Active:
    """An active item."""

    lease_since: float | None = None  # when its request began to wait for the session
    body_since: float | None = None  # when its body began


@dataclass
class Figures:
    """The figures of one run."""

    info: dict[str, str] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    succeeded: bool | None = None  # None before the end
    last_success: float | None = None  # also of an earlier run
    planned: dict[str, float] = field(default_factory=dict)
    max_workers: int = 0
    items: Counter[tuple[str, str]] = field(default_factory=Counter)  # by state and cause
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)  # by host and class of status
    retries: Counter[str] = field(default_factory=Counter)  # by cause
    outages: Counter[str] = field(default_factory=Counter)  # by host
    down: set[str] = field(default_factory=set)  # hosts
    bytes: int = 0
    logins: int = 0
    refreshes: int = 0
    refusals: int = 0
    notices: int = 0
    request: Histogram = field(default_factory=Histogram)  # from the request to the headers
    lease: Histogram = field(default_factory=Histogram)  # waits for the session
    body: Histogram = field(default_factory=Histogram)  # from the headers to the verified file
    _active: dict[str, _Active] = field(default_factory=dict)  # by item
    _early: set[str] = field(default_factory=set)  # items whose start, in another process, is heard of after their end
    _hosts: Labels = field(default_factory=Labels)
    _causes: Labels = field(default_factory=Labels)

    @property
    def active(self) -> int:
        """How many workers have an item; one that is being recorded needs none."""
        return min(len(self._active), self.max_workers or len(self._active))

    def take(self, event: Event) -> None:
        """Take an event."""
        if event.item is None:
            self._take_run(event.kind, event.data, event.at)
        else:
            self._take_item(event.kind, event.item, event.data, event.at)

    def _take_run(self, kind: EventKind, data: Mapping[str, Any], now: float) -> None:
        match kind:
            case EventKind.RUN_STARTED:
                self.started, self.max_workers = now, data.get("max_workers") or 0
                names = ("strategy", "lease")
                self.info = {name: Labels().get(data.get(name, "")) for name in names}
            case EventKind.RUN_PLANNED:
                self.planned = {name: data.get(name) or 0 for name in ("items", "to_do", "done")}
            case EventKind.RUN_FINISHED:
                self._finish(data, now)
            case EventKind.RUN_NOTICE:
                self.notices += 1
            case EventKind.LOGIN:
                self.logins += 1
            case EventKind.REFRESH:
                self.refreshes += 1
            case EventKind.REFUSAL:
                self.refusals += 1

    def _finish(self, data: Mapping[str, Any], now: float) -> None:
        self._active.clear()
        self.ended = now
        self.succeeded = data.get("exit_code") == 0 and not (data.get("counts") or {}).get("left")
        if self.succeeded:
            self.last_success = now

    def _take_item(self, kind: EventKind, id_: str, data: Mapping[str, Any], now: float) -> None:
        active = self._active.get(id_) or _Active()  # the events of an item that did not start are not kept
        match kind:
            case EventKind.ITEM_STARTED if id_ in self._early:
                self._early.remove(id_)
            case EventKind.ITEM_STARTED:
                self._active[id_] = active
            case EventKind.ITEM_FINISHED:
                if self._active.pop(id_, None) is None:
                    self._early.add(id_)
                cause = self._causes.get(data.get("kind") or OTHER) if data.get("failure") else ""
                self.items[str(data.get("state")), cause] += 1
            case EventKind.RESOURCE_WAITING:
                self._wait(active, data, now)
            case EventKind.RESOURCE_ANSWERED:
                self._answer(active, data, now)
            case EventKind.RESOURCE_STARTED:
                active.body_since = now
            case EventKind.RESOURCE_PROGRESS:
                self.bytes += data.get("bytes") or 0
            case EventKind.RESOURCE_RETRY:
                self.retries[self._causes.get(data.get("kind") or OTHER)] += 1
                active.lease_since = active.body_since = None
            case EventKind.RESOURCE_FINISHED if active.body_since is not None:
                self.body.add(now - active.body_since)
                active.body_since = None

    def _wait(self, active: _Active, data: Mapping[str, Any], now: float) -> None:
        what = data.get("for")
        if what == "lease":
            active.lease_since = now if active.lease_since is None else active.lease_since
        elif active.lease_since is not None:  # it waits for something else now
            self.lease.add(now - active.lease_since)
            active.lease_since = None
        if data.get("why") == "down" and (host := self._hosts.get(data.get("host"))) not in self.down:
            self.down.add(host)
            self.outages[host] += 1

    def _answer(self, active: _Active, data: Mapping[str, Any], now: float) -> None:
        host = self._hosts.get(host_key(str(data.get("url"))))
        self.requests[host, _status_class(data.get("status"))] += 1
        self.down.discard(host)
        sent, answered = data.get("sent"), data.get("answered")
        if sent and answered:
            self.request.add(answered - sent)
        if active.lease_since is not None:
            self.lease.add((sent or now) - active.lease_since)
            active.lease_since = None


def _status_class(status: object) -> str:
    return f"{status // 100}xx" if isinstance(status, int) and 100 <= status <= 599 else OTHER
