"""Reads the events of a run from a file of the observer ``json-lines``."""

from __future__ import annotations

import json
from pathlib import Path

from argosy.errors import SourceError
from argosy.events import Event, EventKind
from argosy_report.timeline import Timeline


def read_events(path: Path) -> Timeline:
    """Return the timeline of the events in a file; raise SourceError if a line is not an event."""
    timeline = Timeline()
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            try:
                value = json.loads(line)
                event = Event(EventKind(value["kind"]), float(value["at"]), value["item"], dict(value["data"]))
            except (ValueError, LookupError, TypeError):
                hint = "Write one with: argosy download CONFIG --events FILE"
                raise SourceError(f"{path}:{number} is not an event of a run.", hint=hint) from None
            timeline.take(event)
    if timeline.start is None:
        raise SourceError(f"{path} has no events.", hint="Write some with: argosy download CONFIG --events FILE")
    return timeline
