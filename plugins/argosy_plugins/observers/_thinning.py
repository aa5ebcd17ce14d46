"""Fewer progress events, with nothing of them lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from argosy.events import Event, EventKind

#: Seconds between two progress events of one item.
INTERVAL = 0.5

#: Items that are remembered; above it, everything held back is let go, so that memory stays flat.
MOST_ITEMS = 4096


@dataclass(slots=True)
class _Held:
    """What is held back of one item: since when, up to when, how much."""

    passed: float
    latest: float
    bytes: int = 0


class Thinning:
    """Adds up ``resource.progress`` events, so that each item has at most one in `INTERVAL` seconds."""

    def __init__(self) -> None:
        self._held: dict[str | None, _Held] = {}

    def due(self, event: Event) -> Iterator[Event]:
        """Take an event, and yield those that are to be written now."""
        if event.kind is EventKind.RESOURCE_PROGRESS:
            yield from self._progress(event)
            return
        if event.kind is EventKind.ITEM_FINISHED:
            yield from self._let_go(event.item)
        elif event.kind is EventKind.RUN_FINISHED:
            yield from self.rest()
        yield event

    def rest(self) -> Iterator[Event]:
        """Yield everything that is held back."""
        for item in list(self._held):
            yield from self._let_go(item)

    def _progress(self, event: Event) -> Iterator[Event]:
        held = self._held.get(event.item)
        if held is None:
            if len(self._held) >= MOST_ITEMS:
                yield from self.rest()
            self._held[event.item] = _Held(event.at, event.at)
            yield event
            return
        held.bytes += event.data.get("bytes", 0)
        held.latest = event.at
        if not 0 <= event.at - held.passed < INTERVAL:  # below 0, somebody set the clock back
            yield _progress(event.item, held)
            held.passed, held.bytes = event.at, 0

    def _let_go(self, item: str | None) -> Iterator[Event]:
        held = self._held.pop(item, None)
        if held is not None and held.bytes:
            yield _progress(item, held)


def _progress(item: str | None, held: _Held) -> Event:
    return Event(EventKind.RESOURCE_PROGRESS, held.latest, item, {"bytes": held.bytes})
