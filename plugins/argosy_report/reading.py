"""Reads the events of a run from a file of the observer ``json-lines``."""

from __future__ import annotations

import json
from pathlib import Path

from argosy.errors import SourceError
from argosy.events import Event, EventKind
from argosy_report.timeline import Timeline


def read_events(path: Path) -> Timeline:
    """Return the timeline of the events in a file; raise SourceError if a line is not an event."""
    timeline, hint = Timeline(), "To write events: argosy download CONFIG --events FILE"
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    event = _event(line, f"{path}:{number}", hint)
                except SourceError:
                    if timeline.start is None or line.endswith("\n"):
                        raise
                    break  # the run was killed while it wrote this line
                timeline.take(event)
    except OSError as error:
        raise SourceError(f"Cannot read the events {path}: {error.strerror}.", hint=hint) from None
    if timeline.start is None:
        raise SourceError(f"{path} has no events.", hint=hint)
    return timeline


def _event(line: str, where: str, hint: str) -> Event:
    try:
        value = json.loads(line)
        return Event(EventKind(value["kind"]), float(value["at"]), value["item"], dict(value["data"]))
    except (ValueError, LookupError, TypeError):
        raise SourceError(f"{where} is not an event of a run.", hint=hint) from None
