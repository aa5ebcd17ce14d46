"""How far a run is, according to its events; without rich, which draws it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy.events import Event, EventKind
from argosy.models.items import State
from argosy.toolkit.text import one_line, time_text

#: Characters of a title to keep: more than any terminal is wide.
LONGEST_TITLE = 300

#: Seconds over which a speed is measured, and between two points of the measurement.
WINDOW, STEP = 5.0, 0.25

#: Seconds without a byte that still count as work, as a slow service needs time for each response. A longer break is an
#: outage, which says nothing about the time left, or the configured delay between requests, which does.
BREAK = 30.0

#: Seconds of work over which the speed is measured that the time left follows from.
HORIZON = 60.0

_WAITS = {
    "lease": "waiting for the session",
    "delay": "waiting (download delay)",
    "retry": "waiting to try again",
    "login": "logging in",
    "doubt": "waiting (session in doubt)",
}


def wait_text(data: Mapping[str, Any]) -> str:
    """Return what a ``resource.waiting`` waits for, without the seconds."""
    reason, host = str(data.get("for")), data.get("host")
    if reason == "login" and host:
        return f"logging in at {host}"
    match data.get("why"):
        case "down":
            since = f" for {time_text(data['since'])}" if data.get("since") else ""
            return f"{host} is down{since}"
        case "throttled":
            return f"{host} limits the rate"
        case _:
            return _WAITS.get(reason) or f"waiting ({reason})"


class Speed:
    """Measures a speed over the last seconds."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._points: deque[tuple[float, int]] = deque()

    def measure(self, now: float, total: int) -> float:
        """Take the total at a time in seconds, and return the units per second; 0 until it is known."""
        points = self._points
        if not points or now - points[-1][0] >= STEP:
            points.append((now, total))
        while len(points) > 1 and now - points[1][0] >= self._window:
            points.popleft()
        then, before = points[0]
        return (total - before) / (now - then) if now - then >= STEP else 0.0


@dataclass(slots=True)
class ItemProgress:
    """One active item."""

    title: str
    resources: int
    finished: int = 0  # resources
    finished_bytes: int = 0
    bytes: int = 0  # of the current resource
    size: int | None = None
    received: int = 0
    waits: str = ""  # what it waits for
    is_delayed: bool = False  # whether that is politeness
    until: float | None = None  # when the wait ends
    speed: Speed = field(default_factory=Speed)

    @property
    def fraction(self) -> float:
        """How much is done, from 0 to 1."""
        part = min(self.bytes / self.size, 1.0) if self.size else 0.0
        return min((self.finished + part) / max(self.resources, 1), 1.0)

    @property
    def total(self) -> int | None:
        """The bytes of all resources; None if a size is not known."""
        if self.finished >= max(self.resources, 1):
            return self.finished_bytes
        is_last = self.finished + 1 >= self.resources
        return self.finished_bytes + self.size if is_last and self.size is not None else None

    def take(self, kind: EventKind, data: Mapping[str, Any], now: float) -> None:
        """Take an event of the item."""
        match kind:
            case EventKind.RESOURCE_PROGRESS:
                self.bytes += data.get("bytes", 0)
                self.received += data.get("bytes", 0)
                self.waits, self.is_delayed = "", False
            case EventKind.RESOURCE_STARTED:
                self.bytes, self.size, self.waits = data.get("offset") or 0, data.get("size"), ""
            case EventKind.RESOURCE_FINISHED:
                self.finished_bytes += data.get("bytes") or self.bytes
                self.bytes, self.size, self.waits = 0, None, ""
                self.finished += 1
            case EventKind.RESOURCE_RETRY:
                self.bytes = 0  # `resource.started` says how much is kept
                self._wait(f"retry {data.get('attempt')}: {data.get('cause')}", data, now)
            case EventKind.RESOURCE_WAITING:
                self.is_delayed = data.get("for") == "delay" and "why" not in data
                self._wait(wait_text(data), data, now)

    def _wait(self, reason: str, data: Mapping[str, Any], now: float) -> None:
        self.waits = one_line(reason, LONGEST_TITLE)
        self.until = now + data["seconds"] if data.get("seconds") is not None else None


class RunProgress:
    """Follows a run; times are seconds on the monotonic clock."""

    def __init__(self) -> None:
        self.is_shown = False  # whether there is something to show: a list that is read, or an item
        self.started: float | None = None  # when the first item started
        self.active: dict[str, ItemProgress] = {}
        self.done = self.failed = 0
        self.listed: int | None = None  # items that the source has yielded so far, while it is read
        self.to_do: int | None = None
        self.promised = 0  # bytes that the source announced; 0 if none
        self._finished_bytes = self._received = 0
        self._worked, self._last = 0.0, 0.0  # seconds of work, and when the last byte or item came
        self._flowed = 0.0  # seconds of work without any break
        self._speed, self._pace = Speed(), Speed(HORIZON)
        self._pace.measure(0.0, 0)

    def take(self, event: Event, now: float) -> None:
        """Take an event."""
        kind, data, id_ = event.kind, event.data, event.item
        if kind is EventKind.RUN_PLANNED:
            self.to_do, self.promised, self.listed = data.get("to_do"), data.get("bytes") or 0, None
        elif kind is EventKind.RUN_LISTING:
            self.is_shown, self.listed = True, data.get("items")
        elif id_ is None:
            return
        elif kind is EventKind.ITEM_STARTED:
            self.is_shown = True
            if self.started is None:
                self.started = self._last = now
            title = one_line(str(data.get("title") or id_), LONGEST_TITLE)
            self.active[id_] = ItemProgress(title, data.get("resources") or 0)
        elif kind is EventKind.ITEM_FINISHED:
            self._work(now)
            item = self.active.pop(id_, None)
            self.done += data.get("state") == State.DONE
            self.failed += data.get("state") == State.FAILED
            if data.get("state") != State.REQUEUED:  # else it starts again
                self._finished_bytes += item.finished_bytes + item.bytes if item else data.get("bytes") or 0
        else:
            if kind is EventKind.RESOURCE_PROGRESS:
                self._received += data.get("bytes", 0)
                self._work(now)
            if id_ in self.active:
                self.active[id_].take(kind, data, now)

    @property
    def bytes(self) -> int:
        """The bytes on disk."""
        return self._finished_bytes + sum(item.finished_bytes + item.bytes for item in self.active.values())

    @property
    def total(self) -> int | None:
        """The bytes of the run, by the source, or by the service once all items have started; None if not known.

        More bytes than the source announced mean that it knows the size of some items only.
        """
        if self.promised and self.promised >= self.bytes:
            return self.promised
        totals = [item.total for item in self.active.values()]
        if self.to_do is None or self.done + self.failed + len(totals) < self.to_do or None in totals:
            return None
        return self._finished_bytes + sum(total or 0 for total in totals)

    @property
    def fraction(self) -> float:
        """How much of the run is done, from 0 to 1: by bytes if their number is known, else by items."""
        if total := self.total:
            return min(self.bytes / total, 1.0)
        done = self.done + self.failed + sum(item.fraction for item in self.active.values())
        return min(done / self.to_do, 1.0) if self.to_do else 0.0

    def speed(self, now: float) -> float:
        """Return the bytes per second."""
        return self._speed.measure(now, self._received)

    def seconds_left(self, now: float, speed: float) -> float | None:
        """Return an estimate, or None; `speed` is that of the first moments. It does not grow while nothing arrives."""
        if total := self.total:
            speed = self._pace.measure(self._flowed, self._received) or speed
            return max(total - self.bytes, 0) / speed if speed > 0 else None
        done = self.fraction
        return (1 - done) * self._worked / done if done and self._worked else None

    def _work(self, now: float) -> None:
        is_polite = any(item.is_delayed for item in self.active.values())
        seconds = max(now - self._last, 0.0)
        self._worked += min(seconds, BREAK)
        self._flowed += seconds if seconds <= BREAK or is_polite else 0.0
        self._pace.measure(self._flowed, self._received)
        self._last = now
