"""The log of the command line: where records go, and what keeps secrets out of them."""

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

#: The packages whose records are wanted at all levels; of others, only warnings.
_PACKAGES = ("argosy", "argosy_plugins", "argosy_epub", "argosy_redis")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and where.

    Parameters
    ----------
    verbosity
        How many times ``-v`` was given: 1 is INFO, 2 is DEBUG. Without it, only the file gets INFO.
    file
        The absolute path of ``--log-file``.
    """

    verbosity: int = 0
    file: Path | None = None


#: The settings of this process; worker processes get a copy.
_current = LogSettings()
_handlers: list[logging.Handler] = []


class _Formatter(logging.Formatter):
    """Redacts the finished text: that covers arguments, tracebacks and exceptions alike, on one line a record."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s [%(process)d] %(name)s: %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the record without secrets and control characters."""
        return self._redactor.scrub(super().format(record)).replace("\n", "\n    ")


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the type checker only
    """Writes to a file or, without one, to the standard error of the moment: a live display replaces that."""

    def __init__(self, file: TextIO | None = None) -> None:
        super().__init__(file)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if self._file is None:
            self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ignore that a record cannot be written: the run matters more."""

    def close(self) -> None:
        """Close the file."""
        super().close()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


def current() -> LogSettings:
    """Return the settings of this process."""
    return _current


def start(settings: LogSettings, redactor: Redactor) -> None:
    """Log as `settings` say from now on, in place of what was set before.

    Raises
    ------
    StorageError
        If the log file cannot be opened.
    """
    global _current
    stop()
    _current = settings
    if settings.file is not None:
        _handlers.append(_file_handler(settings.file))
    if settings.verbosity:
        _handlers.append(_Handler())
    for handler in _handlers:
        handler.setFormatter(_Formatter(redactor))
        logging.getLogger().addHandler(handler)
    if _handlers:
        level = logging.DEBUG if settings.verbosity > 1 else logging.INFO
        for name in _PACKAGES:
            logging.getLogger(name).setLevel(level)


def stop() -> None:
    """Log nothing anymore."""
    global _current
    _current = LogSettings()
    while _handlers:
        handler = _handlers.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()
    for name in _PACKAGES:
        logging.getLogger(name).setLevel(logging.NOTSET)


def _file_handler(file: Path) -> logging.Handler:
    try:
        # appended to by all processes of a run, each record with one write
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise StorageError(f"The log file {file} cannot be written: {error.strerror}.") from None
    return _Handler(os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace"))
