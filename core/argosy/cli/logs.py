"""The log: where records go, and how secrets stay out of them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import NamedTuple, TextIO

from argosy.errors import StorageError
from argosy.toolkit.redaction import Redactor

#: Packages whose records are logged at the chosen level; others only log warnings.
_PACKAGES = ("argosy", "argosy_plugins", "argosy_epub", "argosy_redis")


class LogSettings(NamedTuple):
    """How often ``-v`` was given (1 is INFO, 2 is DEBUG), and the absolute path of ``--log-file``, which gets INFO."""

    verbosity: int = 0
    file: Path | None = None


_FORMAT = "%(asctime)s %(levelname)-7s [%(process)d] %(name)s: %(message)s"

_handlers: list[logging.Handler] = []


class _Handler(logging.Handler):
    """Writes to a file or to the current standard error, which a live display replaces; ignores failed writes."""

    def __init__(self, redactor: Redactor, file: TextIO | None = None) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._redactor = redactor
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            text = self._redactor.scrub(self.format(record))  # also arguments and tracebacks
            file = self._file or sys.stderr
            file.write(text.replace("\n", "\n    ") + "\n")
            file.flush()

    def close(self) -> None:
        super().close()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


def start(settings: LogSettings, redactor: Redactor) -> None:
    """Start to log, with these settings only."""
    stop()
    if settings.file is not None:
        try:
            # all processes of a run append to it, each record with one write
            fd = os.open(settings.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise StorageError(f"The log file {settings.file} cannot be written: {error.strerror}.") from None
        _handlers.append(_Handler(redactor, os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace")))
    if settings.verbosity:
        _handlers.append(_Handler(redactor))
    for handler in _handlers:
        logging.getLogger().addHandler(handler)
    for name in _PACKAGES if _handlers else ():
        logging.getLogger(name).setLevel(logging.DEBUG if settings.verbosity > 1 else logging.INFO)


def stop() -> None:
    """Stop logging."""
    while _handlers:
        handler = _handlers.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()
    for name in _PACKAGES:
        logging.getLogger(name).setLevel(logging.NOTSET)
