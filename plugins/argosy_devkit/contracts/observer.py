"""The contract of observers as a test suite.

Subclass it in your tests, and run pytest::

    from argosy_devkit.contracts.observer import ObserverContract

    class TestMyObserver(ObserverContract):
        plugin = MyObserver

        def options(self, tmp_path):
            return {"path": "done.txt"}
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from argosy import Report
from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer
from argosy_devkit.client import ServerFactory
from argosy_devkit.contracts.plugin_suite import PluginRules, make_plugin
from argosy_devkit.contracts.promises import documented_at
from argosy_devkit.contracts.waiting import Thread
from argosy_devkit.fault import Fault

_EVENTS = "argosy.events.EventKind (docs/how-to/watch-a-run.md)"

#: Texts that titles, ids and messages may contain.
ODD_TEXTS = ("", "two\nlines", "\x1b[31mred\x07", "\udc80 half a character", "книга \U0001f4d6", "x" * 5000)


class _LaterKind(StrEnum):
    """An event of a later version of argosy."""

    ITEM_ADMIRED = "item.admired"


class ObserverContract(PluginRules):
    """Each test is one promise of `argosy.interfaces.Observer`."""

    plugin: ClassVar[type[Observer]]
    documented = "argosy.Observer.on_event (docs/plugins/contracts.md)"

    @pytest.fixture
    def observer(self, given: Mapping[str, Any], context: PluginContext) -> Any:
        """Create the observer."""
        observer = make_plugin(self.plugin, given, context)
        yield observer
        observer.close()

    @pytest.fixture
    def story(self, library_server: ServerFactory, tmp_path: Path) -> list[Event]:
        """Return the events of a real run, including a retry and a failed item."""
        import argosy

        faults = (Fault("status", times=1, path="again"), Fault("bad_length", path="never"))
        server = library_server(lease_mode="open", faults=faults)
        urls = [server.url_for(f"/files/{name}.bin?size=3000") for name in ("first", "again", "never", "last")]
        events: list[Event] = []
        argosy.download(
            {
                "source": {"use": "urls", "urls": urls},
                "directory": str(tmp_path / "story"),
                "retry_delay": 0.001,
                "max_retries": 1,
            },
            on_event=events.append,
        )
        return events

    def test_it_sees_a_run(self, observer: Observer, story: list[Event]) -> None:
        """It accepts every event of a run."""
        kinds = {event.kind for event in story}
        assert {EventKind.RUN_FINISHED, EventKind.ITEM_FINISHED} <= kinds
        for event in story:
            observer.on_event(event)

    @documented_at(_EVENTS)
    def test_it_takes_every_kind_of_event(self, observer: Observer, story: list[Event]) -> None:
        """It accepts every kind of event in any order: a run may stop, fail early, or have nothing to do."""
        for event in [*reversed(story), *every_kind()]:
            observer.on_event(event)

    @documented_at("docs/plugins/stability.md")
    def test_it_passes_over_what_it_does_not_know(self, observer: Observer, story: list[Event]) -> None:
        """It ignores unknown kinds of events and unknown keys in their data: later versions add some."""
        observer.on_event(Event(cast("EventKind", _LaterKind.ITEM_ADMIRED), 0.0, "b1", {"by": "Ada"}))
        for event in story:
            observer.on_event(Event(event.kind, event.at, event.item, {**event.data, "added_later": [1]}))

    @documented_at(_EVENTS)
    def test_it_takes_any_text(self, observer: Observer) -> None:
        """Ids, titles and messages come from services and files: it can show any text."""
        for text in ODD_TEXTS:
            for event in every_kind(text):
                observer.on_event(event)

    def test_it_leaves_events_as_they_are(self, observer: Observer, story: list[Event]) -> None:
        """It does not change events, because other observers get the same ones."""
        before = copy.deepcopy(story)
        for event in story:
            observer.on_event(event)
        assert story == before, "it changed the data of an event"

    def test_events_come_in_any_thread(self, observer: Observer, story: list[Event]) -> None:
        """Events come one at a time, but from any thread."""
        for event in story:
            Thread(partial(observer.on_event, event)).result()

    def test_it_can_be_closed_in_the_middle(
        self, given: Mapping[str, Any], context: PluginContext, story: list[Event]
    ) -> None:
        """A run may end at any time: close() never raises."""
        for seen in (story[:1], story[: len(story) // 2], story):
            observer = self.plugin(given, context)
            for event in seen:
                observer.on_event(event)
            observer.close()

    def test_a_run_goes_well_with_it(
        self, library_server: ServerFactory, tmp_path: Path, given: Mapping[str, Any]
    ) -> None:
        """It never fails in a real run: no notice of the run says so."""
        server = library_server(lease_mode="open")
        urls = [server.url_for(f"/files/{number}.bin?size=3000") for number in range(5)]
        report = self.run(tmp_path, given, source={"use": "urls", "urls": urls}, max_workers=3)
        assert report.counts.done == 5
        assert not _complaints(report, self.plugin.name), _complaints(report, self.plugin.name)


def every_kind(text: str = "text") -> list[Event]:
    """Return one event of each kind with all its data, in the order of a run."""
    data: Mapping[EventKind, Mapping[str, Any]] = {
        EventKind.RUN_STARTED: {
            "directory": text,
            "strategy": "threads",
            "max_workers": 4,
            "lease": "auto",
            "sessions": 1,
        },
        EventKind.RUN_PLANNED: {"items": 3, "to_do": 2, "done": 1, "bytes": 0},
        EventKind.RUN_NOTICE: {"message": text},
        EventKind.LOGIN: {"number": 1, "reason": text},
        EventKind.REFRESH: {"number": 1, "reason": text},
        EventKind.REFUSAL: {},
        EventKind.ITEM_STARTED: {"title": text, "resources": 1},
        EventKind.RESOURCE_WAITING: {"for": "lease"},
        EventKind.RESOURCE_ANSWERED: {"url": text, "status": 200, "sent": 1754000000.0, "answered": 1754000000.1},
        EventKind.RESOURCE_STARTED: {"url": text, "path": text, "size": None, "offset": 0},
        EventKind.RESOURCE_PROGRESS: {"bytes": 100},
        EventKind.RESOURCE_RETRY: {"url": text, "attempt": 1, "cause": text, "kind": "status", "seconds": 0.5},
        EventKind.RESOURCE_FINISHED: {"url": text, "path": text, "bytes": 100, "verification": "verified"},
        EventKind.ITEM_FINISHED: {
            "state": "failed",
            "bytes": 100,
            "seconds": 0.5,
            "files": 0,
            "failure": text,
            "kind": "status",
        },
        EventKind.RUN_STOPPING: {"message": text},
    }
    return [
        Event(
            kind,
            1754000000.0 + number,
            text if "." in kind and kind.startswith(("item", "res")) else None,
            found,
        )
        for number, (kind, found) in enumerate(data.items())
    ]


def _complaints(report: Report, name: str) -> list[str]:
    return [notice for notice in report.notices if f"observer {name!r} failed" in notice]
