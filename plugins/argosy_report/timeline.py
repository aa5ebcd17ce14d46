"""What happened when in a run, by its events: items in lanes, requests, throughput, and marks."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from argosy.events import Event, EventKind

#: Items and requests to keep; of a larger run, the page has the throughput, the sums, and the items up to then.
MOST = 100_000

#: Marks to keep of each kind, such as retries.
MOST_MARKS = 1000

#: Points of the throughput: if there are more, each becomes twice as long.
MOST_POINTS = 600

#: The length of a point at first, in seconds.
POINT = 0.05

#: Seconds between an event and the last one before it that only a clock set back explains.
CLOCK_SET_BACK = 5.0

#: Characters of a title, a URL or a message to keep.
LONGEST = 300


class Series:
    """A value over time, in at most `MOST_POINTS` points of equal length."""

    def __init__(self) -> None:
        self.step = POINT
        self.values: list[float] = []

    def add(self, at: float, value: float) -> None:
        """Add a value at a time in seconds since the start."""
        self._reach(at)
        self.values[self._index(at)] += value

    def _index(self, at: float) -> int:
        return min(int(max(at, 0.0) / self.step), len(self.values) - 1)

    def _reach(self, at: float) -> None:
        while int(max(at, 0.0) / self.step) >= MOST_POINTS:
            self.step *= 2
            self.values = [sum(self.values[n : n + 2]) for n in range(0, len(self.values), 2)]
        self.values += [0.0] * (int(max(at, 0.0) / self.step) + 1 - len(self.values))


class Timeline:
    """Collects the events of one run; times are in milliseconds since its start."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}  # of the start
        self.summary: dict[str, Any] = {}  # of the end
        self.start: float | None = None  # seconds since the epoch
        self.end = 0.0  # seconds since the start
        #: Of each item: id, title, lane, start, end, bytes, state (done, failed, left), message.
        self.items: list[list[Any]] = []
        #: Of each request: item, when it got the token, when the headers were in, when the body was, bytes, path.
        self.requests: list[list[Any]] = []
        self.marks: list[tuple[int, str, str]] = []  # when, kind, text
        self.received = Series()
        self.left_out = 0  # items
        self.lanes = 0
        self._free: list[int] = []
        self._open: dict[str, list[Any]] = {}  # items by id
        self._request: dict[str, list[Any]] = {}  # the open request of an item
        self._active_at: dict[str, float] = {}  # the last event of an item
        self._counted: dict[str, int] = {}  # bytes of an open request that are in the throughput
        self._marked: dict[str, int] = {}

    def take(self, event: Event) -> None:
        """Take an event."""
        if self.start is None:
            self.start = event.at
        if event.at - self.start < self.end - CLOCK_SET_BACK:
            self.start = event.at - self.end  # go on from there
        now = max(event.at - self.start, 0.0)
        self.end = max(self.end, now)
        if event.item is not None:
            self._active_at[event.item] = now
        if event.item is None:
            self._take_run(event.kind, event.data, now)
        else:
            self._take_item(event.kind, event.item, event.data, now)

    def _take_run(self, kind: EventKind, data: Mapping[str, Any], now: float) -> None:
        match kind:
            case EventKind.RUN_STARTED:
                self.facts = dict(data)
            case EventKind.RUN_FINISHED:
                self.summary = dict(data)
            case EventKind.LOGIN:
                self._mark(now, "login", str(data.get("reason")))
            case EventKind.REFRESH:
                self._mark(now, "refresh", str(data.get("reason")))
            case EventKind.RUN_NOTICE | EventKind.RUN_STOPPING:
                message = str(data.get("message"))
                is_outage = " is down: " in message or message.endswith(" answers again.")
                self._mark(now, "outage" if is_outage else "notice", message)

    def _take_item(self, kind: EventKind, id_: str, data: Mapping[str, Any], now: float) -> None:
        match kind:
            case EventKind.ITEM_STARTED:
                self._start(id_, str(data.get("title") or id_), now)
            case EventKind.ITEM_FINISHED:
                self._finish(id_, data, now)
            case EventKind.RESOURCE_STARTED:
                self._headers_are_in(id_, data, now)
            case EventKind.RESOURCE_PROGRESS:
                size = data.get("bytes", 0)
                self.received.add(now, size)
                self._counted[id_] = self._counted.get(id_, 0) + size
            case EventKind.RESOURCE_FINISHED:
                self._body_is_in(id_, data.get("bytes") or 0, now)
            case EventKind.RESOURCE_RETRY:
                cause = str(data.get("cause"))
                kind_ = "throttled" if " 429" in cause else "retry"
                self._mark(now, kind_, f"{id_}: {cause}")
                self._body_is_in(id_, None, now)

    def _start(self, id_: str, title: str, now: float) -> None:
        lane = self._free_lane(now)
        self.lanes = max(self.lanes, lane + 1)
        item = [id_[:LONGEST], title[:LONGEST], lane, _ms(now), None, 0, "left", ""]
        self._open[id_] = item
        if len(self.items) < MOST:
            self.items.append(item)
        else:
            self.left_out += 1

    def _finish(self, id_: str, data: Mapping[str, Any], now: float) -> None:
        self._body_is_in(id_, None, now)
        self._counted.pop(id_, None)
        self._active_at.pop(id_, None)
        item = self._open.pop(id_, None)
        if item is None:
            return
        if item[4] is None:  # else its worker has begun another item before this one was recorded
            heapq.heappush(self._free, item[2])
            item[4] = _ms(now)
        state = str(data.get("state"))
        message = str(data.get("failure") or "")[:LONGEST]
        item[5:] = [data.get("bytes") or 0, state if state in ("done", "failed") else "left", message]

    def _free_lane(self, now: float) -> int:
        """Return the lane of a worker that begins an item; if all seem busy, that of the longest idle one."""
        if self._free:
            return heapq.heappop(self._free)
        idle = [id_ for id_, item in self._open.items() if item[4] is None and id_ not in self._request]
        if not idle or self.lanes < self.facts.get("max_workers", self.lanes + 1):
            return self.lanes
        item = self._open[min(idle, key=lambda id_: self._active_at.get(id_, 0.0))]
        item[4] = _ms(now)
        lane: int = item[2]
        return lane

    def _headers_are_in(self, id_: str, data: Mapping[str, Any], now: float) -> None:
        item = self._open.get(id_)
        self._counted[id_] = 0
        if item is None or len(self.requests) >= MOST:
            return
        sent, answered = (self._since_start(data.get(name), now) for name in ("sent", "answered"))
        request = [item, _ms(sent), _ms(max(sent, answered)), None, 0, str(data.get("path") or "")[:LONGEST]]
        self._request[id_] = request
        self.requests.append(request)

    def _since_start(self, at: Any, now: float) -> float:
        return now if at is None or self.start is None else min(max(float(at) - self.start, 0.0), now)

    def _body_is_in(self, id_: str, size: int | None, now: float) -> None:
        counted = self._counted.get(id_, 0)
        if size is not None and size > counted:
            self.received.add(now, size - counted)
        self._counted[id_] = 0
        request = self._request.pop(id_, None)
        if request is not None:
            request[3:5] = [_ms(now), counted if size is None else size]

    def _mark(self, now: float, kind: str, text: str) -> None:
        self._marked[kind] = self._marked.get(kind, 0) + 1
        if self._marked[kind] <= MOST_MARKS:
            self.marks.append((_ms(now), kind, text[:LONGEST]))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, columns instead of rows."""
        number = {id(item): n for n, item in enumerate(self.items)}
        known = [request for request in self.requests if id(request[0]) in number]
        end = _ms(self.end)
        return {
            "end": end,
            "lanes": self.lanes,
            "left_out": self.left_out,
            "items": {
                name: [end if name == "end" and item[place] is None else item[place] for item in self.items]
                for place, name in enumerate(("id", "title", "lane", "start", "end", "bytes", "state", "message"))
            },
            "requests": {
                "item": [number[id(request[0])] for request in known],
                **{
                    name: [end if name == "end" and request[place] is None else request[place] for request in known]
                    for place, name in ((1, "sent"), (2, "headers"), (3, "end"), (4, "bytes"), (5, "path"))
                },
            },
            "marks": self.marks,
            "step": self.received.step * 1000,
            "received": [round(value) for value in self.received.values],
        }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
