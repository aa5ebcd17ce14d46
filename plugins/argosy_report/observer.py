"""The observer ``html-report``: one page about the run, written at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import argosy
from argosy.errors import ConfigError
from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer
from argosy.toolkit.failures import disk_error
from argosy.toolkit.files import atomic_write
from argosy_report.timeline import Timeline


class HtmlReport(Observer):
    """Writes the page when the run ends, also if it fails; an existing page is replaced then."""

    name = "html-report"
    summary = "A page about the run: failures, throughput, and a timeline of the workers"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"path": {"type": "string", "minLength": 1, "description": "The HTML file to write."}},
        "required": ["path"],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._path = context.path(options["path"])
        self._timeline = Timeline()
        self._is_written = False

    def check(self) -> None:
        """Raise if the folder of the page does not exist."""
        if not self._path.parent.is_dir() or self._path.is_dir():
            what = "is a folder" if self._path.is_dir() else "is in a folder that does not exist"
            raise ConfigError(f"The report {self._path} {what}.", hint="Choose another path for it.")

    def on_event(self, event: Event) -> None:
        """Take an event; write the page with the last one."""
        self._timeline.take(event)
        if event.kind is EventKind.RUN_FINISHED:
            self._write()

    def close(self) -> None:
        """Write the page of a run that ended early."""
        if self._timeline.start is not None and not self._is_written:
            self._write()

    def _write(self) -> None:
        self._is_written = True
        write_page(self._timeline, self._path)


def write_page(timeline: Timeline, path: Path) -> None:
    """Write the page of a run to a file; raise `StorageError` if that fails."""
    from argosy_report.page import page

    try:
        with atomic_write(path) as file:
            file.write(page(timeline))
    except OSError as error:
        raise disk_error(path, error) from None


@argosy.hookimpl
def argosy_observer() -> type[Observer]:
    """Register the observer."""
    return HtmlReport
