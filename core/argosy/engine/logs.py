"""The log of the command line: where records go, and how secrets stay out of them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from argosy.errors import StorageError
from argosy.toolkit.redaction import Redactor

#: Packages whose records are logged at the chosen level; others only log warnings.
_PACKAGES = ("argosy", "argosy_plugins", "argosy_epub", "argosy_redis")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How often ``-v`` was given (1 is INFO, 2 is DEBUG), and the absolute path of ``--log-file``, which gets INFO."""

    verbosity: int = 0
    file: Path | None = None


#: The settings of this process; worker processes get a copy.
settings = LogSettings()
_handlers: list[logging.Handler] = []


class _Formatter(logging.Formatter):
    """Redacts the finished text, which covers arguments and tracebacks; one record is one line."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s [%(process)d] %(name)s: %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.scrub(super().format(record)).replace("\n", "\n    ")


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the type checker only
    """Writes to a file or to the current standard error, which a live display replaces; ignores failed writes."""

    def __init__(self, file: TextIO | None = None) -> None:
        super().__init__(file)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        if self._file is None:
            self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass

    def close(self) -> None:
        super().close()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


def start(chosen: LogSettings, redactor: Redactor) -> None:
    """Start to log, with these settings only."""
    global settings
    stop()
    settings = chosen
    if settings.file is not None:
        try:
            # all processes of a run append to it, each record with one write
            fd = os.open(settings.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise StorageError(f"The log file {settings.file} cannot be written: {error.strerror}.") from None
        _handlers.append(_Handler(os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace")))
    if settings.verbosity:
        _handlers.append(_Handler())
    for handler in _handlers:
        handler.setFormatter(_Formatter(redactor))
        logging.getLogger().addHandler(handler)
    for name in _PACKAGES if _handlers else ():
        logging.getLogger(name).setLevel(logging.DEBUG if settings.verbosity > 1 else logging.INFO)


def stop() -> None:
    """Stop logging."""
    global settings
    settings = LogSettings()
    while _handlers:
        handler = _handlers.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()
    for name in _PACKAGES:
        logging.getLogger(name).setLevel(logging.NOTSET)
