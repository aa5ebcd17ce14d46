"""What a progress display shows, worked out from the events; it knows nothing of terminals."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from argosy.events import Event, EventKind
from argosy.models.items import State
from argosy.toolkit.text import one_line, size_text, time_text

#: Items that are followed at once; above it the oldest is forgotten, so that memory stays flat even where
#: the end of an item never comes.
MOST_ACTIVE = 4096

#: Characters of a title that are kept: more than any terminal is wide.
LONGEST_TITLE = 300

#: Seconds over which a speed is measured.
WINDOW = 5.0

#: Seconds between two points of a measurement.
STEP = 0.25

_WAITS = {
    "lease": "waiting for the session",
    "delay": "waiting (download delay)",
    "retry": "waiting to try again",
    "login": "logging in",
    "doubt": "waiting (session in doubt)",
}


class Meter:
    """Measures a speed over the last `WINDOW` seconds."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def rate(self, now: float, total: int) -> float:
        """Take the total at a time in seconds, and return the units per second; 0 until it is known."""
        points = self._points
        if not points or now - points[-1][0] >= STEP:
            points.append((now, total))
        while len(points) > 1 and now - points[1][0] >= WINDOW:
            points.popleft()
        then, before = points[0]
        return (total - before) / (now - then) if now - then >= STEP else 0.0


@dataclass(slots=True)
class _Active:
    """One item that is being worked on; `whole` and `bytes` count finished files and the current one."""

    title: str
    resources: int
    finished: int = 0
    whole: int = 0
    bytes: int = 0
    size: int | None = None
    received: int = 0
    waits: str = ""
    until: float | None = None
    meter: Meter = field(default_factory=Meter)


@dataclass(frozen=True, slots=True)
class Row:
    """The line of one item: its title, how far it is, how fast, and what it waits for ("" for nothing)."""

    title: str
    amount: str
    speed: str
    waits: str


@dataclass(frozen=True, slots=True)
class View:
    """One look at a run.

    Parameters
    ----------
    done, failed, to_do
        Items; `to_do` is None where it is not known.
    bytes, promised
        Bytes that are there, and that the source promised (0: none).
    speed
        Bytes per second.
    seconds_left
        The estimate, or None.
    rows
        The items that are shown, oldest first.
    more
        Items that are not shown.
    """

    done: int
    failed: int
    to_do: int | None
    bytes: int
    promised: int
    speed: float
    seconds_left: float | None
    rows: tuple[Row, ...]
    more: int

    @property
    def fraction(self) -> float | None:
        """How much of the run is done, from 0 to 1, or None where that is not known.

        It goes by bytes where they are promised. More bytes than that mean that the source promised the size
        of some items only: then it goes by items.
        """
        if self.promised >= self.bytes and self.promised:
            return self.bytes / self.promised
        return min((self.done + self.failed) / self.to_do, 1.0) if self.to_do else None


class Board:
    """Follows a run; `take` is called for each event, `view` for each look.

    Times are seconds on the monotonic clock. Events of items it does not know change the sums alone.
    """

    def __init__(self) -> None:
        self.begun: float | None = None
        self._active: dict[str, _Active] = {}
        self._done = self._failed = self._bytes = self._received = self._promised = 0
        self._to_do: int | None = None
        self._meter = Meter()

    def take(self, event: Event, now: float) -> None:
        """Take an event."""
        kind, data = event.kind, event.data
        if kind is EventKind.RUN_PLANNED:
            self._to_do, self._promised = data.get("to_do"), data.get("bytes") or 0
        elif event.item is None:
            return
        elif kind is EventKind.ITEM_STARTED:
            self._start(event.item, data, now)
        elif kind is EventKind.ITEM_FINISHED:
            self._finish(event.item, data)
        else:
            if kind is EventKind.RESOURCE_PROGRESS:
                self._received += data.get("bytes", 0)
            item = self._active.get(event.item)
            if item is not None:
                _follow(item, kind, data, now)

    def view(self, now: float, most: int) -> View:
        """Return what is to be shown, with at most so many lines for items."""
        shown = most if len(self._active) <= most else max(most - 1, 0)
        done = self._bytes + sum(item.whole + item.bytes for item in self._active.values())
        speed = self._meter.rate(now, self._received)
        return View(
            self._done,
            self._failed,
            self._to_do,
            done,
            self._promised,
            speed,
            self._left(done, speed, now),
            tuple(_row(item, now) for item in islice(self._active.values(), shown)),
            max(len(self._active) - shown, 0),
        )

    def _start(self, id_: str, data: Mapping[str, Any], now: float) -> None:
        self.begun = now if self.begun is None else self.begun
        self._active.pop(id_, None)
        if len(self._active) >= MOST_ACTIVE:
            self._active.pop(next(iter(self._active)))
        title = one_line(str(data.get("title") or id_), LONGEST_TITLE)
        self._active[id_] = _Active(title, data.get("resources") or 0)

    def _finish(self, id_: str, data: Mapping[str, Any]) -> None:
        self._done += data.get("state") == State.DONE
        self._failed += data.get("state") == State.FAILED
        item = self._active.pop(id_, None)
        if data.get("state") == State.REQUEUED:
            return  # it will begin anew
        self._bytes += item.whole + item.bytes if item else data.get("bytes") or 0

    def _left(self, done: int, speed: float, now: float) -> float | None:
        if self._promised > done:
            return (self._promised - done) / speed if speed > 0 else None
        ended = self._done + self._failed
        if not ended or self.begun is None or self._to_do is None:
            return None
        return max(self._to_do - ended, 0) * (now - self.begun) / ended


def _follow(item: _Active, kind: EventKind, data: Mapping[str, Any], now: float) -> None:
    if kind is EventKind.RESOURCE_PROGRESS:
        item.bytes += data.get("bytes", 0)
        item.received += data.get("bytes", 0)
        item.waits = ""
    elif kind is EventKind.RESOURCE_STARTED:
        item.bytes, item.size, item.waits = data.get("offset") or 0, data.get("size"), ""
    elif kind is EventKind.RESOURCE_FINISHED:
        item.whole += data.get("bytes") or item.bytes
        item.bytes, item.size, item.waits = 0, None, ""
        item.finished += 1
    elif kind is EventKind.RESOURCE_RETRY:
        item.bytes = 0  # it begins anew
        seconds = data.get("seconds")
        item.until = None if seconds is None else now + seconds
        item.waits = f"retry {data.get('attempt')}, {one_line(str(data.get('cause')), LONGEST_TITLE)}"
    elif kind is EventKind.RESOURCE_WAITING:
        reason = str(data.get("for"))
        seconds = data.get("seconds")
        item.until = None if seconds is None else now + seconds
        item.waits = _WAITS.get(reason) or one_line(f"waiting ({reason})", LONGEST_TITLE)


def _row(item: _Active, now: float) -> Row:
    speed = item.meter.rate(now, item.received)
    amount = size_text(item.bytes) if item.bytes or item.size is not None else ""
    if item.size:
        amount = f"{amount} of {size_text(item.size)}"
    if item.resources > 1:
        amount = f"{min(item.finished + 1, item.resources)}/{item.resources}  {amount}"
    waits = item.waits
    if waits and item.until is not None and item.until > now:
        waits = f"{time_text(item.until - now)}: {waits}"
    return Row(item.title, amount.strip(), f"{size_text(speed)}/s" if speed > 0 else "", waits)
