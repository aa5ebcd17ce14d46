"""The observer for programs: every event as a line of JSON."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import argosy
from argosy.errors import StorageError
from argosy.events import Event
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer
from argosy.toolkit.files import open_special
from argosy_plugins.observers._thinning import Thinning


class JsonLinesObserver(Observer):
    """Writes one object a line with the keys ``kind``, ``at``, ``item`` and ``data``, each as it happens.

    The keys of ``data`` stand behind each `argosy.events.EventKind`. ``resource.progress`` comes at most twice
    a second for each item, with the bytes since the last such line; what is left is written before the item's
    ``item.finished``. Only whole lines are written, in UTF-8; on standard output whatever is not ASCII is
    escaped. A file is emptied by the first event of a run, and has the mode the umask gives it. A reader that
    goes away ends this observer, and nothing else.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """

    name = "json-lines"
    summary = "Every event as a line of JSON"
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "default": "-",
                "description": "The file, which is emptied when a run starts; - for standard output. A link is followed, "
                "and a pipe or a device is written to.",
            }
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        path = options.get("path", "-")
        self._path = None if path == "-" else context.path(path)
        self._stream: TextIO | None = None
        self._ended = False
        self._thinning = Thinning()
        if self._path is not None:
            self._check()

    def on_event(self, event: Event) -> None:
        """Write the event, or keep its bytes for a later line."""
        for due in self._thinning.due(event):
            self._write(due)

    def close(self) -> None:
        """Write what is left, and close the file."""
        try:
            if self._stream is not None:
                for due in self._thinning.rest():
                    self._write(due)
        finally:
            self._end()

    def _check(self) -> None:
        """Raise where the file can be seen not to be writable, before the run has begun; touch nothing."""
        path = self._path
        if path is None:
            return
        if path.is_dir():
            reason = "it is a folder"
        elif not path.parent.is_dir():
            reason = "its folder does not exist"
        elif not os.access(path if path.exists() else path.parent, os.W_OK):
            reason = "writing there is not allowed"
        else:
            return
        raise StorageError(
            f"The events cannot be written to {path}: {reason}. Nothing was started.",
            hint="Give another path, or - for standard output.",
        )

    def _write(self, event: Event) -> None:
        if self._ended:
            return
        value = {"kind": event.kind.value, "at": event.at, "item": event.item, "data": dict(event.data)}
        # whole lines only, so that nothing of a line waits in a buffer when the reader goes away
        line = json.dumps(value, ensure_ascii=self._path is None, default=str) + "\n"
        try:
            stream = self._stream = self._stream or self._open()
            stream.write(line)
            stream.flush()
        except BrokenPipeError:
            self._end()
        except OSError as error:
            self._end()
            raise StorageError(
                f"The events cannot be written to {self._path or 'standard output'}: {error.strerror or error}."
            ) from error

    def _open(self) -> TextIO:
        if self._path is None:
            return sys.stdout
        # a lone surrogate becomes \udcXX, which is what JSON calls it too
        special = open_special(self._path)
        where = self._path if special is None else special
        return open(where, "w", encoding="utf-8", errors="backslashreplace")

    def _end(self) -> None:
        stream, self._stream = self._stream, None
        if self._ended or stream is None:
            self._ended = True
            return
        self._ended = True
        if self._path is not None:
            with contextlib.suppress(OSError):  # every line was flushed, or its failure was told
                stream.close()
            return
        try:
            stream.flush()
        except OSError:
            _let_go(stream)


def _let_go(stream: TextIO) -> None:
    """Point standard output nowhere, so that the interpreter's last flush of it says nothing."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


@argosy.hookimpl
def argosy_observer() -> type[Observer]:
    """Register the observer."""
    return JsonLinesObserver
