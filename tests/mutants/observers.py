"""Observers that break one promise each."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer


class Good(Observer):
    """Counts what it sees."""

    name = "good"
    summary = "Counts what it sees"

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.seen: list[EventKind] = []

    def on_event(self, event: Event) -> None:
        self.seen.append(event.kind)


class StumblesOverRetries(Good):
    """Does not expect a retry."""

    def on_event(self, event: Event) -> None:
        if event.kind is EventKind.RESOURCE_RETRY:
            raise LookupError("a retry")


class ExpectsTheOrder(Good):
    """Counts on a plan before the first item."""

    def on_event(self, event: Event) -> None:
        if event.kind is EventKind.RUN_PLANNED:
            self.left = event.data["to_do"]
        elif event.kind is EventKind.ITEM_FINISHED:
            self.left -= 1


class KnowsAllKinds(Good):
    """Looks every kind up in a table of its own."""

    table = {kind: kind.name for kind in EventKind}

    def on_event(self, event: Event) -> None:
        self.last = self.table[event.kind]


class WritesAscii(Good):
    """Takes all texts for ASCII."""

    def on_event(self, event: Event) -> None:
        str(event.data.get("title", "")).encode("ascii")


class ChangesEvents(Good):
    """Takes out of an event what it has shown."""

    def on_event(self, event: Event) -> None:
        event.data.pop("bytes", None)  # type: ignore[attr-defined]  # that is the mistake


class IsBoundToItsThread(Good):
    """Works in the thread alone that made it."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.mine = threading.get_ident()

    def on_event(self, event: Event) -> None:
        if threading.get_ident() != self.mine:
            raise RuntimeError("another thread")


class WaitsForTheEnd(Good):
    """Cannot be closed before it has seen the end."""

    def close(self) -> None:
        if self.seen and EventKind.RUN_FINISHED not in self.seen:
            raise RuntimeError("no end")


class FailsInARun(Good):
    """Fails where its target directory is in use."""

    def on_event(self, event: Event) -> None:
        if (self.context.directory / ".argosy").exists():
            raise LookupError("a run")
